"""Decode frames of a video, which is read from memory, once, in order.

PyAV does it, which is an extra: ``ocelli-vision[video]``.
"""

from __future__ import annotations

import importlib.util
import io
import time
from typing import TYPE_CHECKING, Any

from ocelli.distribution import pip_install
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.ports_fetch import Frame
from ocelli.media import isolation
from ocelli.media._vips import vips
from ocelli.media.encode import encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av
    from av.container import InputContainer

QUALITY = 92
_ROUNDING = 0.001  # of timestamps: a frame that is due is not missed for it


MEMORY = 256 * MEGABYTE  # for a video of 4K and what its frames refer to
MOST_PIXELS = 36_000_000  # of a frame, a little more than 8K


class VideoFrames:
    """See ports_fetch.Videos. ``seconds`` bounds the time that decoding takes.

    Decoders run in a child process, see ``isolation``; it works one frame ahead.
    """

    memory = MEMORY

    def __init__(self, *, max_frames: int, max_pixels: int, seconds: float) -> None:
        self._max_frames = max_frames
        self._reader = _FrameReader(min(max_pixels, MOST_PIXELS), seconds)

    def frames(self, data: bytes, *, interval: int, max_frames: int) -> Iterator[Frame]:
        """See ports_fetch.Videos."""
        if importlib.util.find_spec("av") is None:
            raise _failed(
                f"Videos can be read once av is installed here ({pip_install('server', 'video')})."
            )
        max_frames = min(max_frames or self._max_frames, self._max_frames)
        return isolation.iterate(self._reader.frames, data, interval, max_frames, memory=MEMORY)


class _FrameReader:
    """Decodes in the child process."""

    def __init__(self, max_pixels: int, seconds: float) -> None:
        self._max_pixels = max_pixels
        self._seconds = seconds

    def frames(self, data: bytes, interval: int, max_frames: int) -> Iterator[Frame]:
        import av

        found = 0
        try:
            # The format is said, never guessed: a playlist would make the library fetch things.
            with av.open(io.BytesIO(data), "r", format=_format(data)) as container:
                for frame in self._decoded(container):
                    seconds = frame[0]
                    if seconds + _ROUNDING < found * interval:
                        continue
                    yield Frame(round(seconds, 3), _as_file(frame[1]))
                    found += 1
                    if found >= max_frames:
                        break
        except MemoryError as error:
            raise AnalysisFailed(
                FailureType.RESOURCE_LIMIT,
                "Decoding this video takes too much memory: make its frames smaller.",
                retryable=False,
            ) from error
        except (av.FFmpegError, ValueError) as error:
            raise _failed("The video is damaged or incomplete.") from error
        if not found:
            raise _failed("The video holds no frames.")

    def _decoded(self, container: InputContainer) -> Iterator[tuple[float, av.VideoFrame]]:
        """Yield each frame with its seconds from the first one; damaged packets are skipped."""
        import av

        if not container.streams.video:
            raise _failed("The file holds no video.")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # a worker uses one core
        codec = stream.codec_context
        codec.options = {"max_pixels": str(self._max_pixels)}  # they may become larger later
        if codec.width * codec.height > self._max_pixels:
            raise _failed("The frames of this video are too large.")
        deadline = time.monotonic() + self._seconds
        first: float | None = None
        number = 0
        for packet in container.demux(stream):
            if time.monotonic() > deadline:
                raise AnalysisFailed(
                    FailureType.RESOURCE_LIMIT,
                    f"Decoding this video takes longer than {self._seconds:g} s: "
                    "ask for fewer frames.",
                    retryable=False,
                )
            try:
                decoded: Any = packet.decode()
            except av.InvalidDataError:
                continue
            for frame in decoded:
                rate = float(stream.average_rate or 25)
                now = frame.time if frame.time is not None else number / rate
                first = now if first is None else first
                number += 1
                yield max(0.0, now - first), frame


def _format(data: bytes) -> str:
    if data.startswith(b"RIFF"):
        return "avi"
    return "matroska" if data.startswith(b"\x1aE\xdf\xa3") else "mov"


def _as_file(frame: av.VideoFrame) -> bytes:
    """Encode a frame as an upright JPEG."""
    pixels = frame.to_ndarray(format="rgb24")
    image = vips().Image.new_from_array(pixels, interpretation="srgb")
    clockwise = -round(getattr(frame, "rotation", 0)) % 360
    if clockwise in (90, 180, 270):
        image = image.rot(f"d{clockwise}")
    return encoded(image, QUALITY)


def _failed(message: str) -> AnalysisFailed:
    return AnalysisFailed(FailureType.VALIDATION, message, retryable=False)
