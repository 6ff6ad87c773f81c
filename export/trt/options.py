"""The options of building an engine file."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.options import Options, configuration, option
from ...runtime.engines.table import PLAN_ENGINES


@configuration
class BuildOptions(Options):
    """How to build an engine file.

    >>> BuildOptions(compute_capabilities=("89",)).flavour
    'rtx'
    """

    flavour: str = option(
        "rtx",
        help="Builder; rtx (TensorRT-RTX) needs no GPU to build",
        flag="--engine",
        choices=lambda: PLAN_ENGINES,
        kind="engine to build for",
    )
    compute_capabilities: tuple[str, ...] = option(
        (),
        help="GPU to build for, e.g. 89; may be given more than once. Default: all (rtx), this GPU (tensorrt).",
        flag="--compute-capability",
    )
    workspace_mib: int | None = option(None, help="Most memory of one layer, MiB.", flag="--workspace")
    timing_cache: Path | None = option(None, help="File of measured kernels, read and extended (tensorrt).")
    version_compatible: bool = option(False, help="Runs on later TensorRT versions of the same major version too.")
    hardware_compatible: bool = option(False, help="Runs on every GPU from Ampere on (tensorrt).")
    dla_core: int | None = option(None, help="DLA core of a Jetson; what it can't take runs on the GPU (tensorrt to 10.7).")
    half_base: bool = option(False, help="What of an INT8 model is not INT8 computes in fp16.")
    calibration_cache: Path | None = option(None, help="INT8 scales for DLA. Default: the artefact's.")

    def check(self) -> None:
        for text in self.compute_capabilities:
            capability(text)
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise InputError(f"`workspace_mib`: expected MiB, at least 1, got {self.workspace_mib}")
        if self.dla_core is not None and self.dla_core < 0:
            raise InputError(f"`dla_core`: expected 0 or 1, got {self.dla_core}")
        if self.timing_cache is not None and self.timing_cache.is_dir():
            raise InputError(f"`timing_cache='{self.timing_cache}'`: is a folder; expected a file, which may be new")
        if self.calibration_cache is not None and self.dla_core is None:
            raise InputError("`calibration_cache`: only DLA takes one; pass `dla_core`, or build from model.int8.onnx")
        if self.calibration_cache is not None and not self.calibration_cache.is_file():
            raise InputError(
                f"`calibration_cache='{self.calibration_cache}'`: no such file; expected INT8 scales, as an export with "
                "`int8=True` and `dla_cache=True` writes them"
            )


def capability(text: str) -> str:
    """``"89"``, ``"8.9"`` or ``"sm_89"`` → ``"8.9"``.

    >>> capability("sm_120")
    '12.0'

    Raises:
        InputError: anything else.
    """
    digits = text.strip().lower().removeprefix("sm").removeprefix("_").replace(".", "")
    if not digits.isdigit() or not 2 <= len(digits) <= 3:
        raise InputError(f"`compute_capabilities`: expected one such as 89 or 8.9, got {text!r}")
    return f"{digits[:-1]}.{digits[-1]}"
