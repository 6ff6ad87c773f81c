"""The Segmenter: pre-processing, engine and post-processing in one call."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.labels import VOID, Labels
from ..core.spec import ModelSpec
from .areas.areas import AreaCounter
from .areas.zones import Zones
from .backdrop.backdrop import Backdrop
from .calls import FrameCalls
from .engines.base import Engine
from .engines.opening import open_engine
from .engines.table import AUTO
from .frame.confidence import Confidence
from .frame.result import Outs, Result
from .frame.runner import FrameRunner, Pending
from .frame.style import Style
from .gating.gate import Gate

if TYPE_CHECKING:
    from .sources.base import Source, SourceFrame


class Segmenter(FrameCalls):
    """A model that segments frames of any size.

    Not thread-safe, with one exception: one thread may :meth:`start` frames while another finishes earlier frames.

    Frames are uint8 arrays with contiguous rows (crops too): ``"bgr"`` (H, W, 3), ``"nv12"`` (3*H/2, W) and ``"yuyv"``
    (H, W, 2); or tuples of planes, as decoders deliver them: see :func:`seg_edge.runtime.frame.kernels.resize`. The
    network's resize and the overlay read all of them directly; no other image in BGR is made.

    >>> with Segmenter("unet-s-camvid") as seg:
    ...     frame = np.zeros((720, 1280, 3), np.uint8)
    ...     seg(frame).shape, seg.overlay(frame).shape
    ((720, 1280), (720, 1280, 3))

    Args:
        model: An exported ONNX file, an artefact folder, or an open engine (closed together with the segmenter).
        engine: A name from :func:`seg_edge.runtime.engines.engines`, or ``"auto"``.
        threads: CPU threads of the engine and of the kernels around it; None is every core (the kernels: at most 4).
        alpha: Opacity of the overlay's colours, 0 to 1; or opacities by class name (0.5 for other classes).
        classes: Names of the classes that the overlay colours; None is all but one called "background". The mask always
            contains all classes.
        contours: Whether the overlay draws the borders between classes.
        background: ``"blur"`` or an image file: the overlay is the frame with another background instead of colours. What
            stays are ``classes``; None is all but the first. ``"none"`` and None leave the background.
        smooth: Weight of the new frame, above 0 to 1, in an exponential mean of the logits over the frames of one video
            (see :meth:`reset`). ``"adaptive"`` smooths what wavers, and follows changes at once. None disables smoothing.
        throughput: Let the engine compute several frames in parallel if it can: files are faster, each frame is slower.
        confidence: How sure the network is, as :attr:`.Result.confidence`: ``"probability"`` (softmax of the class) or
            ``"margin"`` (that minus the softmax of the second class). None leaves it out.
        min_confidence: Least confidence, 0 to 1, of a pixel that keeps its class; ``"probability"`` unless stated.
        below: What other pixels become: ``"void"`` (the labels' ``ignore_index``), or a class.
        areas: Count the pixels of every class in the pass that makes mask and overlay: ``Result.areas``.
        zones: Count them in these zones too (implies ``areas``): zones, or a file of them.
        gate: Compute a frame only if the network's input has changed since the last computed one, and at least every so many
            seconds; other frames get the last mask, and ``Result.computed`` is False. None computes all.

    Raises:
        ModelFileError, UnknownNameError, EngineError: as :func:`seg_edge.runtime.open_engine`; an unknown class.
        DataError: ``background`` is no image.
        InputError: ``alpha``, ``smooth`` or ``min_confidence`` is out of range, or one of the last two or ``confidence`` is
            given for a model without logits; a file of zones can't be read.
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
        background: str | Path | None = None,
        smooth: float | str | None = None,
        throughput: bool = False,
        confidence: str | None = None,
        min_confidence: float | None = None,
        below: str = VOID,
        areas: bool = False,
        zones: Zones | str | Path | None = None,
        gate: float | None = None,
    ) -> None:
        self.engine = model if isinstance(model, Engine) else open_engine(model, engine, threads, throughput=throughput)
        try:
            classes = None if classes is None else list(classes)
            backdrop = Backdrop.make(self.labels, background, classes)
            self.style = Style.make(self.labels, alpha, classes, contours, backdrop)
            #: What is said about confidence; None is nothing.
            self.confidence = Confidence.make(self.labels, confidence, min_confidence, below)
            if isinstance(zones, (str, Path)):
                from .areas.zonefile import read_zones  # late, as it brings readers of files that few need

                zones = read_zones(zones)
            #: Chooses the frames that are computed; None is all.
            self.gate = None if gate is None else Gate(gate)
            #: Counts areas; None counts nothing.
            self.counter = AreaCounter(self.labels.names, zones) if areas or zones is not None else None
            self._runner = self.runner_class(
                self.engine, self.style, smooth, threads, self.confidence, self.counter, self.gate
            )
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
        """Maximum number of frames in flight, see :meth:`start`; 1 if the device processes frames entirely."""
        return self._runner.most_in_flight

    def process_batch(self, frames: Sequence[SourceFrame], outs: Sequence[Outs], **wanted: bool) -> list[Result]:
        """Mask and overlay of several frames in one inference: see :meth:`.FrameRunner.process_batch`."""
        return self._runner.process_batch(frames, outs, **wanted)

    def start(self, frames: Sequence[SourceFrame]) -> Pending:
        """Submits frames to the network and returns immediately: see :meth:`.FrameRunner.start`."""
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
        """Yields the results of a source's frames, in order. Reading and inference overlap with the caller's loop.

        Args:
            source: An argument for :func:`seg_edge.runtime.open_source` (the source is closed at the end), or an open
                source (left open).
            mask, overlay: Whether to compute the mask and the overlay.
            max_frames: Stop after this many results.
            in_flight: Maximum number of frames in flight, see :class:`seg_edge.runtime.Pipeline`.

        Raises:
            SourceError, EngineError: the source can't be opened or fails; the engine failed.
        """
        from .pipeline.pipeline import stream

        return stream(source, self, mask=mask, overlay=overlay, max_frames=max_frames, in_flight=in_flight)

    def warmup(self, count: int = 3) -> None:
        """Runs ``count`` black frames, so that lazy allocations don't delay the first real frame."""
        self._runner.warmup(count)

    def reset(self) -> None:
        """Resets the smoothing of ``smooth``, and the ``gate``. Call this before another video, or after a cut."""
        self._runner.reset()

    def close(self) -> None:
        """Closes the engine. May be called twice."""
        self.engine.close()

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
