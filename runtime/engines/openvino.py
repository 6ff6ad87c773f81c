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
    """CPU plugin. Tuned for latency: one network at a time on all threads; its inference requests are reused, and those that
    are started while another one is computed follow it without a gap, and without Python. Tuned for throughput: OpenVINO
    chooses how many of them it computes side by side."""

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
                # At most so many that one more can be prepared and one painted meanwhile.
                most = min(self.threads, self.most_in_flight - 2)
                options |= {"PERFORMANCE_HINT": "THROUGHPUT", "PERFORMANCE_HINT_NUM_REQUESTS": most}
            self._compiled: Any = ov.Core().compile_model(str(self.path), "CPU", options)
            if self.throughput:
                self.parallel = int(self._compiled.get_property("NUM_STREAMS"))
        self._request: Any = self._compiled.create_infer_request()
        self._in_flight: dict[int, Any] = {}  # by slot, made when first needed
        self._tensor: Any = ov.Tensor
        return _tensors(self._compiled.inputs), _tensors(self._compiled.outputs)

    def _infer(self, frames: Frames) -> Output:
        # The call is synchronous and only reads, and the next one replaces the tensor.
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
        # OpenVINO's own clock, from the start to the end: the thread that waits may come late.
        ticket.computed_s = ticket.started_s + request.latency / 1e3
        result: Output = request.get_output_tensor(0).data
        return result

    def _shared(self, frames: Frames) -> Any:
        """A tensor in the frames' own memory. OpenVINO shares writeable memory only; read-only frames it must copy."""
        return self._tensor(frames, shared_memory=bool(frames.flags.writeable))

    def _close(self) -> None:
        for request in self._in_flight.values():
            request.cancel()  # does nothing to one that is at rest
        self._request = self._compiled = None
        self._in_flight.clear()


def compile_options(spec: ModelSpec, threads: int) -> dict[str, str | int]:
    """What a model is compiled with."""
    options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    if spec.precision != "fp16":
        # Precision lives in the graph. Left alone, the plugin computes an fp32 network in bf16 or fp16 wherever the CPU has
        # instructions for it, and what runs is no longer what was evaluated.
        options["INFERENCE_PRECISION_HINT"] = "f32"
    return options


def _tensors(ports: list[Any]) -> list[Tensor]:
    found = []
    for port in ports:
        shape = tuple(None if n.is_dynamic else n.get_length() for n in port.get_partial_shape())
        # OpenVINO may know a port by several names, in no order; the contract's name must be one of them.
        names = sorted(port.get_names(), key=lambda name: (name not in ("frames", "logits", "labels"), name))
        found.append(Tensor(names[0] if names else "?", np.dtype(port.get_element_type().to_dtype()).name, shape))
    return found
