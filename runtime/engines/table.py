"""The engines by name: where each lives and what it opens. Only the standard library is needed to read it."""

from __future__ import annotations

import platform
from typing import NamedTuple

#: The name that means: the fastest engine available.
AUTO = "auto"
#: How the address of a server begins that is named instead of an engine: ``http://HOST:PORT/MODEL``.
SERVERS = ("http://", "https://")


class Row(NamedTuple):
    """One engine: its module in this package, its class, the suffixes of the files that it opens, whether it needs a GPU.

    Tests hold suffixes and kind equal to what the class says.
    """

    module: str
    symbol: str
    suffixes: tuple[str, ...] = (".onnx",)
    gpu: bool = False


_X86 = platform.machine().lower() in ("x86_64", "amd64")
_PLANS = (".engine", ".plan")

#: Name → row, fastest first; modules are imported when they are asked about. GPUs come before CPUs; TensorRT opens engine
#: files only. OpenVINO is about twice as fast as ONNX Runtime on x86-64; elsewhere that has not been measured, so the engine
#: that every installation has goes first.
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
        reading: Only those that open files with this suffix (``".onnx"``, ``".engine"``).

    >>> names(".engine")
    ('tensorrt', 'rtx')
    """
    return tuple(name for name, row in TABLE.items() if reading is None or reading in row.suffixes)


def choices() -> tuple[str, ...]:
    """What an option that names an engine takes: ``"auto"`` and the names."""
    return (AUTO, *TABLE)


#: All of them; those that open ONNX files; those that open engine files, which ``seg-edge build`` makes.
ENGINES, GRAPH_ENGINES, PLAN_ENGINES = names(), names(".onnx"), names(".engine")
