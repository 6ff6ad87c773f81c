"""TensorRT and TensorRT-RTX on NVIDIA GPUs: two modules with one API, behind one class.

Memory is pinned and allocated once. One stream uploads the frame, runs the network and downloads the output. On boards
whose GPU shares the CPU's memory (Jetson), the buffers are mapped and nothing is copied. If possible, the whole network
runs as one CUDA graph: TensorRT-RTX has an option for it; for TensorRT the stream is captured
(:mod:`seg_edge.runtime.cuda.graph`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from ...core.errors import EngineError
from ..cuda.compile import cubin
from ..cuda.frame_path import FramePath
from ..cuda.graph import CudaGraph
from ..cuda.memory import Buffer
from ..machine import gpu as gpu_support
from ..modelfile.plan import PLAN_SUFFIXES, PlanHost, build_command
from ..modelfile.planfile import check_plan, read_plan
from . import nvinfer
from .base import INPUT_NAME, Availability, Engine, FrameProcessor, Frames, Output, Processed, Tensor
from .trt_log import Log, listen


class TensorRtEngine(Engine):
    """Runs a TensorRT engine file on the first GPU."""

    name: ClassVar[str] = "tensorrt"
    device_kind: ClassVar[str] = "GPU"
    suffixes: ClassVar[tuple[str, ...]] = PLAN_SUFFIXES
    # One stream and one pinned buffer for the output.
    most_in_flight: ClassVar[int] = 1

    @classmethod
    def available(cls) -> Availability:
        # Fast checks first, because loading the module takes half a second.
        library = gpu_support.libcuda()
        if not library["devices"]:
            return Availability(False, f"no NVIDIA GPU can be used here ({library['reason']})")
        if find_spec("pycuda") is None:
            return Availability(False, f"pycuda is not installed; {gpu_support.MODULES['pycuda']}")
        try:
            import_module("pycuda.driver")
        except Exception as error:  # loading a native module may raise anything
            return Availability(False, f"pycuda can't be imported ({' '.join(str(error).split())[:200]})")
        return nvinfer.module_available(cls.name)

    @classmethod
    def host(cls) -> PlanHost:
        """Hardware and software of this machine, as far as known without loading TensorRT's libraries twice."""
        library = gpu_support.libcuda()
        gpu = library["devices"][0] if library["devices"] else {"name": None, "compute_capability": None}
        version = nvinfer.module_available(cls.name).version or ""
        return PlanHost(cls.name, version, gpu["compute_capability"], gpu["name"], library["version"])

    @property
    def device(self) -> str:
        """``"GPU, NVIDIA H200"``"""
        return f"{self.device_kind}, {self._gpu_name}"

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        _spec, record = read_plan(self.path)
        check_plan(self.path, record, self.host())
        backend = nvinfer.load(self.name)
        self._cuda: Any = import_module("pycuda.driver")
        self._cuda.init()
        gpu = self._cuda.Device(0)
        self._gpu_name = str(gpu.name())
        self._cuda_context: Any = primary_context(self._cuda)
        self._graph: CudaGraph | None = None
        self._context: Any = None
        self._path: FramePath | None = None
        self._buffers: dict[str, Buffer] = {}
        self._log = Log()
        self._runtime: Any = None
        self._plan: Any = None
        self._stream: Any = None
        try:
            with self._current():
                self._runtime, self._plan = deserialize(
                    backend, self.path.read_bytes(), record.version_compatible, record.dla_core, self._log
                )
                inputs, outputs = tensors(backend.trt, self._plan)
                if self.fits(inputs, outputs):  # otherwise the base class raises an error that lists the tensors
                    self._mapped = bool(gpu.get_attribute(self._cuda.device_attribute.INTEGRATED))
                    self._start(backend, [*inputs, *outputs])
        except BaseException:
            self._close()
            raise
        return inputs, outputs

    def fits(self, inputs: list[Tensor], outputs: list[Tensor]) -> bool:
        """Whether buffers can be allocated: one input and one output, with fixed sizes except the batch."""
        return len(inputs) == len(outputs) == 1 and None not in (*inputs[0].shape[1:], *outputs[0].shape[1:])

    def _start(self, backend: nvinfer.Backend, both: list[Tensor]) -> None:
        """Creates the execution context, the buffers and the stream; runs the network once, because this allocates."""
        self._stream = self._cuda.Stream()
        self._context = execution_context(backend, self._plan)
        if self._context is None:
            raise EngineError(f"engine {self.name}: {self.path}: no execution context: {'; '.join(self._log.errors)[:300]}")
        for tensor in both:
            shape = tuple(1 if side is None else side for side in tensor.shape)
            if tensor.shape[0] is None and tensor.name == both[0].name:
                self._context.set_input_shape(tensor.name, shape)
            buffer = self._buffers[tensor.name] = Buffer(self._cuda, shape, tensor.dtype, self._mapped)
            if not self._context.set_tensor_address(tensor.name, buffer.address):
                raise EngineError(f"engine {self.name}: {self.path}: TensorRT refuses the buffer of {tensor}")
        self._enqueue()
        self._stream.synchronize()
        if not graphs_itself(backend):
            self._graph = CudaGraph.capture(int(self._stream.handle), self._enqueue)

    def frame_path(self) -> FrameProcessor | None:
        """The kernels around the network, compiled for this GPU; None without nvcc (:attr:`why` states the reason)."""
        if self.spec.output != "logits" or self.batch not in (1, None):
            return None
        try:
            code = cubin("sm_" + str(self.host().compute_capability).replace(".", ""))
        except EngineError as error:
            self.why += f"; resize and overlay run on the CPU: {error}"
            return None
        source, target = self._buffers[INPUT_NAME], self._buffers[self.spec.output]
        with self._current():
            self._path = FramePath(
                self._cuda, code, self._stream, self.spec, self._run, source.address, target.address, self._mapped
            )
        return self._process

    def _process(self, *arguments: Any) -> Processed:
        if self._path is None:
            raise EngineError(f"engine {self.name}: process after close; open the engine again")
        with self._current():
            try:
                return self._path.process(*arguments)
            except (TypeError, ValueError):
                raise
            except Exception as error:  # pycuda's errors have no common base class
                raise EngineError(f"engine {self.name}: {self.path} failed: {' '.join(str(error).split())[:300]}") from error

    def _run(self) -> None:
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._stream.handle):
            raise RuntimeError("; ".join(self._log.errors[-3:]) or "TensorRT could not start the network")

    def _infer(self, frames: Frames) -> Output:
        source, target = self._buffers[INPUT_NAME], self._buffers[self.spec.output]
        if frames.shape != source.host.shape:
            raise ValueError(f"this engine runs batches of {source.host.shape[0]}, got {frames.shape[0]}")
        with self._current():
            np.copyto(source.host, frames)
            source.upload(self._stream)
            self._run()
            target.download(self._stream)
            self._stream.synchronize()
        result: Output = target.host
        return result

    def _close(self) -> None:
        with self._current():
            if self._graph is not None:
                self._graph.close()
            self._path = None
            # The order matters: users of the memory are freed before the memory.
            self._graph = self._context = self._plan = self._runtime = self._stream = None
            self._buffers.clear()

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Makes the GPU's context current in the calling thread: pipelines run inference in their own threads."""
        self._cuda_context.push()
        try:
            yield
        finally:
            self._cuda.Context.pop()


class TensorRtRtxEngine(TensorRtEngine):
    """Runs a TensorRT-RTX engine file on the first GPU."""

    name: ClassVar[str] = "rtx"


@cache
def primary_context(cuda: Any) -> Any:
    """The primary context of the first GPU, which all libraries of the process share.

    It is kept until the process ends, because pycuda (2026.1) leaves a detached context on the thread's stack.
    """
    return cuda.Device(0).retain_primary_context()


def deserialize(
    backend: nvinfer.Backend, plan: bytes, version_compatible: bool, dla_core: int | None, log: Log
) -> tuple[Any, Any]:
    """Deserializes a plan; returns TensorRT's runtime, which must outlive the network, and the network.

    Args:
        backend: The TensorRT module.
        plan: Content of the engine file.
        version_compatible: The plan was built version-compatible. It then contains host code, which must be allowed.
        dla_core: The DLA core to run on, or None.
        log: Receives TensorRT's messages.

    Raises:
        EngineError: TensorRT rejects the plan; the text includes TensorRT's errors.
    """
    trt = backend.trt

    runtime = trt.Runtime(listen(trt, log))
    if version_compatible:
        runtime.engine_host_code_allowed = True
    if dla_core is not None:
        runtime.DLA_core = dla_core
    network = runtime.deserialize_cuda_engine(plan)
    if network is None:
        raise EngineError(
            f"engine {backend.flavour}: {backend.title} refuses the file: "
            f"{'; '.join(log.errors)[:300] or 'no reason given'}; "
            f"build it again on this machine: {build_command('MODEL', backend.flavour, 'force')}"
        )
    return runtime, network


def execution_context(backend: nvinfer.Backend, network: Any) -> Any:
    """Creates an execution context; with TensorRT-RTX, one that captures the whole network as a CUDA graph."""
    if graphs_itself(backend):
        config = network.create_runtime_config()
        config.cuda_graph_strategy = backend.trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return network.create_execution_context(config)
    return network.create_execution_context()


def graphs_itself(backend: nvinfer.Backend) -> bool:
    """Whether this version can capture CUDA graphs by itself (TensorRT-RTX)."""
    return hasattr(backend.trt, "CudaGraphStrategy") and hasattr(backend.trt.ICudaEngine, "create_runtime_config")


def tensors(trt: Any, network: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs of a network, in the form that the base class checks."""
    signature: tuple[list[Tensor], list[Tensor]] = ([], [])
    for i in range(network.num_io_tensors):
        name = network.get_tensor_name(i)
        shape = tuple(None if side < 0 else int(side) for side in network.get_tensor_shape(name))
        dtype = str(network.get_tensor_dtype(name)).rpartition(".")[2].lower()
        dtype = {"float": "float32", "half": "float16", "bool": "bool"}.get(dtype, dtype)
        is_input = network.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        signature[0 if is_input else 1].append(Tensor(name, dtype, shape))
    return signature
