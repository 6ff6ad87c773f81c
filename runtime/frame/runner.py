"""Runs frames through an engine: input, network, mask and overlay; one at a time or several in flight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.errors import EngineError, InputError
from ..areas.areas import AreaCounter
from ..engines.base import Engine
from ..engines.requests import Ticket
from ..gating.gate import Gate, Work
from . import kernels
from .colours import BT601, Colours, Image
from .confidence import Confidence
from .inputs import NetworkInputs
from .painter import Painter
from .result import Frame, Logits, Outs, Result, bgr_of, check_frame
from .style import Style

if TYPE_CHECKING:
    from ..sources.base import SourceFrame


@dataclass(frozen=True)
class Pending:
    """Frames that the network is computing, from :meth:`FrameRunner.start`, for :meth:`FrameRunner.finish`.

    Attributes:
        frames: The frames.
        ticket: The engine's request; None if no frame must be computed.
        buffer: The buffer of the network's input; None if the input is the memory of the frame.
        pre_ms: Milliseconds for preparing the input.
        work: For each frame, what it asks for.
    """

    frames: tuple[SourceFrame, ...]
    ticket: Ticket | None
    buffer: Frame | None
    pre_ms: float
    work: tuple[Work, ...]


class FrameRunner:
    """Implementation of :class:`seg_edge.runtime.Segmenter`.

    Not thread-safe, with one exception: one thread may :meth:`start` frames while another thread finishes earlier
    frames.

    Args:
        engine: An open engine; the runner does not close it.
        style: Colours and opacities.
        smooth: Weight of the new frame in an exponential mean of the logits, or ``"adaptive"``; None disables smoothing.
        threads: CPU threads of the kernels, at most 64; None is their default.
        confidence: What to say about confidence; None is nothing.
        counter: Counts the pixels of every class; None counts nothing.
        gate: Says which frames the network computes; None is all.

    Raises:
        EngineError: the model has a fixed batch of several frames.
        InputError: ``smooth`` is out of range; it or ``confidence`` is given for a model without logits.
    """

    painter_class: ClassVar[type[Painter]] = Painter

    def __init__(
        self,
        engine: Engine,
        style: Style,
        smooth: float | str | None = None,
        threads: int | None = None,
        confidence: Confidence | None = None,
        counter: AreaCounter | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.engine, self.gate = engine, gate
        for option, wanted in (("smooth", smooth), ("confidence", confidence)):
            if wanted is not None and engine.spec.output != "logits":
                raise InputError(
                    f"`{option}`: {engine.path} was exported with `head='labels'` and gives no logits; "
                    "export it with `head='logits'`"
                )
        self.check_batch()
        # With parallel requests the cores are busy with networks, so the kernels use only the threads of one request.
        share = engine.threads // engine.parallel if engine.parallel > 1 else threads
        share = None if share is None else min(share, kernels.MAX_THREADS)
        self.inputs = NetworkInputs(engine.spec, share)
        self.painter = self.painter_class(engine.spec, style, smooth, share, confidence, counter, gate is not None)
        # The device's kernels only stretch frames and use one opacity; the C kernels support everything.
        plain = style.plain_alpha is not None and smooth is None and confidence is None
        plain = plain and engine.spec.resize != "letterbox" and gate is None
        self.device_path = engine.frame_path() if plain else None
        self._plain_alpha = style.plain_alpha
        # For each parallel request, the time at which it finished its last frame.
        self._idle_s = [0.0] * engine.parallel

    @property
    def most_in_flight(self) -> int:
        """Maximum number of frames in flight; 1 if the device processes frames entirely."""
        return 1 if self.device_path is not None else self.engine.most_in_flight

    def check_batch(self) -> None:
        """Checks that the model accepts single frames.

        Raises:
            EngineError: the model has a fixed batch of several frames.
        """
        batch = self.engine.batch or 1
        if batch != 1:
            raise EngineError(
                f"{self.engine.path}: takes batches of {batch} frames only; export it with batch 1 to run it frame by frame"
            )

    def single_input(self, frame: Image, pixel_format: str, colours: Colours = BT601) -> Frame:
        """The network's input for one frame: uint8 (1, H, W, 3), valid until the next call."""
        return self.inputs.single(frame, pixel_format, colours)

    def logits(self, frame: Image, pixel_format: str = "bgr", colours: Colours = BT601) -> Logits:
        """See :meth:`seg_edge.runtime.Segmenter.logits`."""
        if self.engine.spec.output != "logits":
            raise EngineError(
                f"{self.engine.path}: exported with `head='labels'`, so it gives no logits; export it with `head='logits'`"
            )
        check_frame(frame, pixel_format)
        logits: Logits = self.engine.infer(self.single_input(frame, pixel_format, colours))[0].copy()
        return logits

    def process(
        self,
        frame: Image,
        mask: bool,
        overlay: bool,
        outs: Outs = (None, None),
        pixel_format: str = "bgr",
        colours: Colours = BT601,
        **about: Any,
    ) -> Result:
        """See :meth:`seg_edge.runtime.Segmenter.process`."""
        check_frame(frame, pixel_format)
        about |= {"pixel_format": pixel_format, "colours": colours, "classes": self.engine.spec.labels.names}
        started = perf_counter()
        if self.device_path is not None and self._plain_alpha is not None:
            # The device's kernels read BGR.
            frame_bgr = bgr_of(frame, pixel_format, colours)
            converted_ms = 1e3 * (perf_counter() - started)
            counted = self.painter.counter is not None
            mask_out, out, stages_ms = self.device_path(frame_bgr, mask or counted, overlay, *outs, self._plain_alpha)
            if frame_bgr is not frame:
                stages_ms["pre"] += converted_ms
            areas = self.painter.count(mask_out) if counted and mask_out is not None else None
            return Result(frame, mask_out if mask else None, out, stages_ms, **about, areas=areas)
        inputs = self.single_input(frame, pixel_format, colours)
        origin = about.get("origin", 0)
        work = Work.MOVED if self.gate is None else self._work(self.gate, inputs[0], frame, about)
        if not work:
            prepared = perf_counter()
            painted = self.painter.repeat(frame, pixel_format, mask, overlay, outs, origin, colours)
            stages_ms = {"pre": 1e3 * (prepared - started), "post": 1e3 * (perf_counter() - prepared)}
            about |= {"confidence": painted.confidence, "areas": painted.areas, "computed": False}
            return Result(frame, *painted[:2], stages_ms, **about)
        prepared = perf_counter()
        output = self.engine.infer(inputs)[0]
        inferred = perf_counter()
        painted = self.painter.paint(output, frame, pixel_format, mask, overlay, outs, origin, colours, work == Work.REST)
        done = perf_counter()
        stages_ms = {
            "pre": 1e3 * (prepared - started),
            "engine": 1e3 * (inferred - prepared),
            "post": 1e3 * (done - inferred),
        }
        return Result(frame, *painted[:2], stages_ms, confidence=painted.confidence, areas=painted.areas, **about)

    def process_batch(
        self, frames: Sequence[SourceFrame], outs: Sequence[Outs], *, mask: bool = True, overlay: bool = True
    ) -> list[Result]:
        """Mask and overlay of several frames of any sizes, with one inference. The engine's batch must be free.

        Args, Returns, Raises: as :meth:`start` and :meth:`finish`. ``stages_ms`` has no ``wait``.
        """
        results = self.finish(self.start(frames), outs, mask=mask, overlay=overlay)
        for result in results:
            if "wait" in result.stages_ms:
                result.stages_ms["engine"] += result.stages_ms.pop("wait")
        return results

    def start(self, frames: Sequence[SourceFrame]) -> Pending:
        """Submits frames to the network and returns immediately. Started frames must be finished, the oldest first.

        Args:
            frames: One frame, or several of any sizes for one inference (the engine's batch must be free), from any
                sources. The arrays must not change until the frames are finished.

        Raises:
            UnknownNameError, TypeError, ValueError: a frame is invalid, as in :meth:`process`.
            EngineError: :attr:`most_in_flight` is exceeded; the engine failed or is closed.
        """
        started = perf_counter()
        for frame in frames:
            check_frame(frame.image, frame.pixel_format)
        inputs, buffer = self.inputs.batch(frames)
        work = tuple(
            Work.MOVED if self.gate is None else self._work(self.gate, each, frame.image, about_frame(frame))
            for each, frame in zip(inputs, frames, strict=True)
        )
        if not all(work):
            chosen = [number for number, wanted in enumerate(work) if wanted]
            if not chosen:
                self.inputs.give_back(buffer)
                return Pending(tuple(frames), None, None, 1e3 * (perf_counter() - started), work)
            for place, number in enumerate(chosen):  # to the front; never over one that is still needed
                inputs[place] = inputs[number]
            inputs = inputs[: len(chosen)]
        pre_ms = 1e3 * (perf_counter() - started)
        return Pending(tuple(frames), self.engine.start(inputs), buffer, pre_ms, work)

    @staticmethod
    def _work(gate: Gate, input_bgr: Frame, frame: Image, about: dict[str, Any]) -> Work:
        time_s = about.get("time_s")
        pixel_format = about["pixel_format"]
        size = (kernels.frame_hw(frame, pixel_format), pixel_format)
        return gate.work(input_bgr, about.get("captured_s", 0.0) if time_s is None else time_s, size, about.get("origin", 0))

    def finish(
        self,
        pending: Pending,
        outs: Sequence[Outs],
        *,
        mask: bool = True,
        overlay: bool = True,
        computed: Callable[[], None] | None = None,
    ) -> list[Result]:
        """Mask and overlay of frames that were started. Afterwards they are no longer in flight, even after an error.

        Args:
            pending: The oldest return value of :meth:`start` that is not finished.
            outs: For each frame, the output arrays for the mask and the overlay; None allocates.
            mask, overlay: Whether to compute the mask and the overlay; with neither, only waits for the network.
            computed: Called when the network is done, before the frames are painted.

        Returns:
            A result for each frame. ``pre``, ``wait`` and ``engine`` are those of the whole batch. ``post`` ends when
            the frame itself is painted. The sum is the frame's latency.

        Raises:
            TypeError, ValueError, EngineError: as :meth:`process`.
        """
        ticket = pending.ticket
        try:
            outputs = iter(() if ticket is None else self.engine.wait(ticket))
            begun = perf_counter()
            if computed is not None:
                computed()
            stages_ms = {"pre": pending.pre_ms} if ticket is None else self._times(ticket, pending.pre_ms, begun)
            results = []
            for frame, wanted, arrays in zip(pending.frames, pending.work, outs, strict=True):
                arguments = (frame.image, frame.pixel_format, mask, overlay, arrays, frame.origin, frame.colours)
                if wanted:
                    painted = self.painter.paint(next(outputs), *arguments, wanted == Work.REST)
                else:
                    painted = self.painter.repeat(*arguments)
                spent_ms = {**stages_ms, "post": 1e3 * (perf_counter() - begun)}
                about = about_frame(frame) | {
                    "confidence": painted.confidence,
                    "areas": painted.areas,
                    "computed": bool(wanted),
                }
                about["classes"] = self.engine.spec.labels.names
                results.append(Result(frame.image, *painted[:2], spent_ms, **about))
            return results
        finally:
            if ticket is not None:
                self.engine.release(ticket)
                self.inputs.give_back(pending.buffer)

    def _times(self, ticket: Ticket, pre_ms: float, begun: float) -> dict[str, float]:
        # The network began this request when an earlier one ended; without parallel requests, the previous one.
        request = self._idle_s.index(min(self._idle_s))
        since = min(max(ticket.started_s, self._idle_s[request]), ticket.computed_s)
        self._idle_s[request] = ticket.computed_s
        return {
            "pre": pre_ms,
            "wait": 1e3 * (since - ticket.started_s + begun - ticket.computed_s),
            "engine": 1e3 * (ticket.computed_s - since),
        }

    def warmup(self, count: int) -> None:
        """Runs ``count`` black frames and discards the results."""
        frame = np.zeros((*self.engine.spec.input_hw, 3), np.uint8)
        for _ in range(count):
            self.process(frame, True, True)
            if self.engine.parallel > 1:
                for ticket in [self.engine.start(frame[None]) for _ in range(self.engine.parallel)]:
                    self.engine.release(ticket)
        self.reset()

    def reset(self) -> None:
        """Forgets earlier frames: for smoothing, and for the gate."""
        self.painter.reset()
        if self.gate is not None:
            self.gate.reset()


def about_frame(frame: SourceFrame) -> dict[str, Any]:
    """The attributes that a result copies from its frame."""
    return {
        "index": frame.index,
        "name": frame.name,
        "captured_s": frame.captured_s,
        "origin": frame.origin,
        "pixel_format": frame.pixel_format,
        "colours": frame.colours,
        "time_s": frame.time_s,
    }
