"""Tar archives as WebDataset has them: pictures between other members of the same samples.

Nothing is written to a disk: names that lead elsewhere are names.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ocelli.bulk.tasks import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXTENSIONS = (".tar", ".tar.gz", ".tgz")


class UnreadableTar(Exception):
    """The file is no archive, or ends early."""


def entries(path: Path, name: str, extensions: frozenset[str], max_bytes: int) -> Iterator[Entry]:
    """Yield an entry for each member that is called like a picture, in their order.

    ``name`` is that of the archive in the output. Members of more than ``max_bytes`` are not read:
    packed, they may be small. Raises UnreadableTar.
    """
    seen: Counter[str] = Counter()
    try:
        with tarfile.open(path, "r|*", errors="backslashreplace") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined] # else it keeps all of them
                if PurePosixPath(member.name).suffix.lower() not in extensions:
                    continue
                seen[member.name] += 1
                source = f"{name}#{member.name}"
                if seen[member.name] > 1:
                    source += f"#{seen[member.name]}"
                yield _entry(source, archive, member, max_bytes)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnreadableTar(str(error)) from error


def _entry(source: str, archive: tarfile.TarFile, member: tarfile.TarInfo, max_bytes: int) -> Entry:
    if not member.isreg():
        return Entry(source, problem="The member of the archive is a link, a folder or a device.")
    if member.size > max_bytes:
        problem = f"The member has {member.size:,} bytes, and {max_bytes:,} is the limit."
        return Entry(source, problem=problem)
    file = archive.extractfile(member)
    return Entry(source, data=file.read() if file is not None else b"")
