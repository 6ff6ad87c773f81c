"""ONNX Runtime's CUDA provider: for NVIDIA GPUs without an engine file, and those that TensorRT-RTX skips (Hopper)."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from ...core.errors import EngineError
from ..machine import gpu as gpu_support
from .base import Availability, Tensor
from .onnxruntime import OnnxRuntimeEngine

PROVIDER = "CUDAExecutionProvider"


class OnnxRuntimeCudaEngine(OnnxRuntimeEngine):
    """The first GPU. Nothing falls back to the CPU behind the user's back, but for what the provider has no kernel for."""

    name: ClassVar[str] = "onnxruntime-cuda"
    device_kind: ClassVar[str] = "GPU"
    most_parallel: ClassVar[int] = 1

    @classmethod
    def available(cls) -> Availability:
        library = gpu_support.libcuda()
        if not library["devices"]:
            return Availability(False, f"no NVIDIA GPU can be used here ({library['reason']})")
        try:
            ort = import_module("onnxruntime")
        except ImportError as error:
            return Availability(False, f"the package onnxruntime can't be imported ({error}); pip install onnxruntime-gpu")
        version = str(ort.__version__)
        if PROVIDER not in ort.get_available_providers():
            return Availability(
                False, "this onnxruntime is the CPU build; pip uninstall onnxruntime, pip install onnxruntime-gpu", version
            )
        return Availability(True, version=version)

    @property
    def device(self) -> str:
        """``"GPU, NVIDIA H200"``"""
        devices = gpu_support.libcuda()["devices"]
        return f"{self.device_kind}, {devices[0]['name'] if devices else 'unknown'}"

    def _providers(self) -> list[Any]:
        # Searching for the fastest convolution takes seconds at the start and pays for itself in every frame after it.
        return [(PROVIDER, {"device_id": 0, "cudnn_conv_algo_search": "EXHAUSTIVE"}), "CPUExecutionProvider"]

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        found = super()._open()
        # Where CUDA's or cuDNN's libraries don't load, ONNX Runtime only warns and takes the CPU.
        if self._session.get_providers()[0] != PROVIDER:
            raise EngineError(
                f"engine {self.name}: ONNX Runtime {self.version} can't start CUDA (its libraries don't load); "
                "install the versions that it was built for, or take `engine='onnxruntime'`"
            )
        return found
