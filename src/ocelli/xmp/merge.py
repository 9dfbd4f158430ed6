"""Words of a machine, merged into a packet: what a person or another program wrote stays.

A text or tag is ours if the packet's record knows it and it was not changed since. What was removed
since is not written again.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from ocelli.xmp.older_metadata import OlderWords
from ocelli.xmp.packet import RDF, Attribute, Edit, Element, Packet, entries, listed
from ocelli.xmp.record import WORDS, PictureState, Record, mark
from ocelli.xmp.words import (
    ALT_TEXT,
    CAPTIONS,
    DESCRIPTION,
    EXTENDED_DESCRIPTION,
    HEADLINE,
    HIERARCHY,
    IMAGE_DESCRIPTION,
    NAMESPACES,
    OTHER_LISTS,
    OWN,
    OWN_PREFIX,
    SUBJECTS,
    TAGS,
    WRITTEN_LISTS,
    Property,
    TagList,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f' <rdf:RDF xmlns:rdf="{RDF}">\n'
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="w"?>\n'
).encode()


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a property: texts that are added and removed; with neither it is kept."""

    property: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Merged:
    """The packet with the words in it, or None as there is nothing to change; and the changes."""

    data: bytes | None
    changes: tuple[Change, ...]


def merge(
    packet: Packet | None,
    words: Words,
    picture: PictureState,
    time: str,
    embedded: Packet | None = None,
    older: OlderWords | None = None,
) -> Merged:
    """Merge words into a packet, or into an empty one.

    ``embedded`` is what the picture holds itself, if the packet is that of a sidecar: programs
    read that no more once the sidecar says something. ``older`` is what it holds in EXIF and IPTC,
    which programs show only where XMP says nothing.

    Raises NotXmp if the packet cannot be changed.
    """
    work = _Merge(packet or Packet(EMPTY), words, embedded, older or OlderWords())
    work.captions()
    for property in (ALT_TEXT, EXTENDED_DESCRIPTION):
        work.text(property, is_taken=work.has_words_of_a_person(property))
    for tags in WRITTEN_LISTS:
        work.tags(tags)
    return Merged(work.finished(picture, time), tuple(work.changes))


class _Merge:
    """One merge: the edits of what is there, the properties that are added, and marks of ours."""

    def __init__(
        self, packet: Packet, words: Words, embedded: Packet | None, older: OlderWords
    ) -> None:
        self._packet = packet
        self._older = older
        self._words = words
        self._record = Record.of(packet)
        self._sources = [(packet, self._record)]
        if embedded is not None:
            self._sources.append((embedded, Record.of(embedded)))
        self._edits: list[Edit] = []
        self._removed: set[int] = set()  # where they start
        self._added: list[ElementTree.Element] = []
        self._prefixes = {OWN_PREFIX}
        self._marks: set[str] = set()
        self.changes: list[Change] = []

    def finished(self, picture: PictureState, time: str) -> bytes | None:
        """Return the packet with all edits and its record; None if there is nothing to change."""
        record = Record.made(self._words, picture, time, frozenset(self._marks))
        if not self._edits and not self._added and self._record.says_same(record):
            return None
        for own in self._packet.properties(OWN):
            self._remove(own)
        emptied = [*self._emptied_blocks()]
        starts = [each.start for each in emptied]

        def is_in_one(edit: Edit) -> bool:
            at = bisect_right(starts, edit.start) - 1
            return at >= 0 and edit.end <= emptied[at].end

        kept = [edit for edit in self._edits if not is_in_one(edit)]
        kept += [self._packet.without(each) for each in emptied]
        block = self._packet.indent_of_blocks + self._block(record)
        return self._packet.edited([*kept, self._packet.appended(self._packet.rdf, block)])

    # Texts

    def captions(self) -> None:
        """Write both captions; none if a person wrote one."""
        is_taken = self.has_words_of_a_person(*CAPTIONS, HEADLINE) or any(
            not self._wrote(text, *CAPTIONS) for text in self._older.captions
        )
        for property in (DESCRIPTION, IMAGE_DESCRIPTION):
            self.text(property, is_taken=is_taken)

    def has_words_of_a_person(self, *properties: Property) -> bool:
        """Whether one of the properties says what was not written here."""
        return any(
            not record.wrote(property, text)
            for packet, record in self._sources
            for property in properties
            for text in packet.texts(property.uri, property.name)
        )

    def _wrote(self, text: str, *properties: Property) -> bool:
        """Whether a text was written here as one of these: programs copy XMP into EXIF and IPTC."""
        return any(
            record.wrote(property, text) for _, record in self._sources for property in properties
        )

    def text(self, property: Property, *, is_taken: bool) -> None:
        """Write a text in the default language; where that ``is_taken``, ours goes."""
        text = "" if is_taken else self._words.text(property)
        found = self._packet.find(property.uri, property.name)
        if self._packet.texts(property.uri, property.name):
            self._renew(property, found, text)
        elif known := self._record.marks_of(property):  # it was removed since
            self._marks |= known
            self._tell(property)
        elif text:
            if found is not None:
                self._remove(found)
            self._add(property, "Alt", [text], {"xml:lang": "x-default"})
            self._marks.add(mark(property, text))
            self._tell(property, [text])
        else:
            self._tell(property)

    def _renew(self, property: Property, found: Element | Attribute | None, text: str) -> None:
        """Change a text to another one if it is ours."""
        has = (entries(found) if listed(found) else [found]) if isinstance(found, Element) else []
        ours = [each for each in has if self._record.wrote(property, each.said)]
        if not ours:
            self._tell(property)
            return
        old = ours[0].said
        if not text and found is not None and len(has) == 1:
            self._remove(found)
            self._tell(property, removed=[old])
            return
        text = text or old  # a translation by a person may stand beside it
        self._marks.add(mark(property, text))
        if old == text:
            self._tell(property)
            return
        self._edits.append(self._packet.with_text(ours[0], escape(text).encode()))
        self._tell(property, [text], [old])

    # Tags

    def tags(self, tags: TagList) -> None:
        """Write the tags into a list; one that is made anew begins with a person's from others."""
        property = tags.property
        found = self._packet.find(property.uri, property.name)
        has = entries(found) if isinstance(found, Element) else []
        if not has and self._packet.texts(property.uri, property.name):  # one text, and no list
            self._tell(property)
            return
        ours = {each.said: each for each in has if self._record.wrote(property, each.said)}
        refused = self._record.marks_of(property) - {mark(property, each) for each in ours}
        theirs = [each.said for each in has if each.said not in ours]
        begin = [] if has else [tags.entry(path) for path in self._paths_of_a_person()]
        known = {each.casefold() for each in (*theirs, *begin)}
        wanted = dict.fromkeys(
            entry
            for path in self._words.paths
            if (entry := tags.entry(path)).casefold() not in known
            and mark(property, entry) not in refused
        )
        self._marks |= refused | {mark(property, each) for each in wanted}
        new = [each for each in wanted if each not in ours]
        self._write_tags(tags, found, [*dict.fromkeys(begin), *new] if new else [])
        gone = [text for text in ours if text not in wanted]
        if gone and len(gone) == len(has) and not new and found is not None:
            self._remove(found)
        else:
            for text in gone:
                self._remove(ours[text])
        self._tell(property, new, gone)

    def _write_tags(self, tags: TagList, found: Element | Attribute | None, new: list[str]) -> None:
        if not new:
            return
        container = listed(found) if isinstance(found, Element) else None
        if container is None:
            if found is not None:  # empty
                self._remove(found)
            self._add(tags.property, tags.container, new)
            return
        tag = container.sibling_tag("li")
        indent = self._packet.indent(container.children[-1]) if container.children else b""
        lines = (indent + f"<{tag}>{escape(each)}</{tag}>".encode() for each in new)
        self._edits.append(self._packet.appended(container, b"".join(lines)))

    def _paths_of_a_person(self) -> list[tuple[str, ...]]:
        """Return the tags in all lists that were not written here, in the order of programs."""
        paths: dict[tuple[str, ...], tuple[str, ...]] = {}
        for tags in (TAGS, HIERARCHY, *OTHER_LISTS):
            for entry in self._entries_of_a_person(tags):
                if path := tags.path(entry):
                    paths.setdefault(_key(path), path)
        levels = {level for key in paths for level in key}
        older = (each for each in self._older.keywords if not self._wrote(each, SUBJECTS.property))
        for entry in (*self._entries_of_a_person(SUBJECTS), *older):
            if _key((entry,))[0] not in levels:
                paths.setdefault(_key((entry,)), (entry,))
        return list(paths.values())

    def _entries_of_a_person(self, tags: TagList) -> list[str]:
        property = tags.property
        for packet, record in self._sources:
            if texts := packet.texts(property.uri, property.name):
                return [each for each in texts if not record.wrote(property, each)]
        return []

    # The packet

    def _tell(
        self, property: Property, added: Iterable[str] = (), removed: Iterable[str] = ()
    ) -> None:
        self.changes.append(Change(str(property), tuple(added), tuple(removed)))

    def _remove(self, part: Element | Attribute) -> None:
        self._removed.add(part.start)
        self._edits.append(self._packet.without(part))

    def _emptied_blocks(self) -> Iterator[Element]:
        """Yield the blocks of properties of which nothing is left."""
        for block in self._packet.descriptions:
            parts: list[Element | Attribute] = [*block.children, *block.attributes]
            properties = [each for each in parts if each.name != "about"]
            if properties and all(each.start in self._removed for each in properties):
                yield block

    def _add(
        self,
        property: Property,
        container: str,
        texts: Iterable[str],
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self._prefixes.add(property.prefix)
        element = ElementTree.Element(str(property))
        inside = ElementTree.SubElement(element, f"rdf:{container}")
        for text in texts:
            ElementTree.SubElement(inside, "rdf:li", dict(attributes or {})).text = text
        self._added.append(element)

    def _block(self, record: Record) -> bytes:
        """Return a block with the properties that are added, and the record."""
        about = [each.attribute(RDF, "about") for each in self._packet.descriptions]
        block = ElementTree.Element("rdf:Description")
        block.set("rdf:about", next((each for each in about if each), ""))
        if self._packet.rdf.tag != "rdf:RDF":
            block.set("xmlns:rdf", RDF)
        for prefix in sorted(self._prefixes):
            block.set(f"xmlns:{prefix}", NAMESPACES[prefix])
        for name, value in record.fields.items():
            self._added.append(own := ElementTree.Element(f"{OWN_PREFIX}:{name}"))
            own.text = value
        if record.words:
            self._add(Property(OWN_PREFIX, WORDS), "Bag", sorted(record.words))
        block.extend(self._added)
        ElementTree.indent(block, " ", level=2)
        return ElementTree.tostring(block, encoding="unicode").encode()


def _key(path: Sequence[str]) -> tuple[str, ...]:
    return tuple(level.casefold() for level in path)
