"""Pictures on their way: looked at, described, and their words written; and what became of them."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ocelli.cli.output import fail, print_line, printable
from ocelli.xmp.errors import XmpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ocelli.cli.describing import Described
    from ocelli.xmp.files import FolderNames
    from ocelli.xmp.merge import Merged
    from ocelli.xmp.targets import Asked, Job, Target
    from ocelli.xmp.words import Words

PLANNED, WRITTEN, UNCHANGED, DONE, FAILED = "planned", "written", "unchanged", "done", "failed"
UPLOADED = "uploaded"
MAX_SHOWN = 100  # characters of a text


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a picture; ``status`` is planned, written, unchanged, uploaded or failed.

    ``image_id`` is its id on the server that has received it.
    """

    path: Path
    status: str
    target: Path | None = None
    words: Words | None = None
    merged: Merged | None = None
    error: str | None = None
    image_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``--jsonl``."""
        words = self.words
        return {
            "file": printable(self.path),
            "status": self.status,
            "target": self.target and printable(self.target),
            "description": words and words.description,
            "tags": ["/".join(path) for path in words.tags] if words else [],
            "level": words and words.level,
            "confidence": words and words.confidence,
            "model": words and words.model,
            "changes": [asdict(each) for each in self.merged.changes] if self.merged else [],
            "image_id": self.image_id,
            "error": self.error,
        }


class Tagger:
    """Gives pictures to whom describes them, and their words to the target.

    ``counts`` are the outcomes by their status, with those that had been done before.
    """

    def __init__(self, target: Target, asked: Asked, *, write: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._target = target
        self._asked = asked
        self._write = write
        self._jobs: dict[Path, Job] = {}

    def begun(
        self, pictures: Iterable[tuple[Path, FolderNames] | None], report: Report
    ) -> Iterator[Path | None]:
        """Yield the pictures that are to be described; report those that cannot be."""
        for found in pictures:
            if found is None:
                yield None
                continue
            path, names = found
            if path in self._jobs:
                continue
            try:
                job = self._target.look(path, names, self._asked)
            except XmpError as error:
                report.tell(self._counted(Outcome(path, FAILED, error=str(error))))
                continue
            if job is None:
                self.counts[DONE] += 1
                report.count(self.counts)
                continue
            self._jobs[path] = job
            yield path

    def is_busy(self, path: Path) -> bool:
        """Whether a picture is being described."""
        return path in self._jobs

    def given_up(self) -> list[Path]:
        """Forget the pictures that are being described; return them."""
        paths = list(self._jobs)
        self._jobs.clear()
        return paths

    def finished(self, described: Described) -> Outcome:
        """Write the words of a picture."""
        job = self._jobs.pop(described.path)
        words = described.words
        if words is None:
            return self._counted(Outcome(job.picture, FAILED, job.target, error=described.error))
        try:
            merged = self._target.merge(job, words, write=self._write)
        except XmpError as error:
            return self._counted(Outcome(job.picture, FAILED, job.target, words, error=str(error)))
        is_changed = merged.data is not None
        status = UNCHANGED if not is_changed else WRITTEN if self._write else PLANNED
        return self._counted(Outcome(job.picture, status, job.target, words, merged))

    def _counted(self, outcome: Outcome) -> Outcome:
        self.counts[outcome.status] += 1
        return outcome


class Report:
    """Prints outcomes as they come: for people, or as lines of JSON. Counts on a terminal."""

    def __init__(self, *, as_lines: bool) -> None:
        self.problems = 0
        self._as_lines = as_lines
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("looking at pictures", total=None)

    def __enter__(self) -> Report:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def count(self, counts: Counter[str]) -> None:
        """Show how many pictures have come to which end."""
        self._progress.update(self._task, description=summary(counts))

    def tell(self, outcome: Outcome) -> None:
        """Print an outcome."""
        if self._as_lines:
            self.problems += outcome.error is not None
            print_line(outcome.as_dict())
        elif outcome.error is not None:
            self.problem(outcome.path, outcome.error)
        elif outcome.merged is not None and outcome.target is not None:
            print(*_lines(outcome), sep="\n", flush=True)
        elif outcome.image_id is not None:
            print(f"{printable(outcome.path)}: {outcome.status}", flush=True)

    def problem(self, path: Path, message: str) -> None:
        """Print what is wrong with a file, in one line."""
        self.problems += 1
        fail(f"{printable(path)}: {message.splitlines()[0] if message else 'no reason given'}")

    def say(self, text: str) -> None:
        """Print a line that is no outcome."""
        print(f"ocelli: {text}", file=sys.stderr if self._as_lines else sys.stdout, flush=True)


def summary(counts: Counter[str]) -> str:
    """Return the counts in words."""
    names = {
        WRITTEN: "written",
        PLANNED: "to be written",
        UPLOADED: "uploaded",
        UNCHANGED: "with nothing to change",
        DONE: "done before",
        FAILED: "failed",
    }
    said = [f"{counts[status]:,} {name}" for status, name in names.items() if counts[status]]
    return ", ".join(said) or "no pictures"


def _lines(outcome: Outcome) -> Iterator[str]:
    assert outcome.merged is not None
    assert outcome.target is not None
    yield f"{printable(outcome.path)} → {printable(outcome.target.name)}: {outcome.status}"
    if outcome.status == UNCHANGED:
        return
    for change in outcome.merged.changes:
        for sign, texts in (("-", change.removed), ("+", change.added)):
            if texts:
                yield f"  {sign} {change.property}: {_clipped(', '.join(texts))}"
        if not change.added and not change.removed:
            yield f"  = {change.property} stays"


def _clipped(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 1]}…"
