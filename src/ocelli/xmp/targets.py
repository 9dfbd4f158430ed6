"""Where words are written: into a sidecar, or into the picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from ocelli.xmp import exiftool
from ocelli.xmp.errors import ChangedMeanwhile, XmpError
from ocelli.xmp.files import (
    FileState,
    FolderNames,
    Sidecar,
    check_size,
    holds_xmp,
    look_at_picture,
    read_sidecar,
    write_sidecar,
)
from ocelli.xmp.merge import Merged, merge
from ocelli.xmp.older_metadata import OlderWords, read_older
from ocelli.xmp.packet import NotXmp, Packet
from ocelli.xmp.record import PictureState, Record
from ocelli.xmp.words import NAMESPACES

if TYPE_CHECKING:
    from pathlib import Path

    from ocelli.xmp.words import Words

NO_HASH = "unknown"  # of a format whose pixels ExifTool does not hash: any file looks the same
MAX_MERGES = 5  # of one sidecar that other programs keep changing


@dataclass(frozen=True, slots=True)
class Asked:
    """How pictures are to be described: what was written like this before is not written again.

    ``levels`` are those that are deep enough. A file of more than ``max_bytes`` is not.
    """

    levels: frozenset[str]
    vocabulary: str | None = None  # the digest of its terms
    again: bool = False  # also what is done
    max_bytes: int | None = None

    def is_done(self, record: Record, picture: str) -> bool:
        """Whether the picture with this hash has been described like this."""
        return not self.again and record.is_of(picture, self.levels, self.vocabulary)


@dataclass(frozen=True, slots=True)
class Job:
    """A picture that is to be described, as it was found; ``target`` is where words go."""

    picture: Path
    target: Path
    file: FileState
    state: PictureState
    embedded: Packet | None = None
    older: OlderWords | None = None


class Target(Protocol):
    """Where words go."""

    def look(self, picture: Path, names: FolderNames, asked: Asked) -> Job | None:
        """Return what is to be done; None if that has been done. Raises XmpError."""
        ...

    def merge(self, job: Job, words: Words, *, write: bool) -> Merged:
        """Merge the words into what is there, and ``write`` that if it changes. Raises XmpError."""
        ...


class SidecarTarget:
    """Sidecars beside the pictures."""

    def look(self, picture: Path, names: FolderNames, asked: Asked) -> Job | None:
        """Return what is to be done; None if that has been done. Raises XmpError."""
        file = _file(picture)
        if not os.access(picture.parent, os.W_OK):
            raise XmpError("its folder is read-only: nothing can be written beside it")
        sidecar = _sidecar(picture, names)
        record = Record.of(sidecar.packet) if sidecar.packet else Record()
        if record.may_be_of(file.size, file.modified) and asked.is_done(record, record.picture):
            return None
        check_size(picture, file, asked.max_bytes)
        state, embedded = look_at_picture(picture, file)
        if asked.is_done(record, state.hash):
            return None
        return Job(picture, sidecar.path, file, state, embedded, read_older(picture))

    def merge(self, job: Job, words: Words, *, write: bool) -> Merged:
        """Merge the words into what is there, and ``write`` that if it changes. Raises XmpError."""
        for _ in range(MAX_MERGES):
            _check_is_same(job)
            sidecar = read_sidecar(job.target)
            merged = _merged(sidecar.packet, words, job)
            if merged.data is None or not write:
                return merged
            try:
                write_sidecar(sidecar, merged.data, job.file.mode)
            except ChangedMeanwhile:
                continue
            return merged
        raise ChangedMeanwhile(f"{job.target.name} is being changed by another program")


class EmbeddedTarget:
    """The pictures themselves, by ExifTool."""

    def look(self, picture: Path, names: FolderNames, asked: Asked) -> Job | None:
        """Return what is to be done; None if that has been done. Raises XmpError."""
        del names
        if picture.is_symlink():
            raise XmpError("a symbolic link: nothing is embedded through it")
        file = _file(picture)
        if not file.mode & 0o222:
            raise XmpError("it is read-only: left alone")
        check_size(picture, file, asked.max_bytes)
        packet, hash = self._read(picture)
        record = Record.of(packet) if packet else Record()
        hash = hash or NO_HASH
        if asked.is_done(record, hash):
            return None
        return Job(picture, picture, file, PictureState(hash), older=read_older(picture))

    def merge(self, job: Job, words: Words, *, write: bool) -> Merged:
        """Merge the words into what is there, and ``write`` that if it changes. Raises XmpError."""
        _check_is_same(job)
        packet, _ = self._read(job.picture)
        merged = _merged(packet, words, job)
        if merged.data is not None and write:
            _check_is_same(job)
            exiftool.write(job.picture, merged.data)
        return merged

    def _read(self, picture: Path) -> tuple[Packet | None, str]:
        data, hash = exiftool.read(picture)
        if data is None and holds_xmp(picture):
            raise XmpError("its XMP is where ExifTool does not replace it: left alone")
        try:
            return (Packet(data.strip(b"\0")) if data else None), hash
        except NotXmp as error:
            raise XmpError(f"its own XMP cannot be read, {error}: left alone") from error


def _merged(packet: Packet | None, words: Words, job: Job) -> Merged:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        return merge(packet, words, job.state, now, job.embedded, job.older)
    except NotXmp as error:
        raise XmpError(f"{job.target.name} cannot be merged, {error}: left alone") from error


def _sidecar(picture: Path, names: FolderNames) -> Sidecar:
    """Read the sidecar of a picture: not one that says it belongs to a file of another format."""
    for name in names.sidecars(picture.name):
        sidecar = read_sidecar(picture.with_name(name))
        packet = sidecar.packet
        of = packet.texts(NAMESPACES["photoshop"], "SidecarForExtension") if packet else []
        if not of or of[0].casefold() == picture.suffix[1:].casefold():
            return sidecar
    return sidecar


def _file(picture: Path) -> FileState:
    file = FileState.of(picture)
    if file is None:
        raise XmpError("it is gone")
    return file


def _check_is_same(job: Job) -> None:
    if FileState.of(job.picture) != job.file:
        raise ChangedMeanwhile("it was changed while it was described")
