"""What a caller does with one frame: the calls of :class:`seg_edge.runtime.Segmenter` that end with its result."""

from __future__ import annotations

from typing import Any

from .frame.colours import BT601, Colours, Image
from .frame.result import Frame, Logits, Mask, Result
from .frame.runner import FrameRunner


class FrameCalls:
    """Mask, overlay, logits and result of a frame.

    ``_runner`` computes them; the class that opens an engine sets it.
    """

    _runner: FrameRunner

    def __call__(
        self, frame: Image, out: Mask | None = None, *, pixel_format: str = "bgr", colours: Colours = BT601
    ) -> Mask:
        """Class numbers at the frame's resolution: uint8 (H, W), ``out`` or a new array.

        Args:
            frame: See the class.
            out: Output array, uint8 (H, W); None allocates an array, which the caller owns.
            pixel_format: ``"bgr"``, ``"nv12"``, …: one of :data:`seg_edge.runtime.frame.kernels.PIXEL_FORMATS`.
            colours: Matrix and range of frames that are no BGR.

        Raises:
            UnknownNameError: the pixel format is unknown.
            TypeError, ValueError: ``frame`` or ``out`` has a wrong dtype or shape.
            EngineError: the engine failed or is closed.
        """
        mask = self.process(frame, overlay=False, mask_out=out, pixel_format=pixel_format, colours=colours).mask
        assert mask is not None
        return mask

    def overlay(
        self, frame: Image, out: Frame | None = None, *, pixel_format: str = "bgr", colours: Colours = BT601
    ) -> Frame:
        """The frame with the classes' colours blended in: uint8 (H, W, 3), ``out`` or a new array. Raises as a call."""
        overlay = self.process(frame, mask=False, out=out, pixel_format=pixel_format, colours=colours).overlay_bgr
        assert overlay is not None
        return overlay

    def logits(self, frame: Image, *, pixel_format: str = "bgr", colours: Colours = BT601) -> Logits:
        """The network's output for a frame: float32 (C, h, w), owned by the caller. Raises as a call does.

        Raises:
            EngineError: the model was exported with ``head="labels"``, so the graph does not output logits.
        """
        return self._runner.logits(frame, pixel_format, colours)

    def process(
        self,
        frame: Image,
        *,
        mask: bool = True,
        overlay: bool = True,
        mask_out: Mask | None = None,
        out: Frame | None = None,
        pixel_format: str = "bgr",
        colours: Colours = BT601,
        **about: Any,
    ) -> Result:
        """Mask and overlay of one frame, with the time of each stage.

        Args:
            frame, pixel_format, colours: See the class and a call.
            mask, overlay: Whether to compute the mask and the overlay; both together take one pass over the frame.
            mask_out, out: Output arrays for the mask and the overlay; None allocates.
            about: ``index``, ``name``, ``captured_s`` and ``origin`` of the result.

        Raises:
            UnknownNameError: the pixel format is unknown.
            TypeError, ValueError: an array has a wrong dtype or shape.
            EngineError: the engine failed or is closed.
        """
        return self._runner.process(frame, mask, overlay, (mask_out, out), pixel_format, colours, **about)

    def paint(
        self,
        logits: Logits,
        frame: Frame,
        overlay: bool = False,
        out: Mask | None = None,
        stages_ms: dict[str, float] | None = None,
        **about: Any,
    ) -> Result:
        """The result of a frame whose logits were computed apart: float32 (C, h, w) of any size."""
        painted = self._runner.painter.paint(logits, frame, "bgr", True, overlay, (out, None), 0)
        return Result(frame, *painted[:2], stages_ms or {}, confidence=painted.confidence, **about)
