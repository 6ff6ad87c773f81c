from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.labels import Labels
from seg_edge.datasets.labelfiles.coding import Coding, palette_as_numbers

LABELS = Labels(("sky", "road", "car"), ((128, 128, 128), (128, 64, 128), (0, 0, 142)), 255)
FILE = Path("labels/a.png")


def decode(coding: Coding, raw: object) -> list:
    mask = coding.decode(np.asarray(raw, np.uint8), LABELS, FILE)
    assert (mask.dtype, mask.flags["C_CONTIGUOUS"]) == (np.uint8, True)
    return mask.tolist()


def bgr(*colours: tuple[int, int, int]) -> list:
    return [[list(colour[::-1]) for colour in colours]]


def test_numbers_are_the_classes():
    assert decode(Coding(), [[0, 1], [2, 255]]) == [[0, 1], [2, 255]]


def test_values_are_looked_up():
    ids = Coding({7: 1, 26: 2, 0: 255})
    assert decode(ids, [[7, 26], [0, 7]]) == [[1, 2], [255, 1]]
    assert decode(ids, [[[7, 7, 7], [26, 26, 26]]]) == [[1, 2]]  # grey stored as colour


def test_a_value_that_stands_for_nothing():
    with pytest.raises(DataError, match=r"labels/a.png: label value 5 stands for no class; expected 0, 7, 26"):
        decode(Coding({7: 1, 26: 2, 0: 255}), [[7, 5]])


def test_colours_of_the_palette():
    assert decode(Coding(), bgr((0, 0, 142), (128, 64, 128), (128, 128, 128))) == [[2, 1, 0]]
    assert decode(Coding(), [[[142, 0, 0, 255], [128, 64, 128, 9]]]) == [[2, 1]]  # with an alpha channel


def test_a_picture_of_one_grey_class_is_coloured():
    assert decode(Coding(), bgr((128, 128, 128), (128, 128, 128))) == [[0, 0]]
    assert decode(Coding(), bgr((1, 1, 1), (2, 2, 2))) == [[1, 2]]


def test_several_colours_of_one_class_and_void():
    colours = Coding(colours={(0, 0, 0): 255, (255, 0, 0): 1, (0, 255, 0): 1, (0, 0, 255): 2})
    assert decode(colours, bgr((0, 255, 0), (255, 0, 0), (0, 0, 0), (0, 0, 255))) == [[1, 1, 255, 2]]
    assert decode(colours, bgr((0, 0, 0), (0, 0, 0))) == [[255, 255]]


def test_a_colour_that_is_no_class():
    with pytest.raises(
        DataError, match=r"a.png: colour \(1, 2, 3\) \(red, green, blue; 2 such pixels\) is no class's colour"
    ):
        decode(Coding(), bgr((0, 0, 142), (1, 2, 3), (1, 2, 3)))


@pytest.mark.parametrize("raw", [np.zeros((2, 2), np.uint16), np.zeros((2, 2, 2), np.uint8)])
def test_neither_numbers_nor_colours(raw):
    with pytest.raises(DataError, match="class numbers in one 8-bit channel or colours in three, got uint"):
        Coding().decode(raw, LABELS, FILE)


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("colours", [2, 5, 256])
def test_palette_indices_are_read_back(tmp_path, colours, transparent):
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    numbers = (np.arange(35).reshape(5, 7) * 11 % colours).astype(np.uint8)
    picture = image.fromarray(numbers)
    # One colour for all: only the indices differ.
    picture.putpalette([9, 8, 7] * colours)
    picture.save(tmp_path / "a.png", **({"transparency": 1} if transparent else {}))
    data = (tmp_path / "a.png").read_bytes()
    read = cv2.imdecode(np.frombuffer(palette_as_numbers(data), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read[..., 0].tolist() == read[..., 2].tolist() == numbers.tolist()


def test_other_files_stay_as_they_are():
    for data in (b"", b"\x89PNG\r\n\x1a\n", cv2.imencode(".png", np.zeros((3, 3, 3), np.uint8))[1].tobytes(), b"GIF89a" * 9):
        assert palette_as_numbers(data) is data
