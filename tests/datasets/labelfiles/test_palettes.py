"""Label files whose pixels are entries of a palette, or grey levels of a few bits."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets.dataset import read_mask
from seg_edge.datasets.opening import open_dataset

SKY, ROAD, CAR = (10, 20, 200), (128, 64, 128), (0, 0, 142)
CLASSES = {"names": ["sky", "road", "car"], "palette": [SKY, ROAD, CAR]}


def png(numbers: list[list[int]], bits: int, palette: list[tuple[int, int, int]] | None = None) -> bytes:
    """A PNG file written by hand: grey, or with a palette."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b""
    for row in numbers:
        text = "".join(f"{number:0{bits}b}" for number in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    head = struct.pack(">IIBBBBB", len(numbers[0]), len(numbers), bits, 0 if palette is None else 3, 0, 0, 0)
    colours = b"" if palette is None else chunk(b"PLTE", bytes(value for colour in palette for value in colour))
    end = colours + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + end


def dataset(root: Path, *labels: bytes, classes: object = None, split: str = "val") -> Path:
    for number, data in enumerate(labels):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / f"images/{split}/{number}.png"), np.zeros((1, 4, 3), np.uint8))
        (root / f"labels/{split}/{number}.png").write_bytes(data)
    if classes:
        (root / "classes.json").write_text(json.dumps(classes))
    return root


def masks(root: Path, split: str = "val") -> list[list[int]]:
    data = open_dataset(root, split)
    return [data.read_mask(index)[0].tolist() for index in range(len(data))]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("classes", [None, {"names": ["a", "b"]}, {"names": ["a", "b", "c", "d"]}])
def test_grey_of_few_bits_is_read_as_stored(tmp_path, bits, classes):
    row = [0, 1, 1, 0] if bits == 1 or (classes and len(classes["names"]) == 2) else [0, 1, 3, 2]
    root = dataset(tmp_path, png([row], bits), classes=classes)
    assert masks(root) == [row]
    assert read_mask(root / "labels/val/0.png").tolist() == [row]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_colours_win_over_the_order_of_entries(tmp_path, bits):
    files = [png([[0, 1, 2, 2]], bits, [SKY, ROAD, CAR]), png([[0, 1, 2, 2]], bits, [CAR, ROAD, SKY])]
    assert masks(dataset(tmp_path, *files, classes=CLASSES)) == [[0, 1, 2, 2], [2, 1, 0, 0]]


def test_void_keeps_its_index_whatever_its_colour(tmp_path):
    palette = [SKY, ROAD, CAR, *[(0, 0, 0)] * 252, (224, 224, 192)]
    assert masks(dataset(tmp_path, png([[0, 2, 255, 255]], 8, palette), classes=CLASSES)) == [[0, 2, 255, 255]]
    black = {"names": ["other", "road"], "palette": [(0, 0, 0), ROAD]}  # the void's entry is black, as a class is
    file = png([[0, 1, 255, 255]], 8, [(0, 0, 0), ROAD, *[(0, 0, 0)] * 254])
    assert masks(dataset(tmp_path, file, classes=black)) == [[0, 1, 255, 255]]


def test_some_colours_are_no_classes(tmp_path):
    root = dataset(tmp_path, png([[0, 1, 1, 1]], 8, [CAR, (1, 2, 3)]), classes=CLASSES)
    with pytest.raises(DataError, match=r"0.png: its palette has colours of the classes and \(1, 2, 3\) \(index 1\)"):
        open_dataset(root, "val").read_mask(0)


@pytest.mark.parametrize("classes", [None, {"names": ["a", "b", "c"]}, CLASSES])
def test_a_grey_palette_is_grey(tmp_path, classes):
    """optipng and ImageMagick write grey files of few values as palettes, in the order in which they occur."""
    file = png([[0, 1, 2, 3]], 2, [(2, 2, 2), (0, 0, 0), (1, 1, 1), (255, 255, 255)])
    assert masks(dataset(tmp_path, file, classes=classes)) == [[2, 0, 1, 255]]


@pytest.mark.parametrize("classes", [None, {"names": ["a", "b"]}])
def test_a_palette_of_no_meaning_gives_indices(tmp_path, classes):
    palette = [(9, 9, 9), (200, 0, 0)]
    assert masks(dataset(tmp_path, *[png([[0, 1, 1, 0]], 8, palette)] * 2, classes=classes)) == [[0, 1, 1, 0]] * 2


@pytest.mark.parametrize("classes", [None, {"names": ["a", "b"]}])
def test_palettes_that_differ_are_refused(tmp_path, classes):
    files = [png([[0, 1, 1, 0]], 8, [(9, 0, 0), (200, 0, 0)]), png([[0, 1, 1, 0]], 8, [(200, 0, 0), (9, 0, 0)])]
    root = dataset(tmp_path, *files, classes=classes)
    with pytest.raises(
        DataError, match=r"1.png: palette index 0 is \(200, 0, 0\) here and \(9, 0, 0\) in .*0.png; .* palette in"
    ):
        masks(root)


def test_entries_that_are_not_used_may_differ(tmp_path):
    files = [png([[0, 0, 0, 0]], 8, [(9, 0, 0)]), png([[0, 1, 1, 0]], 8, [(9, 0, 0), (200, 0, 0)])]
    assert masks(dataset(tmp_path, *files, classes={"names": ["a", "b"]})) == [[0, 0, 0, 0], [0, 1, 1, 0]]
