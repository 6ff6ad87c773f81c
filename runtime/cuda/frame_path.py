"""Processes a frame entirely on the GPU: upload, resize, network, upsample, paint, and download of mask and overlay.

All work runs on the engine's stream, with the kernels of ``kernels.cu``. Buffers of the frame's size are allocated
once, and again when the size changes. The results are byte-equal to those of the C kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.spec import ModelSpec
from .memory import Buffer

U8 = npt.NDArray[np.uint8]

# 256 threads; 32 neighbours along a row make coalesced reads and writes.
BLOCK = (32, 8, 1)


class FramePath:
    """The kernels around one network. Not thread-safe. The GPU's context must be current.

    Args:
        cuda: The module ``pycuda.driver``.
        cubin: Machine code of the kernels, see :func:`seg_edge.runtime.cuda.compile.cubin`.
        stream: The network's stream.
        spec: Spec of the network; the output must be logits.
        network: Enqueues the network on the stream.
        source, target: Addresses of the network's input and output on the GPU.
        mapped: Whether the GPU shares the processor's memory.
    """

    def __init__(
        self, cuda: Any, cubin: Path, stream: Any, spec: ModelSpec, network: Callable[[], None], source: int, target: int,
        mapped: bool,
    ) -> None:  # fmt: skip
        self._cuda, self._stream, self._spec, self._network = cuda, stream, spec, network
        self._source, self._target, self._mapped = source, target, mapped
        module = cuda.module_from_file(str(cubin))
        self._module = module  # owns the functions
        self._resize, self._corners, self._upsample = (
            module.get_function(f"se_cuda_{name}") for name in ("resize", "corners", "upsample")
        )
        palette = spec.labels.palette_bgr
        self._palette = self._buffer(palette.shape)
        self._palette.host[...] = palette
        self._palette.upload(stream)
        self._corner_labels = self._buffer(spec.output_hw)
        self._events = [cuda.Event() for _ in range(3)]
        self._size_hw = (0, 0)

    def process(
        self, frame_bgr: U8, mask: bool, overlay: bool, mask_out: U8 | None, out: U8 | None, alpha: float
    ) -> tuple[U8 | None, U8 | None, dict[str, float]]:
        """Mask and overlay of one frame.

        Args:
            frame_bgr: uint8 (H, W, 3), each row contiguous.
            mask, overlay: Whether to compute the mask and the overlay.
            mask_out: Output array for the mask, uint8 (H, W); None allocates.
            out: Output array for the overlay, uint8 (H, W, 3); may be the frame itself; None allocates.
            alpha: Opacity of the colours, 0 to 1.

        Returns:
            Mask and overlay (None where not requested), and the milliseconds of ``pre``, ``engine`` and ``post``. Their
            sum is the duration of the call. ``pre`` and ``post`` include the copies to and from pinned memory.

        Raises:
            TypeError, ValueError: an array has a wrong dtype or shape.
        """
        height, width = frame_bgr.shape[:2]
        mask_out = _output("mask_out", mask_out, (height, width)) if mask else None
        out = _output("out", out, (height, width, 3)) if overlay else None
        started = perf_counter()
        self._fit((height, width))
        begin, fed, inferred = self._events
        np.copyto(self._frame.host, frame_bgr)
        copied = perf_counter()
        begin.record(self._stream)
        self._frame.upload(self._stream)
        self._launch_resize((height, width))
        fed.record(self._stream)
        self._network()
        inferred.record(self._stream)
        if mask or overlay:
            self._launch_upsample((height, width), mask, overlay, alpha)
        if mask:
            self._mask.download(self._stream)
        if overlay:
            self._overlay.download(self._stream)
        self._stream.synchronize()
        if mask_out is not None:
            np.copyto(mask_out, self._mask.host)
        if out is not None:
            np.copyto(out, self._overlay.host)
        pre = 1e3 * (copied - started) + fed.time_since(begin)
        engine = inferred.time_since(fed)
        return mask_out, out, {"pre": pre, "engine": engine, "post": 1e3 * (perf_counter() - started) - pre - engine}

    def _fit(self, size_hw: tuple[int, int]) -> None:
        if size_hw != self._size_hw:
            self._size_hw = size_hw
            self._frame, self._overlay = self._buffer((*size_hw, 3)), self._buffer((*size_hw, 3))
            self._mask = self._buffer(size_hw)

    def _launch_resize(self, size_hw: tuple[int, int]) -> None:
        target_hw = self._spec.input_hw
        area = self._spec.resize == "area" and target_hw[0] <= size_hw[0] and target_hw[1] <= size_hw[1]
        self._launch(
            self._resize, target_hw, np.uintp(self._frame.address), np.uintp(3 * size_hw[1]), *map(np.int32, size_hw),
            np.uintp(self._source), *map(np.int32, target_hw), np.int32(area),
        )  # fmt: skip

    def _launch_upsample(self, size_hw: tuple[int, int], mask: bool, overlay: bool, alpha: float) -> None:
        classes, rows_columns = np.int32(len(self._spec.labels)), tuple(map(np.int32, self._spec.output_hw))
        logits, corners = np.uintp(self._target), np.uintp(self._corner_labels.address)
        stride = np.uintp(3 * size_hw[1])
        self._launch(self._corners, self._spec.output_hw, logits, classes, *rows_columns, corners)
        self._launch(
            self._upsample, size_hw, logits, corners, classes, *rows_columns, np.uintp(self._palette.address),
            np.uintp(self._frame.address), stride, np.uint32(int(256 * alpha + 0.5)),
            np.uintp(self._overlay.address if overlay else 0), stride, np.uintp(self._mask.address if mask else 0),
            *map(np.int32, size_hw),
        )  # fmt: skip

    def _launch(self, function: Any, size_hw: tuple[int, int], *arguments: Any) -> None:
        grid = (-(-size_hw[1] // BLOCK[0]), -(-size_hw[0] // BLOCK[1]))
        function(*arguments, block=BLOCK, grid=grid, stream=self._stream)

    def _buffer(self, shape: tuple[int, ...]) -> Buffer:
        return Buffer(self._cuda, shape, "uint8", self._mapped)


def _output(name: str, array: U8 | None, shape: tuple[int, ...]) -> U8:
    if array is None:
        return np.empty(shape, np.uint8)
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"process: {name} must be uint8 {shape}, got {got}; make it with np.empty(shape, np.uint8)")
    if array.shape != shape or not array.flags.writeable:
        received = "a read-only array" if array.shape == shape else str(array.shape)
        raise ValueError(f"process: {name} must be uint8 {shape} and writable, got {received}; pass another array")
    return array
