"""The tools for agents, asked by the protocol's own client: both transports, both eras."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, ResourceLink, TextContent
from PIL import Image
from tests.conftest import Server
from tests.integration.test_main_job import finished, upload

from aion import UserFileDetails
from ocelli.documentation import pages
from ocelli.mcp import answers
from ocelli.mcp.pictures import LibraryPicture, Pictures, UnusablePicture

TOOLS = {
    "describe_image", "verify_claims", "read_text", "compare_images", "find_images", "get_evidence",
}  # fmt: skip
ERAS = ("legacy", "auto")
TRANSPORTS = ("http", "stdio")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Path:
    """A folder that the agent may name, with a link that leads out of it."""
    folder = tmp_path_factory.mktemp("allowed")
    for name in ("coffee", "page"):
        (folder / f"{name}.png").write_bytes(photos[name].read_bytes())
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes(photos["coffee"].read_bytes())
    (folder / "link.png").symlink_to(secret)
    return folder


@asynccontextmanager
async def connected(
    server: Server, transport: str, era: str, folder: Path, key: str | None = None
) -> AsyncIterator[Client]:
    key = key or server.key
    if transport == "stdio":
        command = ["-m", "ocelli", "mcp", str(folder), "--server", server.url]
        there = StdioServerParameters(
            command=sys.executable, args=[*command, "--key", key], env=dict(os.environ)
        )
        async with Client(there, mode=era) as client:
            yield client
        return
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        streams = streamable_http_client(f"{server.url}/mcp", http_client=http)
        async with Client(streams, mode=era) as client:
            yield client


def answer(result: CallToolResult) -> dict[str, Any]:
    """The structured answer; the same stands in a text, and a shorter one before it."""
    short, *_, whole = result.content
    assert isinstance(short, TextContent)
    assert isinstance(whole, TextContent)
    assert not result.is_error, short.text
    structured: dict[str, Any] = result.structured_content
    assert json.loads(whole.text) == structured
    return structured


def problem(result: CallToolResult) -> str:
    assert result.is_error
    (said,) = result.content
    assert isinstance(said, TextContent)
    return said.text


@pytest.fixture(scope="module")
def stored(server: Server, photos: dict[str, Path]) -> str:
    id = str(upload(server, photos["coffee"].read_bytes(), title="Morning").json()["image_id"])
    finished(server, id)
    return id


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_tool(
    server: Server, photos: dict[str, Path], folder: Path, stored: str, transport: str, era: str
) -> None:
    coffee, page = (
        (str(folder / f"{name}.png") if transport == "stdio" else data_url(photos[name]))
        for name in ("coffee", "page")
    )
    told: list[float] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        told.append(progress)

    async with connected(server, transport, era, folder) as client:
        listed = await client.list_tools()
        assert {tool.name for tool in listed.tools} == TOOLS
        assert all(tool.output_schema and tool.description for tool in listed.tools)
        assert "verify_claims" in (client.instructions or "")

        described = answer(
            await client.call_tool("describe_image", {"picture": coffee}, progress_callback=heard)
        )
        assert "cup" in described["description"]
        assert described["answered_by"]
        assert any(claim["boxes"] for claim in described["claims"])
        assert told == sorted(set(told))
        assert told

        claims = ["There is a cup.", "There is an elephant"]
        checked = answer(
            await client.call_tool("verify_claims", {"picture": coffee, "claims": claims})
        )
        true, false = checked["claims"]
        assert not checked["all_supported"]
        assert true["verdict"] == "supported"
        assert true["evidence"]
        assert false["verdict"] != "supported"
        assert false["text"].startswith("There is an elephant")

        read = answer(await client.call_tool("read_text", {"picture": page}))
        assert read["text"].split()
        assert all(len(line["box"]) == 4 for line in read["lines"])

        both = {"pictures": [coffee, page], "level": "quick"}
        compared = answer(await client.call_tool("compare_images", both))
        assert len(compared["pictures"]) == len(compared["own_tags"]) == 2

        found = await client.call_tool("find_images", {"query": "something to drink"})
        assert stored in [each["id"] for each in answer(found)["pictures"]]
        links = [each for each in found.content if isinstance(each, ResourceLink)]
        assert f"ocelli://pictures/{stored}" in [str(each.uri) for each in links]
        assert "base64" not in found.model_dump_json()

        evidence = answer(await client.call_tool("get_evidence", {"picture_id": stored}))
        assert evidence["title"] == "Morning"
        assert evidence["said_by"] == "machine"
        assert evidence["claims"]

        (content,) = (await client.read_resource(f"ocelli://pictures/{stored}")).contents
        shown = base64.b64decode(content.blob)  # type: ignore[union-attr]
        (folder / "shown").write_bytes(shown)
        with Image.open(folder / "shown") as image:
            assert max(image.size) <= 750


def test_what_people_decided_is_told_before_what_machines_say() -> None:
    def made(text: str) -> dict[str, Any]:
        look = {"source": "m", "ruling": "supported", "reason": "seen", "kind": "look"}
        return {"text": text, "kept": True, "probability": 0.9, "verdicts": [look], "boxes": []}

    def decided(claim: str, verdict: str | None, text: str = "") -> dict[str, Any]:
        kept, author = verdict != "rejected", verdict and "Ann"
        return {
            "claim": claim, "text": text or claim, "kept": kept, "verdict": verdict,
            "author": author,
        }  # fmt: skip

    file = {
        "id": "f",
        "object_key": "k",
        "upload_description": "Two cups.",
        "description_source": "person",
        "created_at": "2026-01-01T00:00:00Z",
        "claims": [
            decided("There is a cat.", "rejected"),
            decided("There is a cup.", "corrected", "There are two cups."),
            decided("It is morning.", "added"),
            decided("There is a table.", None),
        ],
        "full_descriptions": [
            {
                "id": "d",
                "source": "m",
                "confidence_score": 0.9,
                "created_at": "2026-01-01T00:00:00Z",
                "claims": [
                    made(each)
                    for each in ("There is a cat.", "There is a cup.", "There is a table.")
                ],
            }
        ],
    }
    told = answers.evidence(UserFileDetails.from_api_response(file))
    assert told.confidence is None, "that of a description which is not shown"
    assert [(each.text, each.verdict, each.probability) for each in told.claims] == [
        ("There is a cat.", "contradicted", 0.0),
        ("There are two cups.", "supported", 1.0),
        ("There is a table.", "supported", 0.9),
        ("It is morning.", "supported", 1.0),
    ]
    assert told.claims[0].evidence[0] == "Ann, rejected it"
    assert "“There is a cup.”" in told.claims[1].evidence[0]


def data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


async def test_what_goes_wrong_is_said_to_the_agent(server: Server, folder: Path) -> None:
    async with connected(server, "http", "auto", folder) as client:
        unknown = "00000000-0000-4000-8000-000000000000"

        async def refused(name: str, **arguments: Any) -> str:
            return problem(await client.call_tool(name, arguments))

        assert "not found" in await refused("get_evidence", picture_id=unknown)
        assert "not found" in await refused("describe_image", picture=unknown)
        assert "cannot be read here" in await refused("describe_image", picture="/etc/passwd")
        assert "cannot be read here" in await refused("read_text", picture="file:///etc/passwd")
        assert "base64" in await refused("read_text", picture="data:image/png;base64,!")
        text = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
        assert "picture" in await refused("read_text", picture=text)
        inside = "http://169.254.169.254/latest/meta-data"
        assert await refused("describe_image", picture=inside)
        assert await refused("verify_claims", picture=unknown, claims=[])
        assert await refused("find_images", query="x" * 2001)
        assert await refused("describe_image", picture=unknown, level="best")


async def test_what_a_key_may_not_do_its_tools_may_not(
    server: Server, folder: Path, stored: str, photos: dict[str, Path]
) -> None:
    stranger = server.new_key("mcp-stranger")
    async with connected(server, "http", "auto", folder, stranger) as client:
        arguments = {"picture_id": stored}
        assert "not found" in problem(await client.call_tool("get_evidence", arguments))
        assert answer(await client.call_tool("find_images", {"query": "a cup"}))["count"] == 0
        with pytest.raises(MCPError, match="not found"):
            await client.read_resource(f"ocelli://pictures/{stored}")
    reader = server.new_key("mcp-reader", "--scopes", "read")
    async with connected(server, "http", "auto", folder, reader) as client:
        arguments = {"picture": data_url(photos["coffee"])}
        assert "scope" in problem(await client.call_tool("describe_image", arguments))


def test_a_key_is_needed_and_no_sign_in_is_offered(server: Server) -> None:
    refused = requests.post(f"{server.url}/mcp", json={}, timeout=60)
    assert refused.status_code == 401
    assert "resource_metadata" not in refused.headers["WWW-Authenticate"]
    known = "/.well-known/oauth-protected-resource/mcp"
    assert requests.get(server.url + known, timeout=60).status_code == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"{}", {}, 400),
        (b"[]", {}, 400),
        (b"{}", {"Origin": "https://evil.example"}, 403),
        (b"{}", {"Content-Type": "text/plain"}, 400),
    ],
)
def test_bad_requests(server: Server, body: bytes, headers: dict[str, str], status: int) -> None:
    sent = {
        **server.headers,
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        **headers,
    }
    answered = requests.post(f"{server.url}/mcp", data=body, headers=sent, timeout=60)
    assert answered.status_code == status, answered.text


def test_pages_for_language_models(server: Server) -> None:
    listed = requests.get(f"{server.url}/llms.txt", timeout=60)
    assert listed.headers["Content-Type"].startswith("text/plain")
    for name in ("mcp", "sdk/quick-start", "skills/ocelli/SKILL"):
        address = f"{server.url}/docs/{name}.md"
        assert address in listed.text
        page = requests.get(address, timeout=60)
        assert page.headers["Content-Type"].startswith("text/markdown")
        assert page.text == pages()[name].read_text(encoding="utf-8")
    for unknown in ("none", "../README", "%2e%2e/README"):
        assert requests.get(f"{server.url}/docs/{unknown}.md", timeout=60).status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_are_no_sessions(server: Server, method: str) -> None:
    sent = {**server.headers, "Accept": "text/event-stream"}
    refused = requests.request(method, f"{server.url}/mcp", headers=sent, timeout=60)
    assert refused.status_code == 405


async def test_a_picture_of_five_megabytes(server: Server, folder: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.effect_noise((2300, 2300), 90).save(large)
    assert large.stat().st_size > 5_000_000 * 0.9
    async with connected(server, "http", "auto", folder) as client:
        assert answer(await client.call_tool("read_text", {"picture": data_url(large)}))


def test_files_of_allowed_folders_only(folder: Path, tmp_path: Path) -> None:
    pictures = Pictures([folder])
    coffee = (folder / "coffee.png").read_bytes()
    assert pictures.open(str(folder / "coffee.png")) == coffee
    assert pictures.open("coffee.png") == coffee
    assert pictures.open(f"file://{folder}/coffee.png") == coffee
    (tmp_path / "other.png").write_bytes(coffee)
    for refused in (
        str(tmp_path / "other.png"),
        str(tmp_path / "absent.png"),
        str(folder / "link.png"),
        f"{folder}/../{tmp_path.name}/other.png",
        "/dev/zero",
        "~/.ssh/id_ed25519",
    ):
        with pytest.raises(UnusablePicture, match="allowed folder"):
            pictures.open(refused)
    for unreadable in (str(folder), str(folder / "absent.png"), str(folder / ("x" * 300))):
        with pytest.raises(UnusablePicture, match="cannot be read"):
            pictures.open(unreadable)
    os.mkfifo(folder / "pipe.png")
    assert pictures.open(str(folder / "pipe.png")) == b""


def test_what_a_picture_may_be() -> None:
    id = "0190d1f0-0000-7000-8000-00000000000a"
    pictures = Pictures()
    assert pictures.open(id) == pictures.open(f"ocelli://pictures/{id}") == LibraryPicture(id)
    assert pictures.open(" HTTPS://example.com/a.png ") == "HTTPS://example.com/a.png"
    assert pictures.open("data:image/png;base64,aGk=") == b"hi"
    for refused in ("data:image/png,hi", "photo.png", "/etc/hosts", "ftp://example.com/a.png"):
        with pytest.raises(UnusablePicture):
            pictures.open(refused)


def test_no_server_and_no_folder_are_said(tmp_path: Path) -> None:
    import subprocess

    for arguments, code, said in (
        (["--data", str(tmp_path)], 3, "ocelli serve"),
        ([str(tmp_path / "absent")], 2, "no such folder"),
    ):
        run = subprocess.run(
            [sys.executable, "-m", "ocelli", "mcp", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == code, run.stderr
        assert said in run.stderr
        assert run.stdout == ""
