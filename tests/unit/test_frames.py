"""Pictures out of videos: five containers, and what can be wrong with one."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

import av
import numpy as np
import pytest

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.fetch_jobs import is_video_page, is_video_url
from ocelli.media import frames, isolation
from ocelli.media.decode import decode
from ocelli.media.frames import VideoFrames
from ocelli.media.sniff import HEAD_BYTES, is_video

RATE = 10
CONTAINERS = {
    "mp4": ("mp4", "mpeg4"),
    "mov": ("mov", "mpeg4"),
    "mkv": ("matroska", "mpeg4"),
    "webm": ("webm", "libvpx"),
    "avi": ("avi", "mpeg4"),
}
READER = VideoFrames(max_frames=50, max_pixels=10_000_000, seconds=20)


def video(kind: str = "mp4", seconds: float = 3.0, side: int = 64) -> bytes:
    """Grey that grows brighter from frame to frame."""
    format, codec = CONTAINERS[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for number in range(round(seconds * RATE)):
            pixels = np.full((side, side, 3), 20 + 4 * number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container(kind: str) -> None:
    data = video(kind)
    assert is_video(data[:HEAD_BYTES])
    frames = list(READER.frames(data, interval=1, max_frames=3))
    assert [frame.seconds for frame in frames] == pytest.approx([0, 1, 2], abs=0.11)
    shades = [decode(frame.data, max_pixels=10_000).pixels.mean() for frame in frames]
    assert shades == pytest.approx([20, 60, 100], abs=8)


@pytest.mark.parametrize(
    ("interval", "max_frames", "count"), [(1, 2, 2), (1, 0, 3), (2, 0, 2), (10, 5, 1), (1, 99, 3)]
)
def test_interval_and_bound(interval: int, max_frames: int, count: int) -> None:
    assert len(list(READER.frames(video(), interval=interval, max_frames=max_frames))) == count


def test_all_frames_of_a_long_one_are_bounded() -> None:
    few = VideoFrames(max_frames=2, max_pixels=10_000_000, seconds=20)
    assert len(list(few.frames(video(), interval=1, max_frames=0))) == 2


def sound_alone() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        for packet in [*stream.encode(silence), *stream.encode()]:
            container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (video()[:600], "damaged"),
        (video("avi")[:100], "damaged"),
        (video("mkv")[:40], "damaged"),
        (b"\0\0\0\x18ftypisom" + bytes(5000), "damaged"),
        (video(seconds=0), "damaged|no frames|no video"),
        (sound_alone(), "no video"),
        (b"#EXTM3U\nhttp://127.0.0.1/a.ts\n" + bytes(100), "damaged"),
    ],
    ids=["no index", "cut avi", "cut mkv", "zeros", "0 s", "sound", "playlist"],
)
def test_broken_ones(data: bytes, words: str) -> None:
    with pytest.raises(AnalysisFailed, match=words) as caught:
        list(READER.frames(data, interval=1, max_frames=3))
    assert not caught.value.retryable


def test_frames_that_are_too_large() -> None:
    small = VideoFrames(max_frames=5, max_pixels=1000, seconds=20)
    with pytest.raises(AnalysisFailed, match="too large"):
        list(small.frames(video(), interval=1, max_frames=1))


def test_decoding_has_a_deadline() -> None:
    with pytest.raises(AnalysisFailed, match="longer than"):
        list(
            VideoFrames(max_frames=9, max_pixels=10**7, seconds=0).frames(
                video(), interval=1, max_frames=9
            )
        )


@pytest.mark.parametrize(
    ("url", "page", "any"),
    [
        ("https://www.youtube.com/watch?v=abc", True, True),
        ("https://youtu.be/abc", True, True),
        ("https://vimeo.com/12345", True, True),
        ("https://x.com/somebody/status/123", True, True),
        ("https://twitter.com/somebody/status/123", True, True),
        ("https://example.com/a.MOV?x=1", False, True),
        ("https://example.com/a.jpg?b=.mp4", False, False),
        ("https://youtube.com.example.com/watch?v=a", False, False),
        ("https://vimeo.com/about", False, False),
        ("http://[", False, False),
    ],
)
def test_addresses_of_videos(url: str, page: bool, any: bool) -> None:
    assert is_video_page(url) is page
    assert is_video_url(url) is any


def test_memory_of_a_video_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    large = video("avi", seconds=0.2, side=2000)
    assert len(list(READER.frames(large, interval=1, max_frames=1))) == 1
    isolation._end_all()  # one that has decoded before has memory to spare
    monkeypatch.setattr(frames, "MEMORY", 16 * MEGABYTE - isolation.MEMORY_MARGIN)
    with pytest.raises(AnalysisFailed, match=r"too much memory|ended before") as failure:
        list(READER.frames(large, interval=1, max_frames=1))
    assert failure.value.type is FailureType.RESOURCE_LIMIT


def test_a_video_that_is_left_ends_its_decoder() -> None:
    left = READER.frames(video(), interval=1, max_frames=3)
    assert next(left).seconds == 0
    left.close()  # type: ignore[attr-defined]
    assert len(list(READER.frames(video(), interval=1, max_frames=3))) == 3


def test_without_av_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(AnalysisFailed, match=r"pip install 'ocelli-vision\[server,video\]'"):
        READER.frames(b"", interval=1, max_frames=1)
