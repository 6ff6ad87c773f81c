"""ADE20K's 150 classes, more than OpenCV 5 has channels: export to INT8, kernels, overlay and evaluation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.evaluation import evaluate
from seg_edge.runtime import Segmenter

CLASSES, SIZE = 150, (32, 32)
SPEC = ModelSpec("many", Labels.numbered(CLASSES), SIZE, output_stride=4)


def network() -> torch.nn.Module:
    """Class k wins where blue is nearest to k: one convolution, since the square of blue is common to all classes."""
    net = torch.nn.Conv2d(3, CLASSES, 1, stride=4)
    numbers = torch.arange(CLASSES, dtype=torch.float32)
    with torch.no_grad():
        net.weight.zero_()
        net.weight[:, 2, 0, 0] = 2 * numbers * SPEC.std[2]
        net.bias.copy_(2 * numbers * SPEC.mean[2] - numbers**2)
    return net.eval()


def frame_and_mask() -> tuple[np.ndarray, np.ndarray]:
    """Blocks of 4 pixels, so that the coarse logits hold all that is needed inside of them."""
    mask = (np.arange(8 * 8).reshape(8, 8) * 2.4).astype(np.uint8)
    assert mask.max() == CLASSES + 1
    mask = np.minimum(mask, CLASSES - 1).repeat(4, 0).repeat(4, 1)
    return np.stack([mask, np.zeros_like(mask), np.zeros_like(mask)], -1), mask


def test_exported_painted_and_evaluated(tmp_path):
    from seg_edge.export import ExportOptions
    from seg_edge.export.chain import export_network

    frame, mask = frame_and_mask()
    for split in ("train", "val"):
        for kind, image in (("images", frame), ("labels", mask)):
            (tmp_path / "d" / kind / split).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / "d" / kind / split / "a.png"), image)
    options = ExportOptions(engine="onnxruntime", threads=1, int8=True, data=tmp_path / "d", max_drop=None)
    export_network(network(), SPEC, tmp_path / "art", options)
    with Segmenter(tmp_path / "art" / "model.fp32.onnx", engine="onnxruntime") as segmenter:
        result = segmenter.process(frame)
        assert result.mask is not None
        assert result.overlay_bgr is not None
        assert result.overlay_bgr.shape == frame.shape
        # The class follows the colour that the kernel's bilinear upsampling of the logits implies.
        blue = cv2.resize(mask[::4, ::4].astype(np.float32), SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        assert np.abs(result.mask - blue).max() < 0.52
        found = evaluate(segmenter, open_dataset(tmp_path / "d", "val", SPEC.labels))
    assert len(found["per_class"]) == CLASSES
    assert found["pixel_accuracy"] == pytest.approx(np.mean(result.mask == mask))
