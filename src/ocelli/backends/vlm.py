"""A vision-language model inside this process, loaded by transformers: the extra ``vlm``.

The same prompts and the same reading of answers as over HTTP; what is missing is the server. It is
loaded on its first look, once per process, and looks take turns.
"""

from __future__ import annotations

import asyncio
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pybase64

from ocelli.backends.chat.backend import ChatBackend
from ocelli.backends.chat.client import ModelReply
from ocelli.backends.chat.failures import timed_out, unusable
from ocelli.distribution import pip_install
from ocelli.domain.claims import Tokens
from ocelli.domain.errors import AnalysisFailed, FailureType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocelli.backends.chat.telemetry import CallOutcome
    from ocelli.backends.config import BackendConfig
    from ocelli.backends.plugins import BackendContext

NOT_INSTALLED = f"transformers and torch are not installed: {pip_install('server', 'vlm')}"


class VlmClient:
    """``ocelli.backends.chat.backend.Client`` without a network."""

    def __init__(self, config: BackendConfig) -> None:
        self.config = config
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vlm")
        self._loaded: Loaded | AnalysisFailed | None = None

    async def complete(
        self, messages: list[dict[str, Any]], schema: Mapping[str, Any], outcome: CallOutcome
    ) -> ModelReply:
        """See Client. Cancelling the call stops the model at its next token."""
        del schema  # nothing holds it to one
        outcome.attempts += 1
        outcome.model = self.config.model
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.config.deadline):
                answer = await loop.run_in_executor(self._thread, self._answer, messages, stop)
        except TimeoutError as error:
            raise timed_out(self.config.name, self.config.deadline) from error
        finally:
            stop.set()
        before, now = outcome.tokens, answer.tokens
        outcome.tokens = Tokens(before.prompt + now.prompt, before.completion + now.completion)
        outcome.finish = "length" if answer.is_cut else "stop"
        if not answer.text.strip():
            raise unusable(self.config.name, "answered nothing.", retryable=False)
        return answer

    def _answer(self, messages: list[dict[str, Any]], stop: threading.Event) -> ModelReply:
        if stop.is_set():  # gave up while others were being looked at
            raise timed_out(self.config.name, self.config.deadline)
        if self._loaded is None:
            self._loaded = self._load()
        if isinstance(self._loaded, AnalysisFailed):  # until the process is started again
            raise self._loaded
        return self._loaded.answer(messages, stop)

    def _load(self) -> Loaded | AnalysisFailed:
        try:
            return Loaded(self.config)
        except ImportError:
            return AnalysisFailed(FailureType.VLM_ERROR, NOT_INSTALLED, retryable=False)
        except MemoryError:
            return self._short_of_memory()
        except Exception as error:  # whatever a model's files can do
            failed = AnalysisFailed(
                FailureType.VLM_ERROR,
                f"The model {self.config.model} cannot be loaded ({type(error).__name__}).",
                retryable=False,
            )
            failed.__cause__ = error
            return failed

    def _short_of_memory(self) -> AnalysisFailed:
        message = f"Not enough memory for the model {self.config.model}."
        return AnalysisFailed(FailureType.RESOURCE_LIMIT, message, retryable=False)


class Loaded:
    """A model with its processor. Blocking; one call at a time."""

    def __init__(self, config: BackendConfig) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self._config = config
        self._processor = AutoProcessor.from_pretrained(config.model)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForImageTextToText.from_pretrained(config.model, dtype="auto")
        self._model = model.to(device).eval()

    def answer(self, messages: list[dict[str, Any]], stop: threading.Event) -> ModelReply:
        """Generate. Raises AnalysisFailed."""
        import torch

        try:
            with torch.inference_mode():
                return self._generate(messages, stop)
        except (MemoryError, torch.OutOfMemoryError) as error:
            message = "Not enough memory to look at this picture."
            raise AnalysisFailed(FailureType.RESOURCE_LIMIT, message, retryable=True) from error
        except Exception as error:  # whatever a model's code can do
            message = f"The model {self._config.model} failed ({type(error).__name__})."
            raise AnalysisFailed(FailureType.VLM_ERROR, message, retryable=False) from error

    def _generate(self, messages: list[dict[str, Any]], stop: threading.Event) -> ModelReply:
        from transformers import StoppingCriteria, StoppingCriteriaList

        ends = time.monotonic() + self._config.deadline

        class Stopped(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, ids: Any, scores: Any, **_: Any) -> bool:
                del ids, scores
                return stop.is_set() or time.monotonic() > ends

        inputs = self._processor.apply_chat_template(
            [_with_pictures(message) for message in messages],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._model.device, dtype=self._model.dtype)
        start = inputs["input_ids"].shape[-1]
        sampling: dict[str, Any] = {"do_sample": False}
        if self._config.temperature:
            sampling = {"do_sample": True, "temperature": self._config.temperature}
        output = self._model.generate(
            **inputs,
            max_new_tokens=self._config.max_tokens,
            stopping_criteria=StoppingCriteriaList([Stopped()]),
            **sampling,
        )
        new = output[0][start:]
        text = str(self._processor.decode(new, skip_special_tokens=True))
        is_cut = len(new) >= self._config.max_tokens or stop.is_set()
        return ModelReply(text, is_cut, Tokens(start, len(new)))


def _with_pictures(message: Mapping[str, Any]) -> dict[str, Any]:
    """Convert messages of the HTTP protocol to those of chat templates."""
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {"role": message["role"], "content": [_part(part) for part in parts]}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] != "image_url":
        return dict(part)
    from PIL import Image

    data = pybase64.b64decode(part["image_url"]["url"].partition(",")[2])
    return {"type": "image", "image": Image.open(io.BytesIO(data)).convert("RGB")}


def transformers_backend(config: BackendConfig, context: BackendContext) -> ChatBackend:
    """The entry point ``transformers``."""
    return ChatBackend(config, VlmClient(config), context.urls)
