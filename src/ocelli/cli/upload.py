"""``ocelli upload``: pictures and folders to a server, over the SDK. Needs no server libraries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from aion import (
    AionvisionError,
    BatchUploadResults,
    SyncAionVision,
    UploadError,
    ValidationError,
    VerificationLevel,
)
from aion._files import SUPPORTED_EXTENSIONS, expand
from ocelli.cli.connection import connect, hint
from ocelli.cli.console import BAD, console
from ocelli.cli.output import (
    CANNOT_RUN,
    FAILED,
    WRONG_USE,
    fail,
    print_records,
    printable,
    say_passed_over,
)
from ocelli.cli.table import MAX_TAGS, clipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from aion import (
        DescriptionProgressEvent,
        FileCompleteEvent,
        UploadResult,
    )

MAX_ROWS = 100  # a longer table shows only what failed
SPEED_PERIOD = 120.0  # seconds over which speed is measured; descriptions come slowly
RESUME_HINT = "run the same command again: only what is missing is sent"


@dataclass
class FileOutcome:
    """The outcome for one file: the server's ``result``, or the ``error``."""

    path: Path
    result: UploadResult | None = None
    error: str | None = None

    @property
    def status(self) -> str:
        """A description status, or ``not_uploaded``."""
        return self.result.description_status.value if self.result else "not_uploaded"

    @property
    def failed(self) -> bool:
        """Whether it was not uploaded, or its description failed."""
        return self.result is None or self.result.is_failed

    @property
    def problem(self) -> str | None:
        """The message of the failure; None if there is none."""
        return self.result.description_error if self.result else self.error

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``--json``."""
        found = self.result
        return {
            "file": printable(self.path),
            "status": self.status,
            "image_id": (found and found.image_id) or None,
            "description": found and found.description,
            "tags": (found and found.tags) or [],
            "visible_text": found and found.visible_text,
            "confidence": found and found.confidence_score,
            "verification_level": found and found.verification_level,
            "redescribed": bool(found and found.redescribed),
            "error": self.problem,
            "error_type": found and found.description_error_type,
            "retryable": bool(found.description_is_retryable) if found else True,
        }


@dataclass
class Report:
    """The outcomes of the command, in the order of the files, and its exit code."""

    outcomes: list[FileOutcome]
    code: int
    summary: str


def upload(
    paths: Sequence[Path],
    *,
    server: str | None,
    key: str | None,
    level: str | None,
    policy: str | None,
    wait: bool,
    as_json: bool,
    as_lines: bool = False,
    data: Path | None = None,
    vocabulary: Mapping[str, Any] | None = None,
) -> int:
    """Upload files, then print a table or JSON. Returns the exit code."""
    if level is not None and level not in list(VerificationLevel):
        fail(f"no such level: {level}", ", ".join(VerificationLevel))
        return WRONG_USE
    passed_over: Counter[str] = Counter()
    try:
        sources = expand(list(paths), passed_over=passed_over)
        files = [source.path for source in sources if source.path]
    except (ValidationError, UploadError) as error:
        fail(error.message)
        return WRONG_USE
    say_passed_over(passed_over)
    if not files:
        fail("no pictures found", f"files that end in {', '.join(sorted(SUPPORTED_EXTENSIONS))}")
        return WRONG_USE
    client = connect(server, key, data)
    if isinstance(client, int):
        return client
    with client:
        try:
            report = _run(
                client, files, level=level, policy=policy, wait=wait, vocabulary=vocabulary or {}
            )
        except AionvisionError as error:
            fail(error.message, hint(error))
            return CANNOT_RUN
        except KeyboardInterrupt:
            fail("stopped", RESUME_HINT)
            raise
    if as_json or as_lines:
        print_records((outcome.as_dict() for outcome in report.outcomes), lines=as_lines)
    else:
        _show(report)
    return report.code


# ---------------------------------------------------------------------------------------------
# The call


def _run(
    client: SyncAionVision,
    files: list[Path],
    *,
    level: str | None,
    policy: str | None,
    wait: bool,
    vocabulary: Mapping[str, Any],
) -> Report:
    """Upload all files. Raises errors that occur before any file was received."""
    bars = _Bars([_size(path) for path in files], wait=wait)
    try:
        with bars:
            results = client.upload(
                files,
                wait_for_descriptions=wait,
                raise_on_failure=False,
                verification_level=level,
                **vocabulary,
                escalation_policy=policy,
                on_file_complete=bars.arrived,
                on_description_failed=lambda event: bars.failed(event.file_index, event.result),
                on_description_progress=bars.described,
            )
    except AionvisionError as error:
        if not bars.results:
            raise
        fail(error.message, RESUME_HINT)
        return _interrupted_report(files, bars.results, _reason(error))
    outcomes = [FileOutcome(*pair) for pair in zip(files, results, strict=True)]
    return Report(outcomes, FAILED if results.has_failures else 0, _summary(results))


def _interrupted_report(files: list[Path], known: dict[int, UploadResult], reason: str) -> Report:
    outcomes = [FileOutcome(path, known.get(index), reason) for index, path in enumerate(files)]
    summary = _summary(BatchUploadResults(known.values()))
    if missing := len(files) - len(known):
        summary += f", {missing} not uploaded"
    return Report(outcomes, FAILED, summary)


def _summary(results: BatchUploadResults) -> str:
    """Return the counts in words, with how many were known and are described again."""
    again = sum(bool(result.redescribed) for result in results)
    return results.summary() + (f" ({again} known before, described again)" if again else "")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # gone already; the upload says so


def _reason(error: AionvisionError) -> str:
    cause = error.__cause__
    return cause.message if isinstance(cause, AionvisionError) else error.message


# ---------------------------------------------------------------------------------------------
# For people


@dataclass
class _Bars:
    """Two lines on standard error while it runs: uploading, and describing if that is awaited.

    Its methods are the SDK's callbacks, which come from the client's thread.
    """

    sizes: list[int]
    wait: bool
    results: dict[int, UploadResult] = field(default_factory=dict)  # all that is known so far
    _files_of_image: dict[str, list[int]] = field(default_factory=dict)  # image id → its files
    _refused: int = 0
    _failed: int = 0
    _ended: int = 0
    _describing: TaskID | None = None

    def __enter__(self) -> _Bars:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[files]}"),
            _Bytes(),
            _Rate(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            speed_estimate_period=SPEED_PERIOD,
        )
        total = len(self.sizes)
        self._progress.start()
        self._uploading = self._progress.add_task(
            "uploading", total=sum(self.sizes), files=f"0/{total} files", bytes=True
        )
        if self.wait:
            self._describing = self._progress.add_task(
                "describing", total=total, files=self._counts(), bytes=False
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def arrived(self, event: FileCompleteEvent) -> None:
        """Count a file that the server received."""
        self._files_of_image.setdefault(event.result.image_id, []).append(event.file_index)
        self._record(event.file_index, event.result)

    def failed(self, index: int, result: UploadResult) -> None:
        """Count a file that could not be uploaded or described."""
        self._failed += 1
        if index in self.results:
            self.results[index] = result
        else:
            self._refused += 1
            self._record(index, result)
        self._count()

    def described(self, event: DescriptionProgressEvent) -> None:
        """Count a description that has ended."""
        self._ended = event.completed_count
        if (result := event.latest_result) is not None:
            for index in self._files_of_image.get(result.image_id, ()):
                self.results[index] = result
        self._count()

    def _record(self, index: int, result: UploadResult) -> None:
        self.results[index] = result
        refused = f", [red]{self._refused} refused[/red]" if self._refused else ""
        self._progress.update(
            self._uploading,
            advance=self.sizes[index],
            files=f"{len(self.results)}/{len(self.sizes)} files{refused}",
        )

    def _count(self) -> None:
        if self._describing is not None:
            self._progress.update(self._describing, completed=self._ended, files=self._counts())

    def _counts(self) -> str:
        done = max(0, self._ended - self._failed)
        failed = f", [red]{self._failed} failed[/red]" if self._failed else ""
        return f"{done}/{len(self.sizes)} described{failed}"


class _Bytes(DownloadColumn):
    """The bytes sent, for tasks that count bytes."""

    def render(self, task: Any) -> Any:
        """Return the bytes sent and the total."""
        return super().render(task) if task.fields["bytes"] else ""


class _Rate(TransferSpeedColumn):
    """Bytes per second, or pictures per second."""

    def render(self, task: Any) -> Any:
        """Return the speed."""
        if task.fields["bytes"]:
            return super().render(task)
        return f"{task.speed:.1f} pictures/s" if task.speed else ""


def _show(report: Report) -> None:
    out = console()
    rows = report.outcomes
    if len(rows) > MAX_ROWS:
        rows = [outcome for outcome in rows if outcome.failed]
    if rows:
        out.print(_table(rows))
    out.print(report.summary)


def _table(rows: list[FileOutcome]) -> Table:
    """Return the table: file, id, description (or status, or reason), tags, text, confidence."""
    grid = Table(show_lines=True)
    grid.add_column("file", style="bold", overflow="fold", max_width=20)
    grid.add_column("id", no_wrap=True)
    grid.add_column("description", ratio=5)
    grid.add_column("tags", ratio=3, style="cyan")
    grid.add_column("text", ratio=3, style="green")
    grid.add_column("confidence", justify="right", no_wrap=True, min_width=len("confidence"))
    for cells in _cells(rows):
        grid.add_row(*cells)
    return grid


def _cells(rows: list[FileOutcome]) -> Iterator[list[str | Text]]:
    for row in rows:
        found = row.result
        name, id = printable(row.path.name), found.image_id[:8] if found else ""
        if found is None or found.is_failed:
            yield [name, id, Text(row.problem or "no reason given", BAD), "", "", ""]
            continue
        yield [
            name,
            id,
            found.description or Text(row.status, "dim"),
            ", ".join((found.tags or [])[:MAX_TAGS]),
            clipped(found.visible_text),
            "" if found.confidence_score is None else f"{found.confidence_score:.2f}",
        ]
