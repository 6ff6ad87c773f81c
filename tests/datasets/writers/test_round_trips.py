"""Masks → each written format → back: equal pixel by pixel, for random masks and for those that break outlines."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seg_edge.core.errors import DataError
from seg_edge.core.labels import Labels, default_palette
from seg_edge.datasets import ConvertOptions, convert
from seg_edge.datasets.dataset import read_mask
from seg_edge.datasets.writers import WRITERS, CocoWriter
from seg_edge.datasets.writers.outlines import outline

hypothesis = pytest.importorskip("hypothesis")
pytest.importorskip("pycocotools")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

LABELS = Labels(("background", "car", "road", "tree"), default_palette(4))
FORMATS = [("coco", False), ("coco", True), ("labelme", False), ("labelme", True), ("yolo", True), ("geojson", True)]
IDS = [f"{name}-{'polygons' if polygons else 'pixels'}" for name, polygons in FORMATS]


@st.composite
def masks(draw, most=24, void=False):
    """Masks from noise (one-pixel parts, holes, diagonals) to blocks (large parts with holes), 1x1 included."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.array([0, 1, 2, 3, *([255] if void else [])], np.uint8)
    weights = np.array([draw(st.integers(0, 5)) for _ in values], float)
    weights = weights + (not weights.any())
    block = draw(st.sampled_from([1, 1, 2, 5]))
    cells = rng.choice(values, (-(-height // block), -(-width // block)), p=weights / weights.sum())
    return np.ascontiguousarray(np.kron(cells, np.ones((block, block), np.uint8))[:height, :width])


def round_trip(kind: str, polygons: bool, mask: NDArray[np.uint8], labels: Labels = LABELS, **words) -> NDArray[np.uint8]:
    """``mask`` written and read back; beside it lies an image that shows every class, so that something is annotated."""
    every = np.resize(np.arange(len(labels), dtype=np.uint8), (2, len(labels)))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "in"
        inner = "train/" if kind != "coco" else ""
        images = root / "images" / "train" if kind in ("yolo", "geojson") else root / "train"
        images.mkdir(parents=True)
        target = root / "annotations" / "train.json" if kind == "coco" else root
        with WRITERS[kind](target, labels, polygons=polygons) as writer:
            for name, pixels in (("a", mask), ("every", every)):
                cv2.imwrite(str(images / f"{name}.png"), np.zeros((*pixels.shape, 3), np.uint8))
                writer.add(f"{inner}{name}.png", pixels)
        done = convert(root, Path(folder) / "out", ConvertOptions(format=kind, **words))
        assert done.labels.names == labels.names
        assert np.array_equal(read_mask(Path(folder) / "out/labels/train/every.png"), every)
        return read_mask(Path(folder) / "out/labels/train/a.png")


@pytest.mark.parametrize(("kind", "polygons"), FORMATS, ids=IDS)
@settings(max_examples=30, deadline=None)
@given(mask=masks())
def test_round_trip(kind, polygons, mask):
    assert np.array_equal(round_trip(kind, polygons, mask), mask)


RING = np.pad(np.pad(np.pad(np.ones((1, 1), np.uint8), 1), 2, constant_values=1), 1)
PICTURES = {
    "one pixel": np.ones((1, 1), np.uint8),
    "a row": np.array([[1, 0, 1, 1, 2]], np.uint8),
    "a column": np.array([[1], [0], [2], [2]], np.uint8),
    "part in a hole in a part": RING,
    "whole image": np.full((5, 7), 3, np.uint8),
    "chess": np.indices((6, 7)).sum(0).astype(np.uint8) % 2,
    "holes that touch at a corner": np.array(
        [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]], np.uint8
    ),
    "a hole that touches the border at a corner": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8),
    "two holes in a row": np.array([[1] * 7, [1, 0, 1, 0, 1, 0, 1], [1] * 7], np.uint8),
    "nothing": np.zeros((3, 4), np.uint8),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "polygons"), FORMATS, ids=IDS)
@pytest.mark.parametrize("name", PICTURES)
def test_masks_that_break_outlines(kind, polygons, name):
    assert np.array_equal(round_trip(kind, polygons, PICTURES[name]), PICTURES[name])


@pytest.mark.parametrize(("kind", "polygons"), FORMATS, ids=IDS)
@settings(max_examples=8, deadline=None)
@given(mask=masks(void=True))
def test_void(kind, polygons, mask):
    """COCO and YOLO have no void: it is a class of theirs that is none of ours; LabelMe's is called __ignore__.

    GeoJSON has the background too: void is what nothing covers.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "names.txt"
        names.write_text("\n".join(LABELS.names))
        words = {} if kind in ("labelme", "geojson") else {"classes": names, "others": "void"}
        assert np.array_equal(round_trip(kind, polygons, mask, **words), mask)


@pytest.mark.parametrize(("kind", "polygons"), FORMATS, ids=IDS)
@settings(max_examples=8, deadline=None)
@given(mask=masks(void=True))
def test_classes_without_background(kind, polygons, mask):
    """Every pixel is of a class or void: void is what no annotation covers."""
    labels = Labels(("car", "road", "tree", "sky"), default_palette(4))
    assert np.array_equal(round_trip(kind, polygons, mask, labels, unlabelled="void"), mask)


# pycocotools 2.0.11 is built for NumPy 1's way of copying; NumPy 2 accepts it with a note to developers.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("polygons", [False, True])
@settings(max_examples=40, deadline=None)
@given(mask=masks())
def test_pycocotools_draws_the_same(polygons, mask):
    from pycocotools.coco import COCO

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.json"
        with CocoWriter(file, LABELS, polygons=polygons) as writer:
            writer.add("a.png", mask)
        coco = COCO()
        coco.dataset = json.loads(file.read_text())
        coco.createIndex()
        drawn = np.zeros_like(mask)
        for annotation in coco.loadAnns(coco.getAnnIds()):
            part = np.asarray(coco.annToMask(annotation), bool)
            assert int(part.sum()) == annotation["area"]
            ys, xs = np.nonzero(part)
            box = [int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1]
            assert box == annotation["bbox"]
            assert not drawn[part].any()  # parts don't overlap
            drawn[part] = annotation["category_id"] - 1
        assert np.array_equal(drawn, mask)


def test_outline_of_a_ring():
    """A picture that a person can check: around the outside, a cut to the hole, around the hole, back."""
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    assert outline(ring).tolist() == [[0, 0], [3, 0], [3, 3], [0, 3], [0, 1], [1, 1], [1, 2], [2, 2], [2, 1], [0, 1]]


def test_masks_that_are_refused(tmp_path):
    writer = CocoWriter(tmp_path / "a.json", LABELS)
    with pytest.raises(DataError, match=r"a.png: expected a mask uint8 \(H, W\), got int64 \(2, 2\)"):
        writer.add("a.png", np.zeros((2, 2), np.int64))
    with pytest.raises(DataError, match="b.png: its value 4 is none of the 4 classes"):
        writer.add("b.png", np.full((2, 2), 4, np.uint8))
    writer.add("c.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(DataError, match="c.png: was written already"):
        writer.add("c.png", np.zeros((2, 2), np.uint8))


def test_an_error_leaves_no_half_file(tmp_path):
    with pytest.raises(DataError), CocoWriter(tmp_path / "a.json", LABELS) as writer:
        writer.add("a.png", np.full((2, 2), 9, np.uint8))
    assert not list(tmp_path.iterdir())
