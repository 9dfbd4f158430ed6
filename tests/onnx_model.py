"""A CLIP-like model of three dimensions in a folder: the mean colour of a picture, or of words."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

WORDS = {"[PAD]": 0, "red": 1, "green": 2, "blue": 3, "[UNK]": 4}
SIDE = 8
FLOAT, INT64 = 1, 7
LENGTHS, VARINT = 2, 0


def write(folder: Path, *, turned: bool = False) -> Path:
    """Write the files of the model; ``turned`` is another version, with other vectors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "onnx").mkdir(exist_ok=True)
    (folder / "onnx" / "vision_model.onnx").write_bytes(_vision())
    (folder / "onnx" / "text_model.onnx").write_bytes(_text(-1.0 if turned else 1.0))
    preprocessor = {
        "do_center_crop": True,
        "crop_size": {"height": SIDE, "width": SIDE},
        "size": {"shortest_edge": SIDE},
        "image_mean": [0.3, 0.3, 0.3],
        "image_std": [1.0, 1.0, 1.0],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    (folder / "config.json").write_text(json.dumps({"text_config": {"max_position_embeddings": 4}}))
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def _vision() -> bytes:
    nodes = [
        _node("GlobalAveragePool", ["pixel_values"], ["pooled"]),
        _node("Flatten", ["pooled"], ["image_embeds"]),
    ]
    pixels = _value("pixel_values", FLOAT, ["batch", 3, SIDE, SIDE])
    return _model(nodes, [pixels], [_value("image_embeds", FLOAT, ["batch", 3])], [])


def _text(sign: float) -> bytes:
    """The mean of the words' vectors; the mask is an input, after it in the file's order."""
    rows: list[list[float]] = [
        [0, 0, 0],
        [1, -0.5, -0.5],
        [-0.5, 1, -0.5],
        [-0.5, -0.5, 1],
        [0.1, 0.1, 0.1],
    ]
    table = struct.pack("<15f", *(sign * value for row in rows for value in row))
    nodes = [
        _node("Gather", ["table", "input_ids"], ["looked_up"]),
        _node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        _node("Unsqueeze", ["mask", "last"], ["column"]),
        _node("Mul", ["looked_up", "column"], ["masked"]),
        _node("ReduceSum", ["masked", "middle"], ["text_embeds"], keepdims=0),
    ]
    inputs = [_value(name, INT64, ["batch", "n"]) for name in ("attention_mask", "input_ids")]
    constants = [
        _tensor("table", FLOAT, [5, 3], table),
        _tensor("last", INT64, [1], struct.pack("<q", 2)),
        _tensor("middle", INT64, [1], struct.pack("<q", 1)),
    ]
    return _model(nodes, inputs, [_value("text_embeds", FLOAT, ["batch", 3])], constants)


# The fields of ONNX's protocol buffers that a small model needs.


def _model(
    nodes: list[bytes], inputs: list[bytes], outputs: list[bytes], constants: list[bytes]
) -> bytes:
    graph = b"".join(
        [
            *(_field(1, each) for each in nodes),
            _field(2, b"model"),
            *(_field(5, each) for each in constants),
            *(_field(11, each) for each in inputs),
            *(_field(12, each) for each in outputs),
        ]
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 17))


def _node(kind: str, inputs: list[str], outputs: list[str], **attributes: int) -> bytes:
    parts = [_field(1, each.encode()) for each in inputs]
    parts += [_field(2, each.encode()) for each in outputs]
    parts.append(_field(4, kind.encode()))
    for name, value in attributes.items():
        parts.append(_field(5, _field(1, name.encode()) + _field(3, value) + _field(20, 2)))
    return b"".join(parts)


def _tensor(name: str, kind: int, shape: list[int], content: bytes) -> bytes:
    sides = b"".join(_field(1, side) for side in shape)
    return sides + _field(2, kind) + _field(8, name.encode()) + _field(9, content)


def _value(name: str, kind: int, shape: list[Any]) -> bytes:
    sides = b"".join(
        _field(1, _field(1, side) if isinstance(side, int) else _field(2, side.encode()))
        for side in shape
    )
    tensor = _field(1, kind) + _field(2, sides)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value)
    return _varint(number << 3 | LENGTHS) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
