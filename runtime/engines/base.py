"""The base class of inference engines: open, infer, close. It makes all checks; a backend adds three short methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.cpu import resolve_threads
from ...core.errors import EngineError, SegEdgeError
from ...core.spec import ModelSpec
from .requests import CancelledError, Ticket, Worker

Frames = npt.NDArray[np.uint8]
Output = npt.NDArray[Any]
Shape = tuple[int | None, ...]
#: Mask, overlay, and the milliseconds of each stage.
Processed = tuple[Frames | None, Frames | None, dict[str, float]]
#: Frame, compute mask, compute overlay, output array for the mask, output array for the overlay, alpha →
#: :data:`Processed`.
FrameProcessor = Callable[[Frames, bool, bool, Frames | None, Frames | None, float], Processed]

INPUT_NAME = "frames"


@dataclass(frozen=True)
class Availability:
    """Whether a backend can be used on this machine.

    Attributes:
        ok: The backend can be used.
        reason: Why it can't be used, with the remedy; empty if it can.
        version: Version of the backend; None if unknown.
    """

    ok: bool
    reason: str = ""
    version: str | None = None


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model as reported by the backend. ``dtype`` is NumPy's name; a free dimension is None."""

    name: str
    dtype: str
    shape: Shape

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join('any' if n is None else str(n) for n in self.shape)})"


class Engine(ABC):
    """One network, opened by one backend.

    Not thread-safe, with one exception: one thread may :meth:`start` requests while another thread waits for them and
    releases them.

    Args:
        path: The model file.
        spec: Spec of the model, see :func:`seg_edge.runtime.modelfile.modelfile.read_spec`.
        threads: CPU threads; None is every core that this process may use. ``self.threads`` holds the resolved number.
        throughput: Compute several requests in parallel, each on a share of the threads, if the backend supports it.
            This gives more frames per second at a higher latency, also for :meth:`infer`.

    Attributes:
        parallel: Number of requests that are computed in parallel; 1 without ``throughput``.
        why: Why this engine was chosen, as a phrase for the user.

    Raises:
        EngineError: the backend is missing, can't open the file, or reports inputs or outputs that differ from the
            spec.
        InputError: ``threads`` is below 1 or far above the number of CPUs.
    """

    name: ClassVar[str]
    #: Kind of the device, for messages.
    device_kind: ClassVar[str] = "CPU"
    #: Suffixes of the files that the engine opens.
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)
    #: Maximum number of requests in flight (started and not yet released). Each request has its own memory.
    most_in_flight: ClassVar[int] = 16

    def __init__(self, path: str | Path, spec: ModelSpec, threads: int | None = None, throughput: bool = False) -> None:
        self.path = Path(path)
        self.spec = spec
        self.threads = resolve_threads(threads)
        self.throughput, self.parallel = throughput, 1
        self.why = "asked for"
        self._closed = True
        self._free = deque(range(self.most_in_flight))
        self._worker: Worker | None = None
        state = self.available()
        if not state.ok:
            raise EngineError(f"engine {self.name}: not available: {state.reason}")
        self.version = state.version
        try:
            inputs, outputs = self._open()
        except SegEdgeError:
            raise
        except Exception as error:
            raise EngineError(
                f"engine {self.name}: {self.path} can't be opened: {_message(error)}; "
                "export the model again, or take another `engine`"
            ) from error
        self._closed = False
        try:
            #: Batch size that the file fixes; None if the batch is free.
            self.batch = self._check_signature(inputs, outputs)
        except EngineError:
            self.close()
            raise

    @classmethod
    @abstractmethod
    def available(cls) -> Availability:
        """Whether the backend can be used on this machine. Never raises."""

    @property
    def device(self) -> str:
        """The device that runs the network, e.g. ``"CPU, 2 threads"``."""
        return f"{self.device_kind}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one frame's output: (C, h, w) for logits, (H, W) for labels."""
        height, width = self.spec.output_hw
        return (height, width) if self.spec.output == "labels" else (len(self.spec.labels), height, width)

    @property
    def output_dtype(self) -> str:
        """``"float32"`` for logits, ``"uint8"`` for labels."""
        return "uint8" if self.spec.output == "labels" else "float32"

    def infer(self, frames: Frames) -> Output:
        """Runs the network.

        Args:
            frames: uint8 (N, H, W, 3), BGR, C-contiguous; H and W are the spec's ``input_hw``. Neither changed nor
                kept.

        Returns:
            float32 (N, C, h, w) logits or uint8 (N, H, W) labels, C-contiguous. **The engine owns this array**: it is
            valid until the next :meth:`infer` or :meth:`close` and is read-only for the caller; copy it to keep it.

        Raises:
            TypeError: ``frames`` is not a uint8 array.
            ValueError: ``frames`` has a wrong shape or is not contiguous.
            EngineError: the engine is closed, or the backend failed.
        """
        self._check_frames("infer", frames)
        try:
            result = self._infer(frames)
        except Exception as error:
            raise self._failed(error) from error
        return self._check_output(frames, result)

    def start(self, frames: Frames) -> Ticket:
        """Submits frames to the network and returns immediately; :meth:`wait` returns the output.

        Requests begin in the order in which they were started. Every ticket must be released.

        Args:
            frames: As for :meth:`infer`. **Must not be changed until the ticket is released.**

        Raises:
            TypeError, ValueError: as :meth:`infer`.
            EngineError: the engine is closed, ``most_in_flight`` requests are in flight already, or the backend failed.
        """
        self._check_frames("start", frames)
        try:
            slot = self._free.popleft()
        except IndexError:
            raise EngineError(
                f"engine {self.name}: start: {self.most_in_flight} requests are in flight already, and it has no more; "
                "wait for the oldest and release it first"
            ) from None
        ticket = Ticket(slot, frames, perf_counter())
        try:
            self._submit(ticket)
        except Exception as error:
            self._free.appendleft(slot)
            raise self._failed(error) from error
        return ticket

    def wait(self, ticket: Ticket) -> Output:
        """Waits for a request, sets ``ticket.computed_s`` and returns the output.

        Returns:
            As :meth:`infer`, but valid until :meth:`release` of this ticket, regardless of other requests.

        Raises:
            EngineError: the network failed for these frames, or the engine was closed while the request was in flight.
        """
        try:
            result = self._collect(ticket)
        except (Exception, CancelledError) as error:
            if self._closed:
                raise EngineError(
                    f"engine {self.name}: closed while a request was in flight; open the engine again"
                ) from error
            raise self._failed(error) from error
        return self._check_output(ticket.frames, result)

    def cancel(self, ticket: Ticket) -> None:
        """Cancels a request whose output is not needed. It may still be computed, and must still be released."""
        if not self._closed:
            self._cancel(ticket)

    def release(self, ticket: Ticket) -> None:
        """Frees the memory of a request, after waiting for its end. Afterwards its output may be overwritten."""
        if not ticket.computed_s:
            with suppress(Exception, CancelledError):
                self._collect(ticket)
        ticket.handle = None
        self._free.appendleft(ticket.slot)  # reuse this slot first: its memory is still in the CPU caches

    def _check_frames(self, function: str, frames: Frames) -> None:
        if self._closed:
            raise EngineError(f"engine {self.name}: {function} after close; open the engine again")
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            got = frames.dtype if isinstance(frames, np.ndarray) else type(frames).__name__
            raise TypeError(
                f"{function}: frames must be a uint8 array (N, H, W, 3), got {got}; pass frames as cameras deliver them"
            )
        height, width = self.spec.input_hw
        if (
            frames.ndim != 4
            or frames.shape[1:] != (height, width, 3)
            or frames.shape[0] != (self.batch or max(frames.shape[0], 1))
        ):
            raise ValueError(
                f"{function}: frames must be ({self.batch or 'N'}, {height}, {width}, 3), got {frames.shape}; "
                "resize the frame and add the batch axis, or use Segmenter, which does both"
            )
        if not frames.flags.c_contiguous:
            raise ValueError(
                f"{function}: frames must be C-contiguous, got a strided view; use np.ascontiguousarray(frames)"
            )

    def _check_output(self, frames: Frames, result: Output) -> Output:
        expected = (frames.shape[0], *self.output_shape)
        if result.shape != expected or result.dtype != self.output_dtype:
            raise EngineError(
                f"engine {self.name}: {self.path} returned {result.dtype} {result.shape}, but its spec says "
                f"{self.output_dtype} {expected}; export the model again"
            )
        return result

    def _failed(self, error: BaseException) -> EngineError:
        return EngineError(f"engine {self.name}: {self.path} failed: {_message(error)}")

    def frame_path(self) -> FrameProcessor | None:
        """A function that processes a frame entirely on the engine's device; None if the C kernels must be used.

        The function raises TypeError and ValueError as :meth:`seg_edge.runtime.Segmenter.process`, and EngineError
        after :meth:`close`.
        """
        return None

    def close(self) -> None:
        """Frees the network. May be called twice."""
        if not self._closed:
            self._closed = True
            if self._worker is not None:
                self._worker.close()
                self._worker = None
            self._close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        """Loads ``self.path``; returns the model's inputs and outputs as reported by the backend."""

    @abstractmethod
    def _infer(self, frames: Frames) -> Output:
        """Runs the network on checked frames; the caller converts any exception to an EngineError."""

    @abstractmethod
    def _close(self) -> None:
        """Releases everything that ``_open`` created."""

    def _submit(self, ticket: Ticket) -> None:
        """Starts to compute ``ticket.frames``. By default in worker threads, created with the first request."""
        if self._worker is None:
            self._worker = Worker(self._infer, f"seg-edge-{self.name}", self.parallel)
        ticket.handle = self._worker.submit(ticket.frames)

    def _collect(self, ticket: Ticket) -> Output:
        """Waits for the output of a ticket, in memory that no other ticket shares; sets ``ticket.computed_s``."""
        result: Output
        result, ticket.computed_s = ticket.handle.result()
        return result

    def _cancel(self, ticket: Ticket) -> None:
        """Cancels a request that has not begun; does nothing if that is not possible."""
        ticket.handle.cancel()

    def _check_signature(self, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
        expected_in = Tensor(INPUT_NAME, "uint8", (None, *self.spec.input_hw, 3))
        expected_out = Tensor(self.spec.output, self.output_dtype, (None, *self.output_shape))
        for kind, tensors, expected in (("input", inputs, expected_in), ("output", outputs, expected_out)):
            if len(tensors) != 1 or not _matches(tensors[0], expected):
                raise EngineError(
                    f"engine {self.name}: {self.path}: its spec says one {kind} {expected}, but the graph has "
                    f"{'; '.join(map(str, tensors)) or 'none'}; export the model again"
                )
        return inputs[0].shape[0]


def _matches(found: Tensor, expected: Tensor) -> bool:
    return (
        (found.name, found.dtype, len(found.shape)) == (expected.name, expected.dtype, len(expected.shape))
        # A free dimension in the file matches any size, because the output of each run is checked against the spec
        # again.
        and all(a is None or b is None or a == b for a, b in zip(found.shape, expected.shape, strict=True))
    )


def _message(error: BaseException) -> str:
    """The message of a backend as one line of bounded length, without source positions of the backend."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from ", "Check '"))]
    return " ".join(telling or lines or [type(error).__name__])[:300]
