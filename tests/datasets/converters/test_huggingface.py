"""Parquet files with images and label images: columns, splits, names, values."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
SIZE = (6, 8)


def png(pixels):
    return cv2.imencode(".png", np.asarray(pixels))[1].tobytes()


def table(bench, labels, name="data/train-00000-of-00001.parquet", columns=("image", "label"), plain=False, paths=None):
    images = [png(np.full((*SIZE, 3), 9 * i, np.uint8)) for i in range(len(labels))]
    rows = [images, [label if isinstance(label, bytes) else png(label) for label in labels]]
    if not plain:
        paths = paths or [None] * len(labels)
        rows = [[{"bytes": data, "path": path} for data, path in zip(row, paths, strict=True)] for row in rows]
    bench.root.mkdir(parents=True, exist_ok=True)
    file = bench.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    entries = dict(zip(columns, rows, strict=True)) | {"scene": list(range(len(labels)))}
    parquet.write_table(arrow.table(entries), file, row_group_size=2)
    return file


def mask(*values):
    pixels = np.zeros(SIZE, np.uint8)
    pixels[: len(values), 0] = values
    return pixels


@pytest.mark.parametrize(
    "columns", [("image", "label"), ("image", "annotation"), ("img", "segmentation"), ("image", "what")]
)
@pytest.mark.parametrize("plain", [False, True])
def test_columns(bench, columns, plain):
    table(bench, [mask(1), mask(2), mask(0, 1, 255)], columns=columns, plain=plain)
    masks = bench.run("auto")
    assert bench.done.format == "huggingface"
    assert bench.done.labels.names == ("class0", "class1", "class2")
    assert set(masks) == {"train/000000", "train/000001", "train/000002"}
    assert np.array_equal(masks["train/000002"], mask(0, 1, 255))


def test_splits_and_names(bench):
    table(bench, [mask(1)] * 3, paths=["x.png", "x.png", "dir/y.png"])
    table(bench, [mask(3)], "data/validation-00000-of-00001.parquet")
    table(bench, [mask(0)], "data/test-00000-of-00001.parquet")
    bench.text("id2label.json", json.dumps({"0": "sky", "1": "road", "3": None}))
    masks = bench.run("huggingface")
    assert set(masks) == {"train/000000_x", "train/000001_x", "train/y", "val/000000", "test/000000"}
    assert bench.done.labels.names == ("sky", "road")
    assert masks["val/000000"][0, 0] == 255
    bench.text("id2label.json", json.dumps({"0": "sky"}))
    assert "id2label.json: the label value 1 is not in it" in bench.refused("huggingface")
    bench.text("id2label.json", "[1]")
    assert 'id2label.json: expected {"0": "road", …}' in bench.refused("huggingface")


def test_foreground_of_255(bench):
    table(bench, [mask(255, 0), mask(0)])
    masks = bench.run("huggingface")
    assert bench.done.labels.names == ("background", "foreground")
    assert masks["train/000000"].max() == 1
    assert any(note.startswith("labels hold only 0 and 255: background and foreground") for note in bench.done.notes)


def test_values_that_no_label_has(bench):
    table(bench, [mask(7)])
    bench.run("huggingface")
    assert "warning: no label has 6 of the values 0 to 7, such as 1" in bench.done.notes


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_tiff_of_lists_and_wide_numbers(bench, dtype, tmp_path):
    """``datasets`` stores lists, int64 and floats as TIFF of 32 bits."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    pillow.fromarray(mask(1, 2, 255).astype(dtype)).save(tmp_path / "label.tif")
    table(bench, [(tmp_path / "label.tif").read_bytes()])
    assert np.array_equal(bench.run("huggingface")["train/000000"], mask(1, 2, 255))
    pillow.fromarray(mask(1).astype(dtype) * -100).save(tmp_path / "label.tif")  # PyTorch's ignore_index
    table(bench, [(tmp_path / "label.tif").read_bytes()])
    assert "expected class numbers from 0 to 255, got -100" in bench.refused("huggingface")


@pytest.mark.parametrize("mode", ["1", "P", "L", "I;16", "RGB"])
def test_kinds_of_png(bench, mode, tmp_path):
    """One bit, palette, grey, 16 bits and grey in three channels hold the same numbers."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    values = mask(1, 0, 1)
    image = pillow.fromarray(values.astype(np.uint16)) if mode == "I;16" else pillow.fromarray(values)
    if mode == "1":
        image = pillow.fromarray(values.astype(bool))
    elif mode == "RGB":
        image = pillow.fromarray(np.dstack([values] * 3))
    elif mode == "P":
        image.putpalette([200, 30, 40, 10, 20, 30])
    image.save(tmp_path / "label.png")
    table(bench, [(tmp_path / "label.png").read_bytes()])
    assert np.array_equal(bench.run("huggingface")["train/000000"], values)


def test_mistakes(bench):
    file = table(bench, [np.zeros((*SIZE, 3), np.uint8) + np.array([1, 2, 3], np.uint8)])
    assert "row 0, label: expected class numbers in one channel, got uint8 (6, 8, 3)" in bench.refused("huggingface")
    table(bench, [np.full(SIZE, 300, np.uint16)])
    assert "expected class numbers from 0 to 255, got 300 (uint16)" in bench.refused("huggingface")
    table(bench, [np.zeros((3, 3), np.uint8)])
    assert "row 0: its label is 3x3, its image 8x6" in bench.refused("huggingface")
    table(bench, [b"nothing"])
    assert "row 0, label: not a readable image (7 bytes)" in bench.refused("huggingface")
    table(bench, [b""])
    assert "row 0: label holds no bytes, only the path None" in bench.refused("huggingface")
    table(bench, [mask(1)], columns=("image", "caption"), plain=True)
    bench.run("huggingface")
    parquet.write_table(arrow.table({"image": [b"x"], "label": [3]}), file)
    assert "has no columns of images and of label images; its columns: image, label" in bench.refused("huggingface")
    file.write_bytes(b"PAR1")
    assert "not readable as Parquet" in bench.refused("huggingface")
    table(bench, [mask(1)], "full/train-0.parquet")
    table(bench, [mask(1)], "mini/train-0.parquet")
    file.unlink()
    assert "has several configurations (full, mini); pass one of these folders" in bench.refused("huggingface")
