"""Ten mutilated copies of a good dataset: each is read right before a training, or refused with a line that cures it.

Row 28 of the table of data, what a training says of damaged files, is here too.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.progress import Silent
from seg_edge.datasets import CheckOptions, check
from seg_edge.datasets.encodings.png import encode_png, with_palette
from seg_edge.train import fit
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.distributed import processes
from seg_edge.train.prepare import Prepared, prepare
from seg_edge.train.request import Request

COLOURS = np.array([(40, 60, 200), (60, 200, 40), (200, 40, 60)], np.uint8)


@pytest.fixture
def good(load_module, tmp_path):
    """Eight and three pairs, without void; masks by path."""
    root = load_module("train/rectangles.py").write_dataset(tmp_path / "data")
    for path in root.glob("labels/*/*.png"):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask[mask == 255] = 0
        write(path, mask)
    return root


def write(path: Path, image: np.ndarray, *extra: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image, list(extra))


def labels(root: Path) -> list[Path]:
    return sorted(root.glob("labels/*/*.png"))


def images(root: Path) -> list[Path]:
    return sorted(root.glob("images/*/*.png"))


def grey(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def prepared(root: Path, config) -> Prepared:
    out = root.parent / "out"
    return prepare(Request(root, out, config(out, epochs=1).config), processes())


def stopped(root: Path, config, *texts: str) -> None:
    """The training ends before its first step, in one line, and writes nothing."""
    out = root.parent / "out"
    with pytest.raises(DataError) as caught:
        prepared(root, config)
    assert not out.exists()
    assert "\n" not in str(caught.value)
    for text in texts:
        assert text in str(caught.value)


def read_right(root: Path, config, truth: list[np.ndarray]) -> Prepared:
    ready = prepared(root, config)
    for data, masks in ((ready.train, truth[:8]), (ready.val, truth[8:])):
        assert all((data.read_mask(n) == mask).all() for n, mask in enumerate(masks))
    return ready


def test_suffix(good, config):
    truth = [grey(path) for path in labels(good)]
    for path in labels(good):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    read_right(good, config, truth)


def test_nesting(good, config):
    (good.parent / "zip").mkdir()
    good.rename(good.parent / "zip/data")
    stopped(good.parent / "zip", config, f"the dataset lies in {good.parent}/zip/data: pass that folder")


def test_swapped_folders(good, config):
    (good / "images").rename(good / "x")
    (good / "labels").rename(good / "images")
    (good / "x").rename(good / "labels")
    stopped(good, config, "images and labels are swapped", "rename the folders")


def test_exif(good, config):
    image = pytest.importorskip("PIL.Image")
    truth = [np.rot90(grey(path), -1) for path in labels(good)]
    for path in images(good):
        shot = image.open(path)
        exif = shot.getexif()
        exif[0x112] = 6
        shot.save(path.with_suffix(".jpg"), exif=exif)
        path.unlink()
    stopped(good, config, "EXIF orientation 6", "`exif='stored'`")
    check(good, CheckOptions(exif="stored", save=True))
    ready = read_right(good, config, truth)
    assert any("EXIF orientation 6" in line for line in ready.findings)


def test_0_and_255(good, config):
    truth = [(grey(path) > 0).astype(np.uint8) for path in labels(good)]
    for path, mask in zip(labels(good), truth, strict=True):
        write(path, mask * 255)
    assert read_right(good, config, truth).train.labels.names == ("background", "foreground")


def test_jpeg_labels(good, config):
    truth = [(grey(path) > 0).astype(np.uint8) for path in labels(good)]
    for path, mask in zip(labels(good), truth, strict=True):
        write(path.with_suffix(".jpg"), mask * 255, cv2.IMWRITE_JPEG_QUALITY, 95)
        path.unlink()
    stopped(good, config, "a label in a lossy format, JPEG or WebP", "`snap=True`")
    found = check(good, CheckOptions(snap=True, save=True))
    assert found.errors == []
    wrong = [(prepared(good, config).train.read_mask(n) != mask).mean() for n, mask in enumerate(truth[:8])]
    assert max(wrong) < 0.01


def test_palette_png(good, config):
    truth = [grey(path) for path in labels(good)]
    for number, (path, mask) in enumerate(zip(labels(good), truth, strict=True)):
        order = np.roll([0, 1, 2], number)
        path.write_bytes(with_palette(encode_png(np.argsort(order).astype(np.uint8)[mask]), COLOURS[order]))
    stopped(good, config, "number their colours differently", "palette in classes.json")
    (good / "classes.json").write_text(json.dumps({"names": ["a", "b", "c"], "palette": COLOURS.tolist()}))
    read_right(good, config, truth)


def test_16_bit_labels(good, config):
    truth = [grey(path) for path in labels(good)]
    for path, mask in zip(labels(good), truth, strict=True):
        write(path, mask.astype(np.uint16))
    read_right(good, config, truth)
    write(labels(good)[0], truth[0].astype(np.uint16) * 1000)
    stopped(good, config, "label values are uint16 from 0 to 2000; class numbers go up to 255")


def test_one_missing_pair(good, config):
    path = labels(good)[2]
    path.unlink()
    stopped(good, config, f"{path.stem}.png: has no label (1 of 8 images have none); expected {path}")


def test_rgba(good, config):
    truth = [grey(path) for path in labels(good)]
    for path in images(good):
        write(path, cv2.cvtColor(grey(path), cv2.COLOR_BGR2BGRA))
    for path, mask in zip(labels(good), truth, strict=True):
        write(path, cv2.cvtColor(mask, cv2.COLOR_GRAY2BGRA))
    ready = read_right(good, config, truth)
    assert any("8 images have an alpha channel, which is dropped" in line for line in ready.findings)


def test_16_bit_images_train_with_a_range(good, config):
    """The range travels with the weights."""
    for path in images(good):
        write(path, grey(path)[..., 0].astype(np.uint16) * 4 + 7000)
    stopped(good, config, "expected 8 bits, or the range of values that matters", "`value_range=")
    check(good, CheckOptions(value_range=(7000, 8020), save=True))
    out = good.parent / "out"
    fit(good, out, config(out, epochs=1).config)
    assert load_checkpoint(out / "best.pt").spec.input_range == (7000.0, 8020.0)


class Said(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_row_28_a_training_says_how_many_files_are_damaged(good, config):
    for path in images(good)[:2]:
        data = bytearray(cv2.imencode(".jpg", cv2.resize(grey(path), None, fx=4, fy=4))[1].tobytes())
        middle = len(data) * 3 // 4
        data[middle : middle + 3] = b"\xff\xd3\x00"
        path.with_suffix(".jpg").write_bytes(data)
        label = good / "labels/train" / path.name
        write(label, cv2.resize(grey(label), None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST))
        path.unlink()
    findings = prepared(good, config).findings
    assert "train: 2 damaged image files" in findings
    assert any("the first damaged file: " in line and "000.jpg" in line for line in findings)
