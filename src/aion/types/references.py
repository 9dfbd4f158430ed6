"""What texts of the server refer to: ``[[ref:KEY]]``, ``[[img:ID|name]]`` and their like."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from aion.types._model import Model, record

_MARK = re.compile(
    r"\[\[(?:"
    r"ref:(?P<key>[^\[\]|]+)"
    r"|img:(?P<image>[^\[\]|]+)\|(?P<image_name>.+?)"
    r"|doc:(?P<document>[^\[\]|]+)\|(?P<document_name>.+?)"
    r"(?:\|p:(?P<page>\d+)|\|pp:(?P<first>\d+)-(?P<last>\d+))?"
    r"|link:(?P<link>[^\[\]|]+)\|(?P<title>.+?)"
    r")\]\]"
)


@record
class ResultRefData(Model):
    """What a ``[[ref:KEY]]`` stands for: how many of what, and which."""

    count: int
    ids: list[str] = field(default_factory=list)
    image_ids: list[str] = field(default_factory=list)
    id_type: str = "image"
    label: str = ""


@record
class ImageRef(Model):
    """A picture that a text names; ``full_id`` if the text's metadata tells it."""

    id_prefix: str
    filename: str
    full_id: str | None = None


@record
class DocumentRef(Model):
    """A document that a text names, or a page of it, or pages from the first to the last."""

    id_prefix: str
    filename: str
    full_id: str | None = None
    page: int | None = None
    page_range: tuple[int, int] | None = None


@record
class LinkRef(Model):
    """A saved link that a text names."""

    id_prefix: str
    title: str
    full_id: str | None = None
    source_url: str | None = None
    domain: str | None = None


@record
class ParsedReferences(Model):
    """What a text refers to, in its order; ``counts`` by key, as far as metadata tells them."""

    images: list[ImageRef] = field(default_factory=list)
    documents: list[DocumentRef] = field(default_factory=list)
    links: list[LinkRef] = field(default_factory=list)
    counts: dict[str, ResultRefData] = field(default_factory=dict)

    @property
    def has_references(self) -> bool:
        """Whether there is any."""
        return bool(self.images or self.documents or self.links or self.counts)


def parse_references(content: str, metadata: Mapping[str, Any] | None = None) -> ParsedReferences:
    """Find what a text refers to.

    Args:
        content: a text with its markup.
        metadata: that of the message: ``image_context``, ``tool_document_data``,
            ``tool_link_data`` and ``result_refs`` tell full ids and counts.

    >>> found = parse_references("[[img:0a1b2c3d|cat.jpg]] is one of [[ref:search_1]].")
    >>> found.images[0].filename, found.images[0].full_id
    ('cat.jpg', None)
    """
    known = metadata or {}
    refs = result_refs_of(known)
    found = ParsedReferences()
    for mark in _MARK.finditer(content):
        if key := mark["key"]:
            if key in refs:
                found.counts[key] = refs[key]
        elif prefix := mark["image"]:
            entry = _entry(known.get("image_context"), prefix, mark["image_name"])
            full = _id_of(entry) or _listed(refs, "image", prefix)
            found.images.append(ImageRef(prefix, mark["image_name"], full))
        elif prefix := mark["document"]:
            entry = _entry(known.get("tool_document_data"), prefix, mark["document_name"])
            full = _id_of(entry) or _listed(refs, "document", prefix)
            page = int(mark["page"]) if mark["page"] else None
            pages = (int(mark["first"]), int(mark["last"])) if mark["first"] else None
            found.documents.append(DocumentRef(prefix, mark["document_name"], full, page, pages))
        else:
            entry = _entry(known.get("tool_link_data"), mark["link"], mark["title"])
            full = _id_of(entry) or _listed(refs, "link", mark["link"])
            address, domain = entry.get("source_url"), entry.get("domain")
            found.links.append(LinkRef(mark["link"], mark["title"], full, address, domain))
    return found


def resolve_content(content: str, metadata: Mapping[str, Any] | None = None) -> str:
    """Return a text without markup: numbers and names in its place.

    A key that ``result_refs`` of ``metadata`` lacks stays as it is.

    >>> refs = {"result_refs": {"search_1": {"count": 2}}}
    >>> resolve_content("[[ref:search_1]] pictures, first [[img:0a1b|cat.jpg]]", refs)
    '2 pictures, first cat.jpg'
    >>> resolve_content("[[doc:0a1b|plan.pdf|pp:3-7]]")
    'plan.pdf (pp.3-7)'
    """
    refs = result_refs_of(metadata or {})

    def plain(mark: re.Match[str]) -> str:
        if key := mark["key"]:
            return str(refs[key].count) if key in refs else mark[0]
        if mark["page"]:
            return f"{mark['document_name']} (p.{mark['page']})"
        if mark["first"]:
            return f"{mark['document_name']} (pp.{mark['first']}-{mark['last']})"
        return mark["image_name"] or mark["document_name"] or mark["title"]

    return _MARK.sub(plain, content)


def result_refs_of(metadata: Mapping[str, Any]) -> dict[str, ResultRefData]:
    """Return the ``result_refs`` of a message's metadata, without those that cannot be read."""
    refs = metadata.get("result_refs")
    if not isinstance(refs, Mapping):
        return {}
    return {
        key: value if isinstance(value, ResultRefData) else ResultRefData.from_api_response(value)
        for key, value in refs.items()
        if isinstance(value, ResultRefData) or (isinstance(value, Mapping) and "count" in value)
    }


def _entry(entries: Any, prefix: str, name: str) -> Mapping[str, Any]:
    """The one entry whose id begins so; of several the one of this name; else an empty one."""
    fitting = [it for it in _entries(entries) if (_id_of(it) or "").startswith(prefix)]
    if len({_id_of(it) for it in fitting}) > 1:
        names = [it for it in fitting if name in (it.get("filename"), it.get("title"))]
        fitting = names if len({_id_of(it) for it in names}) == 1 else []
    return fitting[0] if fitting else {}


def _entries(entries: Any) -> Iterator[Mapping[str, Any]]:
    """Objects of a list, or of an object whose keys are their ids, or the one object itself."""
    if isinstance(entries, list):
        yield from (it for it in entries if isinstance(it, Mapping))
    elif isinstance(entries, Mapping):
        nested = {key: it for key, it in entries.items() if isinstance(it, Mapping)}
        if not nested:
            yield entries
        for key, it in nested.items():
            yield {"id": key, **it}


def _id_of(entry: Mapping[str, Any]) -> str | None:
    names = ("image_id", "document_id", "link_id", "id")
    return next((str(entry[name]) for name in names if entry.get(name)), None)


def _listed(refs: Mapping[str, ResultRefData], kind: str, prefix: str) -> str | None:
    """The one id of this kind that begins so."""
    ids = {
        id
        for ref in refs.values()
        for id in (
            *(ref.ids if ref.id_type == kind else ()),
            *(ref.image_ids if kind == "image" else ()),
        )
        if id.startswith(prefix)
    }
    return ids.pop() if len(ids) == 1 else None
