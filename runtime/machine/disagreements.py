"""Where engines, converters and decoders compute something else from the same valid file: the table.

The rows about graphs have a pattern in :mod:`seg_edge.export.guard`. ``docs/disagreements.md`` is generated from this table,
and ``doctor`` counts the rows of each installed package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A package of a row.

    Attributes:
        seen: The version that showed the behaviour.
        since: The first version that has it, if it is known.
        fixed: The first version without it, if there is one.
    """

    seen: str
    since: str = ""
    fixed: str = ""

    def has(self, version: str) -> bool:
        """Whether a version is affected. Versions newer than ``seen`` count as affected until ``fixed`` is known."""
        number = _number(version)
        return (not self.since or number >= _number(self.since)) and (not self.fixed or number < _number(self.fixed))


@dataclass(frozen=True)
class Disagreement:
    """One row.

    Attributes:
        name: Its short name, stable.
        where: What the file or the call contains.
        happens: What is computed instead.
        packages: PyPI name → versions.
        engines: Our names of the engines that compute something else; empty for rows that are about no graph.
        rewritten: The engines for which the graph is rewritten when it is opened, exactly.
        remedy: What a user does.
        source: How it was seen.
    """

    name: str
    where: str
    happens: str
    packages: Mapping[str, Package]
    remedy: str
    engines: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    source: str = "a small graph on both engines and ONNX's reference"

    def warning(self, engine: str, nodes: list[str]) -> str:
        """One line about nodes of a graph on an engine that computes something else."""
        some = ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")
        return f"{engine} computes something else at {some}: {self.where}: {self.happens}; {self.remedy}"


_ORT, _OPENVINO, _RTX = Package("1.32.0"), Package("2026.4.1"), Package("1.7.1")
_RTX_ENGINES = ("rtx", "tensorrt")
_BUILT = "the layers of an engine, in the builder's log"

#: All rows, in the order of the page.
TABLE = (
    Disagreement(
        "maxpool-ceil",
        "MaxPool with `ceil_mode=1` and padding, where the last window lies in the padding",
        "one row and column more than ONNX says, filled with -3.4e38",
        {"openvino": _OPENVINO, "opencv-python": Package("5.0.0")},
        "nothing to do: the pooling gets the padding that makes both equal when the file is opened",
        ("openvino",),
        ("openvino",),
    ),
    Disagreement(
        "resize-antialias",
        "linear Resize with `antialias=1` to fewer pixels, of half pixels and known sizes",
        "the attribute is ignored: single pixels instead of means",
        {"openvino": _OPENVINO},
        "nothing to do: it becomes products with its weights when the file is opened",
        ("openvino",),
        ("openvino",),
    ),
    Disagreement(
        "resize-antialias-other",
        "other Resize with `antialias=1` to fewer pixels: cubic, other coordinates, free sizes",
        "the attribute is ignored: single pixels instead of means",
        {"openvino": _OPENVINO},
        "use ONNX Runtime, or resize before the network",
        ("openvino",),
    ),
    Disagreement(
        "resize-antialias-border",
        "Resize with `antialias=1` to fewer pixels and without `exclude_outside=1`",
        "weights outside of the image count, as ONNX says: the border differs from PyTorch's and Pillow's",
        {"onnxruntime": _ORT},
        "set exclude_outside=1 on the node if the network was trained with PyTorch",
        ("onnxruntime", "onnxruntime-cuda"),
    ),
    Disagreement(
        "resize-aspect",
        "Resize with `keep_aspect_ratio_policy`",
        "the attribute is ignored: another size",
        {"openvino": _OPENVINO},
        "use ONNX Runtime, or write the size that is meant",
        ("openvino",),
    ),
    Disagreement(
        "resize-fractional-corners",
        "Resize by fractional scales with `align_corners`",
        "positions come from the rounded size, as PyTorch has it; ONNX's reference and tract take the scale",
        {"onnxruntime": _ORT, "openvino": _OPENVINO},
        "nothing to do for a network of PyTorch's; else write the sizes that are meant",
        ("onnxruntime", "onnxruntime-cuda", "openvino"),
    ),
    Disagreement(
        "upsample-fractional",
        "Upsample (opset 9) with mode nearest by a fractional scale, of known sizes",
        "other pixels than Resize picks",
        {"openvino": _OPENVINO},
        "nothing to do: it becomes a choice of its pixels when the file is opened",
        ("openvino",),
        ("openvino",),
    ),
    Disagreement(
        "upsample-fractional-free",
        "Upsample (opset 9) with mode nearest by a fractional scale, of free sizes",
        "other pixels than Resize picks",
        {"openvino": _OPENVINO},
        "convert the file to opset 11 or newer, or give it sizes",
        ("openvino",),
    ),
    Disagreement(
        "softmax-flattened",
        "Softmax of opset 11 or 12 (OpenCV: of all before 13) over an axis that isn't the last",
        "only this axis is normalized; ONNX says all from this axis on",
        {"openvino": _OPENVINO, "opencv-python": Package("5.0.0")},
        "nothing to do: it gets all these axes as one when the file is opened",
        ("openvino",),
        ("openvino",),
    ),
    Disagreement(
        "uint16-quantization",
        "QuantizeLinear to uint16 or int16 around a layer",
        "the pair is dropped, and with it the clamp that may stand for a ReLU",
        {"openvino": _OPENVINO},
        "use ONNX Runtime, or quantize to 8 bits",
        ("openvino",),
    ),
    Disagreement(
        "bias-scale",
        "a quantized bias whose scale is up to 1 % off the product of the other two",
        "the bias's own scale is ignored: up to several levels wrong; from 2 % on it computes in float, rightly",
        {"onnxruntime": _ORT},
        "nothing to do: the bias is written in the product's scale when the file is opened",
        ("onnxruntime", "onnxruntime-cuda"),
        ("onnxruntime", "onnxruntime-cuda"),
    ),
    Disagreement(
        "blocked-weights",
        "weights of a convolution quantized in blocks (`block_size`)",
        "it fails when it runs, with optimizations on",
        {"onnxruntime": _ORT},
        "use OpenVINO, or quantize by channel",
        ("onnxruntime", "onnxruntime-cuda"),
    ),
    Disagreement(
        "newest-opset",
        "QuantizeLinear in a file of opset 28",
        "it is refused, although the float file runs",
        {"onnxruntime": _ORT},
        "nothing to do: it is read as opset 27, in which its operators mean the same, when it is opened",
        ("onnxruntime", "onnxruntime-cuda"),
        ("onnxruntime", "onnxruntime-cuda"),
    ),
    Disagreement(
        "average-pool-padding",
        "AveragePool between Q/DQ pairs with `count_include_pad=1` and a zero point",
        "padding counts as level 0, which isn't the number 0: the border is wrong",
        {"openvino": _OPENVINO},
        "use ONNX Runtime, or a zero point of 0",
        ("openvino",),
        source="findings/openvino_average_pool_padding.sh",
    ),
    Disagreement(
        "prelu-slopes",
        "PRelu with slopes of shape [C] on maps that are C wide",
        "the slopes go to the channels; ONNX says the width",
        {"openvino": _OPENVINO},
        "write the slopes as [C, 1, 1]",
        ("openvino",),
        source="findings/openvino_prelu_slopes.sh",
    ),
    Disagreement(
        "int8-transposed",
        "an INT8 ConvTranspose",
        "planned in float, without a warning",
        {"tensorrt-rtx": _RTX},
        "upsample by Resize and Conv where speed matters",
        ("rtx",),
        source=_BUILT,
    ),
    Disagreement(
        "activation-scales",
        "scales of activations of shape [1]",
        "planned in float, without a warning",
        {"tensorrt-rtx": _RTX},
        "nothing to do: they become scalars when the file is opened",
        ("rtx",),
        ("rtx",),
        source=_BUILT,
    ),
    Disagreement(
        "activation-channels",
        "a convolution that reads activations quantized by channel",
        "planned in float, without a warning",
        {"tensorrt-rtx": _RTX},
        "quantize activations by tensor",
        ("rtx",),
        source=_BUILT,
    ),
    Disagreement(
        "weight-scales-axis",
        "scales of a convolution's weights on axis 1",
        "planned in float, without a warning",
        {"tensorrt-rtx": _RTX},
        "quantize weights on axis 0",
        ("rtx",),
        source=_BUILT,
    ),
    Disagreement(
        "no-zero-point",
        "QuantizeLinear without a zero point",
        "int8 instead of ONNX's uint8: 7 of 8 bits are cut off",
        {"tensorrt-rtx": _RTX},
        "nothing to do: the scale is widened when the file is opened",
        _RTX_ENGINES,
        _RTX_ENGINES,
        source="outputs of a built engine",
    ),
    Disagreement(
        "fp16-io-types",
        "the float16 converter with `keep_io_types` on a graph that ends in a Resize",
        "the graph is broken",
        {"onnxruntime": _ORT},
        "convert without keep_io_types and cast outside, as our fp16 export does",
        source="the converter",
    ),
    Disagreement(
        "channels-128",
        "images of more than 128 channels (ADE20K has 150 classes)",
        "refused by every function",
        {"opencv-python": Package("5.0.0", since="5.0.0")},
        "split into groups of channels, as our evaluation does",
        source="cv2.resize",
    ),
    Disagreement(
        "round-to",
        "Torch-Pruning with `round_to`",
        "of 24 channels, 0.5 leaves 8 and 0.7 leaves 24; of 12 none is ever removed",
        {"torch-pruning": Package("1.6.1")},
        "our pruning chooses the widths itself and stays monotonic",
        source="a layer of each width",
    ),
    Disagreement(
        "nncf-input-range",
        "NNCF's default range of an input",
        "the mean of per-frame maxima: 0.28 where data reach 1.0",
        {"nncf": Package("3.4.0")},
        "give a range, or calibrate with our exporter",
        source="one quantized network",
    ),
    Disagreement(
        "quantized-twice",
        "`quantize_static` on a quantized file",
        "returns; the file is no valid graph",
        {"onnxruntime": _ORT},
        "quantize the float file",
        source="onnx.checker on its result",
    ),
    Disagreement(
        "onnxsim-metadata",
        "a graph that onnxsim simplified",
        "metadata entries with node names stay in the file",
        {"onnxsim": Package("0.8.1")},
        "nothing to do: our export removes them",
        source="metadata of its result",
    ),
    Disagreement(
        "video-matrix",
        "colour tags of videos",
        "OpenCV up to 4.12 ignores the matrix, 4.13 honours it, 5.0 maps primaries too",
        {"opencv-python": Package("5.0.0")},
        "nothing to do: videos are read by PyAV, with the stream's matrix and range",
        source="one clip in three versions",
    ),
    Disagreement(
        "interlaced-video",
        "interlaced video",
        "full frame counts, no error, and one constant image",
        {"opencv-python": Package("5.0.0", since="4.13")},
        "nothing to do: videos are read by PyAV and deinterlaced",
        source="findings/opencv_interlaced.sh",
    ),
    Disagreement(
        "save-model-clamps",
        "`openvino.save_model` with its default compression to float16",
        "numbers beyond float16's range are clamped or become 0",
        {"openvino": _OPENVINO},
        "nothing to do: `export --ir` writes without compression",
        source="findings/openvino_save_model_clamps.sh",
    ),
    Disagreement(
        "openvino-cache",
        "OpenVINO's model cache with a changed `.bin`",
        "the old weights are served",
        {"openvino": _OPENVINO},
        "empty the cache when weights change",
        source="findings/openvino_cache_weights.sh",
    ),
)

#: Name → row.
ROWS: dict[str, Disagreement] = {row.name: row for row in TABLE}
#: Packages that are the same software under another name.
_ALIASES = {"opencv-python-headless": "opencv-python", "onnxruntime-gpu": "onnxruntime"}
#: Names of all packages that may have rows.
DISAGREEING = tuple(sorted({name for row in TABLE for name in row.packages} | set(_ALIASES)))


def affecting(installed: Mapping[str, str]) -> dict[str, list[str]]:
    """The rows of installed packages.

    Args:
        installed: PyPI name → version.

    Returns:
        ``"PACKAGE VERSION"`` → names of rows, for packages with at least one row.
    """
    found: dict[str, list[str]] = {}
    for package, version in installed.items():
        name = _ALIASES.get(package, package)
        rows = [row.name for row in TABLE if name in row.packages and row.packages[name].has(version)]
        if rows:
            found[f"{package} {version}"] = rows
    return found


def markdown() -> str:
    """The table of ``docs/disagreements.md``."""
    lines = ["| name | where | what happens | seen in | what to do | how it was seen |", "|---|---|---|---|---|---|"]
    for row in TABLE:
        seen = ", ".join(
            f"{package} {versions.seen}" + (f" (until {versions.fixed})" if versions.fixed else "")
            for package, versions in row.packages.items()
        )
        lines.append(f"| `{row.name}` | {row.where} | {row.happens} | {seen} | {row.remedy} | {row.source} |")
    return "\n".join(lines) + "\n"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0].split("-")[0]))
