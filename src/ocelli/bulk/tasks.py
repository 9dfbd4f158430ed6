"""What a run has to do: one task for each source."""

from __future__ import annotations

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
