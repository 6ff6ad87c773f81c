"""Each known dataset, as small as it can be, the way that its makers lay it out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.labels import CAMVID, CARVANA, CITYSCAPES, VOC, Labels
from seg_edge.datasets.dataset import write_labels
from seg_edge.datasets.layouts import LAYOUTS, automatic_split
from seg_edge.datasets.layouts.camvid import COLOURS as CAMVID_COLOURS
from seg_edge.datasets.opening import open_dataset
from seg_edge.datasets.options import LAYOUT_KEYS

PICTURE = np.full((2, 4, 3), (10, 20, 30), np.uint8)


def write(path: Path, image: object = PICTURE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(image, np.uint8))
    return path


def rgb(*colours: tuple[int, int, int]) -> np.ndarray:
    return np.array([[colour[::-1] for colour in colours]] * 2, np.uint8)


def names(root: Path, split: str) -> list[str]:
    return [path.name for path in open_dataset(root, split).images]


def only(root: Path, split: str) -> list:
    found = open_dataset(root, split)
    assert len(found) == 1
    frame, mask = found.read(0)
    assert frame[0, 0].tolist() == [10, 20, 30]
    return mask[0].tolist()


def test_cityscapes(tmp_path):
    for split, city in (("train", "aachen"), ("train", "bochum"), ("val", "munster")):
        stem = f"{city}_000000_000019"
        write(tmp_path / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png")
        write(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", [[7, 33, 0, 14]] * 2)
        write(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_color.png")
    assert open_dataset(tmp_path, "val").labels is CITYSCAPES
    assert only(tmp_path, "val") == [0, 18, 255, 255]
    assert len(open_dataset(tmp_path, "train")) == 2
    (tmp_path / "gtFine/val/munster/munster_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"munster_000000_000019_leftImg8bit.png: has no label \(1 of 1 images have none\)"):
        open_dataset(tmp_path, "val")
    with pytest.raises(DataError, match=r"no split 'test' \(it has train, val\); it lies there as Cityscapes"):
        open_dataset(tmp_path, "test")


@pytest.mark.parametrize("inner", ["", "VOCdevkit/VOC2012", "VOC2012", "VOCdevkit/VOC2007"])
@pytest.mark.parametrize("palette", [True, False])
def test_voc(tmp_path, inner, palette):
    base = tmp_path / inner
    write(base / "JPEGImages/2007_000001.png").rename(base / "JPEGImages/2007_000001.jpg")
    write(base / "JPEGImages/unlisted.png")
    numbers = np.array([[0, 15, 20, 255]] * 2, np.uint8)
    path = base / "SegmentationClass/2007_000001.png"
    colours = {**dict(enumerate(VOC.palette)), 255: (224, 224, 192)}
    if palette:
        image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra").fromarray(numbers)
        image.putpalette([value for i in range(256) for value in colours.get(i, (1, 1, 1))])
        path.parent.mkdir(parents=True)
        image.save(path)
    else:
        write(path, rgb(*(colours[i] for i in numbers[0].tolist())))
    (base / "ImageSets/Segmentation").mkdir(parents=True)
    (base / "ImageSets/Segmentation/val.txt").write_text("2007_000001\n")
    assert open_dataset(tmp_path, "val").labels is VOC
    assert only(tmp_path, "val") == [0, 15, 20, 255]
    # The published palette, in part, as its documentation draws it.
    assert VOC.palette[:5] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert VOC.palette[20] == (0, 64, 128)


def test_ade20k(tmp_path):
    for split in ("training", "validation"):
        write(tmp_path / f"images/{split}/ADE_00000001.png")
        write(tmp_path / f"annotations/{split}/ADE_00000001.png", [[0, 1, 2, 150]] * 2)
    assert only(tmp_path, "val") == [255, 0, 1, 149]
    assert open_dataset(tmp_path, "train").labels.names[:2] == ("class0", "class1")
    rows = [
        f"{i}\t0.1\t1\t1\t1\t{'wall' if i == 1 else 'crt screen' if i in (5, 9) else f'thing {i}'}, other"
        for i in range(1, 151)
    ]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tStuff\tName", *rows]) + "\n")
    labels = open_dataset(tmp_path, "train").labels
    assert (labels.names[0], labels.names[4], labels.names[8], labels.ignore_index) == (
        "wall",
        "crt screen",
        "crt screen 9",
        255,
    )
    (tmp_path / "objectInfo150.txt").write_text("Idx\n1\twall\n")
    with pytest.raises(DataError, match="objectInfo150.txt: expected a heading and 150 classes, got 1"):
        open_dataset(tmp_path, "train")


def test_ade20ks_validation_alone(tmp_path):
    write(tmp_path / "images/validation/ADE_00000001.png")
    write(tmp_path / "annotations/validation/ADE_00000001.png", [[0, 1, 2, 150]] * 2)
    assert only(tmp_path, "val") == [255, 0, 1, 149]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("leftImg8bit/train/x/x_0_leftImg8bit.png", "gtFine/train/x/x_0_gtFine_labelIds.png"),
        ("train/images/a.png", "train/labels/a.png"),
        ("images/a.png", "masks/a.png"),
        ("images/training/ADE_1.png", "annotations/training/ADE_1.png"),
        ("train/a.png", "trainannot/a.png"),
        ("701_StillsRaw_full/a_0001.png", "LabeledApproved_full/a_0001_L.png"),
        ("train/a_01.png", "train_masks/a_01_mask.gif"),
    ],
)
def test_where_a_missing_label_is_expected(tmp_path, image, expected):
    write(tmp_path / image)
    (tmp_path / expected).parent.mkdir(parents=True)
    with pytest.raises(DataError, match=f"{image}: has no label .*; expected {tmp_path}/{expected}$"):
        open_dataset(tmp_path, "train")


def test_what_lies_there_instead_of_a_label(tmp_path):
    write(tmp_path / "leftImg8bit/train/x/x_0_leftImg8bit.png")
    write(tmp_path / "gtFine/train/x/x_0_gtFine_labelTrainIds.png")
    write(tmp_path / "gtFine/train/x/x_01_gtFine_labelTrainIds.png")
    with pytest.raises(DataError, match="x_0_gtFine_labelIds.png; there is x_0_gtFine_labelTrainIds.png$"):
        open_dataset(tmp_path, "train")


def test_camvid_of_segnets_tutorial(tmp_path):
    write(tmp_path / "val/0016E5_07959.png")
    write(tmp_path / "valannot/0016E5_07959.png", [[0, 8, 10, 11]] * 2)
    for folder in ("train", "trainannot", "testannot"):
        (tmp_path / folder).mkdir()
    assert open_dataset(tmp_path, "val").labels is CAMVID
    assert only(tmp_path, "val") == [0, 8, 10, 11]
    with pytest.raises(DataError, match=r"no split 'test' \(it has train, val\)"):
        open_dataset(tmp_path, "test")


def test_camvid_as_published(tmp_path):
    truck, lane, void, child = (192, 128, 192), (128, 0, 192), (0, 0, 0), (192, 128, 64)
    for number in range(30):
        name = f"0016E5_{number:02d}{number * 7 % 1000:03d}"
        write(tmp_path / f"701_StillsRaw_full/{name}.png")
        write(tmp_path / f"LabeledApproved_full/{name}_L.png", rgb(truck, lane, void, child))
    parts = {split: open_dataset(tmp_path, split) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 24, "val": 3, "test": 3}
    assert parts["val"].labels is CAMVID
    assert parts["val"].read(0)[1][0].tolist() == [8, 3, 11, 9]
    assert sorted(CAMVID_COLOURS) == sorted(CAMVID.names)
    assert len({colour for colours in CAMVID_COLOURS.values() for colour in colours}) == 31  # and void: 32


def test_carvana(tmp_path):
    for car in range(10):
        for side in (1, 2):
            write(tmp_path / f"train/c{car}_{side:02d}.png")
            write(tmp_path / f"train_masks/c{car}_{side:02d}_mask.png", [[0, 255, 255, 0]] * 2)
    assert open_dataset(tmp_path, "val").labels is CARVANA
    assert open_dataset(tmp_path, "val").read(0)[1][0].tolist() == [0, 1, 1, 0]
    parts = [names(tmp_path, split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [16, 2, 2]
    cars = [{name[:2] for name in part} for part in parts]
    assert len(set.union(*cars)) == sum(map(len, cars)) == 10  # no car in two splits


def test_carvana_masks_are_gifs(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    write(tmp_path / "train/c_01.png")
    (tmp_path / "train_masks").mkdir()
    image.fromarray(np.array([[0, 1, 1, 0]] * 2, bool)).save(tmp_path / "train_masks/c_01_mask.gif")
    if not cv2.haveImageReader(str(tmp_path / "train_masks/c_01_mask.gif")):
        pytest.skip("this OpenCV (before 4.11) reads no GIF")
    assert only(tmp_path, "train") == [0, 1, 1, 0]


@pytest.mark.parametrize("folder", ["labels", "masks", "annotations"])
def test_splits_inside_or_outside(tmp_path, folder):
    write(tmp_path / "a/images/val/x.png")
    write(tmp_path / f"a/{folder}/val/x.png", [[0, 1, 2, 255]] * 2)
    write(tmp_path / "b/val/images/x.png")
    write(tmp_path / f"b/val/{folder}/x.png", [[0, 1, 2, 255]] * 2)
    for root in ("a", "b"):
        assert only(tmp_path / root, "val") == [0, 1, 2, 255]
        assert open_dataset(tmp_path / root, "val").labels == Labels.numbered(3)


@pytest.mark.parametrize("suffix", ["", "_mask", "_label", "_gt", "_seg"])
@pytest.mark.parametrize("order", ["images/train {}/train", "train/images train/{}"])
@pytest.mark.parametrize("inner", ["", "aachen/", "rides/0006R0/"])
def test_suffixes_and_folders_below_the_split(tmp_path, suffix, order, inner):
    images, labels = order.format("masks").split()
    write(tmp_path / f"{images}/{inner}a.png")
    write(tmp_path / f"{labels}/{inner}a{suffix}.png", [[0, 1, 2, 255]] * 2)
    assert only(tmp_path, "train") == [0, 1, 2, 255]
    write(tmp_path / f"{images}/{inner}b.png")
    with pytest.raises(DataError, match=f"{inner}b.png: has no label .*; expected {tmp_path}/{labels}/{inner}b.png$"):
        open_dataset(tmp_path, "train")


def test_a_label_belongs_to_the_image_of_its_whole_name(tmp_path):
    for name in ("a", "a_seg"):
        write(tmp_path / f"images/train/{name}.png")
    write(tmp_path / "labels/train/a_seg.png", [[0, 1, 2, 255]] * 2)
    with pytest.raises(DataError, match=r"/a.png: has no label \(1 of 2"):
        open_dataset(tmp_path, "train")


def test_the_same_name_in_two_folders(tmp_path):
    for city, value in (("aachen", 1), ("ulm", 2)):
        write(tmp_path / f"images/train/{city}/a.png")
        write(tmp_path / f"labels/train/{city}/a.png", [[0, value, value, 255]] * 2)
    data = open_dataset(tmp_path, "train")
    assert [data.read_mask(index)[0, 1] for index in range(len(data))] == [1, 2]


@pytest.mark.parametrize("name", ["valid", "validation"])
def test_other_names_of_the_validation_split(tmp_path, name):
    write(tmp_path / f"{name}/images/x.png")
    write(tmp_path / f"{name}/masks/x.png", [[0, 1, 2, 0]] * 2)
    write(tmp_path / "train/images/x.png")
    write(tmp_path / "train/masks/x.png", [[0, 1, 2, 0]] * 2)
    assert only(tmp_path, "val") == [0, 1, 2, 0]


def test_coloured_labels_take_the_colours_of_the_classes(tmp_path):
    labels = Labels(("road", "car"), ((128, 64, 128), (0, 0, 142)))
    write_labels(tmp_path, labels)
    write(tmp_path / "images/val/x.png")
    write(tmp_path / "labels/val/x.png", rgb((0, 0, 142), (128, 64, 128), (0, 0, 142), (0, 0, 142)))
    assert only(tmp_path, "val") == [1, 0, 1, 1]


def test_a_folder_without_splits_is_split(tmp_path):
    for number in range(40):
        write(tmp_path / f"images/{number:03d}.png")
        write(tmp_path / f"masks/{number:03d}_mask.png", [[0, 1, 1, 0]] * 2)
    parts = [names(tmp_path, split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [32, 4, 4]
    assert sorted(sum(parts, [])) == [f"{number:03d}.png" for number in range(40)]
    assert all(part == sorted(part) for part in parts)
    assert parts[1] != [f"{number:03d}.png" for number in range(4)]  # not the first ones: neighbours look alike
    with pytest.raises(DataError, match=r"no split 'all' \(it has train, val, test\); it lies there as images and labels"):
        open_dataset(tmp_path, "all")


@pytest.mark.parametrize(
    ("count", "expected"), [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (10, (8, 1, 1)), (200, (160, 20, 20))]
)
def test_shares_of_an_automatic_split(count, expected):
    pairs = [(Path(f"{number}.png"), None) for number in range(count)]
    assert tuple(len(automatic_split(pairs, split)) for split in ("train", "val", "test")) == expected


def test_an_automatic_split_is_the_same_everywhere():
    pairs = [(Path(f"{number}.png"), None) for number in range(20)]
    assert [image.stem for image, _ in automatic_split(pairs, "val")] == ["8", "9"]


def voc_folders(root: Path, lists: dict[str, list[str]], label_map: str, suffix: str = ".jpg") -> None:
    """VOC's folders as CVAT's "Segmentation mask 1.1" and Datumaro's VOC have them: one red and one blue label pixel."""
    for name in [name for names in lists.values() for name in names]:
        write(root / f"JPEGImages/{name}.png").rename(root / f"JPEGImages/{name}{suffix}")
        write(root / f"SegmentationClass/{name}.png", rgb((0, 0, 0), (250, 50, 83), (51, 221, 255), (0, 0, 0)))
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    for split, names in lists.items():
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(names) + "\n")
    (root / "labelmap.txt").write_text(label_map, encoding="utf-8")


CVAT_MAP = "\ufeff# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:51,221,255::\ncat:250,50,83::\n"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".PNG"])
def test_labelmap_names_the_classes(tmp_path, suffix):
    suffix = suffix.lower()
    voc_folders(tmp_path, {"Train": ["a", "b"], "Validation": ["cam1/c"]}, CVAT_MAP, suffix)
    data = open_dataset(tmp_path, "train")
    assert data.labels.names == ("background", "dog", "cat")
    assert data.labels.palette[1] == (51, 221, 255)
    assert data.read(0)[1][0].tolist() == [0, 2, 1, 0]
    assert [path.name for path in open_dataset(tmp_path, "val").images] == [f"c{suffix}"]
    (tmp_path / "SegmentationClass/b.png").unlink()
    with pytest.raises(DataError, match=r"b\.\w+: has no label .*SegmentationClass/b.png"):
        open_dataset(tmp_path, "train")


def test_the_split_default_alone_is_divided(tmp_path):
    voc_folders(tmp_path, {"default": [f"f{i}" for i in range(10)]}, CVAT_MAP)
    assert [len(open_dataset(tmp_path, split)) for split in ("train", "val", "test")] == [8, 1, 1]


def test_labelmap_with_void_and_without_colours(tmp_path):
    label_map = "background:::\ncat:250,50,83::\nignored:51,221,255::\n"
    voc_folders(tmp_path, {"train": ["a"]}, label_map)
    data = open_dataset(tmp_path, "train")
    assert data.labels.names == ("background", "cat")
    assert data.read(0)[1][0].tolist() == [0, 1, 255, 0]


@pytest.mark.parametrize(
    ("label_map", "text"),
    [
        ("background:0,0,0::\ncat:1,2::\n", "labelmap.txt:2: expected name:red,green,blue::, got 'cat:1,2::'"),
        ("background:0,0,0::\ncat:0,0,0::\n", r"labelmap.txt:2: cat has the colour of background, \(0, 0, 0\)"),
        ("background:0,0,0::\ncat:9,9,9::\n", r"colour \(250, 50, 83\) .* is no class's colour"),
    ],
)
def test_labelmaps_that_are_wrong(tmp_path, label_map, text):
    voc_folders(tmp_path, {"train": ["a"]}, label_map)
    with pytest.raises(DataError, match=text):
        open_dataset(tmp_path, "train").read(0)


def test_byte_order_marks(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"images/{split}/{split}.png")
        write(tmp_path / f"labels/{split}/{split}.png", [[0, 1, 1, 0]] * 2)
    (tmp_path / "classes.json").write_bytes(b'\xef\xbb\xbf{"names": ["sky", "road"]}')
    assert open_dataset(tmp_path, "train").labels.names == ("sky", "road")


def test_names_of_layouts_that_the_command_takes():
    assert tuple(layout.key for layout in LAYOUTS) == LAYOUT_KEYS
    assert len({*LAYOUT_KEYS}) == len(LAYOUT_KEYS)
