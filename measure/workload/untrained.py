"""Stand-in scores for networks with random weights, whose own scores would make post-processing too fast or too slow.

The time of upsampling and painting depends on the number of neighbouring pixels with different classes. Random weights
give one class everywhere or another class at every pixel, so post-processing gets scores with the structure of a street
instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ...runtime.frame.colours import BT601, Colours, Image
from ...runtime.frame.painter import Painter
from ...runtime.frame.result import Frame, Logits, Mask, Outs, Painted
from .batch import BatchRunner, BatchSegmenter

#: Value of ``weights`` in the provenance of a network with untrained weights.
RANDOM = "random"


class StandInPainter(Painter):
    """Paints stand-in scores in a cycle instead of the network's scores, as soon as there are any."""

    stand_ins: Sequence[Logits] = ()
    _turn = 0

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
        if self.stand_ins:
            self._turn = (self._turn + 1) % len(self.stand_ins)
            output = self.stand_ins[self._turn]
        return super().paint(output, frame, pixel_format, mask, overlay, outs, origin, colours, rest)


class UntrainedRunner(BatchRunner):
    """Runs the network in full and paints stand-in scores."""

    painter_class = StandInPainter


class UntrainedSegmenter(BatchSegmenter):
    """Runs its network in full, and continues with stand-in scores of the same shape.

    Before :meth:`feed`, it continues with the network's own scores.
    """

    runner_class = UntrainedRunner

    def feed(self, frames: Sequence[Frame]) -> int:
        """Makes the stand-in scores from regions of frames, uint8 (H, W, 3) each; returns their size in bytes."""
        painter = self._runner.painter
        assert isinstance(painter, StandInPainter)
        if self.spec.output == "logits":
            channels, *output_hw = self.engine.output_shape
            painter.stand_ins = [street_scores(frame, channels, (output_hw[0], output_hw[1])) for frame in frames]
        return sum(scores.nbytes for scores in painter.stand_ins)


def street_scores(frame_bgr: Frame, classes: int, output_hw: tuple[int, int]) -> Logits:
    """Scores whose classes are regions of a frame: float32 (classes, h, w), with soft borders as in a network's scores.

    The smoothed brightness is divided into as many levels as there are classes; each level is a class.
    """
    height, width = output_hw
    small = cv2.resize(frame_bgr, (width, height), interpolation=cv2.INTER_AREA)
    # With this radius, 4 to 10 % of neighbours differ in class; in the labels of CamVid at stride 4, 4 to 5 %.
    smooth = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (0, 0), max(height / 6, 0.5))
    levels = np.quantile(smooth, np.linspace(0, 1, classes + 1)[1:-1])
    labels = np.digitize(smooth, levels)
    soft = max(height / 176, 0.5)  # half a pixel at stride 4 of 352
    planes = [cv2.GaussianBlur((labels == number).astype(np.float32), (0, 0), soft) for number in range(classes)]
    scores: npt.NDArray[np.float32] = np.stack(planes).astype(np.float32)
    return np.ascontiguousarray(8 * scores)
