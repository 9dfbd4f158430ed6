"""Findings as JSON: all of them, or those that a client's schema asks for by name.

A property is filled if its name says what is meant (``description``, ``tags``, ``objects``,
``text``, ``colors``, ``count``, ``people_count``, ``has_text``, ...). One that is not understood
becomes null where the schema allows null, is left out where it is not required, and is an error
otherwise: we invent nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from ocelli.domain import grammar
from ocelli.domain.chat_errors import InvalidSchema, UnsupportedParameter
from ocelli.domain.findings import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ocelli.backends.local.conversation.facts import PictureFacts
    from ocelli.domain.findings import Findings

MAX_DEPTH = 30
MAX_VISITS = 20_000
PERSON = "person"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FILLER = frozenset(
    "the a an of in is are visible detected image images picture pictures photo photos "  # noqa: SIM905
    "list all main".split()
)
_SPELLINGS = {"colour": "color"}


def everything(answer: str, pictures: Sequence[PictureFacts]) -> dict[str, Any]:
    """One object with the answer and all findings; of several pictures a list."""
    value: dict[str, Any] = {"answer": answer}
    if len(pictures) == 1:
        value |= _whole(pictures[0].findings)
    elif pictures:
        value["images"] = [_whole(picture.findings) for picture in pictures]
    return value


def fill(schema: Mapping[str, Any], answer: str, pictures: Sequence[PictureFacts]) -> Any:
    """A value for ``schema``. Raises UnsupportedParameter naming what cannot be known."""
    filler = _Filler(schema, answer)
    try:
        value = filler.value(schema, "", [picture.findings for picture in pictures], 0)
    except _Unknown:
        value, filler.unknown = None, ["the whole answer"]
    if filler.unknown:
        names = ", ".join(filler.unknown[:5])
        raise UnsupportedParameter(
            "'response_format' of type 'json_schema' is not supported with this model for this "
            f"schema: nothing that was found says what to write for {names}. Known are "
            "description, answer, tags, objects, text, colors, faces, people, count, scene, "
            "safe, nsfw, confidence and has_<object>; what may be null or is not required is "
            "left open.",
            param="response_format",
        )
    return value


class _Unknown(Exception):
    """Nothing that was found says what to write here."""


class _Filler:
    def __init__(self, root: Mapping[str, Any], answer: str) -> None:
        self._root = root
        self._answer = answer
        self.unknown: list[str] = []
        self._left = MAX_VISITS

    def value(
        self, schema: Mapping[str, Any] | bool, name: str, found: Sequence[Findings], depth: int
    ) -> Any:
        """For the property ``name``; raises _Unknown only below the root."""
        self._left -= 1
        self._check(depth)
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._one_of(schema[keyword], name, found, depth)
        if len(schema.get("allOf", ())) == 1:
            return self.value(schema["allOf"][0], name, found, depth + 1)
        types = schema.get("type")
        wanted = types if isinstance(types, list) else [types]
        if "enum" in schema:
            return self._choice(schema["enum"], found)
        if "object" in wanted or "properties" in schema:
            return self._object(schema, name, found, depth)
        try:
            return self._simple(wanted, schema, name, found, depth)
        except _Unknown:
            if "null" in wanted:
                return None
            raise

    def _check(self, depth: int) -> None:
        if depth > MAX_DEPTH or self._left < 0:
            raise InvalidSchema(
                "Invalid schema for response_format: it refers to itself too often.",
                param="response_format",
            )

    def _object(
        self, schema: Mapping[str, Any], name: str, found: Sequence[Findings], depth: int
    ) -> dict[str, Any]:
        required = schema.get("required", ())
        value = {}
        for key, inner in schema.get("properties", {}).items():
            try:
                value[key] = self.value(inner, key, found, depth + 1)
            except _Unknown:
                if key in required:
                    self.unknown.append(f"{name}.{key}" if name else key)
        return value

    def _simple(
        self,
        wanted: Sequence[str | None],
        schema: Mapping[str, Any],
        name: str,
        found: Sequence[Findings],
        depth: int,
    ) -> Any:
        words = _words(name)
        if "array" in wanted:
            return self._array(schema, words, found, depth)
        if "boolean" in wanted:
            return _truth(words, found)
        if "integer" in wanted or "number" in wanted:
            number = _number(words, found)
            return round(number) if "number" not in wanted else number
        if "string" in wanted:
            return _text(words, found, self._answer)
        if wanted == ["null"]:
            return None
        raise _Unknown

    def _array(
        self,
        schema: Mapping[str, Any],
        words: tuple[str, ...],
        found: Sequence[Findings],
        depth: int,
    ) -> list[Any]:
        item = self._resolved(schema.get("items", {}))
        if not words:  # "images", or an array at the root: one of each
            return [self.value(item, "image", [each], depth + 1) for each in found]
        try:
            records = _records(words, found)
        except _Unknown:
            return self._one_of_each(item, found, depth)
        most = schema.get("maxItems")
        if isinstance(most, int):
            records = records[:most]
        if "properties" in item:
            self._left -= len(records) * len(item["properties"])
            self._check(depth)
            return [_record(self._resolved, item, record) for record in records]
        if item.get("type", "string") == "string":
            names = [str(record["name"]) for record in records]
            return list(dict.fromkeys(names))
        raise _Unknown

    def _one_of_each(
        self, item: Mapping[str, Any], found: Sequence[Findings], depth: int
    ) -> list[Any]:
        """Objects of an unknown name, if all that they must have is known of a picture."""
        if "properties" not in item:
            raise _Unknown
        before = len(self.unknown)
        values = [self.value(item, "", [each], depth + 1) for each in found]
        if len(self.unknown) > before:
            del self.unknown[before:]
            raise _Unknown
        return values

    def _one_of(
        self, options: Sequence[Mapping[str, Any]], name: str, found: Sequence[Findings], depth: int
    ) -> Any:
        nullable = False
        for option in options:
            if self._resolved(option).get("type") == "null":
                nullable = True
                continue
            before = len(self.unknown)
            try:
                value = self.value(option, name, found, depth + 1)
            except _Unknown:
                continue
            if len(self.unknown) == before:
                return value
            del self.unknown[before:]
        if nullable:
            return None
        raise _Unknown

    def _choice(self, options: Sequence[Any], found: Sequence[Findings]) -> Any:
        """The option that names something that was found, best first."""
        known = [word for each in found for word in _names(each)]
        for word in known:
            for option in options:
                if isinstance(option, str) and option.lower().replace("_", " ") == word:
                    return option
        if None in options:
            return None
        raise _Unknown

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        for _ in range(MAX_DEPTH):
            if not isinstance(schema, dict):
                return {}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = self._at(reference)
        return {}

    def _at(self, reference: str) -> Any:
        node: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                key = step.replace("~1", "/").replace("~0", "~")
                node = node.get(key) if isinstance(node, dict) else None
        if node is None:
            raise InvalidSchema(
                f"Invalid schema for response_format: {reference} leads nowhere.",
                param="response_format",
            )
        return node


def _words(name: str) -> tuple[str, ...]:
    """What a property's name is about: ``numberOfPeople`` → number, person."""
    words = (word.lower() for word in _WORD.findall(name))
    ones = (grammar.singular(word) for word in words if word not in _FILLER)
    return tuple(_SPELLINGS.get(one, one) for one in ones)


def _noun(words: Iterable[str]) -> str:
    """The noun that findings use for what these words name."""
    return grammar.canonical(" ".join(words))


def _counts(found: Sequence[Findings]) -> Counter[str]:
    return Counter(thing.name for each in found for thing in each.objects)


def _faces(found: Sequence[Findings]) -> int:
    return sum(len(each.faces) for each in found)


def _people(found: Sequence[Findings]) -> int:
    return sum(max(_counts([each])[PERSON], len(each.faces)) for each in found)


def _nsfw(found: Sequence[Findings]) -> float:
    scores = [each.safety.nsfw for each in found if each.safety is not None]
    if not scores:
        raise _Unknown
    return round(max(scores), 4)


def _truth(words: tuple[str, ...], found: Sequence[Findings]) -> bool:
    subject = [word for word in words if word not in ("has", "have", "contain", "there", "any")]
    match subject:
        case ["text"] | ["word"] | ["writing"]:
            return any(each.texts for each in found)
        case ["person"] | ["human"]:
            return _people(found) > 0
        case ["face"]:
            return _faces(found) > 0
        case ["safe"] | ["safe", "for", "work"] | ["sfw"]:
            return _nsfw(found) < UNSAFE
        case ["nsfw"] | ["unsafe"] | ["explicit"] | ["adult"]:
            return _nsfw(found) >= UNSAFE
        case _ if len(subject) < len(words) and _counts(found)[_noun(subject)]:
            return True
        case _:
            raise _Unknown  # what no detector knows is neither there nor not there


def _number(words: tuple[str, ...], found: Sequence[Findings]) -> float:
    subject = [word for word in words if word not in ("number", "num", "count", "total", "how")]
    subject = [word for word in subject if word != "many"]
    match subject:
        case ["confidence"] | ["score"] | ["certainty"] if found:
            known = [each.confidence for each in found if each.confidence is not None]
            if not known:
                raise _Unknown
            return round(min(known), 4)
        case ["nsfw"] | ["nsfw", "score"] | ["unsafe"]:
            return _nsfw(found)
        case ["person"] | ["human"]:
            return _people(found)
        case ["face"]:
            return _faces(found)
        case ["object"] | ["thing"] | ["item"]:
            return _counts(found).total()
        case [] if words:
            return _counts(found).total()
        case _ if _counts(found)[_noun(subject)]:
            return _counts(found)[_noun(subject)]
        case _:
            raise _Unknown


def _text(words: tuple[str, ...], found: Sequence[Findings], answer: str) -> str:
    match words[-1:]:
        case ("description" | "caption" | "summary" | "alt",) | ("text",) if words[
            -1
        ] != "text" or words[:1] == ("alt",):
            return " ".join(each.description or "" for each in found).strip() or answer
        case ("answer" | "response" | "reply" | "result" | "message" | "output" | "content",):
            return answer
        case ("text" | "ocr" | "transcription" | "word" | "writing",):
            return "\n".join(each.visible_text or "" for each in found).strip()
        case ("title" | "headline",) if found:
            sentence = (found[0].description or "").partition(". ")[0]
            return sentence.rstrip(".") or answer
        case ("color",):
            return _first([color.name for each in found for color in each.colors])
        case ("scene" | "setting" | "place",):
            return _first([scene.name for each in found for scene in each.scenes])
        case ("object" | "subject",):
            return _first([thing.name for each in found for thing in each.objects])
        case ("tag" | "keyword" | "label",):
            return ", ".join(tag.name for each in found for tag in each.tags)
        case _:
            raise _Unknown


def _records(words: tuple[str, ...], found: Sequence[Findings]) -> list[dict[str, Any]]:
    match words[-1:]:
        case ("object" | "item" | "thing" | "detection" | "entity",):
            return [record for each in found for record in _objects(each)]
        case ("tag" | "keyword" | "label" | "category",):
            return [
                {"name": tag.name, "score": round(tag.score, 4)}
                for each in found
                for tag in each.tags
            ]
        case ("color" | "palette",):
            return [record for each in found for record in _colors(each)]
        case ("text" | "line" | "word" | "ocr",):
            return [
                {"name": line.text, "text": line.text, "score": round(line.score, 4)}
                for each in found
                for line in each.texts
            ]
        case ("scene" | "setting",):
            return [
                {"name": scene.name, "score": round(scene.score, 4)}
                for each in found
                for scene in each.scenes
            ]
        case _:
            raise _Unknown


_SAME = {
    "label": "name", "title": "name", "object": "name", "tag": "name", "type": "name",
    "class": "name", "value": "name", "color": "name", "confidence": "score", "number": "count",
    "quantity": "count", "total": "count", "percentage": "percent", "share": "fraction",
    "code": "hex", "content": "text", "line": "text",
}  # fmt: skip


def _record(
    resolved: Callable[[Any], Mapping[str, Any]], schema: Mapping[str, Any], record: dict[str, Any]
) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, inner in schema.get("properties", {}).items():
        words = _words(key) or ("",)
        known = next(
            (
                record[name]
                for word in (words[-1], words[0])
                for name in (word, _SAME.get(word, ""))
                if name in record
            ),
            None,
        )
        if known is not None:
            value[key] = known
        elif _takes_null(resolved(inner)):
            value[key] = None
        elif key in schema.get("required", ()):
            raise _Unknown
    return value


def _takes_null(schema: Mapping[str, Any]) -> bool:
    types = schema.get("type")
    if types == "null" or (isinstance(types, list) and "null" in types):
        return True
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return any(isinstance(each, dict) and _takes_null(each) for each in options)


def _names(found: Findings) -> list[str]:
    """Everything that has a name, most certain first."""
    everything = (found.objects, found.scenes, found.tags, found.colors)
    return [each.name.lower() for kind in everything for each in kind]


def _objects(found: Findings) -> list[dict[str, Any]]:
    """One of each name, with how many there are and how sure the best is."""
    best: dict[str, float] = {}
    for thing in found.objects:
        best[thing.name] = max(best.get(thing.name, 0.0), thing.score)
    counts = _counts([found])
    return [
        {"name": name, "count": counts[name], "score": round(score, 4)}
        for name, score in best.items()
    ]


def _colors(found: Findings) -> list[dict[str, Any]]:
    return [
        {
            "name": color.name,
            "hex": color.hex,
            "fraction": round(color.fraction, 4),
            "percent": round(100 * color.fraction, 1),
        }
        for color in found.colors
    ]


def _whole(found: Findings) -> dict[str, Any]:
    return {
        "description": found.description,
        "tags": [tag.name for tag in found.tags],
        "objects": _objects(found),
        "text": found.visible_text,
        "colors": _colors(found),
        "faces": len(found.faces),
        "scenes": [scene.name for scene in found.scenes],
        "nsfw": round(found.safety.nsfw, 4) if found.safety is not None else None,
        "confidence": found.confidence,
    }


def _first(names: Sequence[str]) -> str:
    if not names:
        raise _Unknown
    return names[0]
