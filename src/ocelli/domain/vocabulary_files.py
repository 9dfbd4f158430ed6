"""Files that vocabularies come in: text, CSV, keyword lists of Lightroom, tags of digiKam, Immich.

The first thing that breaks a limit ends the reading.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from ocelli.domain.errors import ValidationFailed
from ocelli.domain.vocabulary import (
    MAX_NAME,
    SEPARATOR,
    Synonym,
    Term,
    Terms,
    clean,
    collected,
    name_key,
    path_of,
    synonyms_of,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MAX_CHARACTERS = 8_000_000
MAX_LINES = 100_000
_MAX_NESTING = 100  # of XML
_TOO_MANY = f"it has more than {MAX_LINES:,} tags"
_LANGUAGE = re.compile(r"(?P<text>.+)@(?P<language>[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)")
_SYNONYM_COLUMN = re.compile(r"synonyms?(?:[:_](?P<language>[a-z]{2,3}(?:-[a-z0-9]{2,8})*))?")
_PATH_COLUMNS = ("path", "value")
_NAME_COLUMNS = ("name", "term", "tag", "keyword")
_PARENT_COLUMNS = ("parent", "parentid", "parent_id", "pid")
_NO_PARENT = ("", "0", "-1")
_INTERNAL = "_digikam_"  # digiKam's own marks, such as "_Digikam_Internal_Tags_"
_PATH_LISTS = ("digiKam:TagsList", "lr:hierarchicalSubject", "MicrosoftPhoto:LastKeywordXMP")


class VocabularyFormat(StrEnum):
    """How a vocabulary is written; ``AUTO`` is told by the first lines."""

    AUTO = "auto"
    TEXT = "text"
    CSV = "csv"
    LIGHTROOM = "lightroom"
    JSON = "json"
    XMP = "xmp"


def read(content: str, format: VocabularyFormat = VocabularyFormat.AUTO) -> Terms:
    """Return the terms of a file. Raises ValidationFailed, which says what is wrong where."""
    content = content.removeprefix("\ufeff")
    if len(content) > MAX_CHARACTERS:
        raise _unreadable(f"it has more than {MAX_CHARACTERS:,} characters")
    if content.count("\n") + content.count("\r") - content.count("\r\n") >= MAX_LINES + 1:
        raise _unreadable(f"it has more than {MAX_LINES:,} lines")
    if format is VocabularyFormat.AUTO:
        format = format_of(content)
    unit = "Entry" if format is VocabularyFormat.JSON else "Line"
    return collected(_READERS[format](content), unit)


def format_of(content: str) -> VocabularyFormat:
    """Return the format that the content looks like; text if like no other."""
    start = content[:64_000].lstrip("\r\n")
    if start.lstrip().startswith("<"):
        return VocabularyFormat.XMP
    if re.match(r"\s*(\[\s*[\]{]|\{\s*\")", start):
        return VocabularyFormat.JSON
    lines = start.splitlines()
    has_paths = any(each in start for each in "/|=")
    if any(
        line.startswith("\t") or (re.fullmatch(r"\[.*\]", line) and not has_paths) for line in lines
    ):
        return VocabularyFormat.LIGHTROOM
    header = [_column(each) for each in re.split(r"[,;\t]", lines[0])] if lines else []
    if len(header) > 1 and {*_PATH_COLUMNS, *_NAME_COLUMNS} & set(header):
        return VocabularyFormat.CSV
    return VocabularyFormat.TEXT


def _text(content: str) -> Iterator[tuple[int, Term]]:
    """A path in each line; behind "=" synonyms, separated by ";", each with "@de" or without."""
    for number, line in enumerate(_lines(content), 1):
        if not line.strip() or line.startswith("# "):
            continue
        path, _, synonyms = line.partition("=")
        yield number, Term(_path(path), _with_languages(synonyms.split(";")))


def _lightroom(content: str) -> Iterator[tuple[int, Term]]:
    """A keyword in each line, tabs for its level, synonyms in braces, groups in brackets."""
    above: list[str] = []
    open_term: tuple[int, Term] | None = None  # may have synonyms in the next lines
    for number, line in enumerate(_lines(content), 1):
        level = len(line) - len(line.lstrip("\t"))
        keyword = clean(line)
        if not keyword:
            continue
        if keyword.startswith("{") and keyword.endswith("}"):
            if open_term is None or level != len(open_term[1].path):
                raise wrong(number, "a synonym is not one tab below the keyword before it")
            at, term = open_term
            open_term = at, replace(term, synonyms=(*term.synonyms, *synonyms_of([keyword[1:-1]])))
            continue
        if level > len(above):
            raise wrong(number, "it is indented deeper than one tab below the line before")
        if open_term is not None:
            yield open_term
        keyword, selectable = _exported(keyword)
        path = path_of([keyword])
        if not path:
            raise wrong(number, "a keyword has no name")
        above[level:] = path
        open_term = number, Term(tuple(above), selectable=selectable)
    if open_term is not None:
        yield open_term


def _exported(keyword: str) -> tuple[str, bool]:
    """Return the keyword without its mark, and whether it is exported with pictures."""
    if keyword.startswith("[") and keyword.endswith("]"):
        return keyword[1:-1], False
    unmarked = re.sub(r"\s*\[no export\]$", "", keyword, flags=re.IGNORECASE)
    return unmarked, unmarked == keyword


def _csv(content: str) -> Iterator[tuple[int, Term]]:
    first = content.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    rows: list[tuple[int, dict[str, Any]]] = []
    try:
        header = [_column(each) for each in next(reader, [])]
        if not {*_PATH_COLUMNS, *_NAME_COLUMNS} & set(header):
            raise wrong(1, "no column is called path or name")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                row = {k: v for k, v in zip(header, cells, strict=False) if v.strip()}
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise wrong(reader.line_num, str(error)) from None
    yield from _records(rows)


def _json(content: str) -> Iterator[tuple[int, Term]]:
    """A list of objects, or an object with such a list as ``terms`` or ``tags``."""
    if content.count("{") > 2 * MAX_LINES:  # of tags and their synonyms
        raise _unreadable(_TOO_MANY)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"it is not JSON: {str(error)[:200]}") from None
    if isinstance(value, dict):
        value = value.get("terms", value.get("tags"))
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _unreadable("it is not a list of tags")
    rows = [(n, {k.casefold(): v for k, v in each.items()}) for n, each in enumerate(value, 1)]
    yield from _records(rows, "Entry")


def _xmp(content: str) -> Iterator[tuple[int, Term]]:
    """The paths that digiKam and Lightroom write into a picture's XMP."""
    found: list[tuple[int, str]] = []
    text: list[str] = []
    depth = lists = 0  # elements, and lists of paths among them, that are open

    def start(name: str, _: object) -> None:
        nonlocal depth, lists
        depth += 1
        if depth > _MAX_NESTING:
            raise _unreadable("its elements are nested too deep")
        lists += name in _PATH_LISTS
        text.clear()

    def end(name: str) -> None:
        nonlocal depth, lists
        depth -= 1
        lists -= name in _PATH_LISTS
        if name == "rdf:li" and lists:
            found.append((parser.CurrentLineNumber, "".join(text)))
            if len(found) > MAX_LINES:
                raise _unreadable(_TOO_MANY)
        text.clear()

    def doctype(*_: object) -> None:
        raise _unreadable("it declares a document type")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text.append, doctype
    try:
        parser.Parse(content.encode("utf-8", "replace"), True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise _unreadable(f"it is not XMP: {error}") from None
    yield from ((line, Term(path)) for line, each in found if (path := _path(each)) and _own(path))


def _records(
    rows: Sequence[tuple[int, Mapping[str, Any]]], unit: str = "Line"
) -> Iterator[tuple[int, Term]]:
    """Rows with whole paths, or with names and the id (or name) of the row above."""
    by_id = {name_key(cell): row for _, row in rows if (cell := _cell(row, ("id",)))}
    by_name = {name_key(cell): row for _, row in rows if (cell := _cell(row, _NAME_COLUMNS))}
    for line, row in rows:
        path = _row_path(row, by_id or by_name, partial(wrong, line, unit=unit))
        if _own(path):
            description = clean(_scalar(row.get("description"))) or None
            language = clean(_scalar(row.get("language"))) or None
            selectable = _scalar(row.get("selectable")).casefold() not in ("false", "no", "0")
            yield line, Term(path, _row_synonyms(row), description, language, selectable)


def _row_path(
    row: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    wrong_here: Callable[[str], ValidationFailed],
) -> tuple[str, ...]:
    whole = next((row[each] for each in _PATH_COLUMNS if row.get(each)), None)
    if whole is not None:
        return path_of(map(_scalar, whole)) if isinstance(whole, list) else _path(_scalar(whole))
    names: list[str] = []
    seen: set[int] = set()
    at: Mapping[str, Any] | None = row
    while at is not None:
        if id(at) in seen:
            raise wrong_here(f"a tag is above itself: {' ← '.join(names[:8])}")
        seen.add(id(at))
        names.append(_cell(at, _NAME_COLUMNS)[:MAX_NAME])
        parent = _cell(at, _PARENT_COLUMNS)
        at = rows.get(name_key(parent))
        if at is None and parent not in _NO_PARENT:
            raise wrong_here(f"{names[-1]} is below {parent[:MAX_NAME]}, which is not there")
    return path_of(reversed(names))


def _row_synonyms(row: Mapping[str, Any]) -> tuple[Synonym, ...]:
    found: list[Synonym] = []
    for column, value in row.items():
        if not (match := _SYNONYM_COLUMN.fullmatch(column)) or not value:
            continue
        for each in value if isinstance(value, list) else re.split(r"[;|]", _scalar(value)):
            if isinstance(each, dict):
                language = clean(_scalar(each.get("language"))) or None
                found += synonyms_of([_scalar(each.get("text"))], language)
            elif match["language"]:
                found += synonyms_of([_scalar(each)], match["language"])
            else:
                found += _with_languages([_scalar(each)])
    return tuple(found)


def _with_languages(texts: Iterable[str]) -> tuple[Synonym, ...]:
    """Return the synonyms; "Hund@de" is one of a language."""
    found: list[Synonym] = []
    for text in texts:
        match = _LANGUAGE.fullmatch(text.strip())
        language = match["language"].lower() if match else None
        found += synonyms_of([match["text"] if match else text], language)
    return tuple(found)


def _path(text: str) -> tuple[str, ...]:
    """Return the path; "|" separates its levels where there is one, else "/"."""
    return path_of(text.split("|" if "|" in text else SEPARATOR))


def _own(path: tuple[str, ...]) -> bool:
    return not any(each.casefold().startswith(_INTERNAL) for each in path)


def _cell(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    return next((text for each in columns if (text := _scalar(row.get(each)).strip())), "")


def _scalar(value: object) -> str:
    """Return a value of JSON or CSV as text; empty for lists and objects."""
    return str(value) if isinstance(value, str | int | float | bool) else ""


def _column(name: str) -> str:
    return name.strip().strip('"').casefold()


def _lines(content: str) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in io.StringIO(content, newline=None))


def _unreadable(issue: str) -> ValidationFailed:
    return ValidationFailed(f"The file cannot be read: {issue}.", field="content", issue=issue)


_READERS = {
    VocabularyFormat.TEXT: _text,
    VocabularyFormat.CSV: _csv,
    VocabularyFormat.LIGHTROOM: _lightroom,
    VocabularyFormat.JSON: _json,
    VocabularyFormat.XMP: _xmp,
}
