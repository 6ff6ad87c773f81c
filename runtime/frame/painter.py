"""Converts the network's output to the mask, the overlay and the confidence of a frame."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ...core.spec import ModelSpec
from ..areas.areas import AreaCounter
from . import counting as counts
from . import kernels
from .colours import BT601, Colours, Image
from .confidence import Confidence
from .fit import frame_window
from .result import Frame, Logits, Mask, Outs, Painted
from .style import Style
from .temporal import AdaptiveSmoother, make_smoother

if TYPE_CHECKING:
    from ..areas.areas import Areas


class Painter:
    """Upsamples the logits or labels of a network to the frame's size and paints them.

    Args:
        spec: Spec of the network.
        style: Colours and opacities.
        smooth: Weight of the new frame in an exponential mean of the logits, or ``"adaptive"``; None disables smoothing.
        threads: Threads of the kernels; None is their default.
        confidence: What to say about confidence; None is nothing. Only for models with logits.
        counter: Counts the pixels of every class; None counts nothing.
        keep: Keep the masks of frames at rest, for :meth:`repeat`.

    Raises:
        InputError: ``smooth`` is out of range.
    """

    def __init__(
        self,
        spec: ModelSpec,
        style: Style,
        smooth: float | str | None,
        threads: int | None,
        confidence: Confidence | None = None,
        counter: AreaCounter | None = None,
        keep: bool = False,
    ) -> None:
        self._spec, self._style, self._threads, self._confidence = spec, style, threads, confidence
        self.counter = counter
        # Number of the source → what was painted at rest, for frames that are not computed; and the mean that it shows.
        self._kept: dict[int, Painted] | None = {} if keep else None
        self._rest: defaultdict[int, AdaptiveSmoother] = defaultdict(lambda: AdaptiveSmoother(resting=True))
        # What stayed in front of another background, likewise.
        self._fronts: dict[int, tuple[Mask, int]] = {}
        # One smoother per source. The first is created now, so that an invalid weight raises here.
        self._smoothers = None if smooth is None else defaultdict(lambda: make_smoother(smooth), {0: make_smoother(smooth)})

    def reset(self) -> None:
        """Resets the smoothing of logits, and forgets the masks that were kept."""
        self._fronts.clear()
        if self._kept is not None:
            self._kept.clear()
            self._rest.clear()
        for smoother in (self._smoothers or {}).values():
            smoother.reset()

    def paint(
        self,
        output: Logits | Mask,
        frame: Image,
        pixel_format: str,
        mask: bool,
        overlay: bool,
        outs: Outs,
        origin: int,
        colours: Colours = BT601,
        rest: bool = False,
    ) -> Painted:
        """Mask, overlay, confidence and areas of one frame.

        Args:
            output: float32 (C, h, w) logits or uint8 (H, W) labels, depending on the spec; not changed.
            frame, pixel_format, colours: See :class:`seg_edge.runtime.Segmenter`.
            mask, overlay: Whether to compute the mask and the overlay.
            outs: Output arrays for the mask, uint8 (H, W), and the overlay, uint8 (H, W, 3); None allocates.
            origin: Number of the frame's source; logits are smoothed separately for each source.
            rest: Nothing has moved since the last frame: the mean of its output and of those before at rest is shown, and
                kept for :meth:`repeat`.

        Returns:
            The mask, the overlay, with one of them the confidence, and the areas; None if not computed.

        Raises:
            TypeError, ValueError: an array has a wrong dtype or shape.
        """
        about = {"pixel_format": pixel_format, "colours": colours}
        size_hw = kernels.frame_hw(frame, pixel_format)
        wanted, mask_out = mask, outs[0]
        if self._kept is not None and not rest:  # frames at rest follow before one is repeated
            self._kept.pop(origin, None)
            self._rest.pop(origin, None)
        elif self._kept is not None:
            before = self._kept.get(origin)
            fits = before is not None and before.mask is not None and before.mask.shape == size_hw
            mask, outs = True, (before.mask if before is not None and fits else np.empty(size_hw, np.uint8), outs[1])
        counting = {} if self.counter is None else self.counter.arguments(size_hw)
        if self._spec.output != "labels":
            if self._smoothers is not None:
                output = self._smoothers[origin](output)
            elif rest:
                output = self._rest[origin](output)
        replaced = None
        if (backdrop := self._style.backdrop) is not None:
            front = backdrop.front(output, self._spec, size_hw)
            if self._kept is not None:
                self._fronts[origin] = front
            if overlay:
                replaced = backdrop.paint(frame, front, about, outs[1], self._threads)
            overlay = False
        if self._spec.output == "labels":
            painted = Painted(*self._from_labels(output, frame, about, mask, overlay, *outs, counting))  # type: ignore[arg-type]
        else:
            paint = self._surely if self._confidence is not None and (mask or overlay) else self._from_logits
            painted = paint(output, frame, about, mask, overlay, *outs, counting)  # type: ignore[arg-type]
        if self.counter is not None:
            painted = painted._replace(areas=self.counter.areas(counting["counts"], size_hw))
        if replaced is not None:
            painted = painted._replace(overlay_bgr=replaced)
        if self._kept is None or not rest:
            return painted
        self._kept[origin] = painted._replace(overlay_bgr=None)
        return painted._replace(mask=_copied(painted.mask, mask_out) if wanted else None)

    def repeat(
        self,
        frame: Image,
        pixel_format: str,
        mask: bool,
        overlay: bool,
        outs: Outs,
        origin: int,
        colours: Colours = BT601,
    ) -> Painted:
        """Paints the source's last mask, of a frame of the same size, again. Arguments as :meth:`paint`."""
        assert self._kept is not None
        mask_out, out = outs
        kept = self._kept[origin]
        assert kept.mask is not None
        about = {"pixel_format": pixel_format, "colours": colours}
        if overlay and self._style.backdrop is not None:
            painted = self._style.backdrop.paint(frame, self._fronts[origin], about, out, self._threads)
        else:
            painted = self._blended(kept.mask, frame, about, overlay, out, {})  # type: ignore[assignment]
        return kept._replace(mask=_copied(kept.mask, mask_out) if mask else None, overlay_bgr=painted)

    def count(self, mask: Mask) -> Areas | None:
        """The areas of a finished mask, uint8 (H, W), if they are wanted."""
        if self.counter is None:
            return None
        counting = self.counter.arguments(mask.shape)
        counts.count_mask(mask, **counting, threads=self._threads)
        return self.counter.areas(counting["counts"], mask.shape)

    def _surely(
        self,
        logits: Logits,
        frame: Image,
        about: dict[str, Any],
        mask: bool,
        overlay: bool,
        mask_out: Mask | None,
        out: Frame | None,
        counting: dict[str, Any],
    ) -> Painted:
        """The mask with its confidence; the overlay shows what is left of the mask."""
        wanted = self._confidence
        assert wanted is not None
        size_hw = kernels.frame_hw(frame, about["pixel_format"])
        window = frame_window(self._spec, size_hw)
        full = kernels.upsample_argmax(logits, size_hw, mask_out, window=window, threads=self._threads)
        sure = kernels.confidence(
            logits,
            size_hw,
            wanted.measure,
            mask=full,
            threshold=wanted.threshold,
            below=wanted.below,
            window=window,
            threads=self._threads,
        )
        return Painted(full if mask else None, self._blended(full, frame, about, overlay, out, counting), sure)

    def _blended(
        self,
        mask: Mask,
        frame: Image,
        about: dict[str, Any],
        overlay: bool,
        out: Frame | None,
        counting: dict[str, Any],
    ) -> Frame | None:
        """The overlay of a finished mask, if it is wanted; counts in any case."""
        if overlay:
            arguments = {**about, **self._style.arguments, **counting}
            return kernels.blend(mask, frame, self._style.palette_bgr, out=out, threads=self._threads, **arguments)
        if counting:
            counts.count_mask(mask, **counting, threads=self._threads)
        return None

    def _from_logits(
        self,
        logits: Logits,
        frame: Image,
        about: dict[str, Any],
        mask: bool,
        overlay: bool,
        mask_out: Mask | None,
        out: Frame | None,
        counting: dict[str, Any],
    ) -> Painted:
        size_hw = kernels.frame_hw(frame, about["pixel_format"])
        window = frame_window(self._spec, size_hw)
        if not overlay:
            if not mask:
                if counting:
                    counts.count_logits(logits, size_hw, **counting, window=window, threads=self._threads)
                return Painted(None, None)
            made = kernels.upsample_argmax(logits, size_hw, mask_out, window=window, threads=self._threads, **counting)
            return Painted(made, None)
        if mask and mask_out is None:
            mask_out = np.empty(size_hw, np.uint8)
        painted = kernels.upsample_overlay(
            logits,
            frame,
            self._style.palette_bgr,
            out=out,
            mask_out=mask_out if mask else None,
            window=window,
            **about,
            threads=self._threads,
            **self._style.arguments,
            **counting,
        )
        return Painted(mask_out if mask else None, painted)

    def _from_labels(
        self,
        labels: Mask,
        frame: Image,
        about: dict[str, Any],
        mask: bool,
        overlay: bool,
        mask_out: Mask | None,
        out: Frame | None,
        counting: dict[str, Any],
    ) -> Outs:
        height, width = kernels.frame_hw(frame, about["pixel_format"])
        if mask_out is not None and (mask_out.dtype != np.uint8 or mask_out.shape != (height, width)):
            # OpenCV would silently allocate another array and leave the caller's array unchanged.
            raise ValueError(f"process: mask_out must be uint8 ({height}, {width}), got {mask_out.dtype} {mask_out.shape}")
        window = frame_window(self._spec, (height, width))
        if window is not None:
            labels = labels[window.slices]
        # EXACT maps pixel centres to pixel centres; plain INTER_NEAREST is off by up to half a pixel.
        resized = cv2.resize(labels, (width, height), dst=mask_out, interpolation=cv2.INTER_NEAREST_EXACT)
        full: Mask = np.asarray(resized, np.uint8)
        return (full if mask else None), self._blended(full, frame, about, overlay, out, counting)


def _copied(mask: Mask | None, out: Mask | None) -> Mask:
    """A copy of a mask that stays here, in ``out`` if that is given."""
    assert mask is not None
    if out is None:
        out = np.empty_like(mask)
    np.copyto(out, mask)
    return out
