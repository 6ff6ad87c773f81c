"""What label files' values mean where the user's files, the layout or the values decide."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.labels import CITYSCAPES, VOC, Labels
from seg_edge.datasets.merged import is_merged
from seg_edge.datasets.opening import open_dataset, open_dataset_for

SIZE_HW = (40, 48)


def write(path: Path, image: object, *extra: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(image, np.uint8), list(extra))


def pair(root: Path, split: str, *values: int, name: str = "a") -> None:
    write(root / f"images/{split}/{name}.png", np.zeros((2, 4, 3)))
    write(root / f"masks/{split}/{name}.png", [np.resize(values, 4)] * 2)


def first(root: Path, split: str = "train", labels: Labels | None = None) -> list[int]:
    return open_dataset(root, split, labels).read_mask(0)[0].tolist()


def test_masks_of_0_and_255(tmp_path):
    pair(tmp_path, "train", 0, 255)
    pair(tmp_path, "val", 255)
    pair(tmp_path, "test", 0)
    for split, mask in (("train", [0, 1, 0, 1]), ("val", [1] * 4), ("test", [0] * 4)):
        data = open_dataset(tmp_path, split)
        assert data.labels.names == ("background", "foreground")
        assert data.read_mask(0)[0].tolist() == mask
        assert "0 is taken as background, 255 as foreground" in data.notes[0]


def test_two_named_classes_take_0_and_255(tmp_path):
    pair(tmp_path, "train", 0, 255)
    two = Labels(("other", "road"), ((0, 0, 0), (128, 64, 128)))
    assert first(tmp_path, labels=two) == [0, 1, 0, 1]
    assert open_dataset_for(tmp_path, "train", two).labels == two
    (tmp_path / "classes.json").write_text('{"names": ["other", "road"]}')
    assert first(tmp_path) == [0, 1, 0, 1]
    assert "0 is taken as other, 255 as road" in open_dataset(tmp_path, "train").notes[0]


def test_void_that_the_file_names_stays(tmp_path):
    pair(tmp_path, "train", 0, 255)
    (tmp_path / "classes.json").write_text('{"names": ["other", "road"], "ignore_index": 255}')
    assert first(tmp_path) == [0, 255, 0, 255]


def test_255_stays_void_beside_other_values(tmp_path):
    pair(tmp_path, "train", 0, 255)
    pair(tmp_path, "val", 0, 1)
    for split, mask in (("train", [0, 255, 0, 255]), ("val", [0, 1, 0, 1])):
        assert first(tmp_path, split) == mask
        assert open_dataset(tmp_path, split).notes == ()
    (tmp_path / "classes.json").write_text('{"names": ["other", "road"]}')
    assert first(tmp_path) == [0, 255, 0, 255]


def test_three_named_classes_keep_void(tmp_path):
    pair(tmp_path, "train", 0, 255)
    (tmp_path / "classes.json").write_text('{"names": ["other", "road", "car"]}')
    assert first(tmp_path) == [0, 255, 0, 255]


def test_values_of_classes_json(tmp_path):
    pair(tmp_path, "train", 0, 20, 3, 255)
    (tmp_path / "classes.json").write_text('{"names": ["a", "b"], "values": {"0": "void", "3": "a", "20": "b"}}')
    assert first(tmp_path) == [255, 1, 0, 255]
    assert first(tmp_path, labels=open_dataset(tmp_path, "train").labels) == [255, 1, 0, 255]
    pair(tmp_path, "train", 0, 21)
    with pytest.raises(DataError, match="label value 21 stands for no class; expected 0, 3, 20, 255"):
        first(tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("names", [None, ["a", "b"]])
def test_lossy_labels_are_refused(tmp_path, suffix, names):
    mask = np.zeros(SIZE_HW, np.uint8)
    cv2.circle(mask, (20, 20), 12, 200, -1)
    write(tmp_path / "images/train/a.png", np.zeros((*SIZE_HW, 3)))
    write(tmp_path / f"labels/train/a{suffix}", mask, cv2.IMWRITE_WEBP_QUALITY if suffix == ".webp" else 1, 60)
    if names:
        (tmp_path / "classes.json").write_text(json.dumps({"names": names}))
    with pytest.raises(DataError, match=rf"a\{suffix}: a label in a lossy format.* \d+ values from 0 to 2\d\d"):
        open_dataset(tmp_path, "train").read_mask(0)


def test_smoothed_masks_are_refused(tmp_path):
    mask = np.zeros((200, 200), np.uint8)
    for radius in range(20, 80, 7):
        cv2.circle(mask, (100, 100), radius, 255, 1, cv2.LINE_AA)
    write(tmp_path / "images/train/a.png", np.zeros((200, 200, 3)))
    write(tmp_path / "labels/train/a.png", mask)
    with pytest.raises(DataError, match=r"a.png and others: label values are \d+ .* from 0 to 25[45], and \d+ of"):
        open_dataset(tmp_path, "train")


def test_many_classes_are_no_smoothing(tmp_path):
    write(tmp_path / "images/train/a.png", np.zeros((48, 48, 3)))
    write(tmp_path / "labels/train/a.png", np.arange(36).reshape(6, 6).repeat(8, 0).repeat(8, 1))
    assert len(open_dataset(tmp_path, "train").labels) == 36


# --- layouts with the user's own classes


def ade(root: Path, *values: int, classes: object = None) -> None:
    for split in ("training", "validation"):
        write(root / f"images/{split}/a.png", np.zeros((2, 4, 3)))
        write(root / f"annotations/{split}/a.png", [np.resize(values, 4)] * 2)
    if classes:
        (root / "classes.json").write_text(json.dumps(classes))


def test_own_classes_in_ade20ks_folders(tmp_path):
    ade(tmp_path / "own", 0, 1, 2, 255, classes={"names": ["a", "b", "c"]})
    assert first(tmp_path / "own") == [0, 1, 2, 255]
    ade(tmp_path / "renamed", 0, 1, 2, 150, classes={"names": [f"thing {i}" for i in range(150)]})
    assert first(tmp_path / "renamed") == [255, 0, 1, 149]


def test_cityscapes_with_names_of_its_own(tmp_path):
    write(tmp_path / "leftImg8bit/train/x/x_0_leftImg8bit.png", np.zeros((2, 4, 3)))
    write(tmp_path / "gtFine/train/x/x_0_gtFine_labelIds.png", [[7, 8, 0, 33]] * 2)
    names = [f"{name}!" for name in CITYSCAPES.names]
    (tmp_path / "classes.json").write_text(json.dumps({"names": names}))
    assert first(tmp_path) == [0, 1, 255, 18]
    (tmp_path / "classes.json").write_text('{"names": {"0": "none", "7": "road", "8": "walk", "33": "bicycle"}}')
    assert first(tmp_path) == [1, 2, 0, 3]


RED, GREEN, BORDER = (128, 0, 0), (0, 128, 0), (224, 224, 192)


@pytest.mark.parametrize(
    ("classes", "label_map", "expected"),
    [
        (None, None, [0, 1, 2, 255]),
        ({"names": ["background", "cat", "dog"], "palette": [(0, 0, 0), GREEN, RED]}, None, [0, 2, 1, 255]),
        (None, "background:0,0,0::\ncat:0,128,0::\ndog:128,0,0::\n", [0, 2, 1, 255]),
        ({"names": ["dog", "cat", "background"]}, "background:0,0,0::\ncat:0,128,0::\ndog:128,0,0::\n", [2, 0, 1, 255]),
        (
            {"names": ["background", "dog", "cat"], "palette": [(0, 0, 0), GREEN, RED]},
            "background:0,0,0::\ncat:0,128,0::\ndog:128,0,0::\n",
            [0, 2, 1, 255],
        ),
        ({"names": list(VOC.names)}, None, [0, 1, 2, 255]),
        ({"names": ["bicycle", "aeroplane", "background"]}, None, [2, 1, 0, 255]),
    ],
)
def test_whose_colours_vocs_folders_have(tmp_path, classes, label_map, expected):
    write(tmp_path / "JPEGImages/a.png", np.zeros((2, 4, 3)))
    row = [colour[::-1] for colour in ((0, 0, 0), RED, GREEN, BORDER)]
    write(tmp_path / "SegmentationClass/a.png", [row] * 2)
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\n")
    if classes:
        (tmp_path / "classes.json").write_text(json.dumps(classes))
    if label_map:
        (tmp_path / "labelmap.txt").write_text(label_map)
    assert first(tmp_path) == expected


ULTRALYTICS = """
path: streets # dataset root dir
train: images/train
val: images/val
masks_dir: annotated
names: {0: road, 1: walk}
label_mapping: {-1: ignore_label, 7: 0, 8: 1, 0: ignore_label, 1: ignore_label}
"""


def test_ultralytics_semantic_yaml(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML comes with the train extra")
    (tmp_path / "data.yaml").write_text(ULTRALYTICS)
    for split in ("train", "val"):
        write(tmp_path / f"images/{split}/a.png", np.zeros((2, 4, 3)))
        write(tmp_path / f"annotated/{split}/a.png", [[7, 8, 1, 255]] * 2)
    for root in (tmp_path, tmp_path / "data.yaml"):
        assert first(root) == [0, 1, 255, 255]
        assert open_dataset(root, "val").labels.names == ("road", "walk")
    write(tmp_path / "annotated/train/a.png", [[7, 8, 9, 255]] * 2)
    with pytest.raises(DataError, match="label value 9 stands for no class"):
        first(tmp_path)


def test_ultralytics_yaml_with_the_default_folder(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML comes with the train extra")
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [road, walk, sky]\n")
    pair(tmp_path, "train", 0, 1, 255)
    assert open_dataset(tmp_path, "train").labels.names == ("road", "walk", "sky")
    assert first(tmp_path) == [0, 1, 255, 0]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("1: walk", "2: walk", "names: expected the numbers from 0 to 1"),
        (", 1: walk", "", "names: expected at least two classes"),
        ("8: 1", "8: 4", "label_mapping: expected values to be classes from 0 to 1 or ignore_label, got 8: 4"),
        ("images/train", "../images", "train: ../images lies outside"),
        ("images/train", "[images/a, images/b]", "train: expected one folder"),
    ],
)
def test_ultralytics_yaml_that_is_wrong(tmp_path, old, new, text):
    pytest.importorskip("yaml", reason="PyYAML comes with the train extra")
    (tmp_path / "data.yaml").write_text(ULTRALYTICS.replace(old, new))
    with pytest.raises(DataError, match=f"data.yaml: {text}"):
        open_dataset(tmp_path, "train")


def test_labelmap_in_another_layout(tmp_path):
    write(tmp_path / "images/train/a.png", np.zeros((2, 4, 3)))
    write(tmp_path / "labels/train/a.png", [[(0, 0, 128), (0, 0, 0), (0, 128, 0), (0, 0, 0)]] * 2)
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\ncat:0,128,0::\ndog:128,0,0::\n")
    assert not is_merged(tmp_path)
    assert first(tmp_path) == [2, 0, 1, 0]
