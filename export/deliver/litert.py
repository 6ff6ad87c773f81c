"""LiteRT's format (TensorFlow Lite): ``model.tflite``, converted by litert-torch from the plain graph, in float32.

https://github.com/google-ai-edge/litert-torch, https://github.com/google-ai-edge/LiteRT
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.artefact import atomic_path, write_json
from ...core.errors import EngineError, ModelFileError
from ...core.spec import ModelSpec
from .plain import Plain

TFLITE_FILE, ABOUT_FILE = "model.tflite", "model.tflite.json"


def check_litert() -> None:
    """Raises EngineError if the converter or the interpreter is not installed."""
    packages = {"litert_torch": "litert-torch", "ai_edge_litert": "ai-edge-litert"}
    missing = [name for module, name in packages.items() if find_spec(module) is None]
    if missing:
        raise EngineError(f"`litert`: the package {' and '.join(missing)} is missing; pip install 'seg-edge[litert]'")


def write_litert(plain: Plain, spec: ModelSpec, folder: Path) -> dict[str, Any]:
    """Converts a plain graph, and writes what a program must know to use the file.

    Args:
        plain: Its layout is ``"nhwc"``, and its output are logits.
        spec: The spec of the artefact.
        folder: Gets :data:`TFLITE_FILE` and :data:`ABOUT_FILE`.

    Returns:
        The contents of :data:`ABOUT_FILE`.

    Raises:
        EngineError: litert-torch or ai-edge-litert is not installed.
        ModelFileError: the graph has an operator without a counterpart in torch, or the converter fails.
    """
    check_litert()
    import torch

    from ..int8.in_torch import TorchGraph

    network = TorchGraph(plain.model, "litert").eval()
    height, width = spec.input_hw
    nowhere = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        try:
            made = import_module("litert_torch").convert(network, (torch.zeros(1, height, width, 3),))
            with atomic_path(folder / TFLITE_FILE) as temporary:
                made.export(str(temporary))
        except Exception as error:  # the converter passes on errors of torch, of MLIR and its own
            text = " ".join(str(error).split())[:200]
            raise ModelFileError(
                f"`litert`: litert-torch can't convert {spec.name} ({type(error).__name__}: {text}); export it as ONNX only"
            ) from error
    about = {
        "file": TFLITE_FILE, "layout": "nhwc", "height": height, "width": width, "color_order": "BGR",
        "mean": list(plain.mean_bgr), "std": [1.0, 1.0, 1.0], "resize": spec.resize, "output_layout": "nchw",
        "output_stride": spec.output_stride, "classes": list(spec.labels.names), "precision": "fp32",
    }  # fmt: skip
    write_json(folder / ABOUT_FILE, about)
    return about


def litert_logits(path: Path, images: Sequence[npt.NDArray[np.float32]], threads: int) -> list[npt.NDArray[np.float32]]:
    """A file's logits in LiteRT, on the CPU.

    Args:
        path: A file of :func:`write_litert`.
        images: Float32 (1, H, W, 3), as :meth:`.plain.Plain.image` gives them.
        threads: CPU threads.

    Returns:
        Float32 (1, C, h, w) for each image.

    Raises:
        ModelFileError: LiteRT can't load the file.
    """
    try:
        interpreter = import_module("ai_edge_litert.interpreter").Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path}: LiteRT can't load it ({text}); export it again") from error
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    result = []
    for image in images:
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        result.append(np.array(interpreter.get_tensor(target), np.float32))
    return result
