"""The JSON bodies of /api/fetch, from findings to the documented shapes.

A worker writes the last one where a request ends; it is stored and sent as it is.
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
    """What polls see until it is finished: some clients stop at any other word."""
    return _json({**echo(request), "status": "processing"})


def finished(outcome: FetchOutcome) -> str:
    """Never with a ``response_uri``: a client that finds one goes on polling for ever."""
    paid = {"credits_paid": outcome.paid, "credits": outcome.credits}
    body = echo(outcome.request)
    if outcome.failure is not None:
        return _json({**body, "status": "failed", "error": f"{FAILED}. {outcome.failure}", **paid})
    assets = [asset(each, outcome.request) for each in outcome.answered]
    everything = {"assets": assets, "errors": list(outcome.errors)}
    return _json({**body, "status": "completed", **paid, "all": everything})


def accepted(request: FetchJob, response_uri: str) -> Json:
    """The answer to the POST of what will be polled for."""
    return {
        **echo(request),
        "status": "queued",
        "success": True,
        "response_uri": response_uri,
    }


def echo(request: FetchJob) -> Json:
    """What every answer about a request begins with."""
    asked = request.asked
    return {
        "request_id": str(request.id),
        "user_id": request.user_id,
        "urls": list(asked.urls),
        "files": asked.files,
        "file_names": list(asked.file_names),
        "features": list(asked.features),
        "backends": list(asked.backends),
        "role": asked.role,
        "tag_score": asked.tag_score,
        "capture_interval": asked.capture_interval,
        "max_frames": asked.max_frames,
    }


def asset(analysis: Analysis, request: FetchJob) -> Json:
    """One picture. What was not asked for is not there; what was not found is empty."""
    asked = [Feature(each) for each in request.asked.features] or list(Feature)
    pixels = _Pixels(analysis.width or 0, analysis.height or 0)
    given = list(_given(analysis, request))
    body: Json = {"name": analysis.name}
    for feature, shape in _SHAPES.items():
        if feature in asked:
            found = [findings for findings, features in given if feature in features]
            body[feature.value] = shape(found, pixels, request.asked.tag_score)
    return body


def _given(analysis: Analysis, request: FetchJob) -> Iterator[tuple[Findings, Sequence[Feature]]]:
    """In the order in which the backends were named, each with what it was asked for."""
    by_source = {each.source: each for each in analysis.findings}
    for share in request.plan.shares:
        if share.backend in by_source:
            yield by_source[share.backend], share.features


class _Pixels:
    """From fractions of a picture to its pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height

    def poly(self, box: Box) -> Json:
        """Clockwise from the top left."""
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


def _tags(found: Sequence[Findings], _: _Pixels, least: float) -> dict[str, list[Json]]:
    return _by_name(
        {"name": tag.name, "score": _rounded(tag.score), "source": each.source}
        for each in found
        for tag in each.tags
        if tag.score >= least
    )


def _brands(found: Sequence[Findings], _: _Pixels, __: float) -> dict[str, list[Json]]:
    return _by_name(
        {"name": brand.name, "score": _rounded(brand.score), "source": each.source}
        for each in found
        for brand in each.brands
    )


def _by_name(entries: Iterable[Json]) -> dict[str, list[Json]]:
    """Best first: many clients take the first few."""
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
    """Where they are. No backend guesses whose they are, how old, or in what mood."""
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
    """Both probabilities, which sum to 1."""
    return [
        {"label": label, "score": _rounded(score), "source": each.source}
        for each in found
        if each.safety is not None
        for label, score in (("sfw", 1 - each.safety.nsfw), ("nsfw", each.safety.nsfw))
    ]


def _texts(found: Sequence[Findings], pixels: _Pixels, _: float) -> list[Json]:
    """First the whole text, then word by word."""
    return [
        {"text": text, "bounding_poly": pixels.poly(box), "source": each.source}
        for each in found
        if each.texts
        for text, box in _whole_and_words(each.texts)
    ]


def _whole_and_words(lines: Sequence[TextLine]) -> Iterator[tuple[str, Box]]:
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
    """Lines have places, words do not: a word gets its letters' share of the line's width."""
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
