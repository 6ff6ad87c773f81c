"""The shipped model by its name, in every command that takes a model."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.core.shipped import CHECKPOINT, DEFAULT, FOLDER, names
from seg_edge.runtime import Segmenter

pytestmark = pytest.mark.usefixtures("quick_curves")

SENTENCE = f"{FOLDER / DEFAULT / 'model.int8.onnx'}: unet-s, int8 (shipped: 11 classes, sky, building, "


def test_run_without_a_model_segments_streets(street, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "run.json"
    words = ["--source", street / "images" / "val", "--sink", tmp_path / "o.mp4", "--threads", 1, "--json", report]
    assert main(["run", *map(str, words)]) == 0
    assert SENTENCE in capsys.readouterr().out
    assert json.loads(report.read_text())["frames_out"] == 2


def test_predict_without_a_model_knows_sky_from_road(tmp_path, monkeypatch):
    """A street as a child draws it; the network has learned CamVid's."""
    monkeypatch.chdir(tmp_path)
    image = np.full((352, 480, 3), (235, 225, 215), np.uint8)
    image[200:] = (90, 90, 90)
    image[60:220, :120] = image[60:220, 360:] = (60, 80, 110)
    cv2.imwrite("street.png", image)
    assert main(["predict", "--source", "street.png", "--out", "o", "--engine", "onnxruntime", "--threads", "1"]) == 0
    names = json.loads((tmp_path / "o" / "classes.json").read_text())["names"]
    mask = cv2.imread("o/masks/street.png", cv2.IMREAD_UNCHANGED)
    most = {row: names[np.bincount(mask[row, 180:300].ravel()).argmax()] for row in (20, 330)}
    assert most == {20: "sky", 330: "road"}


def test_every_command_takes_the_name(street, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", DEFAULT, "--engine", "onnxruntime", "--threads", "1"]) == 0
    assert main(["val", DEFAULT, "--data", str(street), "--threads", "1", "--json", "val.json"]) == 0
    assert json.loads((tmp_path / "val.json").read_text())["images"] == 2
    assert main(["bench", DEFAULT, "--duration", "0.1", "--engine", "onnxruntime", "--json", "bench.json"]) == 0
    assert "model.int8.onnx" in capsys.readouterr().out
    # The history of whatever lies in the working folder is not its own.
    (tmp_path / "metrics.csv").write_text("epoch,val_miou\n1,0.5\n")
    shutil.copyfile(FOLDER / DEFAULT / CHECKPOINT, "other.pt")
    assert main(["compare", DEFAULT, "other.pt", "--data", str(street), "--threads", "1", "--out", "c"]) == 0
    runs = json.loads((tmp_path / "c" / "compare.json").read_text())["runs"]
    assert [(row["name"], row["epochs"]) for row in runs] == [(DEFAULT, 0), ("other", 1)]
    for verb in ("verify", "val --data .", "bench", "run --source ."):
        assert main([verb.split()[0], "unet-x", *verb.split()[1:]]) == 1
        assert "unet-x: no such" in capsys.readouterr().err


def test_training_begins_with_it_for_other_classes(street, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classes = json.loads((street / "classes.json").read_text())
    classes["names"][8] = "rickshaw"
    (street / "classes.json").write_text(json.dumps(classes))
    words = ["--data", str(street), "--init", DEFAULT, "--epochs", "1", "--batch", "2", "--workers", "0", "--out", "o"]
    assert main(["train", *words]) == 0
    assert f"train: {DEFAULT} does not know rickshaw; the head learns it anew" in capsys.readouterr().err
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["params"] == json.loads((FOLDER / DEFAULT / "model.json").read_text())["provenance"]["params"]
    # Exported like any other, and pruned.
    assert main(["export", DEFAULT, "--out", "m", "--engine", "onnxruntime"]) == 0
    assert (tmp_path / "m" / "model.fp32.onnx").stat().st_size > 4 * report["params"]  # as fp32


def test_an_engine_of_it_is_built_in_a_folder_of_its_name(tmp_path, monkeypatch, capsys):
    """Nothing is written into the package; the folder then goes before the shipped one."""
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (FOLDER / DEFAULT).rglob("*")}
    assert main(["build", DEFAULT, "--engine", "rtx", "--compute-capability", "89"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (FOLDER / DEFAULT).rglob("*")} == before
    made = sorted(path.suffix for path in (tmp_path / DEFAULT).iterdir())
    assert made == [".engine", ".json"]
    assert main(["build", DEFAULT, "--dla-core", "0", "--engine", "tensorrt", "--dry-run"]) == 1
    assert "no model.fp32.onnx here" in capsys.readouterr().err


def test_a_folder_of_its_name_is_in_nobody_s_way(street, tmp_path, monkeypatch, capsys):
    (tmp_path / DEFAULT).mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--source", str(street / "images" / "val"), "--sink", f"{DEFAULT}/o.mp4", "--threads", "1"]) == 0
    assert SENTENCE in capsys.readouterr().out


def test_numbers_without_names_are_its_classes_and_255_is_void(street, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (street / "classes.json").unlink()
    for label in (street / "labels").rglob("*.png"):
        mask = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
        mask[mask == 11], mask[:2] = 255, 255
        cv2.imwrite(str(label), mask)
    words = ["--data", str(street), "--epochs", "1", "--batch", "2", "--workers", "0", "--out", "o"]
    assert main(["train", *words, "--init", DEFAULT]) == 0
    assert f"{street} names no classes; taken as those of {DEFAULT}: sky, building, pole" in capsys.readouterr().err
    # As many as the training began with, whoever resumes it.
    assert main(["train", *words[:3], "2", *words[4:], "--resume"]) == 0
    assert main(["val", DEFAULT, "--data", str(street), "--threads", "1"]) == 0


def test_a_dataset_whose_layout_names_its_classes_keeps_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder, ending in (("train", ".jpg"), ("train_masks", "_mask.png")):
        (tmp_path / "carvana" / folder).mkdir(parents=True)
        for car in range(4):
            for side in ("01", "02"):
                picture = np.zeros((64, 96), np.uint8)
                picture[20:50, 30:70] = 255
                cv2.imwrite(str(tmp_path / "carvana" / folder / f"car{car}_{side}{ending}"), picture)
    words = ["--data", "carvana", "--imgsz", "64x96", "--epochs", "1", "--batch", "2", "--workers", "0", "--out", "o"]
    assert main(["train", *words, "--init", DEFAULT]) == 0
    assert f"train: {DEFAULT} does not know background; the head learns it anew" in capsys.readouterr().err
    assert main(["val", "o/best.pt", "--data", "carvana", "--threads", "1"]) == 0


@pytest.mark.parametrize("name", names())
def test_each_shipped_model_repeats_its_golden_frames(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", name, "--engine", "onnxruntime", "--threads", "1"]) == 0


def test_people_are_coloured_and_what_is_behind_them_is_not():
    with Segmenter("unet-person", "onnxruntime", threads=1) as segmenter:
        assert segmenter.labels.names == ("background", "person")
        for file in sorted((FOLDER / "unet-person" / "golden").glob("frame?.png")):
            frame = cv2.imread(str(file))
            result = segmenter.process(frame)
            person = result.mask == 1
            assert 0.05 < person.mean() < 0.5
            np.testing.assert_array_equal(result.overlay_bgr[~person], frame[~person])
            expected = (frame[person].astype(int) + (120, 200, 0)) / 2
            assert np.abs(result.overlay_bgr[person] - expected).max() <= 1


def test_a_training_begins_with_people(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classes = {"names": ["background", "person", "chair"], "palette": [[0, 0, 0], [0, 200, 120], [90, 30, 200]]}
    rng = np.random.default_rng(3)
    for split, count in (("train", 4), ("val", 2)):
        for kind in ("images", "labels"):
            (tmp_path / "d" / kind / split).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(f"d/images/{split}/{i}.png", rng.integers(0, 256, (64, 96, 3), np.uint8))
            cv2.imwrite(f"d/labels/{split}/{i}.png", np.tile(np.arange(96, dtype=np.uint8) // 32, (64, 1)))
    (tmp_path / "d" / "classes.json").write_text(json.dumps(classes))
    words = ["--data", "d", "--init", "unet-person", "--imgsz", "64x96", "--epochs", "1", "--batch", "2", "--workers", "0"]
    assert main(["train", *words, "--out", "o"]) == 0
    assert "train: unet-person does not know chair; the head learns it anew" in capsys.readouterr().err
