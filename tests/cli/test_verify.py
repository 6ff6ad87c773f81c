"""``seg-edge verify`` as a user calls it."""

from __future__ import annotations

import json

import pytest

from seg_edge.cli.main import main
from seg_edge.core.artefact import sha256
from seg_edge.export.chain import export_network
from seg_edge.export.options import ExportOptions


@pytest.fixture
def artefact(nets, tmp_path):
    export_network(nets.tiny(), nets.SPEC, tmp_path / "art", ExportOptions(engine="onnxruntime", threads=1))
    return tmp_path / "art"


def test_a_good_artefact(artefact, tmp_path, capsys):
    assert main(["verify", str(artefact), "--engine", "onnxruntime", "--json", str(tmp_path / "v.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("100.000") == 3
    data = json.loads((tmp_path / "v.json").read_text())
    assert data["passed"] is True
    assert [row["frame"] for row in data["frames"]] == ["frame0", "frame1", "frame2"]


def test_a_disagreement_exits_with_3_and_says_where(artefact, tmp_path, capsys):
    import cv2

    mask = artefact / "golden" / "frame1.fp32.png"
    image = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
    image[:20] = (image[:20] + 1) % 4
    cv2.imwrite(str(mask), image)
    manifest = artefact / "golden" / "golden.json"
    data = json.loads(manifest.read_text())
    data["sha256"][mask.name] = sha256(mask)
    manifest.write_text(json.dumps(data))
    assert main(["verify", str(artefact), "--engine", "onnxruntime", "--json", str(tmp_path / "v.json")]) == 3
    printed = capsys.readouterr()
    assert "frame1 agrees on" in printed.err
    assert "1 of 3 replays differ" in printed.err
    assert printed.out.count("DIFFERS") == 1
    assert json.loads((tmp_path / "v.json").read_text())["passed"] is False


def test_a_damaged_file_is_named(artefact, capsys):
    with open(artefact / "model.fp32.onnx", "ab") as file:
        file.write(b"\0")
    assert main(["verify", str(artefact)]) == 1
    assert "model.fp32.onnx: damaged or replaced" in capsys.readouterr().err


def test_no_artefact(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 1
    assert "expected an artefact folder" in capsys.readouterr().err


def test_without_an_artefact_the_shipped_model_is_taken_and_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "--engine", "onnxruntime", "--threads", "1", "--json", "v.json"]) == 0
    assert "unet-s-camvid (shipped with the package): golden frames on onnxruntime" in capsys.readouterr().out
    assert json.loads((tmp_path / "v.json").read_text())["artefact"] == "unet-s-camvid"
