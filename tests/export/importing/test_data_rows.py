"""Rows 8 and 27 of the table of people's data: imported networks for images of 16 bits, and as others export them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.spec import ModelSpec
from seg_edge.export import ImportOptions, import_network
from seg_edge.export.report.page import heading
from seg_edge.runtime import Segmenter

SIZE = (32, 48)
OPTIONS = ImportOptions(engine="onnxruntime", threads=1, min_agreement=0.99)


@pytest.fixture
def thermal(tmp_path):
    folder = tmp_path / "thermal"
    folder.mkdir()
    for number in range(2):
        coarse = np.random.default_rng(number).integers(7000, 8001, (6, 8, 3)).astype(np.float32)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(coarse, (96, 72)).astype(np.uint16))
    return folder


def test_row_08_a_range_for_an_imported_network(write, tmp_path, thermal):
    path = write(["resize"])
    with pytest.raises(DataError, match="uint16 values from 7"):
        import_network(path, tmp_path / "none", OPTIONS.with_(frames=thermal))
    report = import_network(path, tmp_path / "out", OPTIONS.with_(frames=thermal, value_range=(7000, 8000)))
    assert json.loads((tmp_path / "out/model.json").read_text())["input_range"] == [7000, 8000]
    said = "Images are deeper than 8 bits: values from 7000 to 8000 become 0 to 255"
    assert said in (tmp_path / "out/report.md").read_text()
    assert any(said in line for line in heading(report.spec))
    assert len(np.unique(report.compared[0].agreement)) == 1
    with Segmenter(tmp_path / "out", "onnxruntime", threads=1) as segmenter:
        assert segmenter.spec.input_range == (7000.0, 8000.0)


def test_row_08_no_word_where_images_have_8_bits(write, tmp_path, frames):
    report = import_network(write(["resize"]), tmp_path / "out", OPTIONS.with_(frames=frames))
    assert report.spec.input_range is None
    assert not any("deeper" in line for line in heading(report.spec))


def test_row_27_an_auxiliary_head_first(write, tmp_path, frames):
    report = import_network(write(["resize"], outputs=("aux", "scores")), tmp_path / "out", OPTIONS.with_(frames=frames))
    assert report.spec.provenance["imported"]["output"] == "scores"
    assert report.compared[0].agreement >= 0.99
    assert any("scores" in str(guess) and "second" in str(guess) for guess in report.guesses)


def test_row_27_class_numbers_within_the_datasets(write, tmp_path):
    data = tmp_path / "data"
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (data / kind / split).mkdir(parents=True)
        image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
        cv2.imwrite(str(data / f"images/{split}/a.png"), image)
        cv2.imwrite(str(data / f"labels/{split}/a.png"), image[..., 0] % 4)
    (data / "classes.json").write_text('{"names": ["a", "b", "c", "d"]}')
    report = import_network(write(["resize", "argmax"]), tmp_path / "out", OPTIONS.with_(data=data))
    assert report.spec.labels.names == ("a", "b", "c", "d")
    assert report.step.miou is not None
    assert report.original_miou == pytest.approx(report.step.miou, abs=0.01)


def test_row_27_sizes_of_minus_one(write, tmp_path, frames):
    model = onnx.load(write(["resize"], free=True))
    for value in (*model.graph.input, *model.graph.output):
        for number in (0, 2, 3):
            value.type.tensor_type.shape.dim[number].dim_value = -1
    onnx.save(model, str(tmp_path / "minus.onnx"))
    report = import_network(tmp_path / "minus.onnx", tmp_path / "out", OPTIONS.with_(frames=frames, input_hw=SIZE))
    assert isinstance(report.spec, ModelSpec)
    assert report.spec.input_hw == SIZE
