"""Frame in, mask and overlay out: pre-processing, engine and post-processing as one call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import EngineError, InputError
from ..core.labels import Labels
from ..core.spec import ModelSpec
from . import kernels
from .engines import AUTO, Engine, open_engine
from .fit import frame_window
from .style import Style
from .temporal import LogitsSmoother

if TYPE_CHECKING:
    from .sources import Source, SourceFrame

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]
#: Where a mask and an overlay are written; None allocates.
Outs = tuple["Mask | None", "Frame | None"]


@dataclass(frozen=True)
class Result:
    """What became of one frame.

    Attributes:
        frame_bgr: uint8 (H, W, 3), as it came.
        mask: uint8 (H, W), one class number per pixel of the frame; None where it was not asked for.
        overlay_bgr: uint8 (H, W, 3), the frame with the classes' colours blended in; None where it was not asked for.
        stages_ms: ``pre`` (frame to network input), ``engine`` and ``post`` (network output to mask and overlay).
        index: Number of the frame in its source, from 0.
        name: A name for files made from it.
        captured_s: ``time.perf_counter`` when the frame was in memory.
        origin: Number of its source where several are read together, else 0.
    """

    frame_bgr: Frame
    mask: Mask | None
    overlay_bgr: Frame | None
    stages_ms: dict[str, float] = field(default_factory=dict)
    index: int = 0
    name: str = ""
    captured_s: float = 0.0
    origin: int = 0

    @property
    def latency_ms(self) -> float:
        """Frame in memory to mask and overlay in memory."""
        return sum(self.stages_ms.values())


class Segmenter:
    """A model that takes frames of any size. Not for two threads at once.

    >>> seg = Segmenter("model.int8.onnx")
    >>> mask = seg(frame)  # uint8 (H, W)
    >>> overlay = seg.overlay(frame)  # uint8 (H, W, 3), BGR

    Args:
        model: An exported ONNX file, an artefact folder, or an open engine (closed together with the segmenter).
        engine: A name from :func:`seg_edge.runtime.engines.engines`, or ``"auto"``.
        threads: CPU threads of the engine and of the kernels around it; None is every core (the kernels: at most 4).
        alpha: Opacity of the overlay's colours, 0 to 1; or of some classes' by name (the others have 0.5).
        classes: Names of the classes that the overlay colours; None is all. The mask always has all of them.
        contours: Whether the overlay draws the borders between classes.
        smooth: Share of the new frame, above 0 to 1, in an exponential mean of the logits over the frames processed; for one
            video, see :meth:`reset`. None: every frame by itself.

    Raises:
        ModelFileError, UnknownNameError, EngineError: as :func:`seg_edge.runtime.open_engine` says.
        UnknownNameError: a class that the model doesn't have.
        InputError: ``alpha`` or ``smooth`` out of range; ``smooth`` with a model that gives no logits.
    """

    def __init__(
        self,
        model: str | Path | Engine,
        engine: str = AUTO,
        threads: int | None = None,
        alpha: float | Mapping[str, float] = 0.5,
        *,
        classes: Iterable[str] | None = None,
        contours: bool = False,
        smooth: float | None = None,
    ) -> None:
        self.engine = model if isinstance(model, Engine) else open_engine(model, engine, threads)
        try:
            self.style = Style.make(self.labels, alpha, classes, contours)
            # One for each source that frames come from.
            self._smoothers = (
                None if smooth is None else defaultdict(lambda: LogitsSmoother(smooth), {0: LogitsSmoother(smooth)})
            )
            if smooth is not None and self.spec.output != "logits":
                raise InputError(
                    f"smooth: {self.engine.path} was exported with --head labels and gives no logits; "
                    "export it with --head logits"
                )
        except BaseException:
            self.engine.close()
            raise
        self.alpha = alpha
        self._threads = None if threads is None else min(threads, kernels.MAX_THREADS)
        self._check_batch()
        # The device's kernels stretch, and paint every class with one opacity; whatever else is asked for, the C ones do.
        plain = self.style.plain_alpha is not None and smooth is None and self.spec.resize != "letterbox"
        self._on_device = self.engine.frame_path() if plain else None
        # One input buffer for every frame: (1, H, W, 3), filled by the resize.
        self._input = np.zeros((1, *self.spec.input_hw, 3), np.uint8)
        self._batch = self._input

    @property
    def spec(self) -> ModelSpec:
        return self.engine.spec

    @property
    def labels(self) -> Labels:
        return self.engine.spec.labels

    def __call__(self, frame_bgr: Frame, out: Mask | None = None) -> Mask:
        """Class numbers at the frame's own resolution.

        Args:
            frame_bgr: uint8 (H, W, 3), each row contiguous (a crop will do).
            out: uint8 (H, W) to write into; None allocates one, which is then the caller's.

        Returns:
            uint8 (H, W): ``out``, or a new array.

        Raises:
            TypeError, ValueError: ``frame_bgr`` or ``out`` of another dtype or shape.
            EngineError: the engine failed or is closed.
        """
        mask = self.process(frame_bgr, overlay=False, mask_out=out).mask
        assert mask is not None
        return mask

    def overlay(self, frame_bgr: Frame, out: Frame | None = None) -> Frame:
        """The frame with the classes' colours blended in: uint8 (H, W, 3), ``out`` or a new array. Raises as a call does."""
        overlay = self.process(frame_bgr, mask=False, out=out).overlay_bgr
        assert overlay is not None
        return overlay

    def logits(self, frame_bgr: Frame) -> Logits:
        """The network's own output for a frame: float32 (C, h, w), the caller's. Raises as a call does.

        Raises:
            EngineError: the model was exported with ``--head labels``: its logits don't leave the graph.
        """
        if self.spec.output != "logits":
            raise EngineError(
                f"{self.engine.path}: exported with --head labels, so it gives no logits; export it with --head logits"
            )
        _check_frame(frame_bgr)
        logits: Logits = self.engine.infer(self._network_input(frame_bgr))[0].copy()
        return logits

    def process(
        self,
        frame_bgr: Frame,
        *,
        mask: bool = True,
        overlay: bool = True,
        mask_out: Mask | None = None,
        out: Frame | None = None,
        **about: Any,
    ) -> Result:
        """Mask and overlay of one frame, with the time of each stage.

        Args:
            frame_bgr: uint8 (H, W, 3), each row contiguous (a crop will do).
            mask, overlay: What to compute; both cost one pass over the frame together.
            mask_out, out: Arrays to write the mask and the overlay into; None allocates.
            about: ``index``, ``name``, ``captured_s`` and ``origin`` of the result.

        Raises:
            TypeError, ValueError: an array of another dtype or shape.
            EngineError: the engine failed or is closed.
        """
        _check_frame(frame_bgr)
        alpha = self.style.plain_alpha
        if self._on_device is not None and alpha is not None:
            mask_out, out, stages_ms = self._on_device(frame_bgr, mask, overlay, mask_out, out, alpha)
            return Result(frame_bgr, mask_out, out, stages_ms, **about)
        started = perf_counter()
        frames = self._network_input(frame_bgr)
        fed = perf_counter()
        output = self.engine.infer(frames)[0]
        inferred = perf_counter()
        made = self._finish(output, frame_bgr, mask, overlay, (mask_out, out), about.get("origin", 0))
        done = perf_counter()
        stages_ms = {"pre": 1e3 * (fed - started), "engine": 1e3 * (inferred - fed), "post": 1e3 * (done - inferred)}
        return Result(frame_bgr, *made, stages_ms, **about)

    def process_batch(
        self, frames: Sequence[SourceFrame], outs: Sequence[Outs], *, mask: bool = True, overlay: bool = True
    ) -> list[Result]:
        """Mask and overlay of several frames, of any sizes, with one inference. The engine's batch must be free.

        Args:
            frames: From one source or several.
            outs: For each the arrays to write the mask and the overlay into, as ``mask_out`` and ``out`` of :meth:`process`.
            mask, overlay: What to compute.

        Returns:
            A result for each frame. Its ``pre`` and ``engine`` are the whole batch's, its ``post`` lasts until it was done
            itself: their sum is what the frame waited for.

        Raises:
            TypeError, ValueError, EngineError: as :meth:`process` says.
        """
        started = perf_counter()
        count = len(frames)
        if len(self._batch) < count:
            self._batch = np.zeros((count, *self.spec.input_hw, 3), np.uint8)
        for i, frame in enumerate(frames):
            _check_frame(frame.image_bgr)
            kernels.resize(frame.image_bgr, self.spec.input_hw, self.spec.resize, out=self._batch[i])
        fed = perf_counter()
        outputs = self.engine.infer(self._batch[:count])
        inferred = perf_counter()
        results = []
        for frame, output, arrays in zip(frames, outputs, outs, strict=True):
            made = self._finish(output, frame.image_bgr, mask, overlay, arrays, frame.origin)
            stages_ms = {"pre": 1e3 * (fed - started), "engine": 1e3 * (inferred - fed)}
            stages_ms["post"] = 1e3 * (perf_counter() - inferred)
            painted = Result(frame.image_bgr, *made, stages_ms, frame.index, frame.name, frame.captured_s, frame.origin)
            results.append(painted)
        return results

    def stream(
        self, source: str | Path | int | Source, *, mask: bool = True, overlay: bool = True, max_frames: int | None = None
    ) -> Generator[Result, None, None]:
        """Results of a source's frames, in order; reading and inference overlap with the caller's loop.

        Args:
            source: What :func:`seg_edge.runtime.open_source` takes (then closed at the end), or an open source (left open).
            mask, overlay: What to compute.
            max_frames: Stop after this many results.

        Raises:
            SourceError: the source can't be opened or fails.
            EngineError: the engine failed.
        """
        from .pipeline import Pipeline
        from .sources import Source, open_source

        if isinstance(source, Source):
            yield from Pipeline(source, self, mask=mask, overlay=overlay, max_frames=max_frames).results()
            return
        with open_source(source) as opened:
            yield from Pipeline(opened, self, mask=mask, overlay=overlay, max_frames=max_frames).results()

    def warmup(self, count: int = 3) -> None:
        """Runs ``count`` black frames, so that the first real one doesn't pay for lazy allocation."""
        frame = np.zeros((*self.spec.input_hw, 3), np.uint8)
        for _ in range(count):
            self.process(frame)
        self.reset()

    def reset(self) -> None:
        """Forgets the frames so far, where ``smooth`` remembers them: before another video, after a cut."""
        for smoother in (self._smoothers or {}).values():
            smoother.reset()

    def close(self) -> None:
        """Closes the engine. May be called twice."""
        self.engine.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check_batch(self) -> None:
        """Closes the engine and raises EngineError where the file fixes a batch of several frames."""
        batch = self.engine.batch or 1
        if batch != 1:
            path = self.engine.path
            self.engine.close()
            raise EngineError(
                f"{path}: takes batches of {batch} frames only; export it with batch 1 to run it frame by frame"
            )

    def _network_input(self, frame_bgr: Frame) -> Frame:
        if frame_bgr.shape[:2] == self.spec.input_hw and frame_bgr.flags.c_contiguous:
            return frame_bgr[None]
        kernels.resize(frame_bgr, self.spec.input_hw, self.spec.resize, out=self._input[0], threads=self._threads)
        return self._input

    def _finish(
        self, output: Logits | Mask, frame: Frame, mask: bool, overlay: bool, outs: Outs, origin: int
    ) -> tuple[Mask | None, Frame | None]:
        if self.spec.output == "labels":
            return self._from_labels(output, frame, mask, overlay, *outs)  # type: ignore[arg-type]
        if self._smoothers is not None:
            output = self._smoothers[origin](output)
        return self._from_logits(output, frame, mask, overlay, *outs)  # type: ignore[arg-type]

    def _from_logits(
        self, logits: Logits, frame_bgr: Frame, mask: bool, overlay: bool, mask_out: Mask | None, out: Frame | None
    ) -> tuple[Mask | None, Frame | None]:
        size_hw = frame_bgr.shape[:2]
        window = frame_window(self.spec, size_hw)
        if not overlay:
            if not mask:
                return None, None
            return kernels.upsample_argmax(logits, size_hw, mask_out, window=window, threads=self._threads), None
        if mask and mask_out is None:
            mask_out = np.empty(size_hw, np.uint8)
        painted = kernels.upsample_overlay(
            logits,
            frame_bgr,
            self.style.palette_bgr,
            out=out,
            mask_out=mask_out if mask else None,
            window=window,
            threads=self._threads,
            **self.style.arguments,
        )
        return (mask_out if mask else None), painted

    def _from_labels(
        self, labels: Mask, frame_bgr: Frame, mask: bool, overlay: bool, mask_out: Mask | None, out: Frame | None
    ) -> tuple[Mask | None, Frame | None]:
        height, width = frame_bgr.shape[:2]
        if mask_out is not None and (mask_out.dtype != np.uint8 or mask_out.shape != (height, width)):
            # OpenCV would quietly allocate another array and leave the caller's untouched.
            raise ValueError(f"process: mask_out must be uint8 ({height}, {width}), got {mask_out.dtype} {mask_out.shape}")
        window = frame_window(self.spec, (height, width))
        if window is not None:
            labels = labels[window.slices]
        # EXACT: pixel centres map to pixel centres; plain INTER_NEAREST is off by up to half a pixel.
        full = cv2.resize(labels, (width, height), dst=mask_out, interpolation=cv2.INTER_NEAREST_EXACT)
        sized: Mask = np.asarray(full, np.uint8)
        painted = None
        if overlay:
            style = self.style
            painted = kernels.blend(sized, frame_bgr, style.palette_bgr, out=out, threads=self._threads, **style.arguments)
        return (sized if mask else None), painted


def _check_frame(frame_bgr: Frame) -> None:
    if not isinstance(frame_bgr, np.ndarray) or frame_bgr.dtype != np.uint8:
        got = frame_bgr.dtype if isinstance(frame_bgr, np.ndarray) else type(frame_bgr).__name__
        raise TypeError(
            f"Segmenter: frame must be a uint8 array (H, W, 3), BGR, got {got}; pass frames as cameras deliver them"
        )
    if frame_bgr.ndim != 3 or frame_bgr.shape[2] != 3 or not frame_bgr.size:
        raise ValueError(
            f"Segmenter: frame must be (H, W, 3), BGR, got {frame_bgr.shape}; use cv2.cvtColor for grey or BGRA frames"
        )
    if frame_bgr.strides[1:] != (3, 1):
        raise ValueError("Segmenter: frame must have contiguous rows, got a strided view; use np.ascontiguousarray(frame)")
