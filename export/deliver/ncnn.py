"""ncnn's format: ``model.ncnn.param`` and ``model.ncnn.bin``, converted by pnnx from the plain graph.

https://github.com/Tencent/ncnn, https://github.com/pnnx/pnnx
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from ...core.artefact import atomic_path, write_json
from ...core.errors import EngineError, ModelFileError
from ...core.spec import ModelSpec
from .plain import Plain

PARAM_FILE, BIN_FILE, ABOUT_FILE = "model.ncnn.param", "model.ncnn.bin", "model.ncnn.json"
#: Names that pnnx gives to the first input and output.
INPUT, OUTPUT = "in0", "out0"
_SECONDS = 1800


def check_ncnn() -> None:
    """Raises EngineError if pnnx or ncnn is not installed."""
    missing = [name for name in ("pnnx", "ncnn") if find_spec(name) is None]
    if missing:
        raise EngineError(f"`ncnn`: the package {' and '.join(missing)} is missing; pip install 'seg-edge[ncnn]'")


def write_ncnn(plain: Plain, spec: ModelSpec, folder: Path, precision: str) -> dict[str, Any]:
    """Converts a plain graph, and writes ncnn's two files and what a program must know to use them.

    Args:
        plain: Its layout is ``"nchw"``, and its output are logits.
        spec: The spec of the artefact.
        folder: Gets :data:`PARAM_FILE`, :data:`BIN_FILE` and :data:`ABOUT_FILE`.
        precision: ``"fp32"``, or ``"fp16"``: weights are stored in half precision.

    Returns:
        The contents of :data:`ABOUT_FILE`.

    Raises:
        EngineError: pnnx or ncnn is not installed.
        ModelFileError: pnnx can't convert the graph, or ncnn lacks one of its operators.
    """
    check_ncnn()
    with tempfile.TemporaryDirectory() as scratch:
        onnx.save(plain.model, str(Path(scratch) / "model.onnx"))
        text = _pnnx(Path(scratch), spec.input_hw, precision)
        made = [Path(scratch) / f"model.ncnn.{suffix}" for suffix in ("param", "bin")]
        if not all(path.is_file() for path in made):
            raise ModelFileError(f"`ncnn`: pnnx can't convert {spec.name} ({text}); export it as ONNX only, and report this")
        left = _foreign_operators(made[0])
        if left:
            raise ModelFileError(
                f"`ncnn`: ncnn has no operator for {', '.join(left)} in {spec.name}; export it as ONNX only"
            )
        for path, name in zip(made, (PARAM_FILE, BIN_FILE), strict=True):
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(path, temporary)
    height, width = spec.input_hw
    about = {
        "param": PARAM_FILE, "bin": BIN_FILE, "input": INPUT, "output": OUTPUT, "height": height, "width": width,
        "color_order": "BGR", "mean": list(plain.mean_bgr), "norm": None, "resize": spec.resize,
        "output_stride": spec.output_stride, "classes": list(spec.labels.names), "weights": precision,
        "pnnx": _version("pnnx"),
    }  # fmt: skip
    write_json(folder / ABOUT_FILE, about)
    return about


def ncnn_logits(folder: Path, images: Sequence[npt.NDArray[np.float32]], threads: int) -> list[npt.NDArray[np.float32]]:
    """The files' logits in ncnn's Python package, computed in float32.

    Args:
        folder: Holds the files of :func:`write_ncnn`.
        images: Float32 (1, 3, H, W), as :meth:`.plain.Plain.image` gives them.
        threads: CPU threads.

    Returns:
        Float32 (1, C, h, w) for each image.

    Raises:
        EngineError: ncnn is not installed.
        ModelFileError: ncnn can't load or run the files.
    """
    check_ncnn()
    ncnn: Any = import_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute = threads, False
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    if net.load_param(str(folder / PARAM_FILE)) or net.load_model(str(folder / BIN_FILE)):
        raise ModelFileError(f"{folder / PARAM_FILE}: ncnn can't load it; export it again")
    result = []
    for image in images:
        extractor = net.create_extractor()
        extractor.input(INPUT, ncnn.Mat(image[0]).clone())
        code, output = extractor.extract(OUTPUT)
        if code:
            raise ModelFileError(f"{folder / PARAM_FILE}: ncnn can't run it (code {code}); export it as ONNX only")
        values = np.array(output, np.float32)
        result.append(values.reshape(1, *values.shape[-3:]))
    return result


def _pnnx(folder: Path, size_hw: tuple[int, int], precision: str) -> str:
    """Runs pnnx on ``model.onnx`` in a folder; returns its last lines, for errors."""
    package = find_spec("pnnx")
    assert package is not None
    assert package.submodule_search_locations is not None
    words = [
        str(Path(package.submodule_search_locations[0]) / "pnnx"), "model.onnx",
        f"inputshape=[1,3,{size_hw[0]},{size_hw[1]}]", f"fp16={int(precision == 'fp16')}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return " ".join(str(error).split())[:200]
    return f"status {done.returncode}: {' '.join((done.stderr or done.stdout).split())[-200:]}"


def _foreign_operators(param: Path) -> list[str]:
    """Operators that pnnx wrote down without knowing ncnn's name for them; those have a namespace, as in ``aten::x``."""
    lines = param.read_text(encoding="utf-8").splitlines()[2:]
    kinds = {line.split()[0] for line in lines if line.strip()}
    return sorted(kind for kind in kinds if "::" in kind or "." in kind)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
