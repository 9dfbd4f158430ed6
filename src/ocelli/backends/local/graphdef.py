"""Reading models in protobuf's wire format: a part of a frozen TensorFlow graph (``GraphDef``),
and the metadata of an ONNX file.

A runtime that is given the whole detector converts the thousands of nodes around it first, control
flow among them, which takes half a minute; the part that is a network takes a tenth of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Field numbers of GraphDef and NodeDef.
NODE, NAME, OPERATION, INPUT, ATTRIBUTE = 1, 1, 2, 3, 5
# Of ONNX's ModelProto and StringStringEntryProto.
METADATA, KEY, VALUE = 14, 1, 2


def subgraph(graph: bytes, source: str, outputs: Iterable[str]) -> bytes:
    """What ``outputs`` need of ``graph``, with a placeholder of floats in the place of ``source``.

    ValueError if this is no such graph, or lacks one of the nodes.
    """
    nodes = {_text(node, NAME): bytes(node) for field, node in _fields(graph) if field == NODE}
    needed, wanted = {source: _placeholder(source)}, list(outputs)
    while wanted:
        name = wanted.pop()
        if name in needed:
            continue
        if name not in nodes:
            raise ValueError(f"the graph has no node {name!r}")
        needed[name] = nodes[name]
        inputs = (bytes(value).decode() for field, value in _fields(nodes[name]) if field == INPUT)
        wanted += [each.removeprefix("^").partition(":")[0] for each in inputs]
    return b"".join(_field(NODE, node) for node in needed.values())


def metadata(model: bytes, key: str) -> str:
    """An entry of an ONNX file's ``metadata_props``. KeyError if it has none of that name."""
    for field, entry in _fields(model):
        if field == METADATA and _text(entry, KEY) == key:
            return _text(entry, VALUE)
    raise KeyError(key)


def _placeholder(name: str) -> bytes:
    dtype = _field(1, b"dtype") + _field(2, b"\x30\x01")  # the type DT_FLOAT
    return b"".join(
        (
            _field(NAME, name.encode()),
            _field(OPERATION, b"Placeholder"),
            _field(ATTRIBUTE, dtype),
        )
    )


def _text(message: bytes | memoryview, wanted: int) -> str:
    return next((bytes(value).decode() for at, value in _fields(message) if at == wanted), "")


def _fields(message: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field that has a length; others are left out."""
    view, at = memoryview(message), 0
    while at < len(view):
        tag, at = _varint(view, at)
        match tag & 7:
            case 2:  # BYTES
                length, at = _varint(view, at)
                if at + length > len(view):
                    raise ValueError("the graph is cut off")
                yield tag >> 3, view[at : at + length]
                at += length
            case 0:
                _, at = _varint(view, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case kind:
                raise ValueError(f"the graph has a field of unknown type {kind}")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(view):
        value |= (view[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not view[at - 1] & 0x80:
            return value, at
    raise ValueError("the graph is cut off")


def _field(number: int, content: bytes | memoryview) -> bytes:
    length, size = bytearray(), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + bytes(content)
