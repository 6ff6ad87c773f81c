"""Frame in, mask and overlay out: pre-processing, engine and post-processing as one call."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.labels import Labels
from ..core.spec import ModelSpec
from .engines.base import Engine
from .engines.opening import open_engine
from .engines.table import AUTO
from .frame.result import Frame, Logits, Mask, Outs, Result
from .frame.runner import FrameRunner, Pending
from .frame.style import Style

if TYPE_CHECKING:
    from .sources.base import Source, SourceFrame

__all__ = ["Segmenter"]


class Segmenter:
    """A model that takes frames of any size. Not thread-safe, with one exception: one thread may :meth:`start` frames while
    another finishes those before them.

    Frames are uint8 arrays with contiguous rows (a crop will do), in one of three pixel formats: ``"bgr"`` (H, W, 3), and
    what cameras and decoders deliver, ``"nv12"`` (3*H/2, W) and ``"yuyv"`` (H, W, 2), BT.601, limited range. The latter go
    straight into the network's resize; they are converted to BGR only for an overlay, in the overlay's own memory.

    >>> import numpy as np
    >>> with Segmenter("unet-s-camvid") as seg:
    ...     frame = np.zeros((720, 1280, 3), np.uint8)
    ...     seg(frame).shape, seg.overlay(frame).shape
    ((720, 1280), (720, 1280, 3))

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

    runner_class: ClassVar[type[FrameRunner]] = FrameRunner

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
            self._runner = self.runner_class(self.engine, self.style, smooth, threads)
        except BaseException:
            self.engine.close()
            raise
        self.alpha = alpha

    @property
    def spec(self) -> ModelSpec:
        return self.engine.spec

    @property
    def labels(self) -> Labels:
        return self.engine.spec.labels

    @property
    def most_in_flight(self) -> int:
        """How many frames may be in flight at the same time, see :meth:`start`; 1 where the device does their whole way."""
        return self._runner.most_in_flight

    def __call__(self, frame: Frame, out: Mask | None = None, *, pixel_format: str = "bgr") -> Mask:
        """Class numbers at the frame's own resolution: uint8 (H, W), ``out`` or a new array.

        Args:
            frame: See the class.
            out: uint8 (H, W) to write into; None allocates one, which is then the caller's.
            pixel_format: ``"bgr"``, ``"nv12"`` or ``"yuyv"``.

        Raises:
            UnknownNameError, TypeError, ValueError: no such pixel format; ``frame`` or ``out`` of another dtype or shape.
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
            EngineError: the model was exported with ``head="labels"``: its logits don't leave the graph.
        """
        return self._runner.logits(frame, pixel_format)

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
            UnknownNameError, TypeError, ValueError: no such pixel format; an array of another dtype or shape.
            EngineError: the engine failed or is closed.
        """
        return self._runner.process(frame, mask, overlay, (mask_out, out), pixel_format, **about)

    def process_batch(self, frames: Sequence[SourceFrame], outs: Sequence[Outs], **wanted: bool) -> list[Result]:
        """Mask and overlay of several frames in one inference: see :meth:`.FrameRunner.process_batch`."""
        return self._runner.process_batch(frames, outs, **wanted)

    def start(self, frames: Sequence[SourceFrame]) -> Pending:
        """Hands frames to the network and returns at once: see :meth:`.FrameRunner.start`."""
        return self._runner.start(frames)

    def finish(self, pending: Pending, outs: Sequence[Outs], **wanted: Any) -> list[Result]:
        """Mask and overlay of frames that were started: see :meth:`.FrameRunner.finish`."""
        return self._runner.finish(pending, outs, **wanted)

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
            SourceError, EngineError: the source can't be opened or fails; the engine failed.
        """
        from .pipeline.pipeline import stream

        return stream(source, self, mask=mask, overlay=overlay, max_frames=max_frames, in_flight=in_flight)

    def warmup(self, count: int = 3) -> None:
        """Runs ``count`` black frames, so that the first real one doesn't pay for lazy allocation."""
        self._runner.warmup(count)

    def reset(self) -> None:
        """Forgets the frames so far, where ``smooth`` remembers them: before another video, after a cut."""
        self._runner.painter.reset()

    def close(self) -> None:
        """Closes the engine. May be called twice."""
        self.engine.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
