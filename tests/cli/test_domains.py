"""``seg-edge domains``: training domain × test domain."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.evaluation import evaluate
from seg_edge.runtime.segmenter import Segmenter


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two domains: what the tiny network gets right ("bright"), and the same with blue and red exchanged ("odd")."""
    root = tmp_path_factory.mktemp("domains")
    for name, count in (("bright", 2), ("odd", 1)):
        for kind in ("images", "labels"):
            (root / name / kind / "val").mkdir(parents=True)
        mask = np.repeat(np.arange(3, dtype=np.uint8), 16)[None].repeat(32, 0)
        frame = np.full((32, 48, 3), 20, np.uint8)
        for k in range(3):
            frame[mask == k, k if name == "bright" else 2 - k] = 220
        for number in range(count):
            cv2.imwrite(str(root / name / "images/val" / f"{number}.png"), frame)
            cv2.imwrite(str(root / name / "labels/val" / f"{number}.png"), mask)
    return root


@pytest.fixture(scope="module")
def model(tiny_onnx, tmp_path_factory):
    """The tiny network, trained on "bright" as its provenance says."""
    import onnx

    from seg_edge.core.spec import METADATA_KEY, ModelSpec

    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    spec: ModelSpec = tiny_onnx(path)
    model = onnx.load(path)
    text = spec.with_(provenance={"dataset": "bright"}).to_json()
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, path)
    return path


def call(*words):
    return main(["domains", *map(str, words)])


def test_table(model, tiny_model, data, tmp_path, capsys):
    words = ["--data", data / "bright", "--data", data / "odd", "--engine", "onnxruntime", "--threads", 1]
    assert call(model, tiny_model, *words, "--json", tmp_path / "t.json", "--csv", tmp_path / "t.csv") == 0
    report = json.loads((tmp_path / "t.json").read_text())
    assert report["domains"] == [{"name": "bright", "images": 2}, {"name": "odd", "images": 1}]
    first, second = report["rows"]
    with Segmenter(model, engine="onnxruntime", threads=1) as seg:
        expected = {name: evaluate(seg, open_dataset(data / name, "val", seg.labels))["miou"] for name in ("bright", "odd")}
    assert first["miou"] == expected
    assert expected["bright"] > 0.9 > 0.5 > expected["odd"]
    assert (first["trained_on"], first["unseen_miou"]) == ("bright", expected["odd"])
    # A model that doesn't say what it was trained on has seen none of them.
    assert (second["trained_on"], second["unseen_miou"]) == (None, pytest.approx(sum(expected.values()) / 2))
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [float(row["odd"]) for row in rows] == pytest.approx([expected["odd"]] * 2, abs=1e-6)
    out = capsys.readouterr().out
    assert f"{100 * expected['bright']:.2f}*" in out
    assert "unseen" in out


def test_gate(model, data, capsys):
    words = [model, "--data", data / "bright", "--data", data / "odd", "--engine", "onnxruntime", "--min-unseen"]
    assert call(*words, 99) == 3
    assert "on unseen domains, --min-unseen is 99 %" in capsys.readouterr().err
    assert call(*words, 0) == 0
    assert call(model, "--data", data / "bright", "--engine", "onnxruntime", "--min-unseen", 1) == 3
    assert "no unseen domain on unseen domains" in capsys.readouterr().err


def test_names_must_differ(model, data, capsys):
    assert call(model, "--data", data / "odd", "--data", data / "odd") == 1
    assert "called by their names, which must differ; got odd, odd" in capsys.readouterr().err
