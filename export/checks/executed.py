"""The convolutions that an engine computes in float, from the engine's record of executed kernels.

A complete Q/DQ graph may still run in float where an engine has no 8-bit kernel for a pattern. Only the executed
kernels show this. TensorRT has such a record only on a GPU; :func:`seg_edge.export.trt.typed.float_layers` checks its
network instead.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.engines.openvino import compile_options
from ...runtime.engines.signal_stack import kept_signal_stack
from ...runtime.modelfile.dialect import load_model
from ...runtime.modelfile.modelfile import read_spec


def float_kernels(path: Path, engine: str = "onnxruntime") -> list[str]:
    """Convolutions that an engine computes in float, transposed ones included; runs the model once in its dialect.

    Args:
        path: An exported ONNX file.
        engine: A name of :data:`RECORDS`.

    Returns:
        Names of the executed nodes; empty if every convolution ran on integers.

    Raises:
        KeyError: the engine has no such record.
        ModelFileError: the file can't be read.
    """
    return RECORDS[engine](path)


def _onnxruntime(path: Path) -> list[str]:
    ort: Any = import_module("onnxruntime")
    spec = read_spec(path)
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(load_model(path, spec, "onnxruntime"), options, providers=["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: _frames(session.get_inputs()[0].shape[0], spec.input_hw)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [(event["args"]["op_name"], event["name"]) for event in events if event.get("cat") == "Node"]
    ends, kinds = "_kernel_time", ("Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose")
    return [name.removesuffix(ends) for kind, name in kernels if kind in kinds and name.endswith(ends)]


def _openvino(path: Path) -> list[str]:
    ov: Any = import_module("openvino")
    spec = read_spec(path)
    with kept_signal_stack():
        compiled = ov.Core().compile_model(str(path), "CPU", {**compile_options(spec, 1), "PERF_COUNT": True})
    request = compiled.create_infer_request()
    batch = compiled.inputs[0].get_partial_shape()[0]
    request.infer([_frames(None if batch.is_dynamic else batch.get_length(), spec.input_hw)])
    # The suffix of a kernel's name is its data type: jit_avx2_I8, brgemm_avx512_FP32.
    return [
        info.node_name.removesuffix("/WithoutBiases")
        for info in request.profiling_info
        if info.node_type in ("Convolution", "Deconvolution")
        and info.exec_type.rsplit("_", 1)[-1].upper() not in ("I8", "U8", "INT8")
    ]


#: Engine → how to read its record.
RECORDS: dict[str, Callable[[Path], list[str]]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def _frames(batch: Any, size_hw: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.zeros((batch if isinstance(batch, int) else 1, *size_hw, 3), np.uint8)
