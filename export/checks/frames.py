"""The frames for measurements and calibration in an export, resized exactly as in the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.spec import ModelSpec
from ...datasets.dataset import SegDataset
from ...datasets.opening import open_for_model
from ...runtime.frame import kernels

Frame = npt.NDArray[np.uint8]

PARITY_FRAMES = 8
GOLDEN_FRAMES = 3


@dataclass(frozen=True)
class ChainData:
    """The frames and splits of an export.

    Attributes:
        parity: Frames to compare consecutive steps, uint8 (1, H, W, 3) each, at the network's input size.
        golden: Frames in the camera's size, uint8 (H, W, 3) each.
        val: The split for mIoU, or None.
        train: The split for the calibration of INT8, or None.
    """

    parity: list[Frame]
    golden: list[Frame]
    val: SegDataset | None
    train: SegDataset | None


def open_data(root: str | Path | None, spec: ModelSpec, *, calibrate: bool) -> ChainData:
    """Opens the splits of a dataset; without a dataset, the frames are generated.

    Raises:
        DataError: no such dataset, a split is missing, or it has other classes than the model.
    """
    if root is None:
        made = generated_frames(spec.input_hw)
        return ChainData([frame[None] for frame in made], made[:GOLDEN_FRAMES], None, None)
    val = open_for_model(Path(root), "val", spec)
    train = open_for_model(Path(root), "train", spec) if calibrate else None
    golden = [val.read(i)[0] for i in evenly_spaced(len(val), GOLDEN_FRAMES)]
    return ChainData(network_inputs(val, spec, PARITY_FRAMES), golden, val, train)


def network_inputs(dataset: SegDataset, spec: ModelSpec, count: int) -> list[Frame]:
    """Up to ``count`` frames, evenly spaced over a split, at the network's input size: uint8 (1, H, W, 3) each."""
    return [network_input(dataset.read(i)[0], spec) for i in evenly_spaced(len(dataset), count)]


def preprocessing(spec: ModelSpec) -> dict[str, Any]:
    """The conversion of a camera's frame to the network's input, as a part of the calibration cache's key."""
    return {
        "input": "x".join(map(str, spec.input_hw)), "resize": spec.resize, "color_order": spec.color_order,
        "mean": list(spec.mean), "std": list(spec.std),
    }  # fmt: skip


def network_input(frame_bgr: Frame, spec: ModelSpec) -> Frame:
    """One frame at the network's input size: uint8 (1, H, W, 3)."""
    if frame_bgr.shape[:2] == spec.input_hw:
        return frame_bgr[None]
    return kernels.resize(frame_bgr, spec.input_hw, spec.resize)[None]


def evenly_spaced(total: int, count: int) -> list[int]:
    """Up to ``count`` different indices below ``total``, evenly spaced, starting at 0."""
    count = min(total, count)
    return [i * total // count for i in range(count)]


def generated_frames(size_hw: tuple[int, int]) -> list[Frame]:
    """Frames for parity checks without data: noise, gradients, black, white. Not suitable for accuracy."""
    height, width = size_hw
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height, width, 3), np.uint8)
    rows, columns = np.linspace(0, 255, height)[:, None], np.linspace(0, 255, width)[None]
    gradient = np.stack(np.broadcast_arrays(rows, columns, (rows + columns) / 2), -1).astype(np.uint8)
    coarse = rng.integers(0, 256, (-(-height // 16), -(-width // 16), 3), np.uint8)
    blocks = np.ascontiguousarray(coarse.repeat(16, 0).repeat(16, 1)[:height, :width])
    return [blocks, gradient, noise, np.zeros_like(noise), np.full_like(noise, 255)]
