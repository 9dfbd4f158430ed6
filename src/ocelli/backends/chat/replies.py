"""From what a model said to what we can use, whatever it made of the form it was asked for.

JSON in a code fence, with remarks around it, cut off in the middle, or none at all: then the
sentences are the claims. Nothing here raises.

A picture can show JSON of its own, and a model can copy it. So the answer is the object that
repeats the request's nonce, which no picture knows; and one that says two things at once is none
(see docs/decisions/0024).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import json_repair

from ocelli.domain.choosing import Mode
from ocelli.domain.claims import Claim, ClaimType, Ruling
from ocelli.domain.sentences import claims_from_text, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocelli.domain.tagging import TagVocabulary

MOST_CLAIMS, MOST_TAGS, MOST_LINES = 60, 30, 200
# Beyond these it is noise; a repair of 60,000 opening braces takes nine seconds.
LONGEST_ANSWER, LONGEST_REPAIR, MOST_BRACKETS, MOST_STARTS = 100_000, 50_000, 2_000, 100
LONGEST_DESCRIPTION = 20_000
LONGEST_CLAIM, LONGEST_REASON, LONGEST_TAG = 500, 300, 60


def _nullable(type_: str) -> dict[str, Any]:
    return {"type": [type_, "null"]}


def _object(**properties: Any) -> dict[str, Any]:
    """Return a schema for strict structured output: all fields required, no others allowed."""
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
    ruling={
        "type": "string",
        "enum": [word.value for word in Ruling if word is not Ruling.UNKNOWN],
    },
    reason=_TEXT,
)
DESCRIPTION_SCHEMA = _object(
    nonce=_TEXT,
    description=_TEXT,
    visible_text=_TEXTS,
    tags=_TEXTS,
    brands=_TEXTS,
    nsfw={"type": "number"},
    claims={"type": "array", "items": _CLAIM},
)


def description_schema(vocabulary: TagVocabulary | None) -> dict[str, Any]:
    """Return the schema of a description; its tags are terms of the vocabulary, if any are given.

    In the mode ``prefer`` it has ``new_tags`` beside them.
    """
    if vocabulary is None or not vocabulary.terms:
        return DESCRIPTION_SCHEMA
    fields = {**DESCRIPTION_SCHEMA["properties"], "tags": _terms(vocabulary.terms)}
    return _object(**fields, **({"new_tags": _TEXTS} if vocabulary.mode is Mode.PREFER else {}))


def tags_schema(terms: Sequence[str]) -> dict[str, Any]:
    """Return the schema of an answer that only chooses terms."""
    return _object(nonce=_TEXT, tags=_terms(terms))


def _terms(terms: Sequence[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": list(terms)}}


def offers_terms(schema: Mapping[str, Any]) -> bool:
    """Whether the schema holds tags to terms: some servers refuse long lists."""
    return "enum" in schema["properties"].get("tags", {}).get("items", {})


VERDICTS_SCHEMA = _object(nonce=_TEXT, verdicts={"type": "array", "items": _VERDICT}, revised=_TEXT)


@dataclass(frozen=True, slots=True)
class ParsedDescription:
    """What a describing model said. ``nsfw`` is None where it said nothing of it."""

    description: str
    visible_text: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    nsfw: float | None = None
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedVerdicts:
    """Per claim what a checking model said; UNSEEN where it said nothing."""

    rulings: tuple[tuple[Ruling, str], ...]
    revised: str | None = None


def described(
    text: str, nonce: str, *, is_cut: bool = False, offered: bool = False
) -> ParsedDescription | None:
    """Parse the answer to a request for a description; None if it is empty or not trusted.

    ``is_cut``: the model ran into its limit, so what comes last is not whole and is left out.
    ``offered``: the tags are terms of a list, as they are written there, and perhaps new ones.
    """
    text = text[:LONGEST_ANSWER]
    if not _has_json(text):
        return _from_prose(text, is_cut=is_cut)
    found = answer(text, nonce)
    if found is None or not _string(found.value.get("description")):
        return None
    value = found.value
    description = _string(value["description"])[:LONGEST_DESCRIPTION]
    items = _items(value.get("claims"))
    if is_cut and not found.is_whole:
        if items:
            items = items[:-1]
        elif list(value) == ["nonce", "description"]:
            description = _without_rest(description)
    count = len(sentences(description))
    claims = tuple(claim for item in items[:MOST_CLAIMS] if (claim := _claim(item, count)))
    return ParsedDescription(
        description=description,
        visible_text=_strings(value.get("visible_text"), MOST_LINES, None),
        tags=_tags(value, offered=offered),
        brands=_unique(_strings(value.get("brands"), MOST_TAGS, LONGEST_TAG)),
        nsfw=_fraction(value.get("nsfw")),
        claims=claims or claims_from_text(description)[:MOST_CLAIMS],
    )


def chosen(text: str, nonce: str) -> tuple[str, ...] | None:
    """Parse the answer to a request for terms of a list; None if there is none to be trusted."""
    found = answer(text[:LONGEST_ANSWER], nonce)
    if found is None or not isinstance(found.value.get("tags"), list | str):
        return None
    return _tags(found.value, offered=True)


def _tags(value: Mapping[str, Any], *, offered: bool) -> tuple[str, ...]:
    field = "new_tags" if offered else "tags"
    generated = (tag.lower() for tag in _strings(value.get(field), MOST_TAGS, LONGEST_TAG))
    terms = _strings(value.get("tags"), MOST_TAGS, None) if offered else ()
    return _unique((*terms, *generated))


def judged(text: str, nonce: str, claims: Sequence[Claim]) -> ParsedVerdicts | None:
    """Parse the answer to a request for verdicts; None if there is none that can be trusted."""
    found = answer(text[:LONGEST_ANSWER], nonce)
    if found is None:
        return None
    said: dict[int, tuple[Ruling, str]] = {}
    for place, item in enumerate(_items(found.value.get("verdicts"))):
        number = item.get("claim") if isinstance(item, dict) else None
        position = number - 1 if isinstance(number, int) else place
        ruling = _ruling(item.get("ruling")) if isinstance(item, dict) else None
        if ruling is None or not 0 <= position < len(claims):
            continue
        if position in said and said[position][0] is not ruling:
            return None
        said[position] = ruling, _string(item.get("reason"))[:LONGEST_REASON]
    if not said and claims:
        return None
    unseen = Ruling.UNSEEN, "The model said nothing of it."
    revised = _string(found.value.get("revised")) if found.is_whole else ""
    return ParsedVerdicts(tuple(said.get(at, unseen) for at in range(len(claims))), revised or None)


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """The object that a model answered with. ``is_whole``: as it was written, without repair."""

    value: dict[str, Any]
    is_whole: bool


def answer(text: str, nonce: str) -> ParsedAnswer | None:
    """Return the JSON object in ``text`` that repeats ``nonce``, repaired if possible.

    None if there is none, if there are several that disagree, or if its text has a key that the
    object has not: a quotation that broke out of its string.
    """
    values = [value for value in _objects(text) if value.get("nonce") == nonce]
    if values:
        return ParsedAnswer(values[-1], True) if all(each == values[0] for each in values) else None
    begins = list(re.finditer(rf"\{{\s*[\"']nonce[\"']\s*:\s*[\"']{nonce}[\"']", text))
    if not begins:
        return None
    rest = text[begins[-1].start() :]
    value = _repaired(rest)
    if isinstance(value, list):  # it took remarks for more values
        value = value[0] if value else None
    if not isinstance(value, dict) or len(_KEY.findall(rest)) != _count_keys(value):
        return None
    return ParsedAnswer(value, False)


_KEY = re.compile(r"""(["'])\w+\1\s*:""")


def _has_json(text: str) -> bool:
    return text.lstrip().startswith("{") or ("{" in text and _KEY.search(text) is not None)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost complete JSON objects without duplicate keys."""
    at, failed = text.find("{"), 0
    while at >= 0 and failed < MOST_STARTS:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            failed += 1
            at = text.find("{", at + 1)
        else:
            yield value
            at = text.find("{", end)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands there twice")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_without_doubles, strict=False)


def _count_keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_count_keys(each) for each in value.values())
    return sum(_count_keys(each) for each in value) if isinstance(value, list) else 0


def _from_prose(text: str, *, is_cut: bool) -> ParsedDescription | None:
    """No JSON: then the words themselves are the description."""
    words = _string(re.sub(r"```\w*", "", text))[:LONGEST_DESCRIPTION]
    if is_cut:
        words = _without_rest(words)
    return ParsedDescription(words, claims=claims_from_text(words)[:MOST_CLAIMS]) if words else None


def _without_rest(words: str) -> str:
    """Return the text without an unfinished last sentence; all of it if there is no other."""
    parts = sentences(words)
    whole = parts if not parts or parts[-1].endswith((".", "!", "?", "。")) else parts[:-1]
    return " ".join(whole) or words


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
        return _RULINGS.get(word) or Ruling(word)
    except ValueError:
        return None


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and line ends


def _string(value: Any) -> str:
    """Return the text without control characters and lone surrogates."""
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
