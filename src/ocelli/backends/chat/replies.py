"""From what a model said to what we can use, whatever it made of the form it was asked for.

JSON in a code fence, with remarks around it, cut off in the middle, or none at all: then the
sentences are the claims. Nothing here raises.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import json_repair

from ocelli.domain.claims import Claim, ClaimType, Ruling
from ocelli.domain.sentences import claims_from_text, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_CLAIMS, MOST_TAGS, MOST_LINES = 60, 30, 200
# Beyond these it is noise; a repair of 60,000 opening braces takes nine seconds.
LONGEST_ANSWER, LONGEST_REPAIR, MOST_BRACKETS = 100_000, 50_000, 2_000
LONGEST_DESCRIPTION = 20_000
LONGEST_CLAIM, LONGEST_REASON, LONGEST_TAG = 500, 300, 60


def _nullable(type_: str) -> dict[str, Any]:
    return {"type": [type_, "null"]}


def _object(**properties: Any) -> dict[str, Any]:
    """As strict structured output wants it: everything required, nothing else allowed."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_TEXT, _TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
_CLAIM = _object(
    text=_TEXT,
    type={"type": "string", "enum": [type_.value for type_ in ClaimType]},
    subject=_nullable("string"),
    count=_nullable("integer"),
    value=_nullable("string"),
    sentence=_nullable("integer"),
)
_VERDICT = _object(
    claim={"type": "integer"},
    ruling={"type": "string", "enum": [ruling.value for ruling in Ruling]},
    reason=_TEXT,
)
DESCRIPTION_SCHEMA = _object(
    description=_TEXT,
    visible_text=_TEXTS,
    tags=_TEXTS,
    brands=_TEXTS,
    nsfw={"type": "number"},
    claims={"type": "array", "items": _CLAIM},
)
VERDICTS_SCHEMA = _object(verdicts={"type": "array", "items": _VERDICT}, revised=_TEXT)


@dataclass(frozen=True, slots=True)
class Described:
    """What a describing model said. ``nsfw`` is None where it said nothing of it."""

    description: str
    visible_text: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    nsfw: float | None = None
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """Per claim what a checking model said; UNSEEN where it said nothing."""

    rulings: tuple[tuple[Ruling, str], ...]
    revised: str | None = None


def described(text: str, *, is_cut: bool = False) -> Described:
    """The answer to a request for a description.

    ``is_cut``: the model ran into its limit, so what comes last is not whole and is left out.
    """
    text = text[:LONGEST_ANSWER]
    answer = json_object(text)
    if answer is None or not _string(answer.get("description")):
        return _from_prose(text, answer, is_cut=is_cut)
    whole = _is_whole(text)
    description = _string(answer["description"])[:LONGEST_DESCRIPTION]
    items = _items(answer.get("claims"))
    if is_cut and not whole:
        if items:
            items = items[:-1]
        elif list(answer) == ["description"]:
            description = _without_rest(description)
    count = len(sentences(description))
    claims = tuple(claim for item in items[:MOST_CLAIMS] if (claim := _claim(item, count)))
    return Described(
        description=description,
        visible_text=_strings(answer.get("visible_text"), MOST_LINES, None),
        tags=_unique(tag.lower() for tag in _strings(answer.get("tags"), MOST_TAGS, LONGEST_TAG)),
        brands=_unique(_strings(answer.get("brands"), MOST_TAGS, LONGEST_TAG)),
        nsfw=_fraction(answer.get("nsfw")),
        claims=claims or claims_from_text(description)[:MOST_CLAIMS],
    )


def judged(text: str, claims: Sequence[Claim]) -> Judged | None:
    """The answer to a request for verdicts; None if there is no verdict in it."""
    text = text[:LONGEST_ANSWER]
    answer = json_object(text)
    items = _items(answer.get("verdicts")) if answer else []
    items = items or _bare_verdicts(text)
    rulings: list[tuple[Ruling, str]] = [(Ruling.UNSEEN, "The model said nothing of it.")]
    rulings *= len(claims)
    found = False
    for place, item in enumerate(items):
        number = item.get("claim") if isinstance(item, dict) else None
        position = number - 1 if isinstance(number, int) else place
        ruling = _ruling(item.get("ruling")) if isinstance(item, dict) else None
        if ruling is not None and 0 <= position < len(claims):
            rulings[position] = ruling, _string(item.get("reason"))[:LONGEST_REASON]
            found = True
    if not found and claims:
        return None
    revised = _string(answer.get("revised")) if answer and _is_whole(text) else ""
    return Judged(tuple(rulings), revised or None)


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in ``text``, repaired as far as it can be; None if there is none."""
    start = text.find("{")
    if start < 0:
        return None
    for candidate in _candidates(text, start):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    value = _repaired(text[start:])
    if isinstance(value, list):  # it took remarks for more values
        value = next((each for each in value if isinstance(each, dict) and each), None)
    return value if isinstance(value, dict) and value else None


_FENCE = re.compile(r"```(?:json|JSON)?\s*\n?(.*?)```", re.DOTALL)


def _candidates(text: str, start: int) -> Iterator[str]:
    yield text
    yield from _FENCE.findall(text)
    yield text[start : text.rfind("}") + 1]


def _is_whole(text: str) -> bool:
    start = text.find("{")
    for candidate in _candidates(text, max(start, 0)):
        try:
            json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return True
    return False


def _from_prose(text: str, answer: Mapping[str, Any] | None, *, is_cut: bool) -> Described:
    """No JSON, or some without a description: then the words themselves are it."""
    words = text if answer is None else " ".join(_spoken(answer))
    words = _string(re.sub(r"```\w*", "", words))[:LONGEST_DESCRIPTION]
    if is_cut:
        words = _without_rest(words)
    return Described(words, claims=claims_from_text(words)[:MOST_CLAIMS])


def _spoken(answer: Mapping[str, Any]) -> Iterator[str]:
    """Strings of an object of somebody's own design that are long enough to be sentences."""
    for value in answer.values():
        if isinstance(value, str) and " " in value.strip():
            yield value.strip()
        elif isinstance(value, dict):
            yield from _spoken(value)


def _without_rest(words: str) -> str:
    """Without a last sentence that does not end; all of it if that is the only one."""
    parts = sentences(words)
    whole = parts if not parts or parts[-1].endswith((".", "!", "?", "。")) else parts[:-1]
    return " ".join(whole) or words


def _bare_verdicts(text: str) -> list[Any]:
    """A list without the object around it."""
    start, end = text.find("["), text.rfind("]")
    if start < 0 or end < start:
        return []
    return _items(_repaired(text[start : end + 1]))


def _repaired(text: str) -> Any:
    if len(text) > LONGEST_REPAIR or text.count("{") + text.count("[") > MOST_BRACKETS:
        return None
    try:
        return json_repair.loads(text)
    except (ValueError, RecursionError, IndexError):
        return None


def _claim(item: Any, sentence_count: int) -> Claim | None:
    if isinstance(item, str):
        item = {"text": item}
    if not isinstance(item, dict):
        return None
    text = _string(item.get("text"))[:LONGEST_CLAIM]
    if not text:
        return None
    try:
        type_ = ClaimType(_string(item.get("type")).lower())
    except ValueError:
        recovered = claims_from_text(text)
        type_ = recovered[0].type if len(recovered) == 1 else ClaimType.OTHER
    count, sentence = _integer(item.get("count")), _integer(item.get("sentence"))
    if type_ is ClaimType.COUNT and count is None:
        recovered = claims_from_text(text)
        count = recovered[0].count if len(recovered) == 1 else None
    return Claim(
        text=text,
        type=type_,
        subject=_string(item.get("subject")).lower()[:LONGEST_TAG] or None,
        count=count,
        value=_string(item.get("value"))[:LONGEST_CLAIM] or None,
        sentence=sentence if sentence is not None and sentence < sentence_count else None,
    )


_RULINGS = {
    "true": Ruling.SUPPORTED, "correct": Ruling.SUPPORTED, "yes": Ruling.SUPPORTED,
    "false": Ruling.CONTRADICTED, "incorrect": Ruling.CONTRADICTED, "no": Ruling.CONTRADICTED,
    "wrong": Ruling.CONTRADICTED, "refuted": Ruling.CONTRADICTED,
    "unknown": Ruling.UNSEEN, "unclear": Ruling.UNSEEN, "not visible": Ruling.UNSEEN,
}  # fmt: skip


def _ruling(value: Any) -> Ruling | None:
    if isinstance(value, bool):
        return Ruling.SUPPORTED if value else Ruling.CONTRADICTED
    word = _string(value).lower()
    try:
        return Ruling(word)
    except ValueError:
        return _RULINGS.get(word)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and line ends


def _string(value: Any) -> str:
    """Without control characters (no database takes NUL) and without half letters."""
    if not isinstance(value, str):
        return ""
    return _CONTROL.sub("", value).encode("utf-8", "replace").decode().strip()


def _strings(value: Any, most: int, longest: int | None) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.splitlines()
    texts = (_string(item)[:longest] for item in _items(value))
    return tuple(text for text in texts if text)[:most]


def _unique(values: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and re.fullmatch(r"\d{1,5}", value.strip()):
        value = int(value)
    return value if isinstance(value, int) and 0 <= value < 100_000 else None


def _fraction(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(max(float(value), 0.0), 1.0) if value == value else None
