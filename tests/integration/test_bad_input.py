"""Bad input: a clear error in the API's shape, or a right result; nothing lost, nothing left."""

from __future__ import annotations

import io
import socket
import struct
import uuid
import zlib
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from PIL import Image
from tests.conftest import Server, ocelli
from tests.integration.test_main_job import API, finished, get, noise, upload
from tests.waiting import PATIENCE, until


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG whose header claims 60,000 × 60,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>1</script></svg>'
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 200
REFUSED = {
    "text named .jpg": (b"this is not a picture\n" * 50, "text"),
    "empty": (b"", "empty"),
    "svg": (SVG, "SVG"),
    "heic": (HEIC, "HEI"),
    "bomb": (bomb(), "3,600,000,000 pixels"),
    "pdf": (b"%PDF-1.7\n" + b"x" * 100, "PDF"),
    "half a header": (b"\x89PNG\r\n\x1a\n\0\0", "header"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_refused(server: Server, name: str) -> None:
    data, words = REFUSED[name]
    answer = upload(server, data, "cat.jpg")
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["details"]["field"] == "file"
    assert words in error["message"]
    assert uuid.UUID(answer.json()["request_id"])


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.new("RGB", (80, 40), "red"), "JPEG", exif=exif)


def gif() -> bytes:
    frames = [Image.new("RGB", (50, 50), color) for color in ("blue", "red", "green")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


ACCEPTED = {
    "animated gif": (gif, (50, 50)),
    "cmyk jpeg": (lambda: encoded(Image.new("CMYK", (60, 40), (0, 200, 200, 0)), "JPEG"), (60, 40)),
    "exif-rotated": (rotated, (40, 80)),
    "one pixel": (lambda: encoded(Image.new("RGB", (1, 1), "white"), "PNG"), (1, 1)),
    "16 bit png": (lambda: encoded(Image.new("I;16", (30, 20), 40_000), "PNG"), (30, 20)),
    "palette png": (lambda: encoded(Image.new("P", (30, 20), 3), "PNG"), (30, 20)),
    "transparent": (lambda: encoded(Image.new("RGBA", (30, 20), (0, 0, 0, 0)), "PNG"), (30, 20)),
    "webp": (lambda: encoded(Image.new("RGB", (30, 20), "teal"), "WEBP"), (30, 20)),
    "very thin": (lambda: encoded(Image.new("RGB", (3000, 1), "teal"), "PNG"), (3000, 1)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_odd_pictures_are_described(server: Server, name: str) -> None:
    make, (width, height) = ACCEPTED[name]
    answer = upload(server, make(), "name that lies.txt")
    assert answer.status_code == 200, answer.text
    file = finished(server, answer.json()["image_id"])
    assert file["description_status"] == "completed"
    assert file["variant_status"] == "completed"
    assert file["dimensions"] == {"width": width, "height": height}
    assert file["upload_description"]


def test_a_truncated_jpeg_fails_with_its_reason(server: Server, photos: dict[str, Path]) -> None:
    whole = photos["china"].read_bytes()
    id = upload(server, whole[: len(whole) // 2]).json()["image_id"]
    file = finished(server, id)
    assert file["description_status"] == "failed"
    status = get(server, f"/uploads/status/{id}").json()
    assert status["unified_status"] == "failed"
    assert status["error_type"] == "validation"
    assert status["is_retryable"] is False
    assert "truncated" in status["error_message"]
    row = next(file for file in get(server, "/user-files").json()["files"] if file["id"] == id)
    assert "truncated" in row["description_error"]


def staging_files(server: Server) -> list[Path]:
    return list((server.data / "objects" / ".staging").iterdir())


def test_one_megabyte_too_many(server: Server) -> None:
    answer = upload(server, b"\xff\xd8\xff" + bytes(101 * 1024 * 1024), "big.jpg")
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "HTTP_413"
    assert "100 MB" in answer.json()["error"]["message"]
    assert staging_files(server) == []


def test_a_huge_announcement_is_refused_before_it_comes(server: Server) -> None:
    with raw(server, f"Content-Length: {10 * 1024**3}", "multipart/form-data; boundary=x") as it:
        assert b"413" in it.recv(1000)


def test_wrong_content_types(server: Server) -> None:
    url = f"{server.url}{API}/user-files/upload/stream"
    for content_type in ("application/json", "multipart/form-data", "text/plain", "\x80"):
        headers = {**server.headers, "Content-Type": content_type}
        answer = requests.post(url, headers=headers, data=b"{}", timeout=60)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


def test_bodies_that_are_no_forms(server: Server) -> None:
    url = f"{server.url}{API}/user-files/upload/stream"
    headers = {**server.headers, "Content-Type": "multipart/form-data; boundary=b"}
    for body in (b"", b"junk", b"--b\r\njunk", b"--b--\r\n", b"--b\r\n\r\n\r\n--b--"):
        answer = requests.post(url, headers=headers, data=body, timeout=60)
        assert answer.status_code in (400, 422), body
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + noise(1)
    assert requests.post(url, headers=headers, data=cut, timeout=60).status_code == 400
    assert staging_files(server) == []


def test_a_form_without_the_file(server: Server) -> None:
    url = f"{server.url}{API}/user-files/upload/stream"
    answer = requests.post(
        url, headers=server.headers, files={"picture": ("a.png", noise(1))}, timeout=60
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "file"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "x" * 256}, "title"),
        ({"tags": ",".join(map(str, range(41)))}, "tags"),
        ({"tags": "x" * 51}, "tags"),
        ({"auto_describe": "perhaps"}, "auto_describe"),
        ({"storage_target": "moon"}, "storage_target"),
        ({"storage_target": "custom"}, "storage_target"),
        ({"title": b"\xff\xfe"}, "title"),
        ({"title": "x" * 70_000}, "title"),
    ],
)
def test_fields_out_of_bounds(server: Server, fields: dict[str, Any], field: str) -> None:
    answer = upload(server, noise(2), **fields)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/b\\c.jpg",
        "\u202egpj.exe",
        "😀.jpg",
        "x" * 300 + ".jpg",
        "..",
        "'; DROP--",
    ],
)
def test_hostile_names_are_harmless(server: Server, name: str) -> None:
    accepted = upload(server, noise(3), name, auto_describe="false").json()
    key = accepted["object_key"]
    assert ".." not in key
    assert len(key.split("/")) == 4
    shown = get(server, f"/user-files/{accepted['image_id']}").json()["original_filename"]
    assert len(shown) <= 255
    assert not set(shown) & set("/\\\0\u202e")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"filename*=utf-8''m%C3%BCde%20%E2%82%AC.png", "müde €.png"),
        (b"filename=\"x.png\"; filename*=UTF-8'de'%e2%82%ac.png", "€.png"),
        (b'filename="=?utf-8?b?w7wucG5n?="', "ü.png"),
        ('filename="می‌خواهم 👨‍👩‍👧.png"'.encode(), "می‌خواهم 👨‍👩‍👧.png"),
        ('filename="für.png"'.encode("latin-1"), "für.png"),
    ],
)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b" \t\r\n"])
def test_forms_as_clients_write_them(
    server: Server, disposition: bytes, name: str, line_end: bytes
) -> None:
    end = line_end.lstrip(b" \t")
    body = b"--b" + line_end + b'Content-Disposition: form-data; name="file"; ' + disposition + end
    body += b"Content-Type: image/png" + end * 2 + noise(5) + end + b"--b--" + line_end
    headers = {**server.headers, "Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(
        f"{server.url}{API}/user-files/upload/stream", body, headers=headers, timeout=60
    )
    assert answer.ok, answer.text
    shown = get(server, f"/user-files/{answer.json()['image_id']}").json()
    assert (shown["original_filename"], shown["size_bytes"]) == (name, len(noise(5)))


def test_nul_in_text_is_an_error_not_a_crash(server: Server) -> None:
    for field in ("title", "tags"):
        answer = upload(server, noise(4), **{field: "a\0b"})
        assert answer.status_code == 422
        assert answer.json()["error"]["details"]["field"] == field
    assert get(server, "/user-files/a%00b").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/agents/search/images", {"query": "a dog", "tags": ["a\0b"]}),
        ("/batch/describe", {"escalation_policy": "a\0b"}),
        ("/user-files/describe", {"vocabulary": "a\0b"}),
        ("/uploads/confirm", {"object_key": "a\0b"}),
        ("/uploads/batch-confirm", {"confirmations": [{"object_key": "a\0b"}]}),
    ],
)
def test_nul_in_what_is_only_compared(server: Server, path: str, body: dict[str, Any]) -> None:
    images = {"images": [{"image_url": "https://example.com/a.png"}]} if "batch/" in path else {}
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = requests.post(
        f"{server.url}{API}{path}", json={**images, **body}, headers=headers, timeout=30
    )
    assert answer.status_code in (200, 404, 422), answer.text


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "INVALID_API_KEY"),
        ("Bearer", "INVALID_API_KEY"),
        ("Bearer x", "INVALID_API_KEY"),
        ("Basic YTpi", "INVALID_API_KEY"),
        ("Bearer aion_" + "x" * 43, "INVALID_API_KEY"),
        ("Bearer aion_" + "x" * 4000, "INVALID_API_KEY"),
        ("Bearer aion_\x80", "INVALID_API_KEY"),
    ],
)
def test_keys_that_are_none(server: Server, header: str | None, code: str) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header else {}
    answer = requests.get(f"{server.url}{API}/user-files", headers=headers, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key(server: Server) -> None:
    key = server.new_key("leaving")
    headers = {"Authorization": f"Bearer {key}"}
    assert get(server, "/user-files", headers=headers).status_code == 200
    ocelli("keys", "revoke", key[:12], data=server.data)
    until(lambda: get(server, "/user-files", headers=headers).status_code == 401)
    answer = get(server, "/user-files", headers=headers)
    assert answer.json()["error"]["code"] == "DEACTIVATED_API_KEY"


def test_the_frameworks_own_errors_have_our_shape(server: Server) -> None:
    for method, path, status in (
        ("GET", "/api/v2/nothing", 404),
        ("PUT", "/api/v2/user-files", 405),
        ("GET", "/nothing", 404),
        ("GET", f"{API}/user-files/{'x' * 100}", 422),
        ("GET", f"{API}/user-files/zzz", 404),
    ):
        answer = requests.request(method, f"{server.url}{path}", headers=server.headers, timeout=60)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message", "details"}
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def raw(server: Server, *headers: str) -> socket.socket:
    """A request of which only the head has been sent."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    length, content_type = headers
    connection.sendall(
        f"POST {API}/user-files/upload/stream HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Type: {content_type}\r\n"
        f"{length}\r\n\r\n".encode()
    )
    return connection


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host"])
def test_a_redirect_leads_to_no_host_that_a_client_names(server: Server, name: str) -> None:
    for path in (f"{API}/user-files", "/docs"):
        answer = requests.get(
            f"{server.url}{path}/?a=%0D%0Ab",
            headers={name: "elsewhere.example", "Authorization": f"Bearer {server.key}"},
            allow_redirects=False,
            timeout=PATIENCE,
        )
        assert answer.status_code == 307
        assert answer.headers["Location"] == f"{path}?a=%0D%0Ab"


def test_a_client_that_hangs_up_leaves_nothing(server: Server) -> None:
    for _ in range(3):
        with raw(server, "Content-Length: 5000000", "multipart/form-data; boundary=b") as it:
            it.sendall(
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
                + bytes(2_000_000)
            )
            until(lambda: staging_files(server), fleeting=True)
        until(lambda: not staging_files(server))
    assert get(server, "/user-files").status_code == 200


def test_processes_stay_small(server: Server, photos: dict[str, Path]) -> None:
    """After everything that this file has done to them."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    sizes = {
        " ".join(child.cmdline()[-2:]): child.memory_info().rss / 1e6
        for child in children
        if "ocelli.cli.child" in " ".join(child.cmdline())
    }
    assert len(sizes) >= 2
    assert max(size for name, size in sizes.items() if "worker" in name) < 1200
    assert max(size for name, size in sizes.items() if "api" in name) < 300
