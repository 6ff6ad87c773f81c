"""``seg-edge val`` as a user calls it."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.core.labels import Labels
from seg_edge.core.shipped import DEFAULT, FOLDER
from seg_edge.datasets.dataset import write_labels
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.evaluation import evaluate
from seg_edge.runtime import Segmenter

KEYS = ["model", "data", "split", "images", "engine", "pixel_accuracy", "miou", "fw_iou", "per_class", "confusion"]


def val(*words):
    return main(["val", *map(str, words)])


def write_pair(root, name, frame, label, split="val"):
    for kind, image in (("images", frame), ("labels", label)):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / kind / split / f"{name}.png"), image)


@pytest.fixture
def data(tmp_path, colour_frame):
    """Two images in the network's colours; in one a block of the label is wrong and a block is void."""
    for name, (height, width) in (("a", (32, 120)), ("b", (64, 240))):
        frame = colour_frame(height, width)
        label = frame.argmax(2).astype(np.uint8)
        if name == "b":
            label[:16, :20] = 2
            label[16:32, :20] = 255
        write_pair(tmp_path / "data", name, frame, label)
    return tmp_path / "data"


@pytest.fixture
def blue(tmp_path):
    """One image that is class 0 all over: its mIoU is exactly 1."""
    frame = np.zeros((32, 40, 3), np.uint8)
    frame[..., 0] = 200
    write_pair(tmp_path / "blue", "a", frame, np.zeros((32, 40), np.uint8))
    return tmp_path / "blue"


def error_line(capsys):
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    assert text.startswith("seg-edge: error: ")
    return text.strip()


def test_table_and_json(tiny_model, data, tmp_path, capsys):
    target = tmp_path / "out" / "val.json"
    assert val(tiny_model, "--data", data, "--engine", "onnxruntime", "--threads", 1, "--json", target) == 0
    printed = capsys.readouterr()
    report = json.loads(target.read_text())
    with Segmenter(tiny_model, engine="onnxruntime", threads=1) as seg:
        assert report == evaluate(seg, open_dataset(data, "val", seg.labels))
    assert list(report) == KEYS
    assert 0.5 < report["miou"] < 1
    assert printed.out.splitlines()[0] == f"tiny on {data} (val, 2 images, onnxruntime), %"
    for row in report["per_class"]:
        line = next(line for line in printed.out.splitlines() if row["name"] in line)
        figures = [cell.strip() for cell in line.strip("│ ").split("│")][1:]
        columns = ("iou", "dice", "precision", "sensitivity", "specificity")
        assert figures == [f"{100 * row[key]:.2f}" for key in columns]
    assert f"mIoU {100 * report['miou']:.2f} %" in printed.out
    assert f"pixel accuracy {100 * report['pixel_accuracy']:.2f} %" in printed.out
    assert f"frequency-weighted IoU {100 * report['fw_iou']:.2f} %" in printed.out
    assert printed.err == ""


def test_without_a_model_the_shipped_one_is_evaluated_without_torch(tmp_path, monkeypatch, capsys):
    """Its INT8 file runs through the runtime; the model is named."""
    monkeypatch.setitem(sys.modules, "seg_edge.train.torch_engine", None)
    write_pair(tmp_path, "a", np.full((64, 96, 3), 200, np.uint8), np.zeros((64, 96), np.uint8))
    assert val("--data", tmp_path, "--engine", "onnxruntime", "--threads", 1, "--json", tmp_path / "v.json") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{FOLDER / DEFAULT / 'model.int8.onnx'}: unet-s, int8 (shipped: 11 classes, sky, building, ")
    assert json.loads((tmp_path / "v.json").read_text())["engine"] == "onnxruntime"


def test_brackets_are_no_markup(tiny_onnx, blue, tmp_path, capsys):
    model, data = tmp_path / "tiny.onnx", blue.rename(tmp_path / "[red] streets")
    tiny_onnx(model, labels=Labels(("[/sky]", "[red]car", "road"), ((1, 1, 1),) * 3))
    assert val(model, "--data", data) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"tiny on {data} (val, 1 images")
    assert "[/sky]" in printed
    assert "[red]car" in printed


def test_another_split(tiny_model, data, tmp_path, colour_frame):
    write_pair(data, "c", colour_frame(32, 40), np.zeros((32, 40), np.uint8), "test")
    assert val(tiny_model, "--data", data, "--split", "test", "--json", tmp_path / "v.json") == 0
    report = json.loads((tmp_path / "v.json").read_text())
    assert (report["split"], report["images"]) == ("test", 1)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_threads_reach_the_engine(tiny_model, checkpoint, blue, monkeypatch, engine):
    seen = []

    class Spy(Segmenter):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            seen.append((self.engine.name, self.engine.threads))

    monkeypatch.setattr("seg_edge.runtime.segmenter.Segmenter", Spy)
    model, data = (checkpoint, checkpoint.parent / "data") if engine == "torch" else (tiny_model, blue)
    assert val(model, "--data", data, "--engine", engine, "--threads", 1) == 0
    assert seen == [(engine, 1)]


def test_limit_that_holds(tiny_model, blue, capsys):
    assert val(tiny_model, "--data", blue, "--min-miou", 100) == 0
    assert "mIoU 100.00 %" in capsys.readouterr().out


def test_broken_limit_exits_3_after_writing_everything(tiny_model, data, tmp_path, capsys):
    target = tmp_path / "val.json"
    assert val(tiny_model, "--data", data, "--min-miou", 99.5, "--json", target) == 3
    printed = capsys.readouterr()
    miou = json.loads(target.read_text())["miou"]
    assert printed.err == f"seg-edge: error: val: mIoU {100 * miou:.2f} % on {data} is below --min-miou 99.5 %\n"
    assert "class2" in printed.out


def test_nothing_to_measure_is_no_pass(tiny_model, blue, tmp_path, capsys):
    write_pair(blue, "a", np.zeros((32, 40, 3), np.uint8), np.full((32, 40), 255, np.uint8))
    assert val(tiny_model, "--data", blue, "--min-miou", 0, "--json", tmp_path / "v.json") == 3
    printed = capsys.readouterr()
    assert "mIoU undefined" in printed.err
    assert "mIoU – %" in printed.out
    assert json.loads((tmp_path / "v.json").read_text())["miou"] is None


def test_without_names_the_models_classes_are_taken(tiny_model, blue, tmp_path):
    """Only class 0 is in its labels, and the file's name is like CamVid's; the model has three classes."""
    for kind in ("images", "labels"):
        (blue / kind / "val" / "a.png").rename(blue / kind / "val" / "0001TP_000001.png")
    assert val(tiny_model, "--data", blue, "--json", tmp_path / "v.json") == 0
    rows = json.loads((tmp_path / "v.json").read_text())["per_class"]
    assert [(row["name"], row["iou"]) for row in rows] == [("class0", 1.0), ("class1", None), ("class2", None)]


def test_other_names_are_refused(tiny_model, blue, capsys):
    write_labels(blue, Labels(("class0", "road", "class2"), ((1, 1, 1),) * 3))
    assert val(tiny_model, "--data", blue) == 1
    assert "its class 1 is 'road', the model's (tiny) is 'class1'" in error_line(capsys)


def test_a_label_that_the_model_lacks_is_refused(tiny_model, data, capsys):
    label = np.zeros((64, 240), np.uint8)
    label[5, 5] = 3
    cv2.imwrite(str(data / "labels/val/b.png"), label)
    assert val(tiny_model, "--data", data) == 1
    assert f"{data}/labels/val/b.png: label value 3 is out of range: expected 0..2" in error_line(capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MODEL", "--data", "absent"], "dataset absent: no such folder"),
        (["MODEL", "--data", "DATA", "--split", "tset"], "no folder images/tset (it has val)"),
        (["absent.onnx", "--data", "DATA"], "absent.onnx: no such file"),
        (["absent.pt", "--data", "DATA"], "absent.pt: no such file; expected a checkpoint"),
        (["MODEL", "--data", "DATA", "--engine", "onnxruntme"], "did you mean 'onnxruntime'?"),
        (["MODEL", "--data", "DATA", "--json", "DATA"], "is a folder; expected a file's name"),
    ],
)
def test_errors_are_one_line(tiny_model, data, capsys, words, message):
    table = {"MODEL": tiny_model, "DATA": data}
    assert val(*(table.get(word, word) for word in words)) == 1
    assert message in error_line(capsys)


@pytest.fixture(scope="module")
def checkpoint(nets, tmp_path_factory):
    """A checkpoint and a data set labelled by its own network."""
    folder = tmp_path_factory.mktemp("run")
    nets.write_dataset(folder / "data", nets.write_checkpoint(folder / "best.pt"))
    return folder / "best.pt"


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_checkpoint_runs_on_torch(checkpoint, tmp_path, engine):
    report = tmp_path / "v.json"
    assert val(checkpoint, "--data", checkpoint.parent / "data", "--engine", engine, "--threads", 1, "--json", report) == 0
    found = json.loads(report.read_text())
    assert (found["engine"], found["model"], found["images"]) == ("torch", "unet-n", 4)
    assert found["pixel_accuracy"] > 0.999  # the labels are the network's own masks, but for ties and rounding


def test_a_checkpoint_on_another_engine_is_refused(checkpoint, capsys):
    assert val(checkpoint, "--data", checkpoint.parent / "data", "--engine", "onnxruntime") == 1
    assert "a checkpoint runs on the engine torch, got --engine onnxruntime; export it first" in error_line(capsys)


def test_a_checkpoint_without_torch(checkpoint, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "seg_edge.train.torch_engine", None)
    assert val(checkpoint, "--data", checkpoint.parent / "data") == 1
    line = error_line(capsys)
    assert "a checkpoint needs torch" in line
    assert line.endswith("pip install 'seg-edge[train]'")


def test_a_checkpoint_of_something_else(tmp_path, blue, capsys):
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    assert val(tmp_path / "a.pt", "--data", blue) == 1
    assert f"{tmp_path}/a.pt: not a readable checkpoint" in error_line(capsys)
