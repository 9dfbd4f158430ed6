"""Results of sight tests in a folder, for commands that have no database: a file for each key."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from ocelli.domain.sight import VALID_FOR, SightRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path


class SightFiles:
    """See usecases.sight.SightStore. Processes of one machine share it: files are locked.

    Where the folder cannot be written, results are this process's alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unwritten: dict[str, dict[str, Any]] = {}

    async def read(self, keys: Sequence[str]) -> Mapping[str, SightRecord]:
        """See SightStore."""
        return await asyncio.to_thread(self._read, keys)

    async def claim(self, key: str, seconds: float) -> bool:
        """See SightStore."""

        def claim(known: dict[str, Any]) -> bool:
            if _is_fresh(known) or known.get("claimed_until", 0.0) > time.time():
                return False
            known["claimed_until"] = time.time() + seconds
            return True

        return await asyncio.to_thread(self._change, key, claim)

    async def hold(self, key: str, seconds: float, reason: str | None = None) -> None:
        """See SightStore."""

        def hold(known: dict[str, Any]) -> bool:
            known["claimed_until"] = time.time() + seconds
            if reason is not None and known.get("sees") is None:
                known["reason"] = reason
            return True

        await asyncio.to_thread(self._change, key, hold)

    async def write(self, key: str, *, sees: bool, reason: str) -> None:
        """See SightStore."""

        def write(known: dict[str, Any]) -> bool:
            known.clear()
            known.update(sees=sees, reason=reason, tested_at=time.time())
            return True

        await asyncio.to_thread(self._change, key, write)

    async def doubt(self, key: str, reason: str) -> None:
        """See SightStore."""

        def doubt(known: dict[str, Any]) -> bool:
            known.update(sees=None, reason=reason, tested_at=None)
            return True

        await asyncio.to_thread(self._change, key, doubt)

    def _read(self, keys: Sequence[str]) -> dict[str, SightRecord]:
        found = {}
        for key in keys:
            try:
                known = json.loads(self._path(key).read_bytes())
            except (OSError, ValueError):  # none yet, or one that is being written
                known = self._unwritten.get(key)
            if known is None:
                continue
            tested = known.get("tested_at")
            found[key] = SightRecord(
                known.get("sees"),
                known.get("reason", ""),
                None if tested is None else datetime.fromtimestamp(tested, UTC),
                _is_fresh(known),
            )
        return found

    def _change(self, key: str, change: Callable[[dict[str, Any]], bool]) -> bool:
        """Return what ``change`` returns; the record is written if that is True."""
        try:
            return self._written(key, change)
        except OSError:
            return change(self._unwritten.setdefault(key, {}))

    def _written(self, key: str, change: Callable[[dict[str, Any]], bool]) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        with _locked(self._path(key)) as file:
            try:
                known = json.loads(file.read() or "{}")
            except ValueError:
                known = {}
            done = change(known)
            if done:
                file.seek(0)
                file.truncate()
                json.dump(known, file)
        return done

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _is_fresh(known: Mapping[str, Any]) -> bool:
    tested = known.get("tested_at")
    return known.get("sees") is not None and tested is not None and time.time() - tested < VALID_FOR
