"""``ocelli watch``: what arrives in a folder gets sidecars, or goes to a server."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aion import AionvisionError, UploadError, ValidationError
from aion._files import is_supported
from ocelli.cli.commands.parameters import given
from ocelli.cli.connection import connect, hint
from ocelli.cli.describing import CannotDescribe
from ocelli.cli.output import CANNOT_RUN, fail
from ocelli.cli.signals import end_as_by_ctrl_c
from ocelli.cli.tag import HowToDescribe, describer, wrong_use
from ocelli.cli.tagger import DONE, UPLOADED, Outcome, Report, Tagger, summary
from ocelli.cli.tagger import FAILED as FAILED_STATUS
from ocelli.cli.upload_ledger import UploadLedger, ledger_file
from ocelli.distribution import pip_install
from ocelli.xmp.errors import XmpError
from ocelli.xmp.files import FileState
from ocelli.xmp.targets import SidecarTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from aion import SyncAionVision
    from ocelli.cli.arrivals import Arrivals
    from ocelli.cli.describing import Describe

AT_ONCE = 50  # files of one call to a server
PAUSE = 0.2  # seconds until it is asked again whether there are more pictures
RETRY = (5.0, 60.0)  # seconds until a server that did not answer is asked again: at first, at most
OTHER_LEDGER = "XDG_STATE_HOME names another folder"
NEW_LEDGER = "delete it: what the server has is compared with it again, and not sent twice"
ENOUGH = 256  # pixels to which a picture is decoded to see whether it is whole


def watch(
    folder: Path,
    how: HowToDescribe,
    *,
    upload: bool,
    poll: bool,
    as_lines: bool,
    **options: Any,
) -> int:
    """Describe or upload what is in a folder and what arrives, until Ctrl-C.

    Returns the exit code.
    """
    if find_spec("watchfiles") is None:
        fail("watching needs one more package", pip_install("watch"))
        return CANNOT_RUN
    if code := wrong_use(folder, how):
        return code
    from ocelli.cli.arrivals import Arrivals, CannotWatch

    end_as_by_ctrl_c()
    with contextlib.ExitStack() as stack:
        report = Report(as_lines=as_lines)
        run: Callable[[Arrivals], None]
        if upload:
            uploader = _uploader(how, report, stack)
            if isinstance(uploader, int):
                return uploader
            run, counts = uploader.run, uploader.counts
        else:
            found = describer(how, stack, **options)
            if isinstance(found, int):
                return found
            tagger = Tagger(SidecarTarget(), found[1], write=True)
            watcher = _Describer(tagger, found[0], report, is_remote=how.server is not None)
            run, counts = watcher.run, tagger.counts
        try:
            with report, Arrivals(folder, is_supported, report.problem, poll=poll) as arrivals:
                report.say(f"watching {folder}; Ctrl-C ends it")
                run(arrivals)
        except CannotWatch as error:
            fail(f"the folder cannot be watched: {error}", "--poll looks at it again and again")
            return CANNOT_RUN
        except CannotDescribe as error:
            if error.message:
                fail(error.message, error.advice)
            return error.code
        except sqlite3.Error as error:
            fail(f"{ledger_file()} cannot be used any more: {error}", NEW_LEDGER)
            return CANNOT_RUN
        except KeyboardInterrupt:
            pass
        report.say(f"ended: {summary(counts)}")
    return 0


class _Describer:
    """Describes what arrives, and writes sidecars."""

    def __init__(
        self, tagger: Tagger, describe: Describe, report: Report, *, is_remote: bool
    ) -> None:
        self._tagger = tagger
        self._describe = describe
        self._report = report
        self._retry = _Retry(report) if is_remote else None

    def run(self, arrivals: Arrivals) -> None:
        """Go on until an exception; models are ended where nothing comes for a while."""
        while True:
            try:
                self._burst(arrivals)
            except CannotDescribe as error:
                if self._retry is None:
                    raise
                arrivals.again(self._tagger.given_up())
                self._retry.wait(error.message)

    def _burst(self, arrivals: Arrivals) -> None:
        pictures = self._tagger.begun(arrivals.whole(self._tagger.is_busy), self._report)
        with contextlib.closing(self._describe(pictures)) as described:
            for each in described:
                self._report.tell(self._tagger.finished(each))
                self._report.count(self._tagger.counts)
                if self._retry is not None:
                    self._retry.succeeded()


def _uploader(how: HowToDescribe, report: Report, stack: contextlib.ExitStack) -> _Uploader | int:
    client = connect(how.server, how.key, how.data)
    if isinstance(client, int):
        return client
    stack.enter_context(client)
    try:
        ledger = stack.enter_context(UploadLedger(ledger_file(), client.config.base_url))
    except sqlite3.OperationalError as error:
        fail(f"{ledger_file()} cannot be written: {error}", OTHER_LEDGER)
        return CANNOT_RUN
    except OSError as error:
        fail(f"{ledger_file()} cannot be written: {error.strerror or error}", OTHER_LEDGER)
        return CANNOT_RUN
    except sqlite3.Error as error:
        fail(f"{ledger_file()} is damaged: {error}", NEW_LEDGER)
        return CANNOT_RUN
    options = given(
        verification_level=how.level, vocabulary=how.vocabulary, vocabulary_mode=how.mode
    )
    return _Uploader(client, ledger, report, options)


class _Uploader:
    """Sends what arrives to a server, each file once."""

    def __init__(
        self, client: SyncAionVision, ledger: UploadLedger, report: Report, options: dict[str, Any]
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._client = client
        self._ledger = ledger
        self._report = report
        self._options = options
        self._retry = _Retry(report)
        self._batch: list[tuple[Path, FileState]] = []

    def run(self, arrivals: Arrivals) -> None:
        """Go on until an exception."""
        while True:
            for found in arrivals.whole():
                if found is not None:
                    self._take(found[0])
                elif self._batch:
                    self._send(self._batch)
                    self._batch = []
                else:
                    time.sleep(PAUSE)

    def _take(self, path: Path) -> None:
        try:
            file = FileState.of(path)
        except XmpError as error:
            self._failed(path, str(error))
            return
        if file is None:
            return
        if self._ledger.has(path, file):
            self._count(DONE)
        elif problem := _why_not_whole(path):
            self._failed(path, problem)
        else:
            self._batch.append((path, file))
            if len(self._batch) >= AT_ONCE:
                self._send(self._batch)
                self._batch = []

    def _send(self, batch: Sequence[tuple[Path, FileState]]) -> None:
        """Upload files; go on asking while the server cannot be asked."""
        while True:
            try:
                results = self._client.upload(
                    [path for path, _ in batch],
                    wait_for_descriptions=False,
                    raise_on_failure=False,
                    **self._options,
                )
            except (ValidationError, UploadError) as error:  # of one file, and none was sent
                if len(batch) == 1:
                    self._failed(batch[0][0], error.message)
                    return
                for each in batch:
                    self._send([each])
                return
            except AionvisionError as error:
                if hint(error) is None and len(batch) == 1:
                    self._failed(batch[0][0], error.message)
                    return
                self._retry.wait(error.message)
                continue
            break
        self._retry.succeeded()
        received = [each for each, result in zip(batch, results, strict=True) if result.image_id]
        self._ledger.add(received)
        for (path, _), result in zip(batch, results, strict=True):
            if result.image_id:
                self._count(UPLOADED)
                self._report.tell(Outcome(path, UPLOADED, image_id=result.image_id))
            else:
                self._failed(path, result.description_error or "it was not uploaded")

    def _failed(self, path: Path, message: str) -> None:
        self._count(FAILED_STATUS)
        self._report.tell(Outcome(path, FAILED_STATUS, error=message))

    def _count(self, status: str) -> None:
        self.counts[status] += 1
        self._report.count(self.counts)


class _Retry:
    """Waits before a server is asked again, longer each time; says why once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._pause = RETRY[0]
        self._said = ""

    def wait(self, message: str) -> None:
        """Wait."""
        if message != self._said:
            fail(message, "it is asked again until it answers")
            self._said = message
        time.sleep(self._pause)
        self._pause = min(RETRY[1], 2 * self._pause)

    def succeeded(self) -> None:
        """Begin anew."""
        self._pause, self._said = RETRY[0], ""


def _why_not_whole(path: Path) -> str | None:
    """Return why a picture cannot be decoded; None if it can, or if that is for the server to say:
    without its libraries, or of one that is larger than what it takes.
    """
    if find_spec("pyvips") is None or find_spec("pydantic_settings") is None:
        return None
    from ocelli.cli.options import load_settings
    from ocelli.domain.errors import AnalysisFailed, TooLarge
    from ocelli.media.decode import decode
    from ocelli.media.files import read_regular

    settings = load_settings()
    try:
        data = read_regular(path, settings.max_upload_bytes)
        decode(data, max_side=ENOUGH, max_pixels=settings.max_pixels)
    except TooLarge:
        return None
    except AnalysisFailed as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    return None
