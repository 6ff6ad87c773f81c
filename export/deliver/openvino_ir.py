"""OpenVINO's own format (IR): ``model.int8.xml`` and ``.bin``, for applications that can't read ONNX."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ...core.errors import EngineError, ModelFileError
from ...core.spec import METADATA_KEY, ModelSpec


def write_ir(model: Path, spec: ModelSpec, target: Path) -> list[Path]:
    """Converts an ONNX file to OpenVINO's IR.

    Args:
        model: An ONNX file of seg-edge.
        spec: Written into the IR's ``rt_info``.
        target: The ``.xml`` file; the weights go into a ``.bin`` beside it.

    Returns:
        Both files.

    Raises:
        EngineError: OpenVINO is not installed.
        ModelFileError: OpenVINO can't read the graph.
    """
    try:
        ov: Any = import_module("openvino")
    except ImportError as error:
        raise EngineError(
            f"`ir=True`: the package openvino can't be imported ({error}); pip install 'seg-edge[openvino]'"
        ) from error
    try:
        graph = ov.convert_model(str(model))
    except Exception as error:  # OpenVINO's frontends raise classes of their own
        text = " ".join(str(error).split())[:300]
        raise ModelFileError(f"`ir=True`: OpenVINO can't read {model.name} ({text}); report this") from error
    graph.set_rt_info(spec.to_json(), METADATA_KEY.split("."))
    # The graph defines the precision; by default, OpenVINO would store weights in fp16.
    ov.save_model(graph, str(target), compress_to_fp16=False)
    return [target, target.with_suffix(".bin")]
