"""The embedder: English texts in, vectors of their meaning out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ocelli.backends.local import model_files, network_builders
from ocelli.backends.local.model_files import EMBEDDING
from ocelli.backends.local.wordpieces import token_ids
from ocelli.domain.embeddings import Embedding
from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from ocelli.backends.local.runtime import Network, Runtime


class MiniLmEmbedder:
    """``TextEmbedder`` of ``ocelli.domain.embeddings``: all-MiniLM-L6-v2 with 8-bit weights.

    Loads itself with the first text. Texts take turns. A text is embedded alone, because the 8 bits
    of an activation are scaled by all that is embedded with it: a vector depends on its text only.
    """

    name = "all-minilm"
    dimensions = 384
    max_tokens = 256

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._network: Network | None = None
        self._lock = threading.Lock()

    @property
    def model_version(self) -> str:
        """See TextEmbedder."""
        (pin,) = model_files.info(EMBEDDING).pins
        return f"{self.name}-{pin[:8]}"

    def embed(self, text: str) -> Embedding:
        """See TextEmbedder. Raises Unavailable if the model cannot be read."""
        import numpy as np

        ids, whole = token_ids(text, limit=self.max_tokens)
        tokens = np.array([ids], np.int64)
        with self._lock:
            (states,) = self._loaded()(tokens, np.ones_like(tokens), np.zeros_like(tokens))
            mean = states[0].mean(0)
        length = float(np.linalg.norm(mean))
        return Embedding(tuple((mean / length).tolist()), len(ids), whole)

    def _loaded(self) -> Any:
        if self._network is None:
            try:
                (weights,) = model_files.weights(EMBEDDING)
                build = network_builders.embedding
                self._network = self._runtime.network(EMBEDDING, weights, build)
            except (FileNotFoundError, model_files.WrongWeights) as error:
                raise Unavailable(f"The embedder cannot be used: {error}") from error
            model_files.mark_loaded(EMBEDDING)
        return self._network
