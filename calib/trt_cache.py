"""TensorRT's calibration cache from our own statistics, for DLA, which rejects Q/DQ graphs.

The format is that of TensorRT's calibrators and ``trtexec --calib``: a title line with version and algorithm, then a
line for each tensor with its name and the width of one int8 level (largest magnitude / 127), float32 in big-endian hex.
TensorRT 11 has no calibrators, and 10.7 is the last version with DLA on Jetson.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from ..core.artefact import write_text
from ..core.errors import ModelFileError
from .graph import Frames, weights
from .observers import observer
from .statistics import collect, silent

TRT_CACHE_FILE = "calib.tensorrt.cache"
#: The TensorRT of JetPack 6, the newest JetPack with DLA.
DEFAULT_VERSION = "10.3.0"
_LEVELS = 127
# Operations whose output has the range of their input. TensorRT runs them in 8 bits if both scales are equal.
_KEEP_RANGE = ("Resize", "MaxPool", "Concat", "Transpose", "Identity", "Reshape", "Slice")


def float_tensors(model: onnx.ModelProto) -> list[str]:
    """Every float32 tensor that the graph computes, in graph order; TensorRT needs a scale for each."""
    inferred = onnx.shape_inference.infer_shapes(model)
    constants = set(weights(model))
    kinds = {value.name: value.type.tensor_type.elem_type for value in [*inferred.graph.value_info, *inferred.graph.output]}
    made = [name for node in model.graph.node if node.op_type != "Constant" for name in node.output]
    return [name for name in made if kinds.get(name) == onnx.TensorProto.FLOAT and name not in constants]


def tensor_scales(
    model: onnx.ModelProto, frames: Sequence[Frames], rule: str = "minmax", *, track: Callable[..., Any] = silent
) -> dict[str, float]:
    """Symmetric int8 scales of every float tensor of a float graph.

    Args:
        model: The fp32 graph for DLA.
        frames: Calibration frames, uint8 (N, H, W, 3) each.
        rule: Name of the range rule, see :mod:`seg_edge.calib.observers`.

    Returns:
        Tensor name → width of one level. Tensors on both sides of a concat, resize or pooling have the same width.

    Raises:
        UnknownNameError: no such rule.
        DataError: no frames, or values that are not finite.
    """
    ranges = observer(rule)
    tensors = float_tensors(model)
    statistics = collect(model, tensors, frames, track=track)
    peaks = {name: max(map(abs, ranges(statistics[name]))) for name in tensors}
    for group in _groups(model, tensors):
        peaks.update(dict.fromkeys(group, max(peaks[name] for name in group)))
    # A tensor that is always 0 has no range; every scale can represent it.
    return {name: (peak / _LEVELS if peak > 0 else 1.0) for name, peak in peaks.items()}


def text(scales: Mapping[str, float], version: str = DEFAULT_VERSION) -> str:
    """The cache's content.

    Args:
        scales: Tensor name → width of one level.
        version: Version of the TensorRT that will read the cache.

    Raises:
        ModelFileError: the name of a tensor has a line break, which the format can't represent.
    """
    for name in scales:
        if "\n" in name or "\r" in name:
            raise ModelFileError(f"calibration cache: tensor {name!r} has a line break in its name; export the model again")
    rows = [f"{name}: {struct.pack('>f', scale).hex()}" for name, scale in scales.items()]
    return "\n".join([f"TRT-{_version_number(version)}-EntropyCalibration2", *rows]) + "\n"


def write(path: str | Path, scales: Mapping[str, float], version: str = DEFAULT_VERSION) -> None:
    """Writes a cache."""
    write_text(path, text(scales, version))


def read(path: str | Path) -> dict[str, float]:
    """The scales of a cache that seg-edge or TensorRT wrote.

    Raises:
        ModelFileError: missing, or not a calibration cache.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path}: can't be read ({error}); expected a TensorRT calibration cache") from error
    if not lines or not re.fullmatch(r"TRT-\d+-\w+", lines[0]):
        raise ModelFileError(f"{path}: not a TensorRT calibration cache (its first line is no title such as TRT-100300-…)")
    scales: dict[str, float] = {}
    for number, line in enumerate(lines[1:], 2):
        match = re.fullmatch(r"(.+): ([0-9a-f]{1,8})", line)
        if not match:
            raise ModelFileError(f"{path}: line {number} is not NAME: HEXDIGITS ({line[:60]!r}); calibrate again")
        # TensorRT omits leading zeros.
        scales[match[1]] = struct.unpack(">f", bytes.fromhex(match[2].zfill(8)))[0]
    return scales


def _version_number(version: str) -> str:
    """8.6.1 → 8601; from version 10 on with two digits per part: 10.3.0 → 100300."""
    major, minor, patch = (int(part) for part in (version.split(".") + ["0", "0"])[:3])
    return f"{major}{minor:02}{patch:02}" if major >= 10 else f"{major}{minor}{patch:02}"


def _groups(model: onnx.ModelProto, tensors: Sequence[str]) -> list[list[str]]:
    group = {name: {name} for name in tensors}
    for node in model.graph.node:
        related = [name for name in (*node.input, *node.output) if name in group]
        if node.op_type in _KEEP_RANGE and len(related) > 1:
            members = set().union(*(group[name] for name in related))
            for name in members:
                group[name] = members
    unique = {id(members): members for members in group.values() if len(members) > 1}
    return [sorted(members) for members in unique.values()]
