"""How each network is built from its weights: file in, ``openvino.Model`` out.

What a model does to pixels first (float, order of channels, mean, scale) is made a part of its
network, which then takes RGB uint8 arrays of shape (1, height, width, 3). What was compiled before
a change of this file is not used after it.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from ocelli.backends.local.graphdef import subgraph

if TYPE_CHECKING:
    from pathlib import Path

# The detector's graph, from where its picture has been resized to where it has looked at it.
SSD_INPUT = "Preprocessor/map/TensorArrayStack/TensorArrayGatherV3"
SSD_OUTPUTS = tuple(
    f"BoxPredictor_{grid}/{what}Predictor/BiasAdd"
    for what in ("BoxEncoding", "Class")
    for grid in range(6)
)
YUNET_OUTPUTS = tuple(
    f"{what}_{stride}" for what in ("cls", "obj", "bbox") for stride in (8, 16, 32)
)
NSFW_MEAN = (104.0, 117.0, 123.0)  # blue, green, red
HALF = (127.5, 127.5, 127.5)


def objects(openvino: Any, path: Path) -> Any:
    """SSD MobileNet v2 without its post-processing, for any size; see ``boxes.ssd``."""
    with tempfile.NamedTemporaryFile(suffix=".pb") as file:
        file.write(subgraph(path.read_bytes(), SSD_INPUT, SSD_OUTPUTS))
        file.flush()
        model = openvino.Core().read_model(file.name)
    heads = [model.output(f"{name}:0") for name in SSD_OUTPUTS]
    model = openvino.Model(heads, model.get_parameters())
    model.reshape([1, -1, -1, 3])
    return _taking_pixels(openvino, model, "NHWC")


def scene(openvino: Any, path: Path) -> Any:
    """EfficientNet-Lite3 with its 8-bit weights, but activations that are not rounded to 8 bits.

    They are still cut to the range that the 8 bits had, on which the network depends. OpenVINO's
    own 8-bit path gives up to 0.4 to other classes than the reference, LiteRT; this 0.05. Weights
    are made floats here: at each load that took 0.15 s, and 28 MB.
    """
    model = openvino.Core().read_model(path)
    for rounding in model.get_ordered_ops():
        if rounding.get_type_name() == "FakeQuantize":
            low, high, *target = (
                rounding.input(at).get_source_output().get_node().get_data().item()
                for at in range(1, 5)
            )
            if (low, high) == tuple(target):
                values = rounding.input(0).get_source_output()
                cut = openvino.opset13.clamp(values, low, high)
                rounding.output(0).replace(cut.output(0))
    (scores,) = (each for each in model.get_ops() if each.get_type_name() == "Softmax")
    model = openvino.Model([scores.output(0)], model.get_parameters())
    _fold_constants(openvino, model)
    return model


def safety(openvino: Any, path: Path) -> Any:
    """open_nsfw; the second output is that of unsafe pictures."""
    model = openvino.Core().read_model(path)
    model.reshape([1, 224, 224, 3])
    return _taking_pixels(openvino, model, "NHWC", bgr=True, mean=NSFW_MEAN)


def faces(openvino: Any, path: Path) -> Any:
    """YuNet without its landmarks, for any size; see ``boxes.yunet``."""
    model = openvino.Core().read_model(path)
    model = openvino.Model([model.output(name) for name in YUNET_OUTPUTS], model.get_parameters())
    model.reshape([1, 3, -1, -1])
    return _taking_pixels(openvino, model, "NCHW", bgr=True)


def text_places(openvino: Any, path: Path) -> Any:
    """PP-OCR's detector for any size: the probability of text at each pixel."""
    model = openvino.Core().read_model(path)
    model.reshape([1, 3, -1, -1])
    return _taking_pixels(openvino, model, "NCHW", bgr=True, mean=HALF, scale=HALF)


def text_letters(openvino: Any, path: Path) -> Any:
    """PP-OCR's recogniser for lines of any width: at each place the likeliest letter.

    Two outputs of shape (1, places, 1): probabilities, and numbers of letters.
    """
    import numpy as np

    model = openvino.Core().read_model(path)
    opset = openvino.opset13
    likely = opset.topk(
        model.output(0).get_node().input(0).get_source_output(),
        opset.constant(1, dtype=np.int64),
        axis=2,
        mode="max",
        sort="none",
        index_element_type="i32",
    )
    model = openvino.Model(likely.outputs(), model.get_parameters())
    model.reshape([1, 3, 48, -1])
    return _taking_pixels(openvino, model, "NCHW", bgr=True, mean=HALF, scale=HALF)


def embedding(openvino: Any, path: Path) -> Any:
    """MiniLM: ids, mask and types of shape (1, tokens) in, states (1, tokens, 384) out."""
    model = openvino.Core().read_model(path)
    model.reshape({each.any_name: [1, -1] for each in model.inputs})
    return model


def _fold_constants(openvino: Any, model: Any) -> None:
    """Calculate what depends on no input; OpenVINO's own pass spares weights of 8 bits."""
    for operation in model.get_ordered_ops():
        sources = [each.get_source_output().get_node() for each in operation.inputs()]
        if sources and all(each.get_type_name() == "Constant" for each in sources):
            kind, shape = operation.get_output_element_type(0), operation.get_output_shape(0)
            value = openvino.Tensor(kind, shape)
            if operation.evaluate([value], [openvino.Tensor(each.data) for each in sources]):
                constant = openvino.opset13.constant(value.data)
                operation.output(0).replace(constant.output(0))


def _taking_pixels(
    openvino: Any,
    model: Any,
    layout: str,
    *,
    bgr: bool = False,
    mean: tuple[float, ...] = (),
    scale: tuple[float, ...] = (),
) -> Any:
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout(layout))
    if bgr:
        formats = openvino.preprocess.ColorFormat
        steps.input().tensor().set_color_format(formats.RGB)
        steps.input().preprocess().convert_color(formats.BGR)
    steps.input().preprocess().convert_element_type(openvino.Type.f32)
    if mean:
        steps.input().preprocess().mean(list(mean))
    if scale:
        steps.input().preprocess().scale(list(scale))
    return steps.build()
