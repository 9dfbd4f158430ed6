"""Videos of known sites, by the real yt-dlp where it is installed (``ocelli-vision[video]``)."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import threading
from collections.abc import Iterator

import pytest
from tests.unit.test_frames import video

from ocelli.domain.errors import FetchFailed, FetchUnavailable
from ocelli.media.video_pages import YtDlp

installed = pytest.mark.skipif(
    importlib.util.find_spec("yt_dlp") is None, reason="needs pip install 'ocelli-vision[video]'"
)


class Site(http.server.SimpleHTTPRequestHandler):
    over = threading.Event()

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.over.wait()
        super().do_GET()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "clip.mp4").write_bytes(video(seconds=3))
    (folder / "page.html").write_text(
        '<!doctype html><title>t</title><video src="/clip.mp4"></video>'
    )
    (folder / "text.html").write_text("<!doctype html><p>No video here.")
    handler = functools.partial(Site, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        Site.over.set()
        running.shutdown()


async def test_without_yt_dlp_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FetchFailed, match=r"pip install 'ocelli-vision\[server,video\]'"):
        await YtDlp(max_bytes=10**7, timeout=5).download("https://vimeo.com/1")


@installed
async def test_the_video_of_a_page(site: str) -> None:
    data = await YtDlp(max_bytes=10**7, timeout=60).download(f"{site}/page.html")
    assert data == video(seconds=3)


@installed
@pytest.mark.parametrize(("page", "most"), [("text.html", 10**7), ("page.html", 1000)])
async def test_no_video_or_one_that_is_too_large(site: str, page: str, most: int) -> None:
    with pytest.raises(FetchFailed):
        await YtDlp(max_bytes=most, timeout=60).download(f"{site}/{page}")


@installed
async def test_a_site_that_does_not_answer(site: str) -> None:
    with pytest.raises(FetchUnavailable, match="within 2 seconds"):
        await YtDlp(max_bytes=10**7, timeout=2).download(f"{site}/slow")
