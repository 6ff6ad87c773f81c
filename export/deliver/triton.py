"""A model repository for NVIDIA's Triton Inference Server: ``REPOSITORY/NAME/1/model.onnx`` and its ``config.pbtxt``.

Format: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html and
model_configuration.html; the text is a ``ModelConfig`` message of model_config.proto.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from ...core.artefact import atomic_path, onnx_name, write_text
from ...core.errors import InputError
from ...core.spec import ModelSpec
from ...runtime.modelfile.plan import PLAN_SUFFIXES
from .options import SMALLEST

CONFIG = "config.pbtxt"


def write_repository(model: str | Path, spec: ModelSpec, repository: str | Path, batch: int | None = 1) -> Path:
    """Writes a model into a repository as version 1. Other models in the repository don't change.

    Args:
        model: An ONNX file or an engine file of TensorRT.
        spec: The spec of the model.
        repository: The folder for Triton's ``--model-repository``.
        batch: Fixed number of frames per inference; None is a free batch (of an engine file: one frame).

    Returns:
        The model's folder in the repository.

    Raises:
        InputError: an engine of TensorRT-RTX, for which Triton has no backend, or a folder that can't be written.
    """
    model = Path(model)
    platform, file = platform_of(model)
    folder = Path(repository) / model_name(spec)
    try:
        (folder / "1").mkdir(parents=True, exist_ok=True)
        for old in (folder / "1").glob("model.*"):  # Triton rejects two models in one version
            old.unlink()
    except OSError as error:
        raise InputError(f"`triton='{repository}'`: can't be written ({error.strerror}); choose another folder") from error
    with atomic_path(folder / "1" / file) as temporary:
        shutil.copyfile(model, temporary)
    write_text(folder / CONFIG, config_text(spec, platform, batch))
    return folder


def to_triton(artefact: Path, repository: Path, spec: ModelSpec, batch: int | None) -> Path:
    """Writes an artefact's TensorRT engine, or else its smallest ONNX file, into a Triton model repository.

    Returns:
        The model's folder in the repository.

    Raises:
        InputError: the folder can't be written.
    """
    engines = [path for path in sorted(artefact.iterdir()) if path.suffix in PLAN_SUFFIXES]
    for path in engines:
        try:
            platform_of(path)
        except InputError:  # an engine of TensorRT-RTX: use the ONNX file
            continue
        return write_repository(path, spec.with_(precision=path.name.split(".")[1]), repository, batch)
    precision = next(name for name in SMALLEST if (artefact / onnx_name(name)).is_file())
    return write_repository(artefact / onnx_name(precision), spec.with_(precision=precision), repository, batch)


def platform_of(model: Path) -> tuple[str, str]:
    """Triton's platform and file name for a model file."""
    if model.suffix in PLAN_SUFFIXES:
        with model.open("rb") as plan:
            if plan.read(4) == b"vtrt":
                raise InputError(
                    f"{model}: an engine of TensorRT-RTX, which Triton can't serve; take the ONNX file, or TensorRT's engine"
                )
        return "tensorrt_plan", "model.plan"
    return "onnxruntime_onnx", "model.onnx"


def model_name(spec: ModelSpec) -> str:
    """The spec's name as a folder name: letters, digits, ``_``, ``-`` and ``.``."""
    return re.sub(r"[^\w.-]", "_", spec.name)


def config_text(spec: ModelSpec, platform: str, batch: int | None = 1) -> str:
    """The ``config.pbtxt`` of a model.

    The batch is part of the shape (``max_batch_size: 0``): a fixed number, or -1 where each request may choose.
    """
    # Engine files of models with a free batch are built for one frame.
    size = batch or (1 if platform == "tensorrt_plan" else -1)
    height, width = spec.input_hw
    if spec.output == "labels":
        output = ("TYPE_UINT8", [size, height, width])
    else:
        output = ("TYPE_FP32", [size, len(spec.labels), *spec.output_hw])
    kind = "KIND_GPU" if platform == "tensorrt_plan" else "KIND_AUTO"
    classes = json.dumps({"names": list(spec.labels.names), "palette": [list(c) for c in spec.labels.palette]})
    parts = [
        f"name: {_text(model_name(spec))}",
        f"platform: {_text(platform)}",
        "max_batch_size: 0",
        _tensor("input", "frames", "TYPE_UINT8", [size, height, width, 3]),
        _tensor("output", spec.output, *output),
        f"instance_group [ {{ count: 1 kind: {kind} }} ]",
        *(_parameter(f"seg_edge.{key}", value) for key, value in (("classes", classes), ("resize", spec.resize))),
        _parameter("seg_edge.precision", spec.precision),
    ]
    return "\n".join(parts) + "\n"


def _tensor(role: str, name: str, kind: str, dims: list[int]) -> str:
    return f"{role} [ {{ name: {_text(name)} data_type: {kind} dims: {dims} }} ]"


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_text(key)} value {{ string_value: {_text(value)} }} }}"


def _text(value: str) -> str:
    """A quoted string in protobuf's text format, which accepts JSON's escapes except ``\\u``."""
    return json.dumps(value, ensure_ascii=False)
