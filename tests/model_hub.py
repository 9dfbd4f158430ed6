"""A hub of models on this machine, with the habits and the troubles of the real one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "c0ffee" * 6 + "beef"


@dataclass
class Hub:
    """What it has, and how it behaves. Files are redirected to a host of their own."""

    files: dict[str, bytes] = field(default_factory=dict)  # by "owner/repository/path"
    licence: str = "apache-2.0"
    token: str | None = None  # that it asks for
    has_ranges: bool = True
    listing_instead: bytes | None = None
    knows_hashes: bool = True
    hashes_from: int = (
        0  # bytes: of smaller files it knows none, as they are in the repository itself
    )
    sends_instead: bytes | None = None  # of the same length
    cut_after: int | None = None  # bytes, of each answer
    cuts: int = 0  # how many answers are cut
    busy: int = 0  # how many answers are 503
    silent_from: int | None = None  # at which byte it stops to send
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    is_silent: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    store_url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str) -> bool:
        """Whether this answer is one of those that fail."""
        with self._lock:
            left = getattr(self, name)
            setattr(self, name, max(0, left - 1))
            return bool(left)

    def requests(self, host: str) -> list[dict[str, str]]:
        """The headers of the requests to ``hub`` or ``store``."""
        return [headers for where, _, headers in self.seen if where == host]


@contextlib.contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """Run it for the block."""
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, name)) for name in ("hub", "store")
    ]
    hub.url, hub.store_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=each.serve_forever, args=(0.02,)) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        hub.over.set()
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(hub: Hub, name: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.seen.append((name, self.path, dict(self.headers)))
            with contextlib.suppress(ConnectionError):
                self._list() if self.path.startswith("/api/models/") else self._file()

        def _list(self) -> None:
            repository = (
                self.path.removeprefix("/api/models/").partition("?")[0].partition("/revision/")[0]
            )
            siblings = [
                {
                    "rfilename": path.removeprefix(f"{repository}/"),
                    "size": len(data),
                    **(
                        {"lfs": {"sha256": hashlib.sha256(data).hexdigest()}}
                        if len(data) >= hub.hashes_from
                        else {}
                    ),
                }
                for path, data in hub.files.items()
                if path.startswith(f"{repository}/")
            ]
            if self._is_refused(bool(siblings)):
                return
            listing = {"sha": COMMIT, "siblings": siblings, "cardData": {"license": hub.licence}}
            self._send(200, hub.listing_instead or json.dumps(listing).encode())

        def _file(self) -> None:
            path = re.sub(r"/resolve/[^/]+", "", unquote(self.path)).lstrip("/")
            data = hub.files.get(path)
            if self._is_refused(data is not None):
                return
            assert data is not None
            if name == "hub":
                headers = {"Location": f"{hub.store_url}/{path}", "X-Repo-Commit": COMMIT}
                if hub.knows_hashes and len(data) >= hub.hashes_from:
                    headers["X-Linked-ETag"] = f'"{hashlib.sha256(data).hexdigest()}"'
                self._send(302, b"", headers)
            else:
                self._serve(hub.sends_instead or data)

        def _is_refused(self, exists: bool) -> bool:
            wrong_key = hub.token and self.headers["Authorization"] != f"Bearer {hub.token}"
            if name == "hub" and wrong_key:
                self._send(401, b"")
            elif not exists:
                self._send(404, b"")
            elif name == "store" and hub.take("busy"):
                self._send(503, b"")
            else:
                return False
            return True

        def _serve(self, data: bytes) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = 0, len(data) - 1
            if asked and hub.has_ranges:
                first, last = int(asked[1]), min(int(asked[2]), last)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            else:
                self.send_response(200)
            piece = data[first : last + 1]
            self.send_header("Content-Length", str(len(piece)))
            self.end_headers()
            if hub.silent_from is not None and last >= hub.silent_from:
                self.wfile.write(piece[: max(0, hub.silent_from - first)])
                self.wfile.flush()
                hub.is_silent.set()
                hub.over.wait()
                self.close_connection = True
            elif hub.cut_after is not None and len(piece) > hub.cut_after and hub.take("cuts"):
                self.wfile.write(piece[: hub.cut_after])
                self.close_connection = True
            else:
                self.wfile.write(piece)

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
