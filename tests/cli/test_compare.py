"""``seg-edge compare``: two small networks with known weights on generated rectangles."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from seg_edge.cli.main import main
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.comparison.sides import compare_runs, read_history
from seg_edge.measure.comparison.titles import METRICS
from seg_edge.measure.evaluation import evaluate
from seg_edge.runtime.segmenter import Segmenter
from seg_edge.train.checkpoint import Checkpoint, save_checkpoint
from seg_edge.train.models.catalog import build
from seg_edge.train.torch_engine import TorchEngine

SIZE = (64, 96)
CURVES = "epoch,train_loss,val_loss,val_miou,val_pixel_accuracy,lr,seconds\n1,1.5,1.2,0.2,0.5,0.001,4\n2,1.1,,0.3,0.6,0,6\n"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def rectangles(load_module):
    return load_module("train/rectangles.py")


@pytest.fixture(scope="module")
def dataset(rectangles, tmp_path_factory):
    return rectangles.write_dataset(tmp_path_factory.mktemp("rectangles") / "data", train=1, val=4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run ``one`` always answers class 0, run ``two`` is a random network."""
    root = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    for name in ("one", "two"):
        net = build("unet-n", 3).eval()
        if name == "one":
            torch.nn.init.zeros_(net.head.weight)
            net.head.bias.data[:] = torch.tensor([1.0, 0.0, 0.0])
        spec = ModelSpec("unet-n", Labels.numbered(3), SIZE)
        save_checkpoint(root / name / "best.pt", Checkpoint(net, spec, 2, "unet-n", net.config.to_dict()))
    (root / "one/metrics.csv").write_text(CURVES)
    return root


def test_the_command(runs, dataset, tmp_path, capsys):
    out = tmp_path / "compare"
    words = ["compare", str(runs / "one"), str(runs / "two"), "--data", str(dataset), "--out", str(out), "--threads", "1"]
    assert main([*words, "--cases", "2", "--json", str(tmp_path / "copy.json")]) == 0
    text = capsys.readouterr().out
    files = {path.name for path in out.iterdir()}
    assert files == {"compare.md", "compare.json", "curves.png", "best.png", "worst.png"}
    assert all(name in text for name in files)
    report = json.loads((out / "compare.json").read_text())
    assert json.loads((tmp_path / "copy.json").read_text()) == report

    # The same numbers as seg-edge val has.
    for name, run in zip(("one", "two"), report["runs"], strict=True):
        with Segmenter(TorchEngine.from_checkpoint(runs / name / "best.pt", 1)) as segmenter:
            own = evaluate(segmenter, open_dataset(dataset, "val", segmenter.labels))
        assert run["metrics"]["miou"] == own["miou"]
        assert run["metrics"]["accuracy"] == own["pixel_accuracy"]
        assert run["per_class"] == own["per_class"]
        for metric, column in (("f1", "dice"), ("sensitivity", "sensitivity"), ("specificity", "specificity")):
            known = [row[column] for row in own["per_class"] if row[column] is not None]
            assert run["metrics"][metric] == pytest.approx(np.mean(known))
    one, two = report["runs"]
    assert (one["epochs"], one["seconds_per_epoch"], two["epochs"]) == (2, 5, 0)
    # Who always says class 0 finds all of it and nothing else.
    assert (one["metrics"]["sensitivity"], one["metrics"]["specificity"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert set(report["difference"]) == set(METRICS)
    assert report["difference"]["miou"] == two["metrics"]["miou"] - one["metrics"]["miou"]
    gap = report["image_iou_difference"]
    assert gap["low"] <= gap["mean"] <= gap["high"]
    means = [np.mean(case["iou"]) for case in [*report["worst"], *report["best"][::-1]]]
    assert means == sorted(means)
    assert "two: no curves" in report["notes"][0]

    page = (out / "compare.md").read_text()
    assert f"| IoU (mean over classes), % | {100 * one['metrics']['miou']:.2f} |" in page
    assert all(f"]({name})" in page for name in ("curves.png", "best.png", "worst.png"))
    # Two images, each a row of image, labels, and for both runs mask and wrong pixels.
    assert cv2.imread(str(out / "best.png")).shape == (2 * (160 + 22), 6 * 244, 3)


def test_no_image_is_both_best_and_worst(runs, dataset):
    found = compare_runs([runs / "one", runs / "two"], lambda s: open_dataset(dataset, "val", s.labels), threads=1)
    order = found.ranking()
    for count in range(1, len(order) + 1):
        found.ranking = lambda count=count: order[:count]
        best, worst = found.extremes(2)
        assert not set(best) & set(worst)
        assert (len(best), len(worst)) == (min(2, count // 2), min(2, count - count // 2))
        assert worst[0] == order[0]
        assert not best or best[0] == order[count - 1]


def test_wrong_pixels_are_red(runs, dataset):
    from seg_edge.measure.comparison.images import draw_cases

    found = compare_runs([runs / "one", runs / "two"], lambda s: open_dataset(dataset, "val", s.labels), threads=1)
    picture = draw_cases(found, [0], threads=1)
    truth = cv2.resize(found.data.read_mask(0), (240, 160), interpolation=cv2.INTER_NEAREST)
    tile = picture[20:180, 3 * 244 + 2 : 3 * 244 + 242]  # the first run's wrong pixels: all that is not class 0
    red = (tile == (40, 40, 230)).all(2)
    assert np.array_equal(red, (truth == 1) | (truth == 2))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("one", "one"), "best.pt was given twice; pass two different runs"),
        (("one", "three"), "three: no such file; expected a checkpoint"),
        (("one", "other"), "has 3 classes, the model unet-n has 4"),
    ],
)
def test_refusals(runs, dataset, tmp_path, change, text, capsys):
    if "other" in change:
        net = build("unet-n", 4).eval()
        spec = ModelSpec("unet-n", Labels.numbered(4), SIZE)
        save_checkpoint(runs / "other/best.pt", Checkpoint(net, spec, 1, "unet-n", net.config.to_dict()))
    a, b = (str(runs / name) for name in change)
    assert main(["compare", a, b, "--data", str(dataset), "--out", str(tmp_path / "c")]) == 1
    assert text in capsys.readouterr().err
    assert not list(tmp_path.rglob("compare.*"))


def test_history(tmp_path):
    assert read_history(tmp_path / "absent.csv") == []
    (tmp_path / "a.csv").write_text(CURVES)
    rows = read_history(tmp_path / "a.csv")
    assert rows[0]["val_loss"] == 1.2
    assert "val_loss" not in rows[1]
    (tmp_path / "a.csv").write_text("epoch\nfirst\n")
    with pytest.raises(ValueError, match="a.csv: not a table of numbers"):
        read_history(tmp_path / "a.csv")
