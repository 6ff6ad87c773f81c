"""CUDA graphs: work on a stream, captured once and then launched as one unit.

pycuda has no bindings for graphs, so the driver is called directly:
https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__GRAPH.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

# CUstreamCaptureMode of cuda.h: other threads may allocate memory during the capture.
_THREAD_LOCAL = 1


class CudaGraph:
    """Captured work. A launch reads and writes the same addresses as the capture."""

    def __init__(self, library: Any, executable: ctypes.c_void_p, stream: int) -> None:
        self._library, self._executable, self._stream = library, executable, stream

    @classmethod
    def capture(cls, stream: int, work: Callable[[], None], library: Any = None) -> CudaGraph | None:
        """Captures the work that ``work`` enqueues on a stream; None, without side effects, if that is not possible.

        Args:
            stream: Handle (CUstream) of an idle stream of the current context; not the default stream.
            work: Called once; the enqueued work is recorded, not run.
            library: The CUDA driver library; None loads it.
        """
        try:
            library = library or ctypes.CDLL("libcuda.so.1")
            begin, end = library.cuStreamBeginCapture_v2, library.cuStreamEndCapture
            instantiate, destroy = library.cuGraphInstantiateWithFlags, library.cuGraphDestroy
        except (OSError, AttributeError):  # no driver, or one older than CUDA 11.4
            return None
        handle, graph = ctypes.c_void_p(stream), ctypes.c_void_p()
        if begin(handle, _THREAD_LOCAL):
            return None
        try:
            work()
            failed = False
        except RuntimeError:  # a network that copies data through the host can't be captured
            failed = True
        if end(handle, ctypes.byref(graph)) or failed or not graph.value:
            if graph.value:
                destroy(graph)
            return None
        executable = ctypes.c_void_p()
        code = instantiate(ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        destroy(graph)  # the executable does not depend on it
        return None if code else cls(library, executable, stream)

    def launch(self) -> None:
        """Enqueues the captured work on its stream.

        Raises:
            RuntimeError: the launch failed; the text includes the CUDA error number.
        """
        code = self._library.cuGraphLaunch(self._executable, ctypes.c_void_p(self._stream))
        if code:
            raise RuntimeError(f"cuGraphLaunch failed (CUDA error {code})")

    def close(self) -> None:
        """Frees the graph. May be called twice."""
        if self._executable.value:
            self._library.cuGraphExecDestroy(self._executable)
            self._executable.value = None
