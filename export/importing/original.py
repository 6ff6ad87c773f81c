"""The original network's own answers, under stated preprocessing: what the import is compared with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx

from ...core.spec import ModelSpec
from ...runtime.engines.base import Availability, Engine, Frames, Output, Tensor
from ..foreign.interface import Array, Form, Input, open_session, run_model, with_outputs
from ..foreign.interface import Output as NetworkOutput
from ..foreign.preprocessing import Preprocessing
from ..foreign.tail import Tail

Mask = npt.NDArray[np.uint8]


class Original:
    """The network as it came, in ONNX Runtime.

    Args:
        model: As read, with a fixed input; nothing is taken off.
        source: Its input.
        output: Its chosen output.
        tail: How the output is to be read.
        where: The file, for errors.
        threads: CPU threads; None is every core.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        source: Input,
        output: NetworkOutput,
        tail: Tail,
        where: str,
        threads: int | None = None,
    ) -> None:
        names = [name for name in (tail.name,) if name != output.name]
        self._session = open_session(with_outputs(model, names), where, threads)
        self.source, self.output, self.tail, self._where = source, output, tail, where

    def run(self, frame: Frames, preprocessing: Preprocessing) -> tuple[Array, Array]:
        """The original's output, and the tensor at the cut; for a frame of the input's size, uint8 (1, H, W, 3)."""
        image = preprocessing.image(frame, self.source)
        names = list(dict.fromkeys([self.output.name, self.tail.name]))
        arrays = run_model(self._session, self.source, image, self._where, names)
        return arrays[0], arrays[-1]

    def mask(self, output: Array, *, align_corners: bool = False) -> Mask:
        """Class numbers at the input's size, uint8 (H, W), of the original's output."""
        size_hw, tail = self.source.size_hw, self.tail
        if tail.labels_out:
            values = output.reshape(size_hw)
            return np.asarray(values > tail.output_threshold if tail.classes == 1 else values, np.uint8)
        scores = self.scores(output, align_corners=align_corners)
        if len(scores) == 1:
            return np.asarray(scores[0] > tail.output_threshold, np.uint8)
        return np.asarray(scores.argmax(0), np.uint8)

    def scores(self, output: Array, *, align_corners: bool = False) -> npt.NDArray[np.float32]:
        """Scores at the input's size, float32 (C, H, W); bilinear between pixel centres where the output is smaller."""
        scores = chw(output, self.output.form)
        size_hw = self.source.size_hw
        if scores.shape[1:] == size_hw:
            return scores
        if align_corners:
            return np.stack([_align_corners(plane, size_hw) for plane in scores])
        planes = [cv2.resize(plane, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for plane in scores]
        return np.asarray(np.stack(planes), np.float32)


def chw(output: Array, form: Form) -> npt.NDArray[np.float32]:
    """Scores as float32 (C, h, w), C-contiguous."""
    array = output[0] if output.ndim == 4 else output
    if form == "NHWC":
        array = array.transpose(2, 0, 1)
    return np.ascontiguousarray(array if array.ndim == 3 else array[None], np.float32)


def two_or_more(scores: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.float32]:
    """Scores of at least two classes; one class becomes two, 0 and its distance from the threshold."""
    if len(scores) > 1:
        return scores
    return np.concatenate([np.zeros_like(scores), scores - np.float32(threshold)])


class OriginalEngine(Engine):
    """The original behind the runtime's engine interface, so that its accuracy is measured as any model's."""

    name = "original"

    def __init__(self, path: Path, spec: ModelSpec, original: Original, preprocessing: Preprocessing) -> None:
        self._original, self._preprocessing = original, preprocessing
        numbers = original.tail.labels_out
        super().__init__(path, spec.with_(output="labels") if numbers else spec.with_(output="logits", output_stride=1))

    @classmethod
    def available(cls) -> Availability:
        return Availability(True)

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        frames = Tensor("frames", "uint8", (None, *self.spec.input_hw, 3))
        return [frames], [Tensor(self.spec.output, self.output_dtype, (None, *self.output_shape))]

    def _infer(self, frames: Frames) -> Output:
        output, _ = self._original.run(frames, self._preprocessing)
        if self.spec.output == "labels":
            return self._original.mask(output)[None]
        return two_or_more(self._original.scores(output), self._original.tail.output_threshold)[None]

    def _close(self) -> None:
        pass


def _align_corners(plane: npt.NDArray[np.float32], size_hw: tuple[int, int]) -> npt.NDArray[np.float32]:
    (h, w), (height, width) = plane.shape, size_hw
    x, y = np.meshgrid(np.linspace(0, w - 1, width, dtype=np.float32), np.linspace(0, h - 1, height, dtype=np.float32))
    return np.asarray(cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
