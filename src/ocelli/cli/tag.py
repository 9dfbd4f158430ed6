"""``ocelli tag``: what is to be seen in pictures, written as XMP beside or into them."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aion import VerificationLevel
from aion._files import is_supported
from ocelli.cli.connection import connect
from ocelli.cli.describing import CannotDescribe, by_local_models, by_server
from ocelli.cli.output import CANNOT_RUN, FAILED, WRONG_USE, fail, printable, say_passed_over
from ocelli.cli.tagger import PLANNED, Report, Tagger, summary
from ocelli.xmp import exiftool
from ocelli.xmp.files import pictures
from ocelli.xmp.targets import Asked, EmbeddedTarget, SidecarTarget, Target

if TYPE_CHECKING:
    from ocelli.cli.describing import Describe

AGAIN = "run the same command again: what is done is not done twice"


@dataclass(frozen=True, slots=True)
class HowToDescribe:
    """What describes the pictures: a ``server``, or the models of this machine.

    ``level`` is by default standard, and of uploads the server's choice. ``vocabulary`` is a file,
    or the name of one of the server's.
    """

    level: str | None = None
    server: str | None = None
    key: str | None = None
    data: Path | None = None
    vocabulary: str | None = None
    mode: str | None = None
    again: bool = False


def tag(
    folder: Path,
    how: HowToDescribe,
    *,
    write: bool,
    embed: bool,
    as_lines: bool,
    **options: Any,
) -> int:
    """Describe the pictures of a folder, and write or show their XMP. Returns the exit code."""
    if code := wrong_use(folder, how):
        return code
    if write and embed:
        fail("XMP goes either beside the pictures or into them", "--write-xmp or --embed")
        return WRONG_USE
    if embed and not exiftool.is_installed():
        fail("--embed needs ExifTool, which is not installed", "https://exiftool.org")
        return CANNOT_RUN
    target: Target = EmbeddedTarget() if embed else SidecarTarget()
    with contextlib.ExitStack() as stack:
        found = describer(how, stack, **options)
        if isinstance(found, int):
            return found
        describe, asked = found
        try:
            return _run(folder, Tagger(target, asked, write=write or embed), describe, as_lines)
        except CannotDescribe as error:
            if error.message:
                fail(error.message, error.advice)
            return error.code
        except KeyboardInterrupt:
            fail("stopped", AGAIN)
            raise


def wrong_use(folder: Path, how: HowToDescribe) -> int:
    """Print what is wrong with the arguments; return the exit code, 0 if they are right."""
    if not folder.is_dir():
        fail(f"no such folder: {printable(folder)}")
        return WRONG_USE
    if how.level is not None and how.level not in list(VerificationLevel):
        fail(f"no such level: {how.level}", f"levels are {', '.join(VerificationLevel)}")
        return WRONG_USE
    return 0


def describer(
    how: HowToDescribe,
    stack: contextlib.ExitStack,
    **options: Any,
) -> tuple[Describe, Asked] | int:
    """Return what describes, and how; prints what is wrong, and returns the exit code."""
    level = VerificationLevel(how.level or VerificationLevel.STANDARD)
    all_levels = list(VerificationLevel)  # the least thorough first
    levels = frozenset(each.value for each in all_levels[all_levels.index(level) :])
    if how.server is not None:
        client = connect(how.server, how.key, how.data)
        if isinstance(client, int):
            return client
        stack.enter_context(client)
        chosen = {"vocabulary": how.vocabulary, "vocabulary_mode": how.mode}
        return by_server(client, level, **chosen), Asked(levels, again=how.again)
    tags_from, digest = None, None
    if how.vocabulary is not None and how.mode != "off":
        from ocelli.cli.describe import digest_of, unusable

        file, mode = Path(how.vocabulary), how.mode or "strict"
        if issue := unusable(file, mode):
            fail(issue)
            return WRONG_USE
        tags_from, digest = (file, mode), digest_of(file)
    from ocelli.cli.describe import settings_of_command

    settings = settings_of_command(**options)
    describe = by_local_models(settings, level, tags_from)
    return describe, Asked(levels, digest, how.again, settings.max_upload_bytes)


def _run(folder: Path, tagger: Tagger, describe: Describe, as_lines: bool) -> int:
    others: Counter[str] = Counter()
    with Report(as_lines=as_lines) as report:
        found = pictures(folder, is_supported, report.problem, others)
        with contextlib.closing(describe(tagger.begun(found, report))) as all_described:
            for described in all_described:
                report.tell(tagger.finished(described))
                report.count(tagger.counts)
    say_passed_over(others)
    report.say(summary(tagger.counts))
    if tagger.counts[PLANNED]:
        report.say("nothing was written: --write-xmp writes sidecars, --embed into the pictures")
    return FAILED if report.problems else 0
