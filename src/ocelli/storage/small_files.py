"""What is done to several small files at once, in whichever thread or process.

Paths are strings here: an eighth of the Python that a small file costs the child was pathlib's.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ocelli.domain.errors import Unavailable
from ocelli.usecases.direct import RawFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ocelli.domain.ports_storage import Small


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is to become ``target`` if ``check`` finds nothing wrong with it."""

    target: str
    small: Small
    check: Callable[[memoryview], Any]


@dataclass(frozen=True, slots=True)
class _Written:
    """A file that has its bytes, at ``path`` until it is settled; not durable yet."""

    target: str
    path: str
    file: RawFile


def take_several(staging: str, inode: int, some: Sequence[NewFile]) -> Sequence[Any]:
    """What each one's ``check`` answers, or what went wrong with it: nothing is raised.

    A new target is written where it is: it is not known yet, and there is nothing to replace.
    ``inode`` is that of ``staging``: another one, or none, means that the disk is not mounted.
    """
    if _inode(staging) != inode:
        return [Unavailable("The store is not there.")] * len(some)
    outcomes: list[Any] = []
    written: dict[int, _Written] = {}
    for number, each in enumerate(some):
        try:
            outcomes.append(each.check(each.small.content))
            written[number] = _write(staging, each)
        except Exception as error:  # of a check too: the others are not spoilt
            outcomes[number:] = [error]
    troubles = _in_steps(written, _settle, _sync_folders(lambda one: one.target))
    for number, trouble in troubles.items():
        outcomes[number] = trouble
    return outcomes


def _inode(folder: str) -> int | None:
    try:
        return os.stat(folder).st_ino
    except OSError:
        return None


def _write(staging: str, new: NewFile) -> _Written:
    one = _opened(staging, new.target)
    try:
        one.file.write(new.small.content)
    except BaseException:
        _discard(one)
        raise
    return one


def _opened(staging: str, target: str) -> _Written:
    try:
        return _Written(target, target, RawFile(target))
    except FileExistsError:
        path = f"{staging}/{uuid.uuid4().hex}"
        return _Written(target, path, RawFile(path))
    except FileNotFoundError:  # a tenant's first one
        make_folder(os.path.dirname(target))
        return _opened(staging, target)


def _settle(one: _Written) -> None:
    try:
        one.file.sync()
        if one.path != one.target:
            os.rename(one.path, one.target)
    except OSError:
        _discard(one)
        raise
    one.file.close()


def _discard(one: _Written) -> None:
    """An empty target is left to the sweep: by now another one may have its name."""
    one.file.discard()
    if one.path != one.target:
        os.unlink(one.path)


def put_several(some: Sequence[tuple[str, str]]) -> list[OSError | None]:
    """Take over each source as its target; what went wrong with which.

    Until its row is there a file is not known: it may have its name before it is durable, unless it
    replaces one.
    """
    errors = _in_steps(
        dict(enumerate(some)),
        lambda pair: _move(*pair),
        lambda pair: sync(pair[0]),
        _sync_folders(lambda pair: pair[0]),
    )
    return [errors.get(number) for number in range(len(some))]


def _in_steps(some: Mapping[int, T], *steps: Callable[[T], None]) -> dict[int, OSError]:
    """What went wrong with which.

    Every step is done for all before the next one begins, so that the disk, which writes what it
    was given until then at once, is waited for once rather than by each.
    """
    errors: dict[int, OSError] = {}
    for step in steps:
        for number, one in some.items():
            if number not in errors:
                try:
                    step(one)
                except OSError as error:
                    errors[number] = error
    return errors


def _sync_folders(target: Callable[[T], str]) -> Callable[[T], None]:
    """Make the name of a target durable. Many share a folder, which is synced once."""
    once = cache(sync)
    return lambda one: once(os.path.dirname(target(one)))


def _move(target: str, source: str) -> None:
    if os.path.exists(target):
        sync(source)
    make_folder(os.path.dirname(target))
    os.rename(source, target)


def make_folder(path: str) -> None:
    """And those above it; durably, so that what they hold can be."""
    if not os.path.isdir(path):
        above = os.path.dirname(path)
        make_folder(above)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):  # or somebody else was quicker
                raise
        sync(above)


def sync(path: str | Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
