"""Frames through one engine: input, network, mask and overlay, one at a time or several in flight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.errors import EngineError, InputError
from ..engines.base import Engine
from ..engines.requests import Ticket
from . import kernels
from .inputs import NetworkInputs
from .painter import Painter
from .result import Frame, Logits, Outs, Result, check_frame
from .style import Style

if TYPE_CHECKING:
    from ..sources.base import SourceFrame


@dataclass(frozen=True)
class Pending:
    """Frames that the network is computing: :meth:`FrameRunner.start` returns it, :meth:`FrameRunner.finish` takes it.

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


class FrameRunner:
    """What a :class:`seg_edge.runtime.Segmenter` does. Not thread-safe, with one exception: one thread may :meth:`start`
    frames while another finishes those before them.

    Args:
        engine: An open engine. It is not closed here.
        style: Colours and opacities.
        smooth: Share of the new frame in an exponential mean of the logits; None smooths nothing.
        threads: CPU threads of the kernels, at most 64; None is their own choice.

    Raises:
        EngineError: the model fixes a batch of several frames.
        InputError: ``smooth`` out of range, or given for a model that has no logits.
    """

    painter_class: ClassVar[type[Painter]] = Painter

    def __init__(self, engine: Engine, style: Style, smooth: float | None = None, threads: int | None = None) -> None:
        self.engine = engine
        if smooth is not None and engine.spec.output != "logits":
            raise InputError(
                f"`smooth`: {engine.path} was exported with `head='labels'` and gives no logits; "
                "export it with `head='logits'`"
            )
        self.check_batch()
        # Side by side, every core has a network of its own to compute: the kernels must not ask for several.
        share = engine.threads // engine.parallel if engine.parallel > 1 else threads
        share = None if share is None else min(share, kernels.MAX_THREADS)
        self.inputs = NetworkInputs(engine.spec, share)
        self.painter = self.painter_class(engine.spec, style, smooth, share)
        # The device's kernels stretch, and paint every class with one opacity; the C kernels do everything else.
        plain = style.plain_alpha is not None and smooth is None and engine.spec.resize != "letterbox"
        self.device_path = engine.frame_path() if plain else None
        self._plain_alpha = style.plain_alpha
        # When each of the requests that are computed side by side will have finished its last frame.
        self._idle_s = [0.0] * engine.parallel

    @property
    def most_in_flight(self) -> int:
        """How many frames may be in flight at the same time; 1 where the device does a frame's whole way."""
        return 1 if self.device_path is not None else self.engine.most_in_flight

    def check_batch(self) -> None:
        """Refuses a model that frames can't be run through one by one.

        Raises:
            EngineError: the file fixes a batch of several frames.
        """
        batch = self.engine.batch or 1
        if batch != 1:
            raise EngineError(
                f"{self.engine.path}: takes batches of {batch} frames only; export it with batch 1 to run it frame by frame"
            )

    def single_input(self, frame: Frame, pixel_format: str) -> Frame:
        """The network's input for one frame: uint8 (1, H, W, 3), valid until the next call."""
        return self.inputs.single(frame, pixel_format)

    def logits(self, frame: Frame, pixel_format: str = "bgr") -> Logits:
        """See :meth:`seg_edge.runtime.Segmenter.logits`."""
        if self.engine.spec.output != "logits":
            raise EngineError(
                f"{self.engine.path}: exported with `head='labels'`, so it gives no logits; export it with `head='logits'`"
            )
        check_frame(frame, pixel_format)
        logits: Logits = self.engine.infer(self.single_input(frame, pixel_format))[0].copy()
        return logits

    def process(
        self,
        frame: Frame,
        mask: bool,
        overlay: bool,
        outs: Outs = (None, None),
        pixel_format: str = "bgr",
        **about: Any,
    ) -> Result:
        """See :meth:`seg_edge.runtime.Segmenter.process`."""
        check_frame(frame, pixel_format)
        about["pixel_format"] = pixel_format
        # The device's kernels read BGR.
        if self.device_path is not None and self._plain_alpha is not None and pixel_format == "bgr":
            mask_out, out, stages_ms = self.device_path(frame, mask, overlay, *outs, self._plain_alpha)
            return Result(frame, mask_out, out, stages_ms, **about)
        started = perf_counter()
        inputs = self.single_input(frame, pixel_format)
        prepared = perf_counter()
        output = self.engine.infer(inputs)[0]
        inferred = perf_counter()
        painted = self.painter.paint(output, frame, pixel_format, mask, overlay, outs, about.get("origin", 0))
        done = perf_counter()
        stages_ms = {
            "pre": 1e3 * (prepared - started),
            "engine": 1e3 * (inferred - prepared),
            "post": 1e3 * (done - inferred),
        }
        return Result(frame, *painted, stages_ms, **about)

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
        inputs, buffer = self.inputs.batch(frames)
        pre_ms = 1e3 * (perf_counter() - started)
        return Pending(tuple(frames), self.engine.start(inputs), buffer, pre_ms)

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
            outs: For each frame the arrays to write the mask and the overlay into; None allocates.
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
            # The network began with this request when an earlier one was done: the last one, if it takes one at a time.
            request = self._idle_s.index(min(self._idle_s))
            since = min(max(ticket.started_s, self._idle_s[request]), ticket.computed_s)
            self._idle_s[request] = ticket.computed_s
            stages_ms = {
                "pre": pending.pre_ms,
                "wait": 1e3 * (since - ticket.started_s + begun - ticket.computed_s),
                "engine": 1e3 * (ticket.computed_s - since),
            }
            results = []
            for frame, output, arrays in zip(pending.frames, outputs, outs, strict=True):
                painted = self.painter.paint(output, frame.image, frame.pixel_format, mask, overlay, arrays, frame.origin)
                spent_ms = {**stages_ms, "post": 1e3 * (perf_counter() - begun)}
                results.append(Result(frame.image, *painted, spent_ms, **about_frame(frame)))
            return results
        finally:
            self.engine.release(ticket)
            self.inputs.give_back(pending.buffer)

    def warmup(self, count: int) -> None:
        """Runs ``count`` black frames and forgets them."""
        frame = np.zeros((*self.engine.spec.input_hw, 3), np.uint8)
        for _ in range(count):
            self.process(frame, True, True)
            if self.engine.parallel > 1:
                for ticket in [self.engine.start(frame[None]) for _ in range(self.engine.parallel)]:
                    self.engine.release(ticket)
        self.painter.reset()


def about_frame(frame: SourceFrame) -> dict[str, Any]:
    """What a result repeats of its frame."""
    return {
        "index": frame.index,
        "name": frame.name,
        "captured_s": frame.captured_s,
        "origin": frame.origin,
        "pixel_format": frame.pixel_format,
    }
