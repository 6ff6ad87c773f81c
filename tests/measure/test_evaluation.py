from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.labels import Labels
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.evaluation import evaluate, evaluate_split
from seg_edge.runtime import Segmenter


@pytest.fixture
def dataset(tmp_path, colour_frame):
    """Two images of other sizes than the network's; in the second one a block of the label is wrong and a block is void."""
    for folder in ("images/val", "labels/val"):
        (tmp_path / folder).mkdir(parents=True)
    for name, (height, width) in (("a", (32, 120)), ("b", (64, 240))):
        frame = colour_frame(height, width)
        label = frame.argmax(2).astype(np.uint8)
        if name == "b":
            label[:16, :20] = 2
            label[16:32, :20] = 255
        cv2.imwrite(str(tmp_path / f"images/val/{name}.png"), frame)
        cv2.imwrite(str(tmp_path / f"labels/val/{name}.png"), label)
    return tmp_path


def test_report(dataset, tiny_model):
    seen: list[tuple[int, int]] = []
    with Segmenter(tiny_model) as seg:
        report = evaluate_split(
            seg, open_dataset(dataset, "val", seg.labels), lambda done, total: seen.append((done, total))
        )
        predictions = [seg(cv2.imread(str(dataset / f"images/val/{name}.png"))) for name in "ab"]
    assert seen == [(1, 2), (2, 2)]
    assert (report["model"], report["data"], report["split"], report["images"]) == ("tiny", str(dataset), "val", 2)
    assert report["engine"] == seg.engine.name
    counts = np.zeros((3, 3), int)
    for name, mask in zip("ab", predictions, strict=True):
        label = cv2.imread(str(dataset / f"labels/val/{name}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == label.shape
        for true in range(3):
            for guess in range(3):
                counts[true, guess] += ((label == true) & (mask == guess)).sum()
    assert report["confusion"] == counts.tolist()
    assert counts[2, 0] >= 16 * 20  # the wrong block
    assert counts.sum() == 32 * 120 + 64 * 240 - 16 * 20  # the void block counts nowhere
    assert report["pixel_accuracy"] == pytest.approx(np.trace(counts) / counts.sum())
    json.dumps(report, allow_nan=False)


def test_other_classes_are_refused(dataset, tiny_model):
    with Segmenter(tiny_model) as seg:
        with pytest.raises(DataError, match="it has 4 classes, the model tiny has 3"):
            evaluate(seg, open_dataset(dataset, "val", Labels.numbered(4)))
        named = Labels(("class0", "road", "class2"), seg.labels.palette)
        with pytest.raises(DataError, match=r"its class 1 is 'road', the model's \(tiny\) is 'class1'"):
            evaluate(seg, open_dataset(dataset, "val", named))
