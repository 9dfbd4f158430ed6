"""An XMP packet, read with the places of its parts, so that what is not changed stays as it was.

Sidecars are written by other programs and by hand: their bytes, elements and nesting are bounded,
and document types, with which entities would come, are refused.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_BYTES = 8 * 1024 * 1024
MAX_ELEMENTS = 200_000
MAX_NESTING = 100

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
_BETWEEN = "\x01"  # in no XML
_MARKS = frozenset({(XML, "lang"), (RDF, "parseType"), (RDF, "about"), (RDF, "ID")})
_TAG = re.compile(
    rb"<(?P<name>[^\s/>]+)(?P<attributes>(?:\s+[^\s=]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(?P<end>/?)>"
)
_ATTRIBUTE = re.compile(rb"\s+(?P<name>[^\s=]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_DECLARED = re.compile(rb"<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_ENCODINGS = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252"})  # as Python calls them


class NotXmp(ValueError):
    """The data is no XMP, or more of it than is read; says what is wrong."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute; its bytes, with the white space before it, are ``start`` to ``end``."""

    uri: str
    name: str
    value: str
    start: int
    end: int


@dataclass(slots=True)
class Element:
    """An element: its bytes are ``start`` to ``end``, its content ``inner_start`` to ``inner_end``.

    ``tag`` is its name as written. ``text`` is what it holds besides ``children``.
    """

    uri: str
    name: str
    tag: str
    start: int
    inner_start: int
    is_empty_tag: bool
    attributes: list[Attribute]
    inner_end: int = 0
    end: int = 0
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def child(self, uri: str, *names: str) -> Element | None:
        """Return the first child of one of these names."""
        found = (each for each in self.children if each.uri == uri and each.name in names)
        return next(found, None)

    def attribute(self, uri: str, name: str) -> str | None:
        """Return the value of an attribute."""
        found = (each.value for each in self.attributes if (each.uri, each.name) == (uri, name))
        return next(found, None)

    @property
    def said(self) -> str:
        """All that is said in it, as values with qualifiers are written: in parts, or attributes.

        Without languages and the marks of RDF, which say nothing by themselves.
        """
        values = (each.value for each in self.attributes if (each.uri, each.name) not in _MARKS)
        parts = (self.text, *values, *(each.said for each in self.children))
        return " ".join(stripped for part in parts if (stripped := part.strip()))

    def sibling_tag(self, name: str) -> str:
        """Return another name with the prefix that this element is written with."""
        prefix, colon, _ = self.tag.rpartition(":")
        return f"{prefix}{colon}{name}"


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes ``start`` to ``end`` are replaced by ``new``."""

    start: int
    end: int
    new: bytes = b""


class Packet:
    """A packet: its properties, and where they are. Raises NotXmp."""

    def __init__(self, data: bytes) -> None:
        self._bom, self._encoding, self._data = _decoded(data)
        root = _parsed(self._data)
        rdf = root if (root.uri, root.name) == (RDF, "RDF") else root.child(RDF, "RDF")
        if rdf is None:
            raise NotXmp("it holds no rdf:RDF")
        self.rdf = rdf

    @property
    def descriptions(self) -> list[Element]:
        """The elements that hold properties."""
        return [e for e in self.rdf.children if (e.uri, e.name) == (RDF, "Description")]

    def properties(self, uri: str) -> Iterator[Element | Attribute]:
        """Yield the properties of a namespace, elements and attributes."""
        for description in self.descriptions:
            yield from (each for each in description.children if each.uri == uri)
            yield from (each for each in description.attributes if each.uri == uri)

    def find(self, uri: str, name: str) -> Element | Attribute | None:
        """Return a property; None if there is none."""
        return next((each for each in self.properties(uri) if each.name == name), None)

    def texts(self, uri: str, name: str) -> list[str]:
        """Return what a property says: the entries of a list, or its text; without empty ones.

        What is written in a form that is not changed here is there all the same.
        """
        texts: list[str] = []
        for found in self.properties(uri):
            if found.name != name:
                continue
            if isinstance(found, Attribute):
                texts.append(found.value.strip())
            elif (container := listed(found)) is not None:
                texts += [each.said for each in container.children]
            else:
                texts.append(found.said)
        return [text for text in texts if text]

    def without(self, element: Element | Attribute) -> Edit:
        """Return the edit that removes a part, with the white space before it."""
        start = self._before(element.start) if isinstance(element, Element) else element.start
        return Edit(start, element.end)

    def with_text(self, element: Element, text: bytes) -> Edit:
        """Return the edit that replaces the content of an element."""
        if element.is_empty_tag:
            return self.appended(element, text)
        return Edit(element.inner_start, element.inner_end, text)

    def appended(self, element: Element, content: bytes) -> Edit:
        """Return the edit that puts content at the end of an element."""
        if not element.is_empty_tag:
            at = max(self._before(element.inner_end), element.inner_start)
            return Edit(at, at, content)
        close = f"</{element.tag}>".encode()
        slash = self._data.rindex(b"/", element.start, element.end)
        return Edit(slash, element.end, b">" + content + close)

    def indent(self, element: Element) -> bytes:
        """Return the white space before an element."""
        return self._data[self._before(element.start) : element.start]

    @property
    def indent_of_blocks(self) -> bytes:
        """The white space before elements that hold properties."""
        blocks = self.descriptions
        return (self.indent(blocks[-1]) if blocks else b"") or b"\n  "

    def _before(self, at: int) -> int:
        while self._data[at - 1 : at].isspace():
            at -= 1
        return at

    def edited(self, edits: Iterable[Edit]) -> bytes:
        """Return the packet with edits, in its own encoding. Raises NotXmp if they break it."""
        pieces, at = [], 0
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
            assert edit.start >= at, "edits overlap"
            pieces += [self._data[at : edit.start], edit.new]
            at = edit.end
        text = b"".join([*pieces, self._data[at:]])
        made = self._bom + text.decode().encode(self._encoding, "xmlcharrefreplace")
        Packet(made)
        return made


def listed(element: Element) -> Element | None:
    """Return the list that a property holds; None if it holds none."""
    return element.child(RDF, "Bag", "Seq", "Alt")


def entries(element: Element) -> list[Element]:
    """Return the entries of the list that a property holds; none of a list with other parts."""
    found = listed(element)
    is_plain = found is not None and all(each.name == "li" for each in found.children)
    return found.children if found is not None and is_plain else []


def _decoded(data: bytes) -> tuple[bytes, str, bytes]:
    """Return the mark before the text, the encoding of the text, and the text in UTF-8."""
    if len(data) > MAX_BYTES:
        raise NotXmp(f"it has more than {MAX_BYTES // 1024 // 1024} MB")
    bom, encoding = b"", "utf-8"
    marks = {
        codecs.BOM_UTF8: "utf-8",
        codecs.BOM_UTF16_LE: "utf-16-le",
        codecs.BOM_UTF16_BE: "utf-16-be",
    }
    for mark, name in marks.items():
        if data.startswith(mark):
            bom, encoding = mark, name
            break
    else:
        if declared := _DECLARED.match(data):
            encoding = _codec(declared[1].decode())
    try:
        return bom, encoding, data[len(bom) :].decode(encoding).encode()
    except UnicodeError:
        raise NotXmp(f"it is not {encoding.upper()}") from None


def _codec(declared: str) -> str:
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        name = ""
    if name not in _ENCODINGS:
        raise NotXmp(f"its encoding is not read: {declared[:40]}")
    return name


def _parsed(data: bytes) -> Element:
    reader = _Reader(data)
    try:
        return reader.read()
    except expat.ExpatError as error:
        raise NotXmp(f"it is not XML: {error}") from None


class _Reader:
    """Builds the elements of a document in UTF-8."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._count = 0
        self._root: Element | None = None
        parser = expat.ParserCreate("utf-8", _BETWEEN)
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        self._parser = parser

    def read(self) -> Element:
        self._parser.Parse(self._data, True)
        assert self._root is not None, "expat accepts no document without an element"
        return self._root

    def _start(self, name: str, values: list[str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise NotXmp(f"it has more than {MAX_ELEMENTS:,} elements")
        if len(self._open) >= MAX_NESTING:
            raise NotXmp("its elements are nested too deep")
        at = self._parser.CurrentByteIndex
        tag = _TAG.match(self._data, at)
        assert tag is not None, "expat found a tag here"
        element = Element(
            *_name(name),
            tag["name"].decode(),
            at,
            tag.end(),
            bool(tag["end"]),
            list(self._attributes(tag, values)),
        )
        if self._open:
            self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _attributes(self, tag: re.Match[bytes], values: list[str]) -> Iterator[Attribute]:
        pairs = zip(values[::2], values[1::2], strict=True)
        for found in _ATTRIBUTE.finditer(
            self._data, tag.start("attributes"), tag.end("attributes")
        ):
            if found["name"] != b"xmlns" and not found["name"].startswith(b"xmlns:"):
                name, value = next(pairs)
                yield Attribute(*_name(name), value, found.start(), found.end())

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        element.text = "".join(self._texts.pop())
        if element.is_empty_tag:
            element.inner_end = element.end = element.inner_start
        else:
            element.inner_end = self._parser.CurrentByteIndex
            element.end = self._data.index(b">", element.inner_end) + 1
        if not self._open:
            self._root = element

    def _doctype(self, *_: object) -> None:
        raise NotXmp("it declares a document type")


def _name(expanded: str) -> tuple[str, str]:
    uri, _, name = expanded.rpartition(_BETWEEN)
    return uri, name
