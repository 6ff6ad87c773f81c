"""``bench --table`` and ``--peer`` on small inputs: real networks of other libraries, exported, run and divided."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.cli.main import main
from seg_edge.measure.benchmark import runs as bench_module

SHORT = ["--engine", "onnxruntime", "--threads", "1", "--frame", "60x80", "--runs", "6"]


@pytest.fixture
def stranger(tiny_onnx, tmp_path):
    path = tmp_path / "stranger.onnx"
    tiny_onnx(path, with_spec=False, input_hw=(64, 96))
    return path


def test_table_with_a_peer(tmp_path, stranger, capsys):
    pytest.importorskip("torchvision")
    target, text = tmp_path / "a.json", tmp_path / "a.md"
    words = ["--network", "lraspp-mobilenetv3", "--network", "unet-n", "--imgsz", "64x96", "--peer", str(stranger)]
    files = ["--cache", str(tmp_path / "cache"), "--json", str(target), "--markdown", str(text)]
    assert main(["bench", "--table", *words, *SHORT, *files]) == 0
    rows = json.loads(target.read_text())["rows"]
    assert [row["model"] for row in rows] == ["lraspp-mobilenetv3", "unet-n", "stranger"]
    assert [row["imgsz"] for row in rows] == [[64, 96]] * 3
    assert all(row["params"] and row["macs"] and row["fps_e2e"] for row in rows)
    assert [row["ratio"]["to"] for row in rows] == ["lraspp-mobilenetv3 fp32"] * 3
    assert rows[0]["ratio"]["e2e"] == 1
    assert rows[2]["ratio"]["e2e"] > 1  # a single convolution against a MobileNet
    assert "random weights" in rows[0]["note"]
    assert "peer stranger.onnx: uint8 NHWC input" in rows[2]["note"]
    assert "Ratio: FPS ÷ that of lraspp-mobilenetv3 fp32" in text.read_text()
    assert "published" in capsys.readouterr().out


def test_published_ratios_stand_beside_the_measured_ones(tmp_path, monkeypatch, tiny_onnx):
    """The rows of the published networks get their ratios by their names."""
    from seg_edge.export.networks import reference

    names = ["fcn-resnet50", "deeplabv3plus-resnet50"]

    def planted(name, *rest):
        path = tmp_path / f"{name}.onnx"
        spec = tiny_onnx(path)
        model = onnx.load(path)
        onnx.helper.set_model_props(
            model, {"seg_edge.spec": spec.with_(name=name, provenance=reference.UNTRAINED).to_json()}
        )
        onnx.save(model, path)
        return path

    monkeypatch.setattr(reference, "reference", planted)
    target = tmp_path / "a.json"
    words = [word for name in names for word in ("--network", name)]
    assert main(["bench", "--table", *words, *SHORT, "--json", str(target)]) == 0
    fcn, deeplab = (row["ratio"]["published"] for row in json.loads(target.read_text())["rows"])
    assert (fcn, deeplab) == (1, pytest.approx(18 / 28))


def test_relative_to_without_a_table(tiny_model, stranger, tmp_path, capsys, monkeypatch):
    target = tmp_path / "a.json"
    words = ["--peer", str(stranger), "--cache", str(tmp_path), "--relative-to", "tiny", "--json", str(target)]
    assert main(["bench", str(tiny_model), *words, *SHORT]) == 0
    peer, tiny = json.loads(target.read_text())["rows"]
    assert tiny["ratio"]["e2e"] == 1
    assert peer["ratio"] is None  # another input size
    assert "no ratio: tiny was not measured at this input size" in peer["note"]
    monkeypatch.setattr(bench_module, "Configuration", None)  # nothing is measured before the name is looked at
    assert main(["bench", str(tiny_model), *SHORT, "--relative-to", "tny"]) == 1
    assert "did you mean 'tiny'" in capsys.readouterr().err


def test_random_weights_get_no_miou_and_a_peer_gets_one(tiny_onnx, tmp_path, colour_frame, stranger):
    data = tmp_path / "data"
    for kind in ("images", "labels"):
        (data / kind / "val").mkdir(parents=True)
    frame = colour_frame(64, 96)
    cv2.imwrite(str(data / "images/val/0.png"), frame)
    cv2.imwrite(str(data / "labels/val/0.png"), np.where(frame.max(2) > 200, frame.argmax(2), 11).astype(np.uint8))
    (data / "classes.json").write_text('{"names": ["a", "b", "c"], "ignore_index": 11}')
    random = tmp_path / "random.onnx"
    spec = tiny_onnx(random)
    model = onnx.load(random)
    onnx.helper.set_model_props(model, {"seg_edge.spec": spec.with_(provenance={"weights": "random"}).to_json()})
    onnx.save(model, random)
    target = tmp_path / "a.json"
    words = ["--peer", str(stranger), "--cache", str(tmp_path / "c"), "--data", str(data), "--json", str(target)]
    assert main(["bench", str(random), *words, *SHORT]) == 0
    peer, untrained = json.loads(target.read_text())["rows"]
    assert untrained["miou"] is None
    assert peer["miou"] > 0.9


def test_without_torch_or_onnx_a_line_says_what_to_install(tmp_path, monkeypatch, capsys, stranger):
    for name in ("seg_edge.export.networks.reference", "seg_edge.export.networks.peer"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["bench", "--table", *SHORT]) == 1
    assert "pip install 'seg-edge[train,export,zoo]'" in capsys.readouterr().err
    assert main(["bench", "--peer", str(stranger), *SHORT]) == 1
    assert "pip install 'seg-edge[export]'" in capsys.readouterr().err
    assert main(["bench", "--network", "unet-n", "x.onnx"]) == 1
    assert "no such file" in capsys.readouterr().err


def test_the_table_runs_on_the_fastest_engine_in_short_turns(monkeypatch, tmp_path, tiny_model):
    from seg_edge.export.networks import reference

    seen = {}

    def bench(models, options, **_words):
        seen.update(vars(options))
        raise KeyboardInterrupt

    monkeypatch.setattr(reference, "table_models", lambda *rest: [tiny_model])
    monkeypatch.setattr(bench_module, "bench", bench)
    assert main(["bench", "--table"]) == 130
    assert (seen["engines"], seen["duration_s"], seen["relative_to"]) == (("auto",), 8.0, "tiny")
    assert (seen["turn_s"], seen["reopen"]) == (0.2, 4)
    assert (seen["settle"], seen["limit_s"]) == (0.03, 430.0)
    assert main(["bench", "--table", "--duration", "2"]) == 130
    assert (seen["duration_s"], seen["settle"], seen["limit_s"]) == (2.0, None, None)
