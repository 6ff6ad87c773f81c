"""Frame in, mask and overlay out: pre-processing, engine and post-processing as one call."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from .engines import AUTO, Engine, open_engine
from .engines.requests import Ticket
from .frame import kernels
from .frame.fit import frame_window
from .frame.result import Frame, Mask, Result, check_frame
from .frame.style import Style
from .frame.temporal import LogitsSmoother

if TYPE_CHECKING:
    from .sources import Source, SourceFrame

__all__ = ["Frame", "Logits", "Mask", "Outs", "Pending", "Result", "Segmenter"]

Logits = npt.NDArray[np.float32]
#: Where a mask and an overlay are written; None allocates.
Outs = tuple["Mask | None", "Frame | None"]


@dataclass(frozen=True)
class Pending:
    """Frames whose network is being computed: :meth:`Segmenter.start` gives it, :meth:`Segmenter.finish` takes it.

    Attributes:
        frames: As they were given.
        ticket: The engine's request.
        buffer: The memory of its input; None where that is the frame itself.
        pre_ms: How long it took to make its input.
    """

    frames: tuple[SourceFrame, ...]
    ticket: Ticket
    buffer: Frame | None
    pre_ms: float


class Segmenter:
    """A model that takes frames of any size. Not for two threads at once, but for this: one thread may :meth:`start` frames
    while another one finishes those before them.

    Frames are uint8 arrays with contiguous rows (a crop will do), in one of three pixel formats: ``"bgr"`` (H, W, 3), and
    what cameras and decoders deliver, ``"nv12"`` (3*H/2, W) and ``"yuyv"`` (H, W, 2), BT.601, limited range. The latter go
    straight into the network's resize; a picture in BGR is made of them only to paint an overlay on, in the overlay itself.

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
        throughput: Let the engine compute several frames side by side, where it can: a file is done sooner, and each frame
            takes longer. Of use only to :class:`seg_edge.runtime.Pipeline` and :meth:`stream`, not to frames one by one.

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
        throughput: bool = False,
    ) -> None:
        self.engine = model if isinstance(model, Engine) else open_engine(model, engine, threads, throughput=throughput)
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
        # Side by side, every core has a network of its own to compute: the kernels must not ask for several.
        share = self.engine.threads // self.engine.parallel if self.engine.parallel > 1 else threads
        self._threads = None if share is None else min(share, kernels.MAX_THREADS)
        self._check_batch()
        # The device's kernels stretch, and paint every class with one opacity; whatever else is asked for, the C ones do.
        plain = self.style.plain_alpha is not None and smooth is None and self.spec.resize != "letterbox"
        self._on_device = self.engine.frame_path() if plain else None
        # One input buffer for every frame: (1, H, W, 3), filled by the resize.
        self._input = np.zeros((1, *self.spec.input_hw, 3), np.uint8)
        # Those of frames that are in flight together, while they are not.
        self._inputs: deque[Frame] = deque()
        # When each of the requests that are computed side by side will have been done with the last one.
        self._idle_s = [0.0] * self.engine.parallel

    @property
    def spec(self) -> ModelSpec:
        return self.engine.spec

    @property
    def labels(self) -> Labels:
        return self.engine.spec.labels

    @property
    def most_in_flight(self) -> int:
        """How many frames may be in flight at the same time, see :meth:`start`; 1 where the device does their whole way."""
        return 1 if self._on_device is not None else self.engine.most_in_flight

    def __call__(self, frame: Frame, out: Mask | None = None, *, pixel_format: str = "bgr") -> Mask:
        """Class numbers at the frame's own resolution.

        Args:
            frame: See the class.
            out: uint8 (H, W) to write into; None allocates one, which is then the caller's.
            pixel_format: ``"bgr"``, ``"nv12"`` or ``"yuyv"``.

        Returns:
            uint8 (H, W): ``out``, or a new array.

        Raises:
            UnknownNameError: no such pixel format.
            TypeError, ValueError: ``frame`` or ``out`` of another dtype or shape.
            EngineError: the engine failed or is closed.
        """
        mask = self.process(frame, overlay=False, mask_out=out, pixel_format=pixel_format).mask
        assert mask is not None
        return mask

    def overlay(self, frame: Frame, out: Frame | None = None, *, pixel_format: str = "bgr") -> Frame:
        """The frame with the classes' colours blended in: uint8 (H, W, 3), ``out`` or a new array. Raises as a call does."""
        overlay = self.process(frame, mask=False, out=out, pixel_format=pixel_format).overlay_bgr
        assert overlay is not None
        return overlay

    def logits(self, frame: Frame, *, pixel_format: str = "bgr") -> Logits:
        """The network's own output for a frame: float32 (C, h, w), the caller's. Raises as a call does.

        Raises:
            EngineError: the model was exported with ``--head labels``: its logits don't leave the graph.
        """
        if self.spec.output != "logits":
            raise EngineError(
                f"{self.engine.path}: exported with --head labels, so it gives no logits; export it with --head logits"
            )
        check_frame(frame, pixel_format)
        logits: Logits = self.engine.infer(self._network_input(frame, pixel_format))[0].copy()
        return logits

    def process(
        self,
        frame: Frame,
        *,
        mask: bool = True,
        overlay: bool = True,
        mask_out: Mask | None = None,
        out: Frame | None = None,
        pixel_format: str = "bgr",
        **about: Any,
    ) -> Result:
        """Mask and overlay of one frame, with the time of each stage.

        Args:
            frame, pixel_format: See the class.
            mask, overlay: What to compute; both cost one pass over the frame together.
            mask_out, out: Arrays to write the mask and the overlay into; None allocates.
            about: ``index``, ``name``, ``captured_s`` and ``origin`` of the result.

        Raises:
            UnknownNameError: no such pixel format.
            TypeError, ValueError: an array of another dtype or shape.
            EngineError: the engine failed or is closed.
        """
        check_frame(frame, pixel_format)
        about["pixel_format"] = pixel_format
        alpha = self.style.plain_alpha
        # The device's kernels read BGR.
        if self._on_device is not None and alpha is not None and pixel_format == "bgr":
            mask_out, out, stages_ms = self._on_device(frame, mask, overlay, mask_out, out, alpha)
            return Result(frame, mask_out, out, stages_ms, **about)
        started = perf_counter()
        frames = self._network_input(frame, pixel_format)
        fed = perf_counter()
        output = self.engine.infer(frames)[0]
        inferred = perf_counter()
        made = self._finish(output, frame, pixel_format, mask, overlay, (mask_out, out), about.get("origin", 0))
        done = perf_counter()
        stages_ms = {"pre": 1e3 * (fed - started), "engine": 1e3 * (inferred - fed), "post": 1e3 * (done - inferred)}
        return Result(frame, *made, stages_ms, **about)

    def process_batch(
        self, frames: Sequence[SourceFrame], outs: Sequence[Outs], *, mask: bool = True, overlay: bool = True
    ) -> list[Result]:
        """Mask and overlay of several frames, of any sizes, with one inference. The engine's batch must be free.

        Args, Returns, Raises: as :meth:`start` and :meth:`finish`, which it calls; nothing waits, so there is no ``wait``.
        """
        results = self.finish(self.start(frames), outs, mask=mask, overlay=overlay)
        for result in results:
            result.stages_ms["engine"] += result.stages_ms.pop("wait")
        return results

    def start(self, frames: Sequence[SourceFrame]) -> Pending:
        """Hands frames to the network and returns at once. What is started must be finished, the oldest first.

        Args:
            frames: One, or several of any sizes for one inference (the engine's batch must be free), from one source or
                several. Their arrays must not change until they are finished.

        Raises:
            UnknownNameError, TypeError, ValueError: a frame that :meth:`process` would refuse.
            EngineError: more than :attr:`most_in_flight`; the engine failed or is closed.
        """
        started = perf_counter()
        for frame in frames:
            check_frame(frame.image, frame.pixel_format)
        first = frames[0]
        if len(frames) == 1 and self._is_input(first.image, first.pixel_format):
            buffer, inputs = None, first.image[None]
        else:
            buffer = self._take_input(len(frames))
            inputs = buffer[: len(frames)]
            for frame, one in zip(frames, inputs, strict=True):
                self._resize(frame.image, frame.pixel_format, one)
        fed = perf_counter()
        return Pending(tuple(frames), self.engine.start(inputs), buffer, 1e3 * (fed - started))

    def finish(
        self,
        pending: Pending,
        outs: Sequence[Outs],
        *,
        mask: bool = True,
        overlay: bool = True,
        computed: Callable[[], None] | None = None,
    ) -> list[Result]:
        """Mask and overlay of frames that were started. Whatever happens, they are not in flight any more afterwards.

        Args:
            pending: From :meth:`start`, the oldest one.
            outs: For each frame the arrays to write the mask and the overlay into, as ``mask_out`` and ``out`` of
                :meth:`process`.
            mask, overlay: What to compute; neither just waits for the network.
            computed: Called when the network has done its work, before anything is painted.

        Returns:
            A result for each frame. Its ``pre``, ``wait`` and ``engine`` are the whole batch's, its ``post`` lasts until it
            was done itself: their sum is what the frame waited for.

        Raises:
            TypeError, ValueError, EngineError: as :meth:`process` says.
        """
        ticket = pending.ticket
        try:
            outputs = self.engine.wait(ticket)
            begun = perf_counter()
            if computed is not None:
                computed()
            # The network began with this request when it was done with an earlier one: the last, if it takes one at a time.
            lane = self._idle_s.index(min(self._idle_s))
            since = min(max(ticket.started_s, self._idle_s[lane]), ticket.computed_s)
            self._idle_s[lane] = ticket.computed_s
            stages_ms = {"pre": pending.pre_ms, "wait": 1e3 * (since - ticket.started_s + begun - ticket.computed_s)}
            stages_ms["engine"] = 1e3 * (ticket.computed_s - since)
            results = []
            for frame, output, arrays in zip(pending.frames, outputs, outs, strict=True):
                made = self._finish(output, frame.image, frame.pixel_format, mask, overlay, arrays, frame.origin)
                spent_ms = {**stages_ms, "post": 1e3 * (perf_counter() - begun)}
                about: dict[str, Any] = {"index": frame.index, "name": frame.name, "captured_s": frame.captured_s}
                about |= {"origin": frame.origin, "pixel_format": frame.pixel_format}
                results.append(Result(frame.image, *made, spent_ms, **about))
            return results
        finally:
            self.engine.release(ticket)
            if pending.buffer is not None:
                self._inputs.append(pending.buffer)

    def stream(
        self,
        source: str | Path | int | Source,
        *,
        mask: bool = True,
        overlay: bool = True,
        max_frames: int | None = None,
        in_flight: int | None = None,
    ) -> Generator[Result, None, None]:
        """Results of a source's frames, in order; reading and inference overlap with the caller's loop.

        Args:
            source: What :func:`seg_edge.runtime.open_source` takes (then closed at the end), or an open source (left open).
            mask, overlay: What to compute.
            max_frames: Stop after this many results.
            in_flight: Frames on their way at the same time, see :class:`seg_edge.runtime.Pipeline`.

        Raises:
            SourceError: the source can't be opened or fails.
            EngineError: the engine failed.
        """
        from .pipeline.pipeline import Pipeline
        from .sources import Source, open_source

        options: dict[str, Any] = {"mask": mask, "overlay": overlay, "max_frames": max_frames, "in_flight": in_flight}
        if isinstance(source, Source):
            yield from Pipeline(source, self, **options).results()
            return
        with open_source(source) as opened:
            yield from Pipeline(opened, self, **options).results()

    def warmup(self, count: int = 3) -> None:
        """Runs ``count`` black frames, so that the first real one doesn't pay for lazy allocation."""
        frame = np.zeros((*self.spec.input_hw, 3), np.uint8)
        for _ in range(count):
            self.process(frame)
            if self.engine.parallel > 1:
                frames = np.zeros((1, *frame.shape), np.uint8)
                for ticket in [self.engine.start(frames) for _ in range(self.engine.parallel)]:
                    self.engine.release(ticket)
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

    def _is_input(self, frame: Frame, pixel_format: str) -> bool:
        """Whether a frame can be the network's input as it is."""
        return pixel_format == "bgr" and frame.shape[:2] == self.spec.input_hw and frame.flags.c_contiguous

    def _network_input(self, frame: Frame, pixel_format: str = "bgr") -> Frame:
        if self._is_input(frame, pixel_format):
            return frame[None]
        self._resize(frame, pixel_format, self._input[0])
        return self._input

    def _resize(self, frame: Frame, pixel_format: str, out: Frame) -> None:
        rule, size_hw = self.spec.resize, self.spec.input_hw
        kernels.resize(frame, size_hw, rule, out=out, pixel_format=pixel_format, threads=self._threads)

    def _take_input(self, count: int) -> Frame:
        try:
            spare = self._inputs.pop()
        except IndexError:
            spare = None
        if spare is None or len(spare) < count:
            spare = np.empty((count, *self.spec.input_hw, 3), np.uint8)
        return spare

    def _finish(
        self,
        output: Logits | Mask,
        frame: Frame,
        pixel_format: str,
        mask: bool,
        overlay: bool,
        outs: Outs,
        origin: int,
    ) -> tuple[Mask | None, Frame | None]:
        if pixel_format != "bgr":
            size_hw = kernels.frame_hw(frame, pixel_format)
            if overlay:  # painted where the picture was made: no further array, no further copy
                frame = kernels.to_bgr(frame, pixel_format, outs[1], threads=self._threads)
                outs = outs[0], frame
            else:
                frame = np.broadcast_to(np.uint8(0), (*size_hw, 3))  # only its size counts
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
