"""Several datasets as one: single-class folders, descriptions, what unlabelled pixels become, metrics."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError, UnknownNameError
from seg_edge.core.labels import Labels, default_palette
from seg_edge.datasets.dataset import write_labels
from seg_edge.datasets.merged import BinaryMask, as_background, class_folders, settle, splits_of
from seg_edge.datasets.opening import open_dataset


def put(root: Path, folder: str, name: str, mask: list[list[int]], image_folder: str | None = None) -> None:
    """One picture and its label, of the label's size."""
    pixels = np.array(mask, np.uint8)
    for kind, content in (
        (folder, pixels),
        (image_folder or folder.replace("masks", "images").replace("labels", "images"), np.dstack([pixels] * 3)),
    ):
        (root / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / kind / f"{name}.png"), content)


@pytest.fixture
def folders(tmp_path):
    """class_2 before class_10: two folders of one picture each; masks as 255 and as 1."""
    put(tmp_path, "class_10/masks/train", "a", [[0, 255, 0]])
    put(tmp_path, "class_2/masks/train", "b", [[1, 0, 0]])
    return tmp_path


def masks(root, split="train", **options):
    data = open_dataset(root, split, **options)
    return [data.read(i)[1].tolist() for i in range(len(data))]


def test_single_class_folders(folders):
    data = open_dataset(folders, "train")
    assert [path.name for path in class_folders(folders)] == ["class_2", "class_10"]
    assert data.labels.names == ("background", "class_2", "class_10")
    # class_2's rest may be background or class_10, class_10's rest background or class_2.
    assert data.sets == ((0, 2), (0, 1))
    assert [path.stem for path in data.images] == ["b", "a"]
    assert [data.read(i)[1].tolist() for i in range(2)] == [[[1, 3, 3]], [[4, 2, 4]]]
    assert masks(folders) == [[[1, 3, 3]], [[4, 2, 4]]]
    with pytest.raises(IndexError):
        data.read_mask(2)


def test_naive_merge(folders):
    data = as_background(open_dataset(folders, "train"))
    assert data.sets == ()
    assert [data.read(i)[1].tolist() for i in range(2)] == [[[1, 0, 0]], [[0, 2, 0]]]
    assert as_background(data) is data


def test_whole_labels_beside_the_folders(folders):
    put(folders, "labels/val", "c", [[0, 1, 2]])
    data = open_dataset(folders, "val")
    assert (data.sets, data.labels) == ((), open_dataset(folders, "train").labels)
    assert data.read(0)[1].tolist() == [[0, 1, 2]]
    assert splits_of(folders) == ["train", "val"]


def test_folders_without_splits_are_divided(tmp_path):
    for number in range(10):
        for name in ("car", "dog"):
            put(tmp_path, f"{name}/masks", f"{name}{number}", [[0, 255]])
    assert [len(open_dataset(tmp_path, split)) for split in ("train", "val", "test")] == [16, 2, 2]


def test_order_of_the_classes_is_that_of_classes_json(folders):
    write_labels(folders, Labels(("rest", "class_10", "class_2"), default_palette(3)))
    assert masks(folders) == [[[2, 3, 3]], [[4, 1, 4]]]
    write_labels(folders, Labels(("rest", "class_10"), default_palette(2)))
    with pytest.raises(UnknownNameError, match="unknown class in .*'class_2'"):
        open_dataset(folders, "train")
    write_labels(folders, Labels(("rest", "class_10", "class_2"), default_palette(3), ignore_index=4))
    with pytest.raises(DataError, match="leave no room below the void's number 4; set ignore_index to 255"):
        open_dataset(folders, "train")


def test_other_classes_than_asked_for(folders):
    with pytest.raises(DataError, match="its classes are background, class_2, class_10, expected sky, "):
        open_dataset(folders, "train", "camvid")


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("m.png", [[0, 1]], [0, 1]), ("m.png", [[0, 255]], [0, 1]), ("m.png", [[0, 0]], [0, 0]),
        ("m.jpg", [[3, 250]], [0, 1]), ("m.jpg", [[0, 5]], [0, 0]), ("m.png", [[[0, 0, 0], [0, 0, 200]]], [0, 1]),
    ],
)  # fmt: skip
def test_binary_masks(name, raw, expected):
    found = BinaryMask().decode(np.array(raw, np.uint8), Labels.numbered(2), Path(name))
    assert (found.dtype, found.tolist()) == (np.uint8, [expected])


def test_masks_that_are_not_binary(folders):
    put(folders, "class_2/masks/train", "b", [[3, 0, 7]])
    with pytest.raises(DataError, match=r"b\.png: a binary mask holds 0 and 1, or 0 and 255, got 7"):
        open_dataset(folders, "train").read(0)


@pytest.fixture
def described(tmp_path):
    """Cars, masks of one class; streets of three classes of which one is labelled everywhere; and whole ones with void."""
    put(tmp_path, "cars/masks/train", "a", [[0, 255, 0, 0]])
    for name, mask in (("streets", [[0, 1, 2, 9]]), ("whole", [[0, 2, 1, 9]])):
        put(tmp_path, f"{name}/labels/train", name, mask)
        put(tmp_path, f"{name}/labels/val", name, mask)
        write_labels(tmp_path / name, Labels(("sky", "person", "car"), default_palette(3), ignore_index=9))
    return tmp_path


TEXT = """
classes: [background, car, person]
datasets:
  - {path: cars, binary: car, splits: [train]}
  - {path: streets, labelled: [person], splits: [train]}
  - {path: whole, splits: [train, val]}
"""


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_description(described, kind):
    file = described / f"all.{kind}"
    if kind == "json":
        import yaml

        file.write_text(json.dumps(yaml.safe_load(TEXT)))
    else:
        file.write_text(TEXT)
    data = open_dataset(file, "train")
    assert data.labels.names == ("background", "car", "person")
    assert data.sets == ((0, 2), (0, 1))
    # The person of "streets" is sure, its sky and its car are not; "whole" labels both, so that its sky is background.
    assert [data.read(i)[1].tolist() for i in range(3)] == [[[3, 1, 3, 3]], [[4, 2, 4, 255]], [[0, 1, 2, 255]]]
    assert masks(file, "val") == [[[0, 1, 2, 255]]]
    assert open_dataset(file, "val").sets == data.sets  # one loss fits all splits
    assert splits_of(file) == ["train", "val"]
    with pytest.raises(DataError, match="none of its 3 datasets takes part in split 'test'"):
        open_dataset(file, "test")


def test_colours_of_a_description(described):
    text = "classes: [background, car]\npalette: [[0, 0, 0], [{}]]\ndatasets: [{{path: cars, binary: car}}]"
    (described / "d.yaml").write_text(text.format("0, 200, 120"))
    assert open_dataset(described / "d.yaml", "train").labels.palette == ((0, 0, 0), (0, 200, 120))
    (described / "d.yaml").write_text(text.format("0, 200, 500"))
    with pytest.raises(DataError, match=r"d\.yaml: classes: colours must be three numbers from 0 to 255"):
        open_dataset(described / "d.yaml", "train")


def test_classes_of_a_description_that_names_none(described):
    (described / "d.yaml").write_text("datasets: [{path: streets, labelled: [person, car]}, {path: cars, binary: car}]")
    assert open_dataset(described / "d.yaml", "train").labels.names == ("background", "person", "car")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected 'datasets' with a list, got list"),
        ("{", "not readable as YAML"),
        ("datasets: []", "expected 'datasets', a list of entries"),
        ("dataset: [{path: cars}]", "unknown key of a description in .*: did you mean 'datasets'"),
        ("datasets: [cars]", "expected entries such as .*, got 'cars'"),
        ("datasets: [{path: cars, bin: car}]", "unknown key of a dataset in .* 'bin': did you mean 'binary'"),
        ("datasets: [{path: cars, binary: car, labelled: [car]}]", "cars: binary is the name of the one class"),
        ("datasets: [{path: cars, binary: car, splits: train}]", "splits: expected a list of names, got 'train'"),
        ("datasets: [{path: whole}]", "no dataset says what it labels; name the classes"),
        ("datasets: [{path: streets, labelled: [persons]}]", "unknown class of .* 'persons': did you mean 'person'"),
        ("classes: [b, car]\ndatasets: [{path: streets, labelled: [person]}]", "unknown class in .* 'person'"),
        ("datasets: [{path: nowhere, binary: car}]", "nowhere: no such folder"),
    ],
)  # fmt: skip
def test_wrong_descriptions(described, text, message):
    (described / "d.yaml").write_text(text)
    with pytest.raises((DataError, UnknownNameError), match=message):
        open_dataset(described / "d.yaml", "train")


def test_a_description_that_is_not_text(tmp_path):
    (tmp_path / "d.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(DataError, match=r"d\.json: not readable"):
        open_dataset(tmp_path / "d.json", "train")


def test_metrics_take_what_a_set_allows_for_background():
    target = np.array([0, 1, 2, 3, 3, 3, 4, 255], np.uint8)
    guess = np.array([1, 1, 0, 0, 2, 1, 2, 2], np.uint8)
    settled = settle(guess, target, 3, ((0, 2), (0, 1)))
    # 3 is background or 2: a guess of 2 is right, one of 1 is wrong. 4 is background or 1: a guess of 2 is wrong.
    assert [mask.tolist() for mask in settled] == [[1, 1, 0, 0, 0, 1, 2, 2], [0, 1, 2, 0, 0, 0, 0, 255]]
    assert (guess[4], target[4]) == (2, 3)
    assert settle(guess, target, 3, ())[0] is guess
