"""The scenes can be learned by looking, and not by colour: the network that `make demo` trained against a pixel's colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seg_edge.core.metrics import ConfusionMatrix
from seg_edge.datasets import SegDataset, SynthOptions, synthesize
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.evaluation import evaluate
from seg_edge.runtime import Segmenter

#: `make demo`'s INT8 model (benchmarks/results/demo.json), trained on streets of seed 7.
MODEL = Path(__file__).parents[2] / "data" / "street.int8.onnx"


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Streets of another seed than the model's: none of them is among its training streets."""
    out = tmp_path_factory.mktemp("streets") / "data"
    return synthesize(out, SynthOptions(train=48, val=24, size_hw=(192, 256), seed=11, workers=2)).data


def colour_miou(train: SegDataset, val: SegDataset) -> float:
    """Bayes on a histogram of 16x16x16 colours with the better of two priors."""

    def bins(frame: np.ndarray) -> np.ndarray:
        b, g, r = (frame >> 4).astype(np.int64).transpose(2, 0, 1)
        return (b * 16 + g) * 16 + r

    counts = np.zeros((4096, 11))
    for frame, mask in train:
        valid = mask < 11
        np.add.at(counts, (bins(frame)[valid], mask[valid]), 1)
    scores = []
    for prior in (np.ones(11), counts.sum(0)):  # balanced classes, or as frequent as they are
        best = (counts / np.maximum(counts.sum(0), 1) * prior).argmax(1)
        confusion = ConfusionMatrix(11)
        for frame, mask in val:
            confusion.update(best[bins(frame)], mask)
        scores.append(confusion.miou)
    return max(scores)


def test_colour_reaches_less_than_half_of_the_network(streets: Path) -> None:
    train, val = open_dataset(streets, "train"), open_dataset(streets, "val")
    with Segmenter(MODEL, engine="onnxruntime") as segmenter:
        network = evaluate(segmenter, val)["miou"]
    colour = colour_miou(train, val)
    assert network > 0.60, f"{network:.3f} on streets that it has never seen"
    assert 0.08 < colour < min(0.30, network / 2), f"colour {colour:.3f}, network {network:.3f}"
