"""The table of engines: module, class and file suffixes by name. Imports the standard library only."""

from __future__ import annotations

import platform
from typing import NamedTuple

#: The name for the fastest available engine.
AUTO = "auto"
#: Prefixes of server addresses, which may stand in place of an engine's name: ``http://HOST:PORT/MODEL``.
SERVERS = ("http://", "https://")


class Row(NamedTuple):
    """One engine: its module in this package, its class, the suffixes of its files, whether it needs a GPU.

    Tests check that suffixes and device match the class.
    """

    module: str
    symbol: str
    suffixes: tuple[str, ...] = (".onnx",)
    gpu: bool = False


_X86 = platform.machine().lower() in ("x86_64", "amd64")
_PLANS = (".engine", ".plan")

#: Name → row, fastest first, GPUs before CPUs. Modules are imported on first use. TensorRT opens engine files only.
#: OpenVINO is about twice as fast as ONNX Runtime on x86-64. On other CPUs this was not measured, so ONNX Runtime,
#: which every installation has, goes first.
TABLE: dict[str, Row] = dict(
    sorted(
        {
            "tensorrt": Row(".tensorrt", "TensorRtEngine", _PLANS, gpu=True),
            "rtx": Row(".tensorrt", "TensorRtRtxEngine", _PLANS, gpu=True),
            "onnxruntime-cuda": Row(".onnxruntime_cuda", "OnnxRuntimeCudaEngine", gpu=True),
            "openvino": Row(".openvino", "OpenVinoEngine"),
            "onnxruntime": Row(".onnxruntime", "OnnxRuntimeEngine"),
        }.items(),
        key=lambda row: row[0] == "openvino" and not _X86,
    )
)


def names(reading: str | None = None) -> tuple[str, ...]:
    """Names of the engines, fastest first.

    Args:
        reading: List only engines that open files with this suffix (``".onnx"``, ``".engine"``).

    >>> names(".engine")
    ('tensorrt', 'rtx')
    """
    return tuple(name for name, row in TABLE.items() if reading is None or reading in row.suffixes)


def choices() -> tuple[str, ...]:
    """Values of an option that names an engine: ``"auto"`` and the names."""
    return (AUTO, *TABLE)


#: All engines; engines that open ONNX files; engines that open engine files, which ``seg-edge build`` makes.
ENGINES, GRAPH_ENGINES, PLAN_ENGINES = names(), names(".onnx"), names(".engine")
