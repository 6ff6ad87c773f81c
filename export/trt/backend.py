"""Loads the module that builds engine files, and checks that it supports the options."""

from __future__ import annotations

from ...runtime.engines import nvinfer
from ...runtime.engines.nvinfer import Backend
from .options import BuildOptions


def open_backend(options: BuildOptions) -> Backend:
    """Loads TensorRT or TensorRT-RTX.

    Raises:
        EngineError: the module is missing, or its version lacks a feature, which the text names.
    """
    backend = nvinfer.load(options.flavour)
    for wanted, feature, field in (
        (options.timing_cache is not None, "timing cache", "`timing_cache`"),
        (options.version_compatible, "version compatible", "`version_compatible`"),
        (options.hardware_compatible, "hardware compatible", "`hardware_compatible`"),
        (options.dla_core is not None, "dla", "`dla_core`"),
        (options.calibration_cache is not None, "calibration cache", "`calibration_cache`"),
    ):
        if wanted:
            backend.require(feature, field)
    return backend
