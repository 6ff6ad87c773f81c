"""Plain graphs for tools that preprocess and quantize themselves: a float input instead of bytes.

The tool subtracts the mean of each channel, in BGR order; everything else, the division by std included, stays in the
graph. ``plain/`` holds the settings for RKNN, Hailo, DeepStream and ncnn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from ...calib.graph import attribute, consumers, weights
from ...core.artefact import write_json, write_text
from ...core.errors import ModelFileError
from ...core.spec import ModelSpec
from ..graph.frontend import INPUT, drop_unused_constants
from .options import PLAIN_LAYOUTS

PLAIN_FILE = "model.plain.onnx"
PLAIN_DIR = "plain"
#: Name of the plain graph's input.
PLAIN_INPUT = "image"


@dataclass(frozen=True)
class Plain:
    """A plain graph and what its input expects.

    Attributes:
        model: Input ``image``, float32 (1, 3, H, W) or (1, H, W, 3), BGR, pixels 0 to 255 minus ``mean_bgr``.
        layout: ``"nchw"`` or ``"nhwc"``.
        mean_bgr: Mean of each channel, in BGR order.
    """

    model: onnx.ModelProto
    layout: str
    mean_bgr: tuple[float, float, float]

    def image(self, frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The input for a frame, uint8 (1, H, W, 3) BGR."""
        centered = frame.astype(np.float32) - np.array(self.mean_bgr, np.float32)
        return np.ascontiguousarray(centered.transpose(0, 3, 1, 2) if self.layout == "nchw" else centered)

    def about(self) -> dict[str, Any]:
        """The entry in ``model.json``: value = (pixel * scale - mean) / std in each channel."""
        return {
            "file": PLAIN_FILE, "input": PLAIN_INPUT, "layout": self.layout, "color_order": "BGR",
            "mean": list(self.mean_bgr), "std": [1.0, 1.0, 1.0], "scale": 1.0,
        }  # fmt: skip


def make_plain(model: onnx.ModelProto, layout: str) -> Plain:
    """A copy of an exported float graph without its byte input.

    Args:
        model: A graph of :func:`..graph.frontend.add_front`, fp32, for one frame.
        layout: ``"nchw"`` or ``"nhwc"``.

    Raises:
        ModelFileError: the graph does not begin with the front.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, known = result.graph, weights(model)
    front: list[onnx.NodeProto] = []
    name, mean = INPUT, np.zeros(3, np.float32)
    for expected in ("Cast", "Sub", "Transpose"):
        readers = consumers(result).get(name, [])
        if len(readers) == 1 and readers[0].op_type == expected:
            node = readers[0]
            if expected == "Sub" and node.input[1] in known:
                mean = known[node.input[1]].reshape(-1, 3)[0]
            front.append(node)
            name = node.output[0]
        elif expected != "Sub":
            raise ModelFileError(f"`plain`: {model.graph.name} does not begin with {expected} on {INPUT}; export it again")
    if list(attribute(front[-1], "perm", [])) != [0, 3, 1, 2]:
        raise ModelFileError(f"`plain`: {model.graph.name} has another layout change than the exporter's; export it again")
    if layout == "nhwc":
        name = front.pop().input[0]
    for node in front:
        graph.node.remove(node)
    for node in graph.node:
        for i, each in enumerate(node.input):
            if each == name:
                node.input[i] = PLAIN_INPUT
    size = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    shape = size if layout == "nhwc" else [size[0], 3, *size[1:3]]
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(PLAIN_INPUT, TensorProto.FLOAT, shape))
    del graph.value_info[:]
    drop_unused_constants(result)
    blue, green, red = (float(value) for value in mean)
    return Plain(onnx.shape_inference.infer_shapes(result), layout, (blue, green, red))


# --- settings of tools


def write_settings(folder: Path, plain: Plain, spec: ModelSpec) -> list[Path]:
    """Writes the settings of each tool, and the class names; returns the files."""
    folder.mkdir(exist_ok=True)
    files = {name: make(plain, spec) for name, make in SETTINGS.items()}
    for name, text in files.items():
        write_text(folder / name, text)
    write_json(folder / "preprocessing.json", plain.about())
    return [folder / name for name in (*files, "preprocessing.json")]


def _labels(_plain: Plain, spec: ModelSpec) -> str:
    return "".join(f"{name}\n" for name in spec.labels.names)


def _deepstream(plain: Plain, spec: ModelSpec) -> str:
    """Gst-nvinfer's file: https://docs.nvidia.com/metropolis/deepstream/dev-guide/text/DS_plugin_gst-nvinfer.html."""
    height, width = spec.input_hw
    dims = f"3;{height};{width}" if plain.layout == "nchw" else f"{height};{width};3"
    return (
        "[property]\n"
        "gpu-id=0\n"
        f"onnx-file=../{PLAIN_FILE}\n"
        "labelfile-path=labels.txt\n"
        "batch-size=1\n"
        f"infer-dims={dims}\n"
        f"network-input-order={PLAIN_LAYOUTS.index(plain.layout)}\n"
        "# 0 FP32, 2 FP16\n"
        "network-mode=2\n"
        "# segmentation\n"
        "network-type=2\n"
        f"num-detected-classes={len(spec.labels)}\n"
        "# BGR\n"
        "model-color-format=1\n"
        "net-scale-factor=1\n"
        f"offsets={_list(plain.mean_bgr, ';')}\n"
        f"output-blob-names={spec.output}\n"
        "segmentation-output-order=0\n"
        "# scores are no probabilities: every pixel gets its best class\n"
        "segmentation-threshold=-1000000\n"
        f"maintain-aspect-ratio={int(spec.resize == 'letterbox')}\n"
        f"symmetric-padding={int(spec.resize == 'letterbox')}\n"
    )


def _rknn(plain: Plain, spec: ModelSpec) -> str:
    """A script for rknn-toolkit2 (https://github.com/airockchip/rknn-toolkit2)."""
    height, width = spec.input_hw
    size = [1, 3, height, width] if plain.layout == "nchw" else [1, height, width, 3]
    return (
        '"""python rknn_convert.py frames.txt [rk3588]: frames.txt lists calibration images, a path a line."""\n'
        "import sys\n\n"
        "from rknn.api import RKNN\n\n"
        "rknn = RKNN()\n"
        "rknn.config(\n"
        f"    mean_values=[[{_list(plain.mean_bgr)}]],\n"
        "    std_values=[[1, 1, 1]],\n"
        "    quant_img_RGB2BGR=True,  # the network takes BGR\n"
        '    target_platform=sys.argv[2] if len(sys.argv) > 2 else "rk3588",\n'
        ")\n"
        f'assert rknn.load_onnx("../{PLAIN_FILE}", inputs=["{PLAIN_INPUT}"], input_size_list=[{size}]) == 0\n'
        "assert rknn.build(do_quantization=True, dataset=sys.argv[1]) == 0\n"
        'assert rknn.export_rknn("model.rknn") == 0\n'
    )


def _hailo(plain: Plain, _spec: ModelSpec) -> str:
    """A model script for Hailo's Dataflow Compiler; frames are BGR."""
    return f"normalization1 = normalization([{_list(plain.mean_bgr)}], [1.0, 1.0, 1.0])\n"


def _ncnn(plain: Plain, spec: ModelSpec) -> str:
    """Conversion with pnnx, and the calls for ncnn's Mat."""
    height, width = spec.input_hw
    shape = f"[1,3,{height},{width}]" if plain.layout == "nchw" else f"[1,{height},{width},3]"
    return (
        f"// pnnx ../{PLAIN_FILE} inputshape={shape}\n"
        f"const float mean_bgr[3] = {{{', '.join(f'{value:g}f' for value in plain.mean_bgr)}}};\n"
        f"ncnn::Mat image = ncnn::Mat::from_pixels(frame_bgr, ncnn::Mat::PIXEL_BGR, {width}, {height});\n"
        "image.substract_mean_normalize(mean_bgr, 0);\n"
    )


def _list(values: tuple[float, ...], separator: str = ", ") -> str:
    return separator.join(f"{value:.6g}" for value in values)


#: File → how to make its text.
SETTINGS: dict[str, Callable[[Plain, ModelSpec], str]] = {
    "labels.txt": _labels,
    "config_infer_primary.txt": _deepstream,
    "rknn_convert.py": _rknn,
    "hailo.alls": _hailo,
    "ncnn.txt": _ncnn,
}
