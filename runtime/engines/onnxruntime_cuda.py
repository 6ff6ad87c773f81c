"""ONNX Runtime's CUDA provider: for NVIDIA GPUs without an engine file, or without TensorRT-RTX support (Hopper)."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from ...core.errors import EngineError
from ..machine import gpu as gpu_support
from .base import Availability, Tensor
from .onnxruntime import OnnxRuntimeEngine

PROVIDER = "CUDAExecutionProvider"


class OnnxRuntimeCudaEngine(OnnxRuntimeEngine):
    """Runs on the first GPU. Only operators without a CUDA kernel run on the CPU; there is no other silent fallback."""

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
        # The exhaustive search takes seconds at the start, and makes every later frame faster.
        return [(PROVIDER, {"device_id": 0, "cudnn_conv_algo_search": "EXHAUSTIVE"}), "CPUExecutionProvider"]

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        signature = super()._open()
        # If the CUDA or cuDNN libraries don't load, ONNX Runtime only warns and uses the CPU.
        if self._session.get_providers()[0] != PROVIDER:
            raise EngineError(
                f"engine {self.name}: ONNX Runtime {self.version} can't start CUDA (its libraries don't load); "
                "install the versions that it was built for, or take `engine='onnxruntime'`"
            )
        return signature
