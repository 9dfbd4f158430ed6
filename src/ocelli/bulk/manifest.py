"""The manifest of an output: what it was made with. Another making is refused, or starts anew."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from ocelli.bulk import schema
from ocelli.bulk.shards import shards, sync_folder, unfinished_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Who reads the folder as one table passes over names that begin so.
NAME, LOCK, PREVIOUS = "_manifest.json", ".lock", "_previous"


class WrongOutput(Exception):
    """The output cannot be continued; ``hint`` says what can be done."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Return a hash of all that answers depend on, and of the schema."""
    content = json.dumps({**parts, "schema": schema.VERSION}, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, as long as this process lives. Raises WrongOutput."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WrongOutput(
                f"Another run writes to {folder}.", "wait for it, or choose another folder"
            ) from error
        yield


def settle(folder: Path, parts: Mapping[str, Any], *, new: bool) -> str:
    """Write the manifest, or compare with the one that is there; return the fingerprint.

    With ``new`` what is there is moved into ``previous`` first. Without a shard there is nothing to
    compare with. Raises WrongOutput.
    """
    path = folder / NAME
    print_ = fingerprint(parts)
    if new:
        _set_aside(folder)
    has_shards = bool(shards(folder))
    if not path.exists() or not has_shards:
        if has_shards:
            raise WrongOutput(
                f"{folder} has shards, and no {NAME} that says what made them.",
                f"--new moves them into {folder / PREVIOUS} and starts anew",
            )
        _write(path, {"fingerprint": print_, "schema": schema.VERSION, **parts})
        return print_
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        same = known["fingerprint"] == print_
    except (ValueError, KeyError, TypeError) as error:
        raise WrongOutput(f"{path} cannot be read.", "--new starts anew") from error
    if not same:
        changed = [
            name for name in (*parts, "schema") if known.get(name) != _plain(parts).get(name)
        ]
        raise WrongOutput(
            f"{folder} was made with other settings: {', '.join(changed)}.",
            f"the same settings continue it; --new moves it into {folder / PREVIOUS}",
        )
    return print_


def _plain(parts: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(parts, default=str))
    return {**plain, "schema": schema.VERSION}


def _set_aside(folder: Path) -> None:
    """Move an earlier run away, the manifest last: a kill leaves one that is refused again."""
    files = [*shards(folder), *((folder / NAME,) if (folder / NAME).exists() else ())]
    if not files:
        return
    previous = folder / PREVIOUS
    previous.mkdir(exist_ok=True)
    number = max(
        (int(each.name) for each in previous.iterdir() if each.name.isdecimal()), default=0
    )
    target = previous / f"{number + 1:04d}"
    target.mkdir()
    for path in files:
        path.rename(target / path.name)
    sync_folder(folder)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    unfinished = unfinished_name(path)
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, default=str, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(path.parent)
