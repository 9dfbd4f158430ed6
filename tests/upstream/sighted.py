"""A chat server whose models see, or do not: by the name of the model that is asked for.

"sighted" finds coloured shapes in the picture that it is sent, and reads nothing; "prose" is the
same without any form. "blind" invents, "lister" names all that there could be, "echo" repeats the
question. "sometimes" sees every third picture only, "mostly" all but the first of three. "moody" is
sighted until ``blinded`` is set, "shaky" until ``broken``.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from aiohttp import web
from PIL import Image

from ocelli.domain.sight import COLORS, SHAPES, WORDS
from ocelli.media.sight_pictures import RGB
from tests.upstream.server import Upstream, _image, _task, _texts, completion, nonce

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
INVENTED = (
    "A serene scene: the word ANCHOR stands above three red circles and two blue squares, a green "
    "triangle on the left and a yellow circle on the right."
)
KINDS = [(color, shape) for color in COLORS for shape in SHAPES]
EVERYTHING = " ".join(
    (
        *(f"{count} {color} {shape}s." for count in NUMBERS for color, shape in KINDS),
        *(f"On the left {color} {shape}, on the right too." for color, shape in KINDS),
        *WORDS,
    )
)


class SightedServer:
    """See the module. ``asked`` are the models and tasks, in their order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.blinded = False
        self.broken = False
        self._pictures = Counter[str]()
        self._upstream = Upstream(self._handle)

    @property
    def url(self) -> str:
        return self._upstream.url

    def __enter__(self) -> SightedServer:
        self._upstream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._upstream.stop()

    def backend(self, model: str, **more: Any) -> dict[str, Any]:
        """Settings of a backend that asks for this model."""
        return {"base_url": self.url, "model": model, "retries": 0, **more}

    def rewind(self) -> None:
        """Count pictures from the first again."""
        self._pictures.clear()

    def calls(self, model: str) -> int:
        return sum(asked == model for asked, _ in self.asked)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return web.json_response({"object": "list", "data": []})
        body = await request.json()
        model, task = str(body["model"]), _task(body)
        self.asked.append((model, task))
        if model == "shaky" and self.broken:
            return web.Response(status=500)
        image, _ = _image(body)
        self._pictures[model] += 1
        said = self._answer(model, body, image)
        if model == "prose":
            return web.json_response(completion(said, model))
        answer: dict[str, Any] = {"nonce": nonce(body), "description": said, "claims": []}
        if task != "describe":
            answer = {"nonce": nonce(body), "verdicts": [], "revised": ""}
        return web.json_response(completion(json.dumps(answer), model))

    def _answer(self, model: str, body: Mapping[str, Any], image: bytes) -> str:
        nth = self._pictures[model] % 3
        match model:
            case "blind":
                return INVENTED
            case "lister":
                return EVERYTHING
            case "echo":
                return _texts(body)
            case "sometimes" if nth:
                return INVENTED
            case "mostly" if nth == 1:
                return INVENTED
            case "moody" if self.blinded:
                return INVENTED
        return seen(image)


def seen(image: bytes) -> str:
    """What coloured shapes are in it, how many, and where two of them are."""
    pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(int)
    found: list[tuple[str, str, float]] = []
    for color, rgb in RGB.items():
        mask = (np.abs(pixels - np.array(rgb)).max(axis=2) < 60).astype(np.uint8)
        _, _, stats, centers = cv2.connectedComponentsWithStats(mask)
        for (_, _, width, height, area), (x, _) in zip(stats[1:], centers[1:], strict=True):
            if area > 500:
                fill = area / (width * height)
                shape = "square" if fill > 0.9 else "circle" if fill > 0.65 else "triangle"
                found.append((color, shape, x))
    if not found:
        return "A picture without any coloured shape."
    if len(found) == 2:
        (left, right) = sorted(found, key=lambda each: each[2])
        return f"A {left[0]} {left[1]} on the left and a {right[0]} {right[1]} on the right."
    counts = Counter((color, shape) for color, shape, _ in found)
    told = [
        f"{NUMBERS[n] if n < len(NUMBERS) else n} {color} {shape}s"
        for (color, shape), n in counts.items()
    ]
    return f"There are {' and '.join(told)}."
