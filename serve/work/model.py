"""A model that is served: one engine, and codec threads that hand it frames and take its masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.labels import Labels
from ...core.spec import ModelSpec
from ...runtime import Segmenter
from ...runtime.frame import kernels
from ...runtime.frame.style import Style
from ...runtime.shared import SharedSegmenter

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]


@dataclass
class Segmented:
    """A mask, and the milliseconds of the stages ``pre``, ``wait`` (for the engine), ``engine`` and ``post``."""

    mask: Mask
    timings_ms: dict[str, float] = field(default_factory=dict)


class ServedModel:
    """A segmenter that any number of threads may call at once.

    Frames go to the network in the order in which they came; their masks are painted side by side.

    Args:
        name: Of the model in addresses.
        segmenter: Closed together with this.
    """

    def __init__(self, name: str, segmenter: Segmenter) -> None:
        self.name = name
        self.segmenter = segmenter
        self._shared = SharedSegmenter(segmenter)

    @property
    def spec(self) -> ModelSpec:
        return self.segmenter.spec

    @property
    def labels(self) -> Labels:
        return self.segmenter.labels

    def segment(self, frame: Frame, size_hw: tuple[int, int] | None = None, out: Mask | None = None) -> Segmented:
        """The mask of a frame.

        Args:
            frame: uint8 (H, W, 3), BGR.
            size_hw: Height and width of the mask; default: the frame's. Another one than the frame's is for frames that
                were scaled down while they were decoded.
            out: uint8, of that size, to write the mask into; None allocates.

        Raises:
            EngineError: the engine failed.
        """
        begun = perf_counter()
        result = self._shared.segment(frame, size_hw, out=out)
        stages = dict(result.stages_ms)
        stages["wait"] = 1e3 * (perf_counter() - begun) - sum(stages[name] for name in ("pre", "engine", "post"))
        assert result.mask is not None
        return Segmented(result.mask, stages)

    def overlay(self, frame: Frame, mask: Mask, style: Style) -> Frame:
        """The frame with the classes' colours blended in, painted into the frame itself."""
        return kernels.blend(mask, frame, style.palette_bgr, out=frame, threads=1, **style.arguments)

    def network_output(self, frames: Frame) -> npt.NDArray[Any]:
        """The network's own output for frames of its input size.

        Args:
            frames: uint8 (N, H, W, 3), C-contiguous.

        Returns:
            float32 (N, C, h, w) logits or uint8 (N, H, W) labels, the caller's.
        """
        return self._shared.network_output(frames)

    def about(self) -> dict[str, Any]:
        """What a client should know, as JSON values."""
        spec, engine = self.spec, self.segmenter.engine
        return {
            "name": self.name,
            "network": spec.name,
            "precision": spec.precision,
            "input_hw": list(spec.input_hw),
            "resize": spec.resize,
            "engine": engine.name,
            "device": engine.device,
            "classes": [
                {"id": number, "name": name, "color_rgb": list(colour)}
                for number, (name, colour) in enumerate(zip(self.labels.names, self.labels.palette, strict=True))
            ],
        }

    def close(self) -> None:
        self.segmenter.close()
