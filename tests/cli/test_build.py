"""``seg-edge build`` and ``export --engine rtx`` as a user calls them."""

from __future__ import annotations

import json

import pytest

from seg_edge.cli.main import main
from seg_edge.runtime.engines.nvinfer import module_available

RTX = module_available("rtx")
needs_rtx = pytest.mark.skipif(not RTX.ok, reason=RTX.reason)


@pytest.fixture
def model(tmp_path, tiny_onnx):
    tiny_onnx(tmp_path / "model.fp32.onnx", batch=1)
    return tmp_path / "model.fp32.onnx"


def build(*words):
    return main(["build", *map(str, words)])


@needs_rtx
def test_an_engine_and_its_record(model, tmp_path, capsys):
    assert build(model, "--compute-capability", "89", "--compute-capability", "120", "--json", tmp_path / "r.json") == 0
    printed = capsys.readouterr()
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["record"]["compute_capabilities"] == ["8.9", "12.0"]
    assert not data["reused"]
    assert ".sm89_sm120.rtx1." in data["file"]
    assert data["file"] in printed.out
    assert "compute capability 8.9, 12.0" in printed.out
    assert "no such engine yet" in printed.err
    assert build(tmp_path, "--compute-capability", "89", "--compute-capability", "120") == 0
    assert "reused" in capsys.readouterr().out
    assert json.loads((tmp_path / "model.json").read_text())["provenance"]["plans"]


@needs_rtx
def test_export_builds_too(nets, tmp_path, capsys):
    nets.write_checkpoint(tmp_path / "best.pt")
    words = ["--engine", "rtx", "--compute-capability", "89", "--out", tmp_path / "art", "--threads", 1]
    assert main(["export", *map(str, [tmp_path / "best.pt", *words])]) == 0
    assert ".engine" in capsys.readouterr().out
    (engine,) = (tmp_path / "art").glob("model.fp32.sm89.*.engine")
    assert engine.stat().st_size > 1000


def test_a_dry_run_for_dla_needs_no_tensorrt(model, tmp_path, capsys, monkeypatch):
    import sys

    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    assert build(model, "--dla-core", 0, "--dry-run", "--json", tmp_path / "d.json") == 0
    out = capsys.readouterr().out
    assert "DLA has no Cast" in out
    assert "2 of 3 layers on DLA, 1 on the GPU" in out
    rows = json.loads((tmp_path / "d.json").read_text())["layers"]
    assert [row["device"] for row in rows] == ["GPU", "DLA", "DLA"]
    assert rows[1]["refused"] is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--dry-run"], "pass --dla-core 0 too"),
        (["--engine", "tensort"], "did you mean 'tensorrt'"),
        (["--compute-capability", "new"], "--compute-capability: expected one such as 89"),
        (["--workspace", "0"], "--workspace: expected MiB"),
        (["--precision", "int4"], "--precision: expected one of fp32, fp16, int8"),
    ],
)
def test_what_cannot_be_used_is_one_line(words, text, model, capsys):
    assert build(model, *words) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("seg-edge:")]
    assert text in line


def test_files_that_are_no_models(tmp_path, capsys):
    assert build(tmp_path / "missing.onnx") == 1
    assert "no such file" in capsys.readouterr().err
    assert build(tmp_path) == 1
    assert "no model.int8.onnx here" in capsys.readouterr().err
    (tmp_path / "text.onnx").write_text("no model")
    assert build(tmp_path / "text.onnx") == 1
    assert "not an ONNX model" in capsys.readouterr().err


def test_build_options_of_export_need_an_engine_to_build(nets, tmp_path, capsys):
    nets.write_checkpoint(tmp_path / "best.pt")
    assert main(["export", str(tmp_path / "best.pt"), "--compute-capability", "89"]) == 1
    assert "pass --engine rtx or tensorrt, got --engine auto" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "best.pt"), "--dla-cache"]) == 1
    assert "--dla-cache: INT8 scales come from calibration frames" in capsys.readouterr().err


def test_export_delivers_what_is_asked_for(nets, tmp_path, capsys):
    pytest.importorskip("openvino")
    nets.write_checkpoint(tmp_path / "best.pt")
    words = ["--half", "--head", "labels", "--ir", "--triton", tmp_path / "repo", "--out", tmp_path / "art", "--threads", 1]
    assert main(["export", *map(str, [tmp_path / "best.pt", *words, "--engine", "onnxruntime"])]) == 0
    capsys.readouterr()
    files = {path.name for path in (tmp_path / "art").iterdir()}
    assert {"model.fp16.onnx", "model.fp16.xml", "model.fp16.bin", "model.fp32.onnx"} <= files
    assert json.loads((tmp_path / "art" / "model.json").read_text())["output"] == "labels"
    assert (tmp_path / "repo" / "unet-n" / "1" / "model.onnx").read_bytes() == (
        tmp_path / "art" / "model.fp16.onnx"
    ).read_bytes()
    assert main(["export", str(tmp_path / "best.pt"), "--head", "mask"]) == 1
    assert "--head: expected one of logits, labels" in capsys.readouterr().err
