"""Videos of YouTube, Vimeo and X, by ``yt-dlp``, which is an extra: ``ocelli-vision[video]``."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
import tempfile
from pathlib import Path

from ocelli.distribution import pip_install
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import FetchFailed, FetchUnavailable

log = logging.getLogger(__name__)

_SMALL_IS_ENOUGH = "best[height<=720][ext=mp4]/best[height<=720]/best"


class YtDlp:
    """See ports_fetch.VideoPages. Runs yt-dlp in a process, which is killed at the timeout.

    It goes where the site sends it; so it is given pages of known sites only.
    """

    def __init__(self, *, max_bytes: int, timeout: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def download(self, url: str) -> bytes:
        """See ports_fetch.VideoPages."""
        if importlib.util.find_spec("yt_dlp") is None:
            raise FetchFailed(
                "Videos of this site can be fetched once yt-dlp is installed here "
                f"({pip_install('server', 'video')})."
            )
        with tempfile.TemporaryDirectory() as folder:
            await self._run(url, folder)
            return await asyncio.to_thread(self._read_from, Path(folder))

    def _read_from(self, folder: Path) -> bytes:
        found = next(folder.iterdir(), None)
        if found is None or found.stat().st_size > self._max_bytes:
            raise FetchFailed(
                f"The video cannot be had, or is larger than {self._max_bytes // MEGABYTE} MB."
            )
        return found.read_bytes()

    async def _run(self, url: str, folder: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "yt_dlp", "--ignore-config", "--no-playlist", "--quiet"),
            *("--no-part", "--no-cache-dir", "--max-filesize", str(self._max_bytes)),
            *("-f", _SMALL_IS_ENOUGH, "-o", f"{folder}/video.%(ext)s"),
            *("--batch-file", "-"),  # not as an argument: an address may hold a secret
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(self._timeout):
                _, stderr = await process.communicate(f"{url.split()[0]}\n".encode())
        except TimeoutError:
            raise FetchUnavailable(
                f"The video did not come within {self._timeout:g} seconds."
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            log.warning("yt-dlp: %s", stderr.decode(errors="replace").strip()[-300:])
            raise FetchFailed("The site does not give this video.")
