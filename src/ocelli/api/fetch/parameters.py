"""The parameters of a request from its loose values; an empty value counts as not sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.api.fetch.request_body import unreadable_body
from ocelli.domain.errors import InvalidUrl, MalformedRequest, TooLarge
from ocelli.domain.fetch_jobs import MAX_SOURCES, FetchRequest, is_video_url
from ocelli.domain.findings import Feature
from ocelli.domain.languages import language_named
from ocelli.domain.questions import MAX_PROMPT, Question, Role
from ocelli.media.urls import checked_url
from ocelli.usecases.fetch_jobs import Source

if TYPE_CHECKING:
    from ocelli.api.fetch.request_body import Received, Values
    from ocelli.domain.pricing import PricingPlan, Roster

MAX_NAME = 1_000
LONGEST_NUMBER = 100  # characters


@dataclass(frozen=True, slots=True)
class Order:
    """A validated request. ``waits``: the client waits for the answer."""

    parameters: FetchRequest
    question: Question
    plan: PricingPlan
    sources: tuple[Source, ...]
    waits: bool


def order(received: Received, roster: Roster) -> Order:
    """Raises MalformedRequest, TooLarge."""
    values = received.values
    urls = _texts(values, "url")
    files = _texts(values, "file")
    if not urls and not files:
        raise MalformedRequest("File/URL params are required.", field="url")
    if len(urls) + len(files) > MAX_SOURCES:
        raise MalformedRequest(f"More than {MAX_SOURCES} files and URLs.", field="url")
    parameters = FetchRequest(
        urls=tuple(urls),
        files=len(files),
        file_names=tuple(_file_names(values)),
        features=tuple(_named(values, "feature", [each.value for each in Feature])),
        backends=tuple(_backends(values, roster)),
        role=_role(values),
        tag_score=_tag_score(values),
        capture_interval=_whole(values, "capture_interval", 0),
        max_frames=_whole(values, "max_frames", 3),
    )
    prompt = (_text(values, "prompt") or "").strip() or None
    if prompt is not None and len(prompt) > MAX_PROMPT:
        raise MalformedRequest(f"`prompt` is longer than {MAX_PROMPT} characters.", field="prompt")
    features = frozenset(Feature(each) for each in parameters.features) or frozenset(Feature)
    plan = roster.plan(parameters.backends, features, prompt)
    question = Question(
        features=frozenset(each for share in plan.shares for each in share.features),
        role=Role(parameters.role),
        language=language_named(_text(values, "language") or "English"),
        prompt=prompt,
        backends=tuple(share.backend for share in plan.shares),
    )
    sources = (*_linked(urls), *_files(received, files, parameters.file_names))
    one = isinstance(values.get("url"), str) and len(sources) == 1 and bool(urls)
    return Order(parameters, question, plan, sources, one and not is_video_url(urls[0]))


def _linked(urls: list[str]) -> list[Source]:
    try:
        for url in urls:
            checked_url(url)
    except InvalidUrl:
        raise MalformedRequest("Invalid URLs detected.", field="url") from None
    return [Source(url, url=url) for url in urls]


def _files(received: Received, texts: list[str], names: tuple[str, ...]) -> list[Source]:
    sources = []
    for number, text in enumerate(texts):
        file = received.file(text)
        if isinstance(file.error, TooLarge):
            raise TooLarge("File too large. Max 20MB.")
        name = (names[number] if number < len(names) else "") or f"file-{number + 1}"
        sources.append(Source(name, file=file.staged, error=file.error))
    return sources


def _all(values: Values, name: str) -> list[Any]:
    """Return the values under the plain name and the one with brackets, single or in lists."""
    found: list[Any] = []
    for key in (name, f"{name}[]"):
        value = values.get(key)
        found += value if isinstance(value, list) else [value]
    try:
        "".join(each for each in found if isinstance(each, str)).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which nothing can store
        raise unreadable_body() from None
    return [each for each in found if each is not None]


def _texts(values: Values, name: str) -> list[str]:
    found = _all(values, name)
    if not all(isinstance(each, str) for each in found):
        raise unreadable_body()
    return [each for each in found if each.strip()]


def _text(values: Values, name: str) -> str | None:
    found = _texts(values, name)
    return found[-1] if found else None


def _file_names(values: Values) -> list[str]:
    """Return the file names, by position: an empty one keeps its place."""
    found = _all(values, "file_name")
    if not all(isinstance(each, str) and len(each) <= MAX_NAME for each in found):
        raise MalformedRequest("`file_name` must be a short text.", field="file_name")
    return [] if found == [""] else [each.replace("\0", "") for each in found]


def _named(values: Values, name: str, known: list[str]) -> list[str]:
    found = [each.strip().lower() for each in _texts(values, name)]
    for each in found:
        if each not in known:
            raise MalformedRequest(f"Unknown {name}: {each[:100]}.", field=name)
    return list(dict.fromkeys(found))


def _backends(values: Values, roster: Roster) -> list[str]:
    found = [each.strip() for each in _texts(values, "backend")]
    found = [each if each in roster.names else each.lower() for each in found]
    for each in found:
        if not roster.knows(each):
            raise MalformedRequest(f"Unknown backend: {each[:100]}.", field="backend")
    return list(dict.fromkeys(found))


def _role(values: Values) -> str:
    found = _named(values, "role", [each.value for each in Role])
    return found[-1] if found else Role.GENERAL.value


def _tag_score(values: Values) -> float:
    score = _number(values, "tag_score")
    if score is None:
        return FetchRequest().tag_score
    if not 0 <= score <= 1:
        raise MalformedRequest("`tag_score` must be a number from 0 to 1.", field="tag_score")
    return score


def _whole(values: Values, name: str, default: int) -> int:
    number = _number(values, name)
    if number is None:
        return default
    if number != int(number) or not 0 <= number < 2**31:
        raise MalformedRequest(f"`{name}` must be a whole number, not negative.", field=name)
    return int(number)


def _number(values: Values, name: str) -> float | None:
    found = [each for each in _all(values, name) if each != ""]
    if not found:
        return None
    try:
        is_none = isinstance(found[-1], bool) or (
            isinstance(found[-1], str) and len(found[-1]) > LONGEST_NUMBER
        )
        number = math.nan if is_none else float(found[-1])
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise MalformedRequest(f"`{name}` must be a number.", field=name)
    return number
