"""The composition of bulk runs: their worker processes, and what their answers depend on."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from ocelli.bulk.worker import PictureWorker
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.verification import VERSION as RULES_VERSION
from ocelli.usecases.verification_engine import VERSION as ENGINE_VERSION
from ocelli.usecases.verification_engine import Engine
from ocelli.wiring.adapters import fetcher
from ocelli.wiring.backends import (
    build_engine,
    chat_configs,
    local_runtime,
    roster,
    token_cost,
)
from ocelli.wiring.decoders import decoder_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ocelli.backends.registry import Registry
    from ocelli.bulk.plan import VocabularyText, WorkerPlan
    from ocelli.domain.analysis import VerificationLevel
    from ocelli.domain.questions import Question
    from ocelli.settings import Settings
    from ocelli.usecases.open_vocabulary import OpenVocabulary

LOCAL_AT_ONCE = 2  # the next picture is decoded while the models look at one
PROMPT_TOKENS = 10_000  # of one look: more than a picture, the question and the claims take


@asynccontextmanager
async def build_picture_worker(plan: WorkerPlan) -> AsyncIterator[PictureWorker]:
    """Give the worker of this process, with its models loaded.

    Raises AnalysisFailed if the backend of the question cannot be asked.
    """
    from ocelli.backends.local.detect import models
    from ocelli.backends.local.runtime import cache_folder
    from ocelli.settings import Settings

    models().keeps_memory = True  # its only work is looks, one after the other
    os.environ.update(plan.environment)
    settings = Settings()
    settings = settings.model_copy(update={"cache": settings.cache or cache_folder()})
    with (
        ThreadPoolExecutor(1, thread_name_prefix="compute") as compute,
        closing(decoder_pool(settings, wait=settings.analysis_timeout)) as decoders,
    ):
        async with build_engine(settings, compute) as engine:
            why_not = engine.why_not(plan.question.backends)
            if why_not is not None:
                raise AnalysisFailed(FailureType.VLM_ERROR, why_not, retryable=True)
            yield PictureWorker(
                engine,
                decoders,
                fetcher(settings),
                plan.question,
                plan.level,
                None if plan.vocabulary is None else _opened(plan.vocabulary, settings),
                token_cost=token_cost(settings),
                max_bytes=max(settings.max_upload_bytes, settings.fetch_max_bytes),
                max_attempts=settings.max_attempts,
                timeout=settings.analysis_timeout,
            )


def answer_parts(
    settings: Settings,
    question: Question,
    level: VerificationLevel,
    vocabulary: VocabularyText | None,
) -> dict[str, Any]:
    """Return all that the answers of a run depend on, for its manifest. No model is loaded."""
    backends = _unloaded(settings)
    calibration = settings.calibration
    return {
        "level": level.value,
        "backend": question.backends[0],
        "role": question.role.value,
        "language": question.language,
        "prompt": question.prompt,
        "checker": settings.checker,
        "judge": settings.judge,
        "models": {
            each.name: each.model_version
            for each in (*backends.configured.values(), backends.local)
        },
        "vocabulary": vocabulary
        and [hashlib.sha256(vocabulary.text.encode()).hexdigest(), vocabulary.mode.value],
        "calibration": calibration and hashlib.sha256(calibration.read_bytes()).hexdigest(),
        "rules": [ENGINE_VERSION, RULES_VERSION],
    }


def default_backend(settings: Settings) -> str:
    """Return the name of the backend that describes where none is named."""
    return roster(settings).default


def backends(settings: Settings) -> tuple[str, ...]:
    """Return the names of the backends that can be asked."""
    return roster(settings).names


def shared(settings: Settings, question: Question, level: VerificationLevel) -> list[Settings]:
    """Return the settings of each process, which divide the concurrency of each backend among
    them: together they have as many requests under way as the settings allow.

    ``analyses_at_once`` of each is how many pictures it has under way.
    """
    asked = dict.fromkeys(Engine(_unloaded(settings)).planned_calls(question, level))
    limits = [settings.backends[each].concurrency for each in asked if each in settings.backends]
    processes = min([settings.workers, *limits])
    result = []
    for number in range(processes):
        backends = {
            name: setting.model_copy(
                update={"concurrency": max(1, _share(setting.concurrency, number, processes))}
            )
            for name, setting in settings.backends.items()
        }
        requests = sum(_share(limit, number, processes) for limit in limits)
        # A few more than requests: they are read and decoded meanwhile.
        at_once = requests + max(LOCAL_AT_ONCE, requests // 8) if requests else LOCAL_AT_ONCE
        result.append(
            settings.model_copy(
                update={
                    "backends": backends,
                    "analyses_at_once": settings.analyses_at_once or at_once,
                }
            )
        )
    return result


def highest_cost(
    settings: Settings, question: Question, level: VerificationLevel
) -> tuple[float, list[str]]:
    """Return what a picture costs at most in US dollars, and the backends without known prices."""
    from ocelli.backends.config import BackendConfig

    configs = {
        each.name: each for each in chat_configs(settings) if isinstance(each, BackendConfig)
    }
    calls = Engine(_unloaded(settings)).planned_calls(question, level)
    total, unpriced = 0.0, []
    for name in calls:
        config = configs.get(name)
        if config is None:
            continue
        prices = config.prices
        if prices.input is None or prices.output is None:
            unpriced.append(name)
        else:
            total += (PROMPT_TOKENS * prices.input + config.max_tokens * prices.output) / 1_000_000
    return total, [*dict.fromkeys(unpriced)]


def _share(total: int, number: int, of: int) -> int:
    return total // of + (number < total % of)


def _unloaded(settings: Settings) -> Registry:
    from ocelli.backends.local.backend import LocalBackend
    from ocelli.backends.registry import BackendParts, registry

    parts = BackendParts(settings.default_backend, settings.checker, settings.judge)
    session: Any = None  # nothing is sent
    return registry(LocalBackend(), chat_configs(settings), session, parts)


def _opened(vocabulary: VocabularyText, settings: Settings) -> OpenVocabulary:
    from ocelli.backends.local.embedder import MiniLmEmbedder
    from ocelli.domain.vocabulary_files import read
    from ocelli.usecases.embeddings import Embeddings
    from ocelli.usecases.open_vocabulary import unstored

    embeddings = Embeddings(MiniLmEmbedder(local_runtime(settings)))
    return unstored(vocabulary.name, read(vocabulary.text), vocabulary.mode, embeddings)
