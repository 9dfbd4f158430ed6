"""The JSON bodies of /api/fetch.

A worker renders the final one when a request ends; it is stored, and sent unchanged.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocelli.domain.findings import Box, Feature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.fetch_jobs import FetchJob, FetchOutcome
    from ocelli.domain.findings import Findings, TextLine

Json = dict[str, Any]

DIGITS = 4
FAILED = "Request failed"


def processing(request: FetchJob) -> str:
    """Return the body of polls until the end: some clients stop at any other status."""
    return _json({**echo(request), "status": "processing"})


def finished(outcome: FetchOutcome) -> str:
    """Return the final body, without ``response_uri``: clients go on polling if they find one."""
    paid = {"credits_paid": outcome.paid, "credits": outcome.credits}
    body = echo(outcome.request)
    if outcome.failure is not None:
        return _json({**body, "status": "failed", "error": f"{FAILED}. {outcome.failure}", **paid})
    assets = [asset(each, outcome.request) for each in outcome.answered]
    everything = {"assets": assets, "errors": list(outcome.errors)}
    return _json({**body, "status": "completed", **paid, "all": everything})


def accepted(request: FetchJob, response_uri: str) -> Json:
    """Return the answer to the POST of a request that will be polled."""
    return {
        **echo(request),
        "status": "queued",
        "success": True,
        "response_uri": response_uri,
    }


def echo(request: FetchJob) -> Json:
    """Return the fields with which each answer about a request begins."""
    parameters = request.parameters
    return {
        "request_id": str(request.id),
        "user_id": request.user_id,
        "urls": list(parameters.urls),
        "files": parameters.files,
        "file_names": list(parameters.file_names),
        "features": list(parameters.features),
        "backends": list(parameters.backends),
        "role": parameters.role,
        "tag_score": parameters.tag_score,
        "capture_interval": parameters.capture_interval,
        "max_frames": parameters.max_frames,
    }


def asset(analysis: Analysis, request: FetchJob) -> Json:
    """Return the findings of one picture: requested features only, empty if nothing was found."""
    features = [Feature(each) for each in request.parameters.features] or list(Feature)
    pixels = _Pixels(analysis.width or 0, analysis.height or 0)
    by_backend = list(_findings_of(analysis, request))
    body: Json = {"name": analysis.name}
    for feature, shape in _SHAPES.items():
        if feature in features:
            found = [findings for findings, features in by_backend if feature in features]
            body[feature.value] = shape(found, pixels, request.parameters.tag_score)
    return body


def _findings_of(
    analysis: Analysis, request: FetchJob
) -> Iterator[tuple[Findings, Sequence[Feature]]]:
    """Yield the findings of each backend, with its features, in the order of the request."""
    by_source = {each.source: each for each in analysis.findings}
    for share in request.plan.shares:
        if share.backend in by_source:
            yield by_source[share.backend], share.features


class _Pixels:
    """Converts fractions of a picture to its pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height

    def poly(self, box: Box) -> Json:
        """Return the corners of a box, clockwise from the top left."""
        left, right = (round(x * self._width) for x in (box.left, box.right))
        top, bottom = (round(y * self._height) for y in (box.top, box.bottom))
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        return {"vertices": [{"x": x, "y": y} for x, y in corners]}


def _descriptions(found: Sequence[Findings], _: _Pixels, __: float) -> list[Json]:
    return [
        {"description": each.description, "source": each.source}
        for each in found
        if each.description
    ]


def _tags(found: Sequence[Findings], _: _Pixels, min_score: float) -> dict[str, list[Json]]:
    return _by_name(
        {"name": tag.name, "score": _rounded(tag.score), "source": each.source}
        for each in found
        for tag in each.tags
        if tag.score >= min_score
    )


def _brands(found: Sequence[Findings], _: _Pixels, __: float) -> dict[str, list[Json]]:
    return _by_name(
        {"name": brand.name, "score": _rounded(brand.score), "source": each.source}
        for each in found
        for brand in each.brands
    )


def _by_name(entries: Iterable[Json]) -> dict[str, list[Json]]:
    """Group entries by name, best first: many clients take the first few."""
    groups: dict[str, list[Json]] = {}
    for entry in sorted(entries, key=lambda each: -each["score"]):
        groups.setdefault(entry["name"], []).append(entry)
    return groups


def _colors(found: Sequence[Findings], _: _Pixels, __: float) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = {}
    for each in found:
        for color in each.colors:
            code = color.hex.lower()
            red, green, blue = bytes.fromhex(code[1:])
            share = _rounded(color.fraction)
            groups.setdefault(code, []).append(
                {
                    "hex": code,
                    "score": share,
                    "pixel_fraction": share,
                    "red": red,
                    "green": green,
                    "blue": blue,
                    "source": each.source,
                }
            )
    return groups


def _faces(found: Sequence[Findings], pixels: _Pixels, _: float) -> list[Json]:
    """Return the places of faces; no backend guesses identity, age or emotion."""
    return [
        {
            "bounding_poly": pixels.poly(face.box),
            "emotions": [],
            "age": None,
            "gender": None,
            "score": _rounded(face.score),
            "source": each.source,
        }
        for each in found
        for face in each.faces
    ]


def _nsfw(found: Sequence[Findings], _: _Pixels, __: float) -> list[Json]:
    """Return the probabilities of sfw and nsfw, which sum to 1."""
    return [
        {"label": label, "score": _rounded(score), "source": each.source}
        for each in found
        if each.safety is not None
        for label, score in (("sfw", 1 - each.safety.nsfw), ("nsfw", each.safety.nsfw))
    ]


def _texts(found: Sequence[Findings], pixels: _Pixels, _: float) -> list[Json]:
    """Return the full text, then each word."""
    return [
        {"text": text, "bounding_poly": pixels.poly(box), "source": each.source}
        for each in found
        if each.texts
        for text, box in _text_and_words(each.texts)
    ]


def _text_and_words(lines: Sequence[TextLine]) -> Iterator[tuple[str, Box]]:
    boxes = [line.box for line in lines]
    yield (
        "\n".join(line.text for line in lines),
        Box(
            min(box.left for box in boxes),
            min(box.top for box in boxes),
            max(box.right for box in boxes),
            max(box.bottom for box in boxes),
        ),
    )
    for line in lines:
        yield from _words(line)


def _words(line: TextLine) -> Iterator[tuple[str, Box]]:
    """Yield words with boxes; only lines have boxes, so a word gets its share of the width."""
    letter = (line.box.right - line.box.left) / max(1, len(line.text))
    start = 0
    for word in line.text.split():
        start = line.text.index(word, start)
        left = line.box.left + start * letter
        start += len(word)
        yield word, Box(left, line.box.top, line.box.left + start * letter, line.box.bottom)


_SHAPES: dict[Feature, Callable[[Sequence[Findings], _Pixels, float], Any]] = {
    Feature.DESCRIPTIONS: _descriptions,
    Feature.TAGS: _tags,
    Feature.COLORS: _colors,
    Feature.FACES: _faces,
    Feature.TEXTS: _texts,
    Feature.NSFW: _nsfw,
    Feature.BRANDS: _brands,
}


def _rounded(score: float) -> float:
    return round(score, DIGITS)


def _json(body: Json) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
