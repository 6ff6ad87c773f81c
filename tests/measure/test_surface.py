"""Measuring from Python: options that check themselves, reports that show and write themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError, InputError, ModelFileError, UnknownNameError
from seg_edge.core.progress import Silent
from seg_edge.measure import (
    BenchOptions,
    CompareOptions,
    EvaluateOptions,
    bench,
    compare,
    evaluate,
    evaluate_domains,
    require_measured,
)
from seg_edge.measure.telling import TitledCount

HEAVY = {"numpy", "cv2", "torch", "onnxruntime", "openvino"}


class Heard(Silent):
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def count(self, what):
        return lambda done, total: self.told.append((what, done, total))


@pytest.fixture
def data(tmp_path, colour_frame):
    """One image in the tiny network's colours, labelled as it answers."""
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind / "val").mkdir(parents=True)
    frame = colour_frame(32, 48)
    cv2.imwrite(str(tmp_path / "data/images/val/0.png"), frame)
    cv2.imwrite(str(tmp_path / "data/labels/val/0.png"), frame.argmax(2).astype(np.uint8))
    return tmp_path / "data"


def test_options_need_nothing_heavy():
    code = "from seg_edge.measure import BenchOptions; BenchOptions(engines=['openvino']); import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {*done.stdout.split()}


def test_an_evaluation_shows_and_writes_itself(tiny_model, data, tmp_path):
    heard = Heard()
    options = EvaluateOptions(engine="onnxruntime", threads=1)
    report = evaluate(str(tiny_model), str(data), options, progress=heard)
    assert heard.told == [("onnxruntime: CPU, 1 thread", 1, 1)]
    assert repr(report).splitlines()[0] == f"tiny on {data} (val, 1 images, onnxruntime), %"
    assert "<td>class0</td>" in report._repr_html_()
    report.write(tmp_path / "v.json")
    assert json.loads((tmp_path / "v.json").read_text()) == report.to_dict() == dict(report)


def test_a_benchmark_shows_and_writes_itself(tiny_model, tmp_path):
    heard = Heard()
    options = BenchOptions(engines=["onnxruntime"], threads=[1], frame_hw=(60, 80), runs=6)
    report = bench([str(tiny_model)], options, progress=heard)
    title = "measuring tiny.onnx on onnxruntime, 1 threads, batch 1"
    assert [done for what, done, _ in heard.told if what == title] == [*range(6), 6]
    assert repr(report).splitlines()[1].startswith("model")
    assert "<td>tiny</td>" in report._repr_html_()
    report.write(str(tmp_path / "b.json"))
    assert json.loads((tmp_path / "b.json").read_text()) == report.to_dict()
    require_measured(report)


def test_options_say_what_is_wrong_with_a_field():
    assert BenchOptions(data="d").data == Path("d")
    assert CompareOptions(data="d").data == Path("d")
    for wrong, said in (
        ({"frame_hw": (0, 5)}, "`frame_hw`: height and width must be 1 to 16384 pixels"),
        ({"threads": [0]}, "`threads`: expected at least 1, got 0"),
        ({"batches": [300]}, "`batches` must be 1 to 256 frames, got 300"),
        ({"duration_s": 1.0, "runs": 1}, "pass `duration_s` or `runs`, not both"),
        ({"settle": 1.5}, "`settle`: expected a fraction between 0 and 1, got 1.5"),
        ({"wait_s": -1.0}, "`wait_s`: expected at least 0, got -1"),
    ):
        with pytest.raises(InputError, match=said):
            BenchOptions(**wrong)
    for kind in (lambda name: BenchOptions(engines=[name]), lambda name: EvaluateOptions(engine=name)):
        with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
            kind("openvin")


def test_what_is_missing_is_said_before_torch_is_imported(tiny_model, data, monkeypatch):
    for module in ("seg_edge.train.torch_engine", "seg_edge.measure.comparison.sides"):
        monkeypatch.setitem(sys.modules, module, None)
    checkpoint = data / "a.pt"
    with pytest.raises(ModelFileError, match=r"a\.pt: no such file; expected a checkpoint"):
        evaluate(checkpoint, data)
    checkpoint.write_bytes(b"")
    for folder, split, said in (("away", "val", "no such folder"), (data, "tset", "no folder images/tset")):
        with pytest.raises(DataError, match=said):
            evaluate(checkpoint, folder, EvaluateOptions(split=split))
        with pytest.raises(DataError, match=said):
            evaluate_domains([checkpoint], [folder], EvaluateOptions(split=split))
        with pytest.raises(DataError, match=said):
            compare(["unet-s-camvid", checkpoint], data / "out", CompareOptions(data=folder, split=split))
    with pytest.raises(InputError, match=r"got `engine='openvino'`; export it first"):
        evaluate(checkpoint, data, EvaluateOptions(engine="openvino"))
    with pytest.raises(InputError, match=r"`data` folders are called by their names"):
        evaluate_domains([tiny_model], [data, data])


def test_the_bar_is_named_after_what_runs():
    heard = Heard()
    tell = TitledCount(heard)
    for done, title in enumerate("aba"):
        tell(done, 3, title)
    tell.finish()
    assert heard.told == [("a", 0, 3), ("a", 3, 3), ("b", 1, 3), ("b", 3, 3), ("a", 2, 3), ("a", 3, 3)]
