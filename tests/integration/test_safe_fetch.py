"""Fetching what users name: never into our own network, never more than is good for us."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.errors import (
    FetchFailed,
    FetchUnavailable,
    InvalidUrl,
    OcelliError,
    ValidationFailed,
)
from ocelli.domain.http_status import can_be_retried
from ocelli.media.fetch import SafeFetcher
from ocelli.media.urls import checked_url

LOOPBACK = ("127.0.0.0/8",)

# Every way that we know to write an address that is not public; {port} is a server that listens.
SPELLINGS = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://0x7f.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://00000177.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.000.000.001:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::]:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]:{port}/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xA9FEA9FE/",
    "http://2852039166/",
    "http://[::ffff:169.254.169.254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "https://127.0.0.1:{port}/",
]

NO_ADDRESSES = [
    "",
    "picture.jpg",
    "//127.0.0.1/a.jpg",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/_x",
    "ftp://example.com/a.jpg",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "http://",
    "http:///a.jpg",
    "http://:80/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:x/",
    "http://[::1/",
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://example.com:80@127.0.0.1/",
    "http://:@127.0.0.1/",
    "http://1.1.1.1\\@127.0.0.1/",
    "http://example.com/\r\nX-Evil: 1",
    "http://example.com/\x00",
    "http://exam\tple.com/",
    "http://example.com/" + "a" * 10_000,
]


@dataclass
class Site:
    """A server on loopback that counts who comes."""

    port: int = 0
    hits: list[web.Request] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture(scope="module")
def picture(photos: dict[str, Path]) -> bytes:
    return min((path.read_bytes() for path in photos.values()), key=len)


@pytest.fixture(scope="module")
async def site(picture: bytes) -> AsyncIterator[Site]:
    found = Site()

    async def stream(request: web.Request, pieces: list[bytes], pause: float) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for piece in pieces:
                await answer.write(piece)
                await asyncio.sleep(pause)
        except ConnectionError:
            pass
        return answer

    async def serve(request: web.Request) -> web.StreamResponse:
        found.hits.append(request)
        headers: dict[str, str] = {}
        match request.path.strip("/").split("/"):
            case ["status", status]:
                return web.Response(status=int(status), text="no")
            case ["to", count]:
                return web.Response(status=302, headers={"Location": f"/to/{int(count) - 1}"})
            case ["redirect"]:
                return web.Response(status=302, headers={"Location": request.query["to"]})
            case ["slow"]:
                return await stream(request, [picture[i : i + 1] for i in range(60)], 1.0)
            case ["headers-only"]:
                await asyncio.sleep(30)
            case ["endless"]:
                return await stream(request, [picture[:2000], *[bytes(65536)] * 2000], 0.0)
            case ["announced"]:
                headers = {"Content-Length": str(10**12)}
            case ["broken"]:
                answer = web.StreamResponse(headers={"Content-Length": str(len(picture))})
                await answer.prepare(request)
                await answer.write(picture[:2000])
                assert request.transport
                request.transport.abort()
                return answer
            case ["bomb"]:
                body = gzip.compress(picture[:2000] + bytes(64 * 1024 * 1024))
                return web.Response(body=body, headers={"Content-Encoding": "gzip"})
            case ["packed"]:
                body = gzip.compress(picture)
                return web.Response(body=body, headers={"Content-Encoding": "gzip"})
            case ["encoded"]:
                answers: list[tuple[str, str]] = [
                    ("Content-Encoding", each) for each in request.query.getall("as")
                ]
                packed = any("gzip" in each.lower() for _, each in answers)
                return web.Response(
                    body=gzip.compress(picture) if packed else picture, headers=answers
                )
            case ["brotli"]:
                return web.Response(body=picture, headers={"Content-Encoding": "br"})
            case ["damaged"]:
                return web.Response(body=picture, headers={"Content-Encoding": "gzip"})
            case ["page"]:
                return web.Response(
                    text="<!doctype html><p>Please log in", content_type="image/png"
                )
            case ["empty"]:
                return web.Response()
        return web.Response(body=picture, content_type="text/plain", headers=headers or None)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    app.router.add_get("/", serve)
    app.router.add_post("/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    # All of loopback, and IPv6: whoever is let through anywhere is seen.
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    found.port = listener.getsockname()[1]
    await web.SockSite(runner, listener).start()
    yield found
    await runner.cleanup()


class Changing(AbstractResolver):
    """Answers with one address after another; the last one stays."""

    def __init__(self, *addresses: list[str]) -> None:
        self._answers = list(addresses)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for each in answer
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_leads_home(site: Site, spelling: str) -> None:
    before = len(site.hits)
    with pytest.raises(OcelliError) as caught:
        await SafeFetcher(timeout=60).get(spelling.format(port=site.port))
    assert len(site.hits) == before
    assert isinstance(caught.value, InvalidUrl | FetchFailed)


def test_there_are_enough_spellings() -> None:
    assert len(SPELLINGS) >= 40


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidUrl):
        checked_url(text)


SIGNED = [
    "a%2Fb.jpg?Signature=x%2Fy%2fz%3D&Expires=1",
    "a%20b+c.jpg?q=a%20b+c",
    "%7euser/%c3%a4.jpg?X-Amz-Signature=0f",
    "a'b|c[d]!$()*,;:@.jpg?sig=|'[]{}^`~%7E&&x=&=y&?/",
    'a.jpg?response-content-disposition=filename="<a>"',
    "100%.jpg?a=%zz%",
    "a//b/%2e%2e/c.jpg",
]


@pytest.mark.parametrize("path", SIGNED)
async def test_signed_addresses_arrive_byte_for_byte(site: Site, path: str) -> None:
    fetcher = SafeFetcher(allow=LOOPBACK)
    await fetcher.get(site.url(f"{path}#part"))
    assert site.hits[-1].raw_path == f"/{path}"


@pytest.mark.parametrize("path", SIGNED)
@pytest.mark.parametrize("start", ["http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "/", "./"])
async def test_signed_redirects_arrive_byte_for_byte(site: Site, path: str, start: str) -> None:
    to = quote(start.format(port=site.port) + path, safe="")
    found = await SafeFetcher(allow=LOOPBACK).get(site.url(f"redirect?to={to}"))
    assert site.hits[-1].raw_path == f"/{path}"
    assert found.url == site.url(path)


async def test_webhooks_are_posted_byte_for_byte(site: Site) -> None:
    await SafeFetcher(allow=LOOPBACK).post(site.url("hook?token=a%2fb+c%20d|'"), b"{}", {})
    assert site.hits[-1].raw_path == "/hook?token=a%2fb+c%20d|'"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("ä b.jpg?q=ü c", "%C3%A4%20b.jpg?q=%C3%BC%20c"),
        ("%C3%A4ö.jpg", "%C3%A4%C3%B6.jpg"),
        ("a/../b/./c%2F..%2Fd.jpg?x=/../y", "b/c%2F..%2Fd.jpg?x=/../y"),
        ("/double.jpg", "/double.jpg"),
        ("?only=a%2fquery", "?only=a%2fquery"),
        ("日本.jpg#ä", "%E6%97%A5%E6%9C%AC.jpg"),
    ],
)
async def test_what_no_request_line_holds_is_encoded(site: Site, written: str, sent: str) -> None:
    fetcher = SafeFetcher(allow=LOOPBACK)
    await fetcher.get(site.url(written))
    assert site.hits[-1].raw_path == f"/{sent}"
    await fetcher.get(site.url("redirect?to=" + quote(site.url(written), safe="")))
    assert site.hits[-1].raw_path == f"/{sent}"


@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#\\"))
)
def test_printable_queries_stay_as_they_are(query: str) -> None:
    assert checked_url(f"http://a.example/x?{query}").raw_query_string == query


@given(st.text(max_size=40), st.sampled_from(["/", "?", "#", "/@", "/.//", "//", "/..//"]))
def test_nothing_behind_the_host_changes_it(rest: str, start: str) -> None:
    try:
        url = checked_url(f"http://a.example:81{start}{rest}")
    except InvalidUrl:
        return
    assert (url.scheme, url.host, url.port) == ("http", "a.example", 81)
    assert str(url).isascii()


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for each in (text, f"http://{text}"):
        try:
            url = checked_url(each)
        except InvalidUrl:
            continue
        assert url.scheme in ("http", "https")
        assert url.host


async def test_private_and_unknown_hosts_look_the_same(site: Site) -> None:
    messages = set()
    for url in (
        site.url(""),
        "http://no-such-name.invalid/",
        "http://localhost:1/",
        f"http://{'a' * 64}.invalid/",
        "http://a..invalid/",
    ):
        with pytest.raises(FetchFailed) as caught:
            await SafeFetcher(timeout=60).get(url)
        messages.add(caught.value.message)
    assert len(messages) == 1


async def test_the_allow_list_opens_what_it_names(site: Site, picture: bytes) -> None:
    found = await SafeFetcher(allow=LOOPBACK).get(site.url("a.jpg"))
    assert found.data == picture
    assert found.content_type == "text/plain"  # a claim, which nobody believes
    assert site.hits[-1].headers["User-Agent"].startswith("Ocelli/")
    with pytest.raises(FetchFailed):
        await SafeFetcher(allow=("10.0.0.0/8",)).get(site.url("a.jpg"))


async def test_a_name_that_changes_its_answer(site: Site) -> None:
    """The first answer was fine; the redirect asks again, and is checked again."""
    before = len(site.hits)
    resolver = Changing(["127.0.0.5"], ["127.0.0.1"])
    fetcher = SafeFetcher(allow=("127.0.0.5/32",), resolver=resolver, timeout=60)
    with pytest.raises(FetchFailed):
        await fetcher.get(f"http://changing.test:{site.port}/to/1")
    assert len(site.hits) == before + 1
    assert resolver.asked == 2


async def test_a_connection_goes_to_what_was_resolved_for_it(site: Site) -> None:
    resolver = Changing(["127.0.0.5"], ["127.0.0.1"])
    fetcher = SafeFetcher(allow=("127.0.0.5/32",), resolver=resolver, timeout=60)
    await fetcher.get(f"http://changing.test:{site.port}/a.jpg")
    assert resolver.asked == 1
    assert site.hits[-1].transport is None or site.hits[-1].host.startswith("changing.test")
    with pytest.raises(FetchFailed):
        await fetcher.get(f"http://changing.test:{site.port}/a.jpg")


async def test_of_several_addresses_only_good_ones_are_tried(site: Site) -> None:
    before = len(site.hits)
    resolver = Changing(["10.255.255.1", "127.0.0.1", "::1"])
    with pytest.raises(FetchFailed):
        await SafeFetcher(resolver=resolver, timeout=60).get(f"http://many.test:{site.port}/")
    assert len(site.hits) == before


@pytest.mark.parametrize(
    "to",
    [
        "http://localhost:{port}/a.jpg",
        "http://[::1]:{port}/a.jpg",
        "//127.1:{port}/a.jpg",
        "file:///etc/passwd",
        "http://user:secret@127.0.0.5:{port}/a.jpg",
        "",
    ],
)
async def test_redirects_are_checked_again(site: Site, to: str) -> None:
    before = len(site.hits)
    fetcher = SafeFetcher(allow=("127.0.0.5/32",), timeout=60)
    with pytest.raises(FetchFailed):
        await fetcher.get(f"http://127.0.0.5:{site.port}/redirect?to={to.format(port=site.port)}")
    assert len(site.hits) == before + 1


async def test_so_many_redirects_and_no_more(site: Site, picture: bytes) -> None:
    fetcher = SafeFetcher(allow=LOOPBACK)
    before = len(site.hits)
    with pytest.raises(FetchFailed, match="redirects"):
        await fetcher.get(site.url("to/9"))
    assert len(site.hits) == before + 6
    found = await fetcher.get(site.url("redirect?to=/a.jpg"))
    assert found.data == picture
    assert found.url.endswith("/a.jpg")


async def test_environment_proxies_are_not_used(
    site: Site, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await SafeFetcher(allow=LOOPBACK).get(site.url("a.jpg"))).data == picture


@pytest.mark.parametrize(
    ("path", "error", "words", "options"),
    [
        ("slow", FetchUnavailable, "too slowly", {"grace_period": 0.5}),
        ("slow", FetchUnavailable, "within 1 seconds", {"timeout": 1.0}),
        ("headers-only", FetchUnavailable, "within 0.5 seconds", {"timeout": 0.5}),
        ("endless", FetchFailed, "larger than 1 MB", {}),
        ("announced", FetchFailed, "larger than 1 MB", {}),
        ("bomb", FetchFailed, "larger than 1 MB", {}),
        ("brotli", FetchFailed, "packs", {}),
        ("damaged", FetchFailed, "damaged", {}),
        ("broken", FetchUnavailable, "broke off", {}),
        ("page", ValidationFailed, "HTML", {}),
        ("empty", ValidationFailed, "empty", {}),
        ("status/404", FetchFailed, "404", {}),
        ("status/503", FetchUnavailable, "503", {}),
        ("status/304", FetchFailed, "304", {}),
    ],
)
async def test_bounds(
    site: Site, path: str, error: type[Exception], words: str, options: dict[str, Any]
) -> None:
    fetcher = SafeFetcher(allow=LOOPBACK, max_bytes=1024 * 1024, **{"timeout": 60.0, **options})
    with pytest.raises(error, match=words):
        await fetcher.get(site.url(path))


@pytest.mark.parametrize("status", [400, 404, 408, 409, 425, 429, 500, 501, 503, 505, 529])
async def test_whether_it_may_be_there_later_says_the_one_table(site: Site, status: int) -> None:
    fetcher = SafeFetcher(allow=LOOPBACK)
    url = site.url(f"status/{status}")
    with pytest.raises(FetchFailed, match=str(status)) as failed:
        await fetcher.get(url)
    assert failed.value.retryable is can_be_retried(status)
    assert (await fetcher.post(url, b"{}", {})).status == status


async def test_a_packed_body_is_unpacked(site: Site, picture: bytes) -> None:
    assert (await SafeFetcher(allow=LOOPBACK).get(site.url("packed"))).data == picture


@pytest.mark.parametrize(
    "encodings",
    [
        ["identity"], ["none"], ["utf-8"], ["UTF8"], ["iso-8859-1"], ["image/jpeg"], ["binary"],
        ["8bit"], ["aws-chunked"], ["null"], [""], ["gzip"], ["x-gzip"], ["GZIP, identity"],
        ["identity", "gzip"], ["utf-8,aws-chunked"],
    ],
)  # fmt: skip
async def test_what_names_no_packing_is_harmless(
    site: Site, picture: bytes, encodings: list[str]
) -> None:
    query = "&".join(f"as={quote(each)}" for each in encodings)
    found = await SafeFetcher(allow=LOOPBACK).get(site.url(f"encoded?{query}"))
    assert found.data == picture
