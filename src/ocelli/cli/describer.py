"""A process of ``ocelli describe``: paths come through a connection, and go back described."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ocelli.cli.output import printable
from ocelli.domain.analysis import AnalysisAnswer, VerificationLevel
from ocelli.domain.choosing import Mode
from ocelli.domain.errors import AnalysisFailed, OcelliError
from ocelli.domain.questions import Question
from ocelli.media.files import read_regular

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from ocelli.backends.local.detect import ModelSet
    from ocelli.backends.local.runtime import Runtime
    from ocelli.settings import Settings
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.open_vocabulary import OpenVocabulary
    from ocelli.usecases.verification_engine import Engine

log = logging.getLogger(__name__)

USER = UUID(int=0)  # decoders are shared among tenants, and there is only this one
MAX_BACKOFF = 60  # seconds


@dataclass(frozen=True, slots=True)
class DescribedFile:
    """The outcome for one picture: its ``answer``, or the ``error``. Time in milliseconds."""

    path: Path
    level: VerificationLevel
    answer: AnalysisAnswer | None = None
    milliseconds: float | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no description."""
        return self.answer is None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``--json``."""
        answer = self.answer or AnalysisAnswer(())
        tagging = {} if answer.tagging is None else {"tagging": asdict(answer.tagging)}
        return {
            "file": printable(self.path),
            "status": "failed" if self.failed else "completed",
            "description": answer.description,
            "tags": list(answer.tags),
            **tagging,
            "visible_text": answer.visible_text,
            "level": None if self.failed else self.level,
            "looks": answer.looks,
            "dropped": [each.claim.text for each in answer.claims if not each.kept],
            "confidence": None if answer.confidence is None else round(answer.confidence, 4),
            "source": [each.source for each in answer.findings],
            "ms": None if self.milliseconds is None else round(self.milliseconds, 1),
            "error": self.error,
        }


def prepare_models() -> ModelSet:
    """Import what the local models need: the command finds out meanwhile what is wanted."""
    from ocelli.backends.local.detect import models
    from ocelli.backends.local.runtime import prepare

    prepare()
    return models()


def prepare(models: ModelSet, runtime: Runtime) -> None:
    """Import all else that descriptions need, while the models are being read."""
    models.keeps_memory = True  # its only work is looks, one after the other
    with contextlib.suppress(FileNotFoundError):  # said once they are wanted
        models.begin_loading(runtime)
    import ocelli.backends.local.backend
    import ocelli.backends.registry
    import ocelli.settings
    import ocelli.wiring.backends
    import ocelli.wiring.decoders
    import ocelli.wiring.sight  # noqa: F401


async def describe(
    connection: Connection,
    level: VerificationLevel,
    file: Path | None = None,
    mode: str = "strict",
) -> None:
    """Describe what comes through the connection; ends this process when that is closed.

    Tags are chosen from the vocabulary of ``file``, if one is given.

    Pictures are decoded, and their text is read, while other models are still being loaded. Sends
    a ``DescribedFile`` for each path; an exception instead of one means that no picture can be
    described here.
    """
    from ocelli.backends.local.backend import LocalBackend
    from ocelli.settings import Settings
    from ocelli.wiring.backends import build_engine, local_runtime
    from ocelli.wiring.decoders import decoder_pool

    settings = Settings()
    with (
        ThreadPoolExecutor(1, thread_name_prefix="compute") as compute,
        closing(decoder_pool(settings, wait=settings.analysis_timeout)) as decoders,
    ):
        engine: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
        vocabulary = None
        if file is not None:
            vocabulary = await asyncio.to_thread(_vocabulary, file, mode, settings)
        describer = _Describer(settings, decoders, engine, level, vocabulary)
        _listen(connection, partial(_answer, describer, connection))
        try:
            async with build_engine(settings, compute, loaded=False) as built:
                engine.set_result(built)
                local = LocalBackend(compute, local_runtime(settings))
                await asyncio.to_thread(local.load)  # the same models
                await asyncio.Event().wait()  # until the connection is closed
        except AnalysisFailed as error:
            connection.send(error)


def _vocabulary(file: Path, mode: str, settings: Settings) -> OpenVocabulary:
    """Return the vocabulary of a file, which the command has read before."""
    from aion.resources.vocabularies import text_of
    from ocelli.backends.local.embedder import MiniLmEmbedder
    from ocelli.domain.vocabulary_files import read
    from ocelli.usecases.embeddings import Embeddings
    from ocelli.usecases.open_vocabulary import unstored
    from ocelli.wiring.backends import local_runtime

    embeddings = Embeddings(MiniLmEmbedder(local_runtime(settings)))
    return unstored(file.stem, read(text_of(file)), Mode(mode), embeddings)


def _listen(connection: Connection, start: Any) -> None:
    """Call ``start`` in the loop for each path; end the process when the connection is closed."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()  # else they may be collected

    def begin(path: Path) -> None:
        task = loop.create_task(start(path))
        running.add(task)
        task.add_done_callback(running.discard)

    def read() -> None:
        try:
            while True:
                loop.call_soon_threadsafe(begin, connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=read, name="paths", daemon=True).start()


async def _answer(describer: _Describer, connection: Connection, path: Path) -> None:
    connection.send(await describer.describe(path))


class _Describer:
    """Describes one file after the other, or several at a time."""

    def __init__(
        self,
        settings: Settings,
        decoders: DecoderPool,
        engine: asyncio.Future[Engine],
        level: VerificationLevel,
        vocabulary: OpenVocabulary | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._settings = settings
        self._decoders = decoders
        self._engine = engine
        self._level = level

    async def describe(self, path: Path) -> DescribedFile:
        """Try as often as a server would."""
        attempts = self._settings.max_attempts
        for attempt in range(attempts):
            try:
                return await self._attempt(path)
            except TimeoutError:
                return self._failed(path, "There was no answer in the time for an analysis.")
            except (AnalysisFailed, OcelliError) as error:
                if not error.retryable or attempt + 1 == attempts:
                    return self._failed(path, error.message)
            except OSError as error:
                return self._failed(path, error.strerror or str(error))
            except Exception:
                log.exception("%s", printable(path))
                return self._failed(path, "The analysis failed unexpectedly.")
            await asyncio.sleep(min(MAX_BACKOFF, 2**attempt))
        raise AssertionError("unreachable: the last attempt returns")

    def _failed(self, path: Path, error: str) -> DescribedFile:
        return DescribedFile(path, self._level, error=error)

    async def _attempt(self, path: Path) -> DescribedFile:
        from ocelli.media.decode import MAX_SIDE, decode

        data = await asyncio.to_thread(read_regular, path, self._settings.max_upload_bytes)
        work = partial(decode, data, max_pixels=self._settings.max_pixels)
        async with asyncio.timeout(None) as limit:
            started = time.perf_counter()
            picture = await self._decoders.decode(USER, data, work, side=MAX_SIDE)
            decoded = time.perf_counter()
            engine = await asyncio.shield(self._engine)
            looked = time.perf_counter()
            limit.reschedule(asyncio.get_running_loop().time() + self._settings.analysis_timeout)
            answer = await engine.answer(picture, Question(), self._level, self._vocabulary)
        seconds = time.perf_counter() - looked + decoded - started
        return DescribedFile(path, self._level, answer, seconds * 1000)
