"""What newcomers' datasets are refused for, and that the cure which the line names is one: then the data is read right."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets import CheckOptions, check, open_dataset
from seg_edge.datasets.converters.formats import recognise

SIZE_HW = (24, 32)
THREE = np.repeat(np.array([[0, 1, 2]], np.uint8), [10, 10, 12], 1).repeat(SIZE_HW[0], 0)
TWO = np.minimum(THREE, 1)


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def fill(root: Path, mask: np.ndarray = THREE, images: str = "images/{}/{}.png", labels: str = "labels/{}/{}.png") -> Path:
    """Four pairs of train and two of val."""
    for number, (split, name) in enumerate([("train", f"t{n}") for n in range(4)] + [("val", f"v{n}") for n in range(2)]):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        write(root / images.format(split, name), cv2.resize(noise, SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC))
        write(root / labels.format(split, name), mask)
    return root


def labels(root: Path, change) -> None:
    for path in sorted(root.glob("labels/*/*")):
        write(path, change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), path))


def names(root: Path, **content: object) -> None:
    (root / "classes.json").write_text(json.dumps(content))


def masks(root: Path) -> list[np.ndarray]:
    data = open_dataset(root, "train")
    return [data.read_mask(index) for index in range(len(data))]


def obey(line: str, root: Path) -> None:
    """Does what a line says: the command after "run:", or what belongs into ``classes.json``."""
    if command := re.search(r"run: (echo .* > \S+classes\.json)", line):
        subprocess.run(command[1], shell=True, check=True)
    elif content := re.search(r"classes\.json: (\{.*\})", line):
        (root / "classes.json").write_text(content[1])
    else:
        put = re.search(r'put into \S+: ("names".*?\})', line)
        assert put, line
        (root / "classes.json").write_text(f"{{{put[1]}}}")


def test_0_and_255_in_some_files_and_0_and_1_in_others(tmp_path):
    fill(tmp_path, TWO)
    labels(tmp_path, lambda mask, path: mask * 255 if path.stem[1] in "13" else mask)
    (error,) = check(tmp_path).errors
    assert "3 label files hold 255 beside class0, 3 others hold class1, and none both" in error
    obey(error, tmp_path)
    assert not check(tmp_path).errors
    assert all(np.array_equal(mask, TWO) for mask in masks(tmp_path))


def test_they_may_be_void_all_the_same(tmp_path):
    fill(tmp_path, TWO)
    labels(tmp_path, lambda mask, path: mask * 255 if path.stem[1] in "13" else mask)
    assert not check(tmp_path, CheckOptions(void=255)).errors
    names(tmp_path, names=["road", "car"], ignore_index=255)
    assert not check(tmp_path).errors


@pytest.mark.parametrize(
    ("own", "expected"), [(["road"], ("background", "road")), (["sky", "road", "car"], ("sky", "road", "car"))]
)
def test_0_and_255_with_other_than_two_names(tmp_path, own, expected):
    fill(tmp_path, TWO * 255)
    names(tmp_path, names=own)
    (error,) = check(tmp_path).errors
    assert "the value 255 is void: if it is road" in error
    obey(error, tmp_path)
    assert check(tmp_path).labels.names == expected
    assert all(np.array_equal(mask, TWO) for mask in masks(tmp_path))


def test_values_that_count_from_1(tmp_path):
    fill(tmp_path, THREE + 1)
    names(tmp_path, names=["sky", "road", "car"])
    obey(check(tmp_path).errors[0], tmp_path)
    assert all(np.array_equal(mask, THREE) for mask in masks(tmp_path))


def test_one_name_for_0_and_1(tmp_path):
    fill(tmp_path, TWO)
    names(tmp_path, names=["road"])
    obey(check(tmp_path).errors[0], tmp_path)
    assert open_dataset(tmp_path, "train").labels.names == ("background", "road")


def test_grey_levels_of_which_255_would_be_void(tmp_path):
    fill(tmp_path, np.array([0, 128, 255], np.uint8)[THREE])
    (error,) = check(tmp_path).errors
    assert "label values have gaps: 2 of 0 to 128 occur" in error
    assert "255 counts as void: if it is a class" in error
    obey(error, tmp_path)
    assert not check(tmp_path).errors
    assert np.array_equal(masks(tmp_path)[0], np.array([0, 1, 255], np.uint8)[THREE])


def test_void_0_between_names_that_leave_it_out(tmp_path):
    fill(tmp_path, THREE)
    names(tmp_path, names=["road", "car"])
    data = open_dataset(tmp_path, "train", options=CheckOptions(void=0))
    assert np.array_equal(data.read_mask(0), np.array([255, 0, 1], np.uint8)[THREE])
    assert "the classes are 1 (road), 2 (car)" in data.notes[-1]


def test_a_val_of_void_measures_nothing(tmp_path):
    fill(tmp_path)
    labels(tmp_path, lambda mask, path: mask * 0 + 255 if path.stem[0] == "v" else mask)
    assert check(tmp_path).errors == ["val: every label pixel is void, so there is nothing to measure by"]


def test_a_test_split_without_labels_is_left_out(tmp_path):
    fill(tmp_path)
    write(tmp_path / "images/test/x.png", np.zeros((*SIZE_HW, 3), np.uint8))
    found = check(tmp_path)
    assert not found.errors
    assert "test: its images have no labels, so it is left out; a training doesn't need it" in found.warnings


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
        (b"\0\0\0\x18ftypheic", "is HEIC, as phones write it, whatever its name says; save it as JPEG or PNG"),
        (b"<!DOCTYPE html><html>", "a web page, as a failed download leaves it"),
        (b"GIF89a", "is a GIF"),
        (b"\x93NUMPY", "is a NumPy array"),
    ],
)
def test_files_that_are_no_images(tmp_path, content, cure):
    (fill(tmp_path) / "images/train/t1.png").write_bytes(content)
    (error,) = check(tmp_path).errors
    assert cure in error


def test_images_of_a_kind_that_is_not_read(tmp_path):
    fill(tmp_path)
    for path in tmp_path.glob("images/train/*"):
        path.rename(path.with_suffix(".heic"))
    with pytest.raises(DataError, match=r"no images in this folder; expected .*; it holds 4 \.heic"):
        open_dataset(tmp_path, "train")


def test_images_of_two_depths(tmp_path):
    fill(tmp_path)
    write(tmp_path / "images/train/t0.png", np.full((*SIZE_HW, 3), 7000, np.uint16))
    assert "some images have 8 bits and some more: bring all to one depth" in check(tmp_path).warnings


def test_images_in_two_splits_and_how_to_leave_them_out(tmp_path):
    fill(tmp_path)
    write(tmp_path / "images/train/t2.png", cv2.imread(str(tmp_path / "images/val/v1.png")))
    (command,) = (line.partition(": ")[2] for line in check(tmp_path).warnings if line.startswith("to leave them out"))
    subprocess.run(command, shell=True, check=True)
    assert not (tmp_path / "labels/train/t2.png").exists()
    assert not any("same image" in line for line in check(tmp_path).warnings)


@pytest.mark.parametrize("folder", ["annotations/instances_train.json", "labels/train/t0.txt"])
def test_annotations_of_other_tools_say_the_command(tmp_path, folder):
    fill(tmp_path)
    for path in tmp_path.glob("labels/*/*"):
        path.unlink()
    if folder.startswith("annotations"):
        for path in (tmp_path / "labels/train", tmp_path / "labels/val", tmp_path / "labels"):
            path.rmdir()
    (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / folder).write_text("{}")
    with pytest.raises(DataError, match=f"seg-edge data convert auto {tmp_path} DST"):
        open_dataset(tmp_path, "train")


def test_lists_of_names_beside_the_labels(tmp_path):
    (fill(tmp_path) / "classes.txt").write_text("sky\nroad\ncar\n")
    assert open_dataset(tmp_path, "train").labels.names == ("sky", "road", "car")
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    data = open_dataset(tmp_path, "train")
    assert data.labels.names == ("class0", "class1", "class2")
    assert "classes.txt lists 2 names, the label values go to 2: they are not taken" in data.notes


@pytest.mark.parametrize("line", ["{}", "{}.png", "images/{}.png", "images/{0}.png labels/{0}.png", "./images/{}.png"])
def test_lists_of_the_splits_are_read(tmp_path, line):
    fill(tmp_path, images="images/{1}.png", labels="labels/{1}.png")
    for split, listed in (("train", ["t0", "t1", "v0"]), ("val", ["t2"])):
        (tmp_path / f"{split}.txt").write_text("\n".join(line.format(name) for name in listed) + "\n")
    found = check(tmp_path)
    assert [(split.name, split.images) for split in found.splits] == [("train", 3), ("val", 1)]
    assert "lists train.txt, val.txt" in found.shown_by
    (tmp_path / "val.txt").write_text("gone")
    with pytest.raises(DataError, match=r"val.txt: lists gone, for which there are 0 images"):
        open_dataset(tmp_path, "val")


@pytest.mark.parametrize("content", [{"0": "sky", "1": "road", "2": "car"}, {"sky": 0, "road": 1, "car": 2}])
def test_a_bare_table_of_names(tmp_path, content):
    names(fill(tmp_path), **content)
    assert open_dataset(tmp_path, "train").labels.names == ("sky", "road", "car")


def test_pixels_that_are_no_numbers_propose_no_range(tmp_path):
    image = np.zeros(SIZE_HW, np.float32)
    image[0, 0] = np.nan
    (fill(tmp_path) / "images/train/t0.png").unlink()
    write(tmp_path / "images/train/t0.tif", image)
    found = check(tmp_path)
    assert "the image has pixels that are no numbers" in found.errors[0]
    assert not any("--range" in line for line in found.warnings)


def test_an_archive(tmp_path):
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is a file, no folder; if it is an archive, unpack it"):
        open_dataset(tmp_path / "data.zip", "train")


def test_labels_drawn_in_their_alpha_channel(tmp_path):
    fill(tmp_path, TWO)
    labels(tmp_path, lambda mask, _path: np.dstack([np.zeros((*SIZE_HW, 3), np.uint8), mask * 255]))
    with pytest.raises(DataError, match=r"t0\.png: the label is drawn in its alpha channel alone.*-alpha extract"):
        check(tmp_path)
    labels(tmp_path, lambda rgba, _path: rgba[..., 3])  # what the named command does
    assert np.array_equal(open_dataset(tmp_path, "train").read_mask(0), TWO)


def test_a_colour_of_a_class_under_transparent_pixels(tmp_path):
    fill(tmp_path)
    names(tmp_path, names=["background", "cat", "dog"], palette=[[0, 0, 0], [200, 30, 10], [10, 90, 220]])
    hidden = np.array([[10, 30, 200], [10, 30, 200], [220, 90, 10]], np.uint8)  # the background has cat's colour
    labels(tmp_path, lambda mask, _path: np.dstack([hidden[mask], np.minimum(mask, 1) * 255]))
    with pytest.raises(DataError, match=r"colour \(200, 30, 10\).*is opaque in some pixels and transparent.*-alpha remove"):
        open_dataset(tmp_path, "train").read_mask(0)
    labels(tmp_path, lambda rgba, _path: rgba[..., :3] * (rgba[..., 3:] > 0))
    assert np.array_equal(open_dataset(tmp_path, "train").read_mask(0), THREE)
    labels(tmp_path, lambda bgr, _path: np.dstack([bgr, bgr.any(-1) * np.uint8(255)]))  # black has a colour of its own
    assert np.array_equal(open_dataset(tmp_path, "train").read_mask(0), THREE)


POLYGON = "<annotation><object><name>cat</name><polygon><pt><x>1</x></pt></polygon></object></annotation>"
BOX = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"


@pytest.mark.parametrize(
    ("images", "file", "content", "expected"),
    [
        ("Images/f", "Annotations/f/{}.xml", POLYGON, "LabelMe's web tool.*seg-edge data convert coco SRC DST"),
        ("JPEGImages", "Annotations/{}.xml", BOX, "Pascal VOC's boxes, which have no outlines"),
        ("images", "labels/task-{}-annotation-7-by-1-tag-cat-0.png", "", "seg-edge data convert label-studio SRC DST"),
        ("x", "task-{}-annotation-7-by-1-tag-cat-0.npy", "", "seg-edge data convert label-studio SRC DST"),
    ],
)
def test_files_of_tools_that_are_not_read_say_the_way(tmp_path, images, file, content, expected):
    for number in range(4):
        write(tmp_path / images / f"{number}.jpg", np.full((*SIZE_HW, 3), number, np.uint8))
        path = tmp_path / file.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for call in (lambda: check(tmp_path), lambda: recognise(tmp_path)):
        with pytest.raises(DataError, match=expected):
            call()


def test_boxes_beside_the_masks_of_pascal_voc_are_in_order(tmp_path):
    fill(tmp_path, images="JPEGImages/{1}.png", labels="SegmentationClass/{1}.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/t0.xml").write_text(BOX)
    with pytest.raises(DataError, match="Pascal VOC.*there is nothing to convert"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("train", "expected"), [("train.txt", "is a file, as a list"), ("images/trian", "there is no folder")]
)
def test_ultralytics_yaml_without_a_folder_of_images(tmp_path, train, expected):
    fill(tmp_path)
    (tmp_path / "train.txt").write_text("images/train/t0.png\n")
    file = tmp_path / "d.yaml"
    file.write_text(f"train: {train}\nval: images/val\nmasks_dir: labels\nnames: [a, b, c]\n")
    with pytest.raises(DataError, match=f"train: .*{expected}"):
        check(tmp_path)
    file.write_text(file.read_text().replace(train, "images/train"))
    assert np.array_equal(open_dataset(tmp_path, "train").read_mask(0), THREE)


def test_a_table_in_utf_16(tmp_path):
    fill(tmp_path)
    (tmp_path / "labelmap.txt").write_text("a:0,0,0::\nb:9,9,9::\n", "utf-16")
    with pytest.raises(DataError, match=r"labelmap\.txt: .*save it as UTF-8"):
        check(tmp_path)
