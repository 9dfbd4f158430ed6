"""What a run has to do: one task for each source."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing. ``source`` is its name in the output.

    The picture is in ``data``, or at ``location``: a path, or an address that begins with
    ``http://``, ``https://`` or ``s3://``. With ``problem`` there is none, for that reason.
    """

    source: str
    location: str | None = None
    data: bytes | None = field(default=None, repr=False)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """An entry that is to be described; ``id`` counts the tasks of a run."""

    id: int
    source: str
    location: str | None = None
    data: bytes | None = field(default=None, repr=False)


def printable(name: str) -> str:
    r"""Return a name as UTF-8 can hold it, and so as the output has it.

    >>> printable("caf\udce9.jpg"), printable("\ud800")
    ('caf\\xe9.jpg', '\\ud800')
    """
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, which no file name has
        return name.encode("utf-8", "backslashreplace").decode()
