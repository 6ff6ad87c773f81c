"""Files that the annotation tools' own libraries wrote, against the masks that those libraries draw of them.

``tests/data/annotations/README.md`` says which versions; ``make.py`` beside it writes everything anew.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets import ConvertOptions, check, convert, open_dataset
from seg_edge.datasets.converters.formats import READERS, recognise

DATA = Path(__file__).parents[2] / "data" / "annotations"
#: Folder → format.
FILES = {
    "cvat": "cvat", "cvat-video": "cvat", "datumaro": "datumaro", "huggingface": "huggingface",
    "label-studio": "label-studio", "labelme": "labelme", "supervisely": "supervisely", "coco": "coco",
    "supervision": "yolo", "ultralytics": "yolo",
}  # fmt: skip
NEEDS = {
    "huggingface": "pyarrow", "cvat": "pycocotools", "datumaro": "pycocotools", "coco": "pycocotools",
    "supervision": "yaml", "ultralytics": "yaml",
}  # fmt: skip
#: Folder → the layout that it lies in: read as it is.
LAYOUTS = {
    "voc": "voc", "camvid": "side-by-side", "cityscapes": "cityscapes", "kitti": "split-first", "index-png": "folders",
}  # fmt: skip


def converted(name, out, **words):
    pytest.importorskip(NEEDS.get(name, "numpy"))
    # Points and lines are in every file; LabelMe's has a mask that leaves its image.
    done = convert(DATA / name, out, ConvertOptions(format=FILES[name], skip_shapes=True, clip=True, **words))
    return done, {path.stem: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in out.glob("labels/*/*.png")}


def expected(name):
    return {path.stem: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (DATA / "expected" / name).glob("*.png")}


@pytest.mark.parametrize("name", FILES)
def test_recognised(name):
    pytest.importorskip(NEEDS.get(name, "numpy"))
    kind, reason = recognise(DATA / name)
    assert kind == FILES[name]
    assert reason
    # No other reader takes these files for its own.
    assert [other for other, entry in READERS.items() if entry.recognise(DATA / name)] == [kind]


@pytest.mark.parametrize("name", ["cvat", "cvat-video", "datumaro", "label-studio", "supervisely", "coco"])
def test_masks_are_those_of_the_tool(name, tmp_path):
    done, masks = converted(name, tmp_path / "out")
    assert done.labels.names[0] == "background"
    assert set(done.labels.names[1:]) == {"car", "road"}
    assert set(masks) == set(expected(name))
    for stem, mask in expected(name).items():
        assert np.array_equal(masks[stem], mask), stem


@pytest.mark.parametrize("name", LAYOUTS)
def test_label_images_are_those_of_the_tool(name):
    found = check(DATA / name)
    assert found.layout_key == LAYOUTS[name]
    assert not found.errors
    wanted = expected(name)
    for split in ("train", "val"):
        data = open_dataset(DATA / name, split)
        (stem,) = (path.name.split("_")[0].split(".")[0] for path in data.images)
        assert np.array_equal(data.read_mask(0), wanted[stem])
        if name != "index-png":
            assert data.labels.names == ("background", "car", "road")


def test_an_index_that_never_occurs_is_pointed_out():
    """MATLAB counts from 1; 0 is a pixel without a label, and here there is none."""
    assert any("label values have gaps: 3 of 0 to 3 occur" in line for line in check(DATA / "index-png").warnings)


@pytest.mark.parametrize("name", ["supervision", "ultralytics"])
def test_outlines_through_the_middles_of_pixels(name, tmp_path):
    """Both draw a mask's outline through the centres of its outermost pixels: half a pixel is lost on two sides."""
    done, masks = converted(name, tmp_path / "out")
    assert done.labels.names == ("background", "car", "road")
    assert set(masks) == set(expected(name))
    near = np.ones((3, 3), np.uint8)
    for stem, theirs in expected(name).items():
        border = cv2.dilate(theirs, near) != cv2.erode(theirs, near)
        assert not ((masks[stem] != theirs) & ~border).any()
        assert (masks[stem] == theirs).mean() > 0.94


def test_coco_panoptic(tmp_path):
    pytest.importorskip("pycocotools")
    convert(DATA / "coco", tmp_path, ConvertOptions(format="coco-panoptic"))
    for stem, mask in expected("coco").items():
        (file,) = tmp_path.glob(f"labels/*/{stem}.png")
        assert np.array_equal(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), mask)


def test_huggingface(tmp_path):
    done, masks = converted("huggingface", tmp_path / "out")
    assert done.labels.names == ("background", "car", "road")
    assert done.splits == {"train": 1, "val": 1}
    wanted = expected("huggingface")
    for split, path in (("train", "train"), ("val", "validation")):
        (mask,) = (cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (tmp_path / "out/labels" / split).glob("*.png"))
        assert np.array_equal(mask, wanted[path])


def test_labelme_draws_borders_that_we_do_not(tmp_path):
    """LabelMe paints every pixel that an outline touches; here a pixel belongs to a shape if its centre lies inside."""
    done, masks = converted("labelme", tmp_path / "out")
    assert done.labels.names == ("background", "car", "road")
    theirs, ours = expected("labelme")["a"], masks["a"]
    # Masks, the one that leaves the image among them, are equal pixel by pixel.
    for box in (np.s_[5:12, 6:20], np.s_[25:30, 35:40]):
        assert np.array_equal(ours[box] == ours[box].max(), theirs[box] == theirs[box].max())
    # Its outlines lie half a pixel off and are one pixel thick: what differs touches a border of theirs.
    near = np.ones((3, 3), np.uint8)
    border = cv2.dilate(theirs, near) != cv2.erode(theirs, near)
    assert not ((ours != theirs) & ~border).any()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("cvat", {"points": 1, "polyline": 1}),
        ("datumaro", {"points": 1, "polyline": 1}),
        ("label-studio", {"keypoint": 1}),
        ("labelme", {"linestrip": 1, "point": 1}),
        ("supervisely", {"line": 1}),
    ],
)
def test_shapes_without_an_area(name, kinds, tmp_path):
    done, _ = converted(name, tmp_path / "out")
    counts = {kind: sum(files.values()) for kind, files in done.reading.skipped.items()}
    assert counts == kinds
    assert set(done.to_dict()["skipped_shapes"]) == set(kinds)
    assert any(line.startswith(f"skipped 1 shapes of the kind {next(iter(kinds))} in ") for line in done.notes)
    with pytest.raises(DataError, match="has no area; expected .* `skip_shapes=True`"):
        convert(DATA / name, tmp_path / "out2", ConvertOptions(format=FILES[name], clip=True))
