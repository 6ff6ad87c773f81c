"""OpenVINO on the CPU: the faster engine on most x86-64 processors."""

from __future__ import annotations

from importlib import import_module
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from ...core.spec import ModelSpec
from .base import Availability, Engine, Frames, Output, Tensor
from .requests import Ticket
from .signal_stack import kept_signal_stack


class OpenVinoEngine(Engine):
    """OpenVINO's CPU plugin.

    For latency (the default), one request runs at a time, on all threads. Requests are reused. OpenVINO queues requests
    that are started during a computation and runs them without a gap and without Python. For throughput, OpenVINO
    chooses the number of parallel requests.
    """

    name: ClassVar[str] = "openvino"

    @classmethod
    def available(cls) -> Availability:
        try:
            return Availability(True, version=str(import_module("openvino").__version__).split("-")[0])
        except ImportError as error:
            return Availability(False, f"the package openvino can't be imported ({error}); pip install 'seg-edge[openvino]'")

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        ov: Any = import_module("openvino")
        with kept_signal_stack():
            options = compile_options(self.spec, self.threads)
            if self.throughput:
                # Two requests stay free: one is prepared and one is painted in the meantime.
                most = min(self.threads, self.most_in_flight - 2)
                options |= {"PERFORMANCE_HINT": "THROUGHPUT", "PERFORMANCE_HINT_NUM_REQUESTS": most}
            self._compiled: Any = ov.Core().compile_model(str(self.path), "CPU", options)
            if self.throughput:
                self.parallel = int(self._compiled.get_property("NUM_STREAMS"))
        self._request: Any = self._compiled.create_infer_request()
        self._in_flight: dict[int, Any] = {}  # requests by slot, created on first use
        self._tensor: Any = ov.Tensor
        return _tensors(self._compiled.inputs), _tensors(self._compiled.outputs)

    def _infer(self, frames: Frames) -> Output:
        # Sharing is safe: the call is synchronous and only reads, and the next call replaces the tensor.
        self._request.set_input_tensor(self._shared(frames))
        self._request.infer()
        result: Output = self._request.get_output_tensor(0).data
        return result

    def _submit(self, ticket: Ticket) -> None:
        request = self._in_flight.get(ticket.slot)
        if request is None:
            request = self._in_flight[ticket.slot] = self._compiled.create_infer_request()
        request.set_input_tensor(self._shared(ticket.frames))
        ticket.handle = request
        ticket.started_s = perf_counter()  # where OpenVINO's own clock starts
        request.start_async()

    def _collect(self, ticket: Ticket) -> Output:
        request = ticket.handle
        request.wait()
        # OpenVINO's own measurement from start to end, because the waiting thread may wake up late.
        ticket.computed_s = ticket.started_s + request.latency / 1e3
        result: Output = request.get_output_tensor(0).data
        return result

    def _shared(self, frames: Frames) -> Any:
        """A tensor that shares the memory of the frames. OpenVINO can't share read-only memory and copies it."""
        return self._tensor(frames, shared_memory=bool(frames.flags.writeable))

    def _close(self) -> None:
        for request in self._in_flight.values():
            request.cancel()  # does nothing for an idle request
        self._request = self._compiled = None
        self._in_flight.clear()


def compile_options(spec: ModelSpec, threads: int) -> dict[str, str | int]:
    """OpenVINO's properties for compiling a model."""
    options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    if spec.precision != "fp16":
        # The graph defines the precision. By default the plugin computes an fp32 network in bf16 or fp16 if the CPU
        # supports it, and the results would differ from those that were evaluated.
        options["INFERENCE_PRECISION_HINT"] = "f32"
    return options


def _tensors(ports: list[Any]) -> list[Tensor]:
    tensors = []
    for port in ports:
        shape = tuple(None if n.is_dynamic else n.get_length() for n in port.get_partial_shape())
        # A port may have several names in any order; the names that the spec expects go first.
        names = sorted(port.get_names(), key=lambda name: (name not in ("frames", "logits", "labels"), name))
        tensors.append(Tensor(names[0] if names else "?", np.dtype(port.get_element_type().to_dtype()).name, shape))
    return tensors
