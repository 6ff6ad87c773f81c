"""``seg-edge export`` as a user calls it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.runtime.engines import open_engine


@pytest.fixture(scope="module")
def checkpoint(nets, tmp_path_factory):
    """A checkpoint and a data set labelled by its own network."""
    folder = tmp_path_factory.mktemp("run")
    net = nets.write_checkpoint(folder / "best.pt")
    nets.write_dataset(folder / "data", net, nets.SPEC)
    return folder / "best.pt"


def export(*words):
    return main(["export", *map(str, words)])


def fast(*words):
    return export(*words, "--engine", "onnxruntime", "--threads", 1)


def test_int8_with_a_report_and_a_table(checkpoint, tmp_path, capsys):
    out, report = tmp_path / "art", tmp_path / "r.json"
    code = fast(
        checkpoint, "--int8", "--data", checkpoint.parent / "data", "--out", out, "--calib-frames", 3, "--json", report
    )
    printed = capsys.readouterr()
    assert code == 0
    data = json.loads(report.read_text())
    assert data == json.loads((out / "report.json").read_text())
    assert [step["step"] for step in data["steps"]] == ["onnx", "simplify", "int8"]
    assert data["spec"]["provenance"]["int8"] == {
        "data": "data", "split": "train", "frames": 3,
        "observer": "minmax", "bias_correction": True, "weights": "portable", "quantize_output": True,
    }  # fmt: skip
    for text in ("model.int8.onnx", "simplify", "mIoU %", f"artefact: {out}", f"seg-edge verify {out}"):
        assert text in printed.out
    assert "calibrate: no calibration cache yet" in printed.err


def test_fp32_goes_beside_the_checkpoint_and_takes_a_size(checkpoint, capsys):
    assert fast(checkpoint, "--imgsz", "96x64") == 0
    capsys.readouterr()
    data = json.loads((checkpoint.parent / "artefact" / "report.json").read_text())
    assert data["spec"]["input_hw"] == [96, 64]


def test_options_reach_the_quantizer(checkpoint, tmp_path, capsys):
    words = ["--int8", "--data", checkpoint.parent / "data", "--out", tmp_path / "art", "--observer", "mse"]
    more = ["--no-bias-correction", "--weights", "full", "--max-drop", 99, "--qat", 2, "--fallback", 1,
            "--fallback-precision", "fp16"]  # fmt: skip
    assert fast(checkpoint, *words, *more) == 0
    assert "qat: post-training quantization holds the limits" in capsys.readouterr().err
    used = json.loads((tmp_path / "art" / "model.json").read_text())["provenance"]["int8"]
    assert (used["observer"], used["bias_correction"], used["weights"]) == ("mse", False, "full")


def test_drops_are_given_in_points_and_kept_as_fractions(checkpoint, tmp_path, capsys):
    words = ["--data", checkpoint.parent / "data", "--out", tmp_path / "art", "--max-drop", 1.5, "--max-class-drop", 90]
    assert fast(checkpoint, *words) == 0
    capsys.readouterr()
    gates = {gate["name"]: gate["limit"] for gate in json.loads((tmp_path / "art" / "report.json").read_text())["gates"]}
    assert gates["simplify: max_drop"] == pytest.approx(0.015)
    assert gates["simplify: max_class_drop"] == pytest.approx(0.9)


def test_a_broken_gate_exits_with_3_and_still_reports(checkpoint, tmp_path, capsys):
    words = ["--int8", "--data", checkpoint.parent / "data", "--out", tmp_path / "art", "--json", tmp_path / "r.json"]
    assert fast(checkpoint, *words, "--min-speedup", 500) == 3
    printed = capsys.readouterr()
    assert "--min-speedup asks for 500" in printed.err
    assert "broken: int8: min_speedup" in printed.out
    assert json.loads((tmp_path / "r.json").read_text())["gates"][-1]["passed"] is False
    assert not (tmp_path / "art" / "model.int8.onnx").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--fallback-precision", "fp16"], "--fallback-precision: of layers that go back from INT8; pass --int8 too"),
        (["--int8"], "needs real frames to calibrate on; pass --data, a folder with images/train"),
        (["--imgsz", "100x64"], "multiples of 32; nearest: 96x64"),
        (["--imgsz", "big"], "expected HEIGHTxWIDTH"),
        (["--engine", "openvin"], "did you mean 'openvino'"),
        (["--observer", "percentle"], "did you mean 'percentile'"),
        (["--weights", "ful"], "did you mean 'full'"),
        (["--data", "no/such/folder"], "no such folder"),
    ],
)
def test_what_cannot_be_used_is_one_line(words, text, checkpoint, tmp_path, capsys):
    assert export(checkpoint, "--out", tmp_path / "art", *words) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("seg-edge: error")]
    assert len(error) == 1
    assert text in error[0]
    assert not (tmp_path / "art").exists()


def test_files_that_are_no_checkpoints(tmp_path, capsys):
    assert export(tmp_path / "missing.pt") == 1
    assert "no such file; expected a checkpoint" in capsys.readouterr().err
    (tmp_path / "text.pt").write_text("no checkpoint")
    assert export(tmp_path / "text.pt") == 1
    assert "not a readable checkpoint" in capsys.readouterr().err


def test_a_free_batch_with_everything_that_is_delivered(checkpoint, tmp_path, capsys):
    pytest.importorskip("openvino")
    out = tmp_path / "art"
    words = ["--batch", "free", "--out", out, "--head", "labels", "--ir", "--triton", tmp_path / "repo"]
    assert fast(checkpoint, *words) == 0
    assert "batch: free" in capsys.readouterr().err
    for engine in ("onnxruntime", "openvino"):
        with open_engine(out, engine, 1) as opened:
            assert opened.batch is None
            assert opened.infer(np.zeros((3, 64, 96, 3), np.uint8)).shape == (3, 64, 96)
    assert "dims: [-1, 64, 96, 3]" in next((tmp_path / "repo").rglob("config.pbtxt")).read_text()
    assert main(["verify", str(out), "--engine", "onnxruntime"]) == 0


def test_a_batch_is_a_number_or_free(checkpoint, tmp_path, capsys):
    assert fast(checkpoint, "--batch", "many", "--out", tmp_path / "art") == 1
    assert "--batch: expected a number of frames, or free, got 'many'" in capsys.readouterr().err
