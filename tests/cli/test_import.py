"""``seg-edge import`` as a user types it."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_edge.cli.main import main


@pytest.fixture
def theirs(tmp_path):
    """A network whose class is the strongest channel of what it gets."""
    weights = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["scores"])], "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 32, 32])],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "theirs.onnx")
    return tmp_path / "theirs.onnx"


def test_import(theirs, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("red\ngreen\nblue\n")
    words = [
        "import",
        str(theirs),
        "--classes",
        str(names),
        "--mean",
        "0.5",
        "--std",
        "0.5",
        "--rgb",
        "--engine",
        "onnxruntime",
    ]
    assert main([*words, "--out", str(tmp_path / "out"), "--json", str(tmp_path / "r.json")]) == 0
    printed = capsys.readouterr().out
    assert "the network gets: RGB, (pixel * 1/255 - 0.5,0.5,0.5) / 0.5,0.5,0.5, bilinear" in printed
    assert "guessed resize bilinear: the most common one" in printed
    assert "100.000" in printed
    assert f"next: seg-edge export {tmp_path / 'out'} --int8" in printed
    assert json.loads((tmp_path / "r.json").read_text())["spec"]["labels"]["names"] == ["red", "green", "blue"]


def test_errors_name_options(theirs, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    for words, text in (
        ([str(theirs), "--imgsz", "64x64"], "its input is fixed at 32x32, got --imgsz 64x64"),
        ([str(theirs), "--mean", "1,2"], "--mean: expected three numbers"),
        ([str(theirs), "--classes", "camvid"], "--classes camvid: has 11 names"),
        ([str(tmp_path / "away.onnx")], "no such file; expected an ONNX file of another tool"),
    ):
        assert main(["import", *words, *out]) == 1
        said = capsys.readouterr().err
        assert text in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_other_verbs_name_the_import(theirs, capsys):
    for words in (["run", str(theirs), "--source", "0"], ["export", str(theirs)]):
        assert main(words) == 1
        assert "seg-edge import" in capsys.readouterr().err
