"""ONNX Runtime on the CPU: part of every installation."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from ..modelfile.dialect import load_model
from .base import INPUT_NAME, Availability, Engine, Frames, Output, Tensor

_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64"}


class OnnxRuntimeEngine(Engine):
    """CPU execution provider, all graph optimizations."""

    name: ClassVar[str] = "onnxruntime"
    #: Maximum number of parallel requests; each needs its own memory for activations.
    most_parallel: ClassVar[int] = 4

    @classmethod
    def available(cls) -> Availability:
        try:
            return Availability(True, version=str(import_module("onnxruntime").__version__))
        except ImportError as error:
            return Availability(False, f"the package onnxruntime can't be imported ({error}); pip install onnxruntime")

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        ort: Any = import_module("onnxruntime")
        options = ort.SessionOptions()
        if self.throughput:
            # Equal shares with the fewest unused threads: 2 x 3 of 7, not 4 x 1.
            numbers = range(min(self.threads, self.most_parallel), 0, -1)
            self.parallel = max(numbers, key=lambda n: (n > 1, self.threads // n * n))
        options.intra_op_num_threads = self.threads // self.parallel
        # A U-Net is a chain, so operators run one after the other, each on all threads.
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3  # errors only; the warnings concern the internal graph optimizer
        model = load_model(self.path, self.spec, self.name)
        self._session: Any = ort.InferenceSession(model, options, providers=self._providers())
        return _tensors(self._session.get_inputs()), _tensors(self._session.get_outputs())

    def _providers(self) -> list[Any]:
        return ["CPUExecutionProvider"]

    def _infer(self, frames: Frames) -> Output:
        result: Output = self._session.run([self.spec.output], {INPUT_NAME: frames})[0]
        return result

    def _close(self) -> None:
        self._session = None


def _tensors(nodes: list[Any]) -> list[Tensor]:
    return [
        Tensor(node.name, _DTYPES.get(node.type, node.type), tuple(n if isinstance(n, int) else None for n in node.shape))
        for node in nodes
    ]
