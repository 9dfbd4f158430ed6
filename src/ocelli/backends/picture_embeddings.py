"""Vectors of pictures from a server that speaks OpenAI's ``/embeddings``, extended by pictures.

There is no standard for the pictures: each kind of server has a shape of its own.
"""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pybase64

from ocelli.backends.bodies import read_bounded
from ocelli.backends.model_spans import model_span
from ocelli.backends.proxies import proxy_for
from ocelli.domain.embeddings import unit
from ocelli.domain.errors import AnalysisFailed, FailureType, Unavailable
from ocelli.domain.tracing import current_context

if TYPE_CHECKING:
    import aiohttp

    from ocelli.domain.ports_backends import PictureLike

MAX_ANSWER = 4 * 1024**2
MAX_SIDE, QUALITY = 512, 90
MAX_TEXT = 2_000  # characters
# What another picture, or another text, does not change: of these statuses the input is at fault.
REFUSALS = frozenset({400, 413, 415, 422})


class EmbeddingRequest(StrEnum):
    """The shape of a request, named after a server that has it."""

    VLLM = "vllm"
    SGLANG = "sglang"
    JINA = "jina"
    INFINITY = "infinity"


class PictureEmbeddingServer:
    """``PictureEmbedder`` of ``ocelli.domain.embeddings`` over HTTP.

    ``timeout`` in seconds. ``key`` is sent as a bearer token and said nowhere.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        request: EmbeddingRequest,
        *,
        key: str | None,
        timeout: float,
        least_cosine: float,
    ) -> None:
        self._base_url = base_url
        self._model = model
        self._request = request
        self._key = key
        self._timeout = timeout
        self.least_cosine = least_cosine
        self._session: aiohttp.ClientSession | None = None

    @property
    def model_version(self) -> str:
        """See PictureEmbedder."""
        return f"{self._base_url} {self._model}"

    async def embed_picture(self, picture: PictureLike) -> list[float]:
        """See PictureEmbedder."""
        from ocelli.media.encode import jpeg  # not for the settings, which each command reads

        data = await asyncio.to_thread(jpeg, picture, side=MAX_SIDE, quality=QUALITY)
        encoded = pybase64.b64encode(data).decode("ascii")
        try:
            return await self._ask(_of_picture(self._request, encoded))
        except _Refused as error:
            raise AnalysisFailed(FailureType.VALIDATION, str(error), retryable=False) from error

    async def embed_text(self, text: str) -> list[float]:
        """See PictureEmbedder."""
        try:
            return await self._ask(_of_text(self._request, text[:MAX_TEXT]))
        except _Refused as error:
            raise Unavailable(str(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, body: dict[str, Any]) -> list[float]:
        """Raises _Refused about the input, Unavailable."""
        provider, request = self._request.value, {"gen_ai.request.encoding_formats": ["float"]}
        with model_span("embeddings", self._model, provider, self._base_url, request) as call:
            vector = await self._vector_of(body)
            call.note({"gen_ai.embeddings.dimension.count": len(vector)})
            return vector

    async def _vector_of(self, body: dict[str, Any]) -> list[float]:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout)
            )
        url = f"{self._base_url}/embeddings"
        headers = {"User-Agent": "ocelli", **current_context()}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            async with self._session.post(
                url,
                json={"model": self._model, "encoding_format": "float", **body},
                headers=headers,
                proxy=proxy_for(url),
                allow_redirects=False,  # the key is for this address alone
            ) as response:
                data = await read_bounded(response, MAX_ANSWER)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = f"The server of picture embeddings cannot be asked: {type(error).__name__}."
            raise Unavailable(reason) from error
        if response.status in REFUSALS:
            raise _Refused(f"The server of picture embeddings answered {response.status}.")
        if response.status != 200:
            raise Unavailable(f"The server of picture embeddings answered {response.status}.")
        return _vector(data)


class _Refused(Exception):
    """The server does not accept the input."""


def _of_picture(request: EmbeddingRequest, encoded: str) -> dict[str, Any]:
    """Return the body for a JPEG in base64."""
    url = f"data:image/jpeg;base64,{encoded}"
    match request:
        case EmbeddingRequest.VLLM:
            part = {"type": "image_url", "image_url": {"url": url}}
            return {"messages": [{"role": "user", "content": [part]}]}
        case EmbeddingRequest.INFINITY:
            return {"input": [url], "modality": "image"}
        case EmbeddingRequest.SGLANG | EmbeddingRequest.JINA:
            return {"input": [{"image": encoded}]}


def _of_text(request: EmbeddingRequest, text: str) -> dict[str, Any]:
    match request:
        case EmbeddingRequest.VLLM:
            return {"input": text}
        case EmbeddingRequest.INFINITY:
            return {"input": [text], "modality": "text"}
        case EmbeddingRequest.SGLANG | EmbeddingRequest.JINA:
            return {"input": [{"text": text}]}


def _vector(data: bytes) -> list[float]:
    """Read an answer. Raises Unavailable if it holds no vector."""
    try:
        (entry,) = json.loads(data)["data"]
        return unit([float(value) for value in entry["embedding"]])
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable("The server of picture embeddings answered no vector.") from error
