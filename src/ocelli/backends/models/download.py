"""One file from the hub: in ranges, over several connections, hashed while it comes.

What has come is kept beside it until it is whole: ``NAME.part`` holds the bytes at their places,
``NAME.done`` the numbers of the ranges that are complete. A later download goes on from there.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

import aiohttp

from ocelli.backends.models.catalogue import ModelError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from ocelli.backends.models.hub import Answer, Hub

T = TypeVar("T")

RANGE = 32 * 1024**2  # bytes
CONNECTIONS = 4
ATTEMPTS = 5  # without a byte between them
LONGEST_PAUSE = 4.0
READ = 256 * 1024
KEPT = "what has come is kept, and the same command goes on there"
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class WrongFile(ModelError):
    """What came is not the file that was asked for."""


class DiskFull(ModelError):
    """The disk has no room for the rest of the file."""


class Interrupted(ModelError):
    """The hub stopped in the middle; what has come is kept."""


class Progress(Protocol):
    """Who is told how far a download is."""

    def begin(self, name: str, size: int) -> None:
        """Say that a file of ``size`` bytes begins."""
        ...

    def advance(self, count: int) -> None:
        """Say that so many more of its bytes are here."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """A whole file. ``commit``: the state of the repository, where the hub says so."""

    size: int
    sha256: str
    commit: str | None


@dataclass(frozen=True, slots=True)
class Remote:
    """A file as the hub describes it before it is fetched."""

    size: int
    has_ranges: bool
    sha256: str | None
    commit: str | None


@dataclass(slots=True)
class Download:
    """A file of ``repository`` on its way to ``target``; see ``fetch``."""

    hub: Hub
    repository: str
    commit: str | None
    path: str
    target: Path
    progress: Progress
    size: int | None = None
    sha256: str | None = None
    range_size: int = field(default_factory=lambda: RANGE)
    connections: int = CONNECTIONS
    _url: str = field(init=False)
    _file: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self._url = self.hub.file_url(self.repository, self.commit, self.path)

    async def fetch(self) -> Received:
        """Bring the file to ``target``; return what it is.

        Raises WrongFile and DiskFull, after which nothing of it is left, Interrupted, after which
        what has come is kept, and ModelError where the hub refuses.
        """
        async with self.hub.session() as session:
            remote = await self._ask(session)
            if self.size is not None and remote.size != self.size:
                raise self._wrong(f"it has {remote.size:,} bytes instead of {self.size:,}")
            self.progress.begin(self.target.name, remote.size)
            try:
                sha256 = await self._receive(session, remote)
                expected = self.sha256 or remote.sha256
                if expected and sha256 != expected:
                    raise self._wrong(f"its SHA-256 is {sha256[:16]}… instead of {expected[:16]}…")
            except (WrongFile, DiskFull):
                self.discard()
                raise
        self._part.rename(self.target)
        self._done.unlink(missing_ok=True)
        return Received(remote.size, sha256, remote.commit)

    def discard(self) -> None:
        """Remove what has come."""
        self._part.unlink(missing_ok=True)
        self._done.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def _done(self) -> Path:
        return self.target.with_name(f"{self.target.name}.done")

    async def _ask(self, session: aiohttp.ClientSession) -> Remote:
        """Ask for the first byte: the answer says how large the file is."""

        async def ask() -> Remote:
            async with self.hub.get(session, self._url, {"Range": "bytes=0-0"}) as answer:
                response = answer.response
                if response.status not in (200, 206):
                    raise self._refused(response.status)
                return Remote(_total(answer), response.status == 206, answer.sha256, answer.commit)

        return await self._patiently(ask)

    async def _receive(self, session: aiohttp.ClientSession, remote: Remote) -> str:
        """Fetch the ranges that are missing; return the SHA-256 of all."""
        length = self.range_size if remote.has_ranges else max(remote.size, 1)
        count = -(-remote.size // length) or 1
        done = self._resume(remote, length)
        complete = [asyncio.Event() for _ in range(count)]
        for number in done:
            complete[number].set()
            self.progress.advance(min(length, remote.size - number * length))
        missing = iter(sorted(set(range(count)) - done))
        self._file = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(self._file, remote.size)

            async def work() -> None:
                for number in missing:
                    last = min((number + 1) * length, remote.size) - 1
                    await self._range(session, number * length, last, ranged=remote.has_ranges)
                    self._note(number)
                    complete[number].set()

            hashing = asyncio.ensure_future(self._hash(complete, length, remote.size))
            await _all_or_none([*(work() for _ in range(self.connections)), hashing])
            return hashing.result()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise DiskFull(f"the disk is full: {self.target.name} does not fit.") from error
            raise
        finally:
            os.close(self._file)

    def _resume(self, remote: Remote, length: int) -> set[int]:
        """Return the ranges that an earlier download completed, if it was of this very file."""
        head = json.dumps([self._url, remote.size, length, self.sha256 or remote.sha256])
        try:
            lines = self._done.read_text().splitlines()
        except OSError:
            lines = []
        if lines[:1] == [head] and remote.has_ranges and self._part.exists():
            numbers = {int(line) for line in lines[1:] if line.isdecimal()}
            return {number for number in numbers if number * length < remote.size}
        self.discard()
        self._done.write_text(f"{head}\n")
        return set()

    def _note(self, number: int) -> None:
        with self._done.open("a") as file:
            file.write(f"{number}\n")

    async def _range(
        self, session: aiohttp.ClientSession, first: int, last: int, *, ranged: bool
    ) -> None:
        """Write the bytes ``first`` to ``last`` to their place, over as many connections as it
        takes.
        """
        position = first

        async def go_on() -> None:
            nonlocal position
            if not ranged and position > first:  # it begins anew
                self.progress.advance(first - position)
                position = first
            headers = {"Range": f"bytes={position}-{last}"} if ranged else {}
            async with self.hub.get(session, self._url, headers) as answer:
                if answer.response.status != (206 if ranged else 200):
                    raise self._refused(answer.response.status)
                async for data in answer.response.content.iter_chunked(READ):
                    piece = data[: last + 1 - position]
                    await asyncio.to_thread(os.pwrite, self._file, piece, position)
                    position += len(piece)
                    self.progress.advance(len(piece))
            if position <= last:
                raise aiohttp.ClientPayloadError("the answer ended too early")

        await self._patiently(go_on, lambda: position)

    async def _patiently(
        self, ask: Callable[[], Awaitable[T]], position: Callable[[], int] = lambda: 0
    ) -> T:
        """Ask until it works, but not after ``ATTEMPTS`` failures without a byte between them."""
        failed, furthest = 0, position()
        while True:
            try:
                return await ask()
            except (_Busy, TimeoutError, aiohttp.ClientError, ConnectionError) as error:
                failed = 1 if position() > furthest else failed + 1
                furthest = max(furthest, position())
                if failed >= ATTEMPTS:
                    raise self._gave_up(error) from error
            await asyncio.sleep(min(0.25 * 2**failed, LONGEST_PAUSE) * random.random())  # noqa: S311

    async def _hash(self, complete: list[asyncio.Event], length: int, size: int) -> str:
        """Read the ranges in their order, each as soon as it is complete."""
        digest = hashlib.sha256()

        def add(number: int) -> None:
            end = min((number + 1) * length, size)
            for start in range(number * length, end, READ):
                digest.update(os.pread(self._file, min(READ, end - start), start))

        for number, event in enumerate(complete):
            await event.wait()
            await asyncio.to_thread(add, number)
        return digest.hexdigest()

    def _refused(self, status: int) -> Exception:
        if status in BUSY:
            return _Busy(status)
        return self.hub.refused(status, self.repository, self.path)

    def _gave_up(self, error: Exception) -> ModelError:
        if isinstance(error, _Busy):
            reason = self.hub.refused(error.status, self.repository, self.path)
        elif isinstance(error, TimeoutError):
            reason = self.hub.silent()
        else:
            reason = self.hub.unreachable(error)
        if not self._part.exists():
            return reason
        return Interrupted(str(reason), KEPT)

    def _wrong(self, why: str) -> WrongFile:
        return WrongFile(f"{self.path} is not the file that was asked for: {why}.")


class _Busy(Exception):
    """The hub says that it cannot now."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _total(answer: Answer) -> int:
    """Return the size of the whole file. Raises ModelError if the answer does not say."""
    headers = answer.response.headers
    text = headers.get("Content-Range", "").rpartition("/")[2]
    if answer.response.status == 200:
        text = headers.get("Content-Length", "")
    if not text.isdecimal() or not int(text):
        raise ModelError("the hub does not say how large the file is.")
    return int(text)


async def _all_or_none(work: Sequence[Awaitable[object]]) -> None:
    """Wait for all; when one fails cancel the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
