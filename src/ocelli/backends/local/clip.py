"""A CLIP or SigLIP model of ONNX files: pictures and texts in, vectors that can be compared out.

The folder is one as Hugging Face has them: ``vision_model.onnx`` and ``text_model.onnx``, in the
folder or in ``onnx`` below it, ``preprocessor_config.json`` and ``tokenizer.json``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ocelli.backends.local.model_files import Weights
from ocelli.domain.embeddings import unit
from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocelli.backends.local.runtime import Network, Runtime
    from ocelli.domain.ports_backends import PictureLike

# What exports call the vector; a model with none of these has it as its only output of rank 2.
VECTORS = ("image_embeds", "text_embeds", "pooler_output", "embeddings")
MEANS = {"CLIP": (0.48145466, 0.4578275, 0.40821073), "other": (0.5, 0.5, 0.5)}
SPREADS = {"CLIP": (0.26862954, 0.26130258, 0.27577711), "other": (0.5, 0.5, 0.5)}
INPUTS = ("pixel_values", "input_ids", "attention_mask", "others")  # in the order of a call
TEXT_TOKENS = 77  # of CLIP; SigLIP's configuration says 64


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pictures become tensors: ``crop`` cuts the middle out, else they are squeezed."""

    height: int
    width: int
    crop: bool
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def read(cls, path: Path) -> Preprocessing:
        """Read a ``preprocessor_config.json``. Raises OSError, ValueError."""
        entry = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entry, dict):
            raise ValueError(f"{path.name} holds no object")
        size = entry.get("crop_size") if entry.get("do_center_crop") else entry.get("size")
        height, width = _sides(size)
        kind = "CLIP" if "CLIP" in str(entry.get("image_processor_type", "CLIP")) else "other"
        mean, spread = entry.get("image_mean", MEANS[kind]), entry.get("image_std", SPREADS[kind])
        return cls(height, width, bool(entry.get("do_center_crop")), tuple(mean), tuple(spread))

    def tensor(self, pixels: Any) -> Any:
        """Return ``pixels`` of shape (height, width, 3) as one of (1, 3, height, width)."""
        import cv2
        import numpy as np

        height, width = pixels.shape[:2]
        if self.crop:
            scale = max(self.height / height, self.width / width)
            size = max(self.width, round(width * scale)), max(self.height, round(height * scale))
        else:
            size = self.width, self.height
        shrinks = size[0] < width
        resized = cv2.resize(
            np.ascontiguousarray(pixels),
            size,
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
        )
        top, left = (size[1] - self.height) // 2, (size[0] - self.width) // 2
        cut = resized[top : top + self.height, left : left + self.width].astype(np.float32) / 255
        normal = (cut - np.array(self.mean, np.float32)) / np.array(self.spread, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    raise ValueError("preprocessor_config.json names no size")


class ClipEmbedder:
    """``PictureEmbedder`` of ``ocelli.domain.embeddings``. Loads itself when it is first asked."""

    def __init__(self, folder: Path, runtime: Runtime, *, least_cosine: float) -> None:
        self._folder = folder
        self._runtime = runtime
        self.least_cosine = least_cosine
        self._lock = threading.Lock()
        self._networks: dict[str, Network] = {}

    @cached_property
    def model_version(self) -> str:
        """See PictureEmbedder. Raises Unavailable if the folder is incomplete."""
        parts = [self._weights(name).sha256 for name in ("vision_model", "text_model")]
        others = ("preprocessor_config.json", "tokenizer.json")
        parts += [_sha256(self._path(name)) for name in others]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    async def embed_picture(self, picture: PictureLike) -> Sequence[float]:
        """See PictureEmbedder."""
        return await asyncio.to_thread(self._picture, picture.pixels)

    async def embed_text(self, text: str) -> Sequence[float]:
        """See PictureEmbedder."""
        return await asyncio.to_thread(self._text, text)

    async def close(self) -> None:
        """See PictureEmbedder: there are none."""

    def _picture(self, pixels: Any) -> list[float]:
        with self._lock:
            return self._run("vision_model", self._preprocessing.tensor(pixels))

    def _text(self, text: str) -> list[float]:
        import numpy as np

        with self._lock:
            encoded = self._tokenizer.encode(text)
            ids = np.array([encoded.ids], np.int64)
            return self._run("text_model", ids, np.array([encoded.attention_mask], np.int64))

    def _run(self, name: str, *inputs: Any) -> list[float]:
        if name not in self._networks:
            try:
                weights = self._weights(name)
                self._networks[name] = self._runtime.network(f"clip-{name}", weights, embedding)
            except (RuntimeError, OSError) as error:
                raise Unavailable(f"{self._folder}: {name}.onnx cannot be used") from error
        network = self._networks[name]
        (vector,) = network(*inputs[: network.inputs])
        try:
            return unit(vector[0].tolist())
        except ValueError as error:
            raise Unavailable(f"{self._folder}: {error}") from error

    @cached_property
    def _preprocessing(self) -> Preprocessing:
        try:
            return Preprocessing.read(self._path("preprocessor_config.json"))
        except (ValueError, TypeError, OSError) as error:
            raise Unavailable(f"{self._folder}: {error}") from error

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise Unavailable(
                "picture_embedder.folder needs tokenizers: pip install 'ocelli-vision[clip]'"
            ) from error
        tokenizer = Tokenizer.from_file(str(self._path("tokenizer.json")))
        length = _longest_text(_entry(self._folder / "config.json"))
        token = _entry(self._folder / "tokenizer_config.json").get("pad_token")
        if isinstance(token, dict):
            token = token.get("content")
        tokenizer.enable_truncation(length)
        # SigLIP was trained with padding to its full length; CLIP does not look behind the end.
        tokenizer.enable_padding(
            length=length,
            pad_id=tokenizer.token_to_id(token or "") or 0,
            pad_token=token or "[PAD]",
        )
        return tokenizer

    def _weights(self, name: str) -> Weights:
        path = self._path(f"{name}.onnx", "onnx")
        return Weights(path, _sha256(path))

    def _path(self, name: str, below: str = "") -> Path:
        for path in (self._folder / name, self._folder / below / name):
            if path.is_file():
                return path
        raise Unavailable(f"{self._folder} has no {name}: see `ocelli docs search`")


def embedding(openvino: Any, path: Path) -> Any:
    """Build the network of one tower, with the vector as its only output."""
    model = openvino.Core().read_model(path)
    model.reshape({each.any_name: [1, *_fixed(each)] for each in model.inputs})
    named = {name: each for each in model.outputs for name in each.names}
    output = next((named[name] for name in VECTORS if name in named), None)
    if output is None:
        (output,) = (each for each in model.outputs if len(each.partial_shape) == 2)
    inputs = sorted(model.get_parameters(), key=lambda each: INPUTS.index(_name(each)))
    return openvino.Model([output], inputs, path.stem)


def _name(parameter: Any) -> str:
    names = parameter.output(0).names
    return next((name for name in INPUTS if name in names), INPUTS[-1])


def _fixed(input: Any) -> list[int]:
    return [side.get_length() if side.is_static else -1 for side in list(input.partial_shape)[1:]]


def _longest_text(config: dict[str, Any]) -> int:
    text = config.get("text_config") or {}
    siglip = "siglip" in str(text.get("model_type", ""))
    return int(text.get("max_position_embeddings", 64 if siglip else TEXT_TOKENS))


def _entry(path: Path) -> dict[str, Any]:
    """Read a file that a folder may lack."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _sha256(path: Path) -> str:
    """Return what stands for a file and the weights that it keeps in a file beside it."""
    digest = hashlib.sha256()
    for each in (path, path.with_name(f"{path.name}_data")):
        if each.is_file():
            with each.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
