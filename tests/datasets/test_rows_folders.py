"""Rows 3, 4, 5, 7, 19, 20, 24, 28, 29, 31 and 34 of the table of people's data (issue 18): how datasets lie on disk.

Rows about annotations of other tools are in ``converters/test_rows.py``, row 15 in ``tests/core/test_cpu.py``, row 16 in
``tests/runtime/machine/test_video.py``, trainings in ``tests/train/test_newcomers.py``."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from seg_edge.core.labels import VOC
from seg_edge.datasets import CheckOptions, ReadOptions, check, open_dataset
from seg_edge.datasets.encodings.png import encode_png, with_palette


def _rows() -> ModuleType:
    """``rows.py``: test folders are no packages that could import each other."""
    found = spec_from_file_location("seg_edge_test_rows", Path(__file__).with_name("rows.py"))
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


rows = _rows()
SIZE_HW, THREE, SPLITS, photo, write, fill, mask_of, refused, classes, voc = (
    rows.SIZE_HW,
    rows.THREE,
    rows.SPLITS,
    rows.photo,
    rows.write,
    rows.fill,
    rows.mask_of,
    rows.refused,
    rows.classes,
    rows.voc,
)


# --- 3: labelmap.txt


CVAT = {"background": (0, 0, 0), "zebra": (10, 200, 30), "ant": (250, 50, 83)}


@pytest.mark.parametrize("suffix", [".bmp", ".png", ".jpeg"])
def test_row_03_cvat_with_folders_and_any_split_name(tmp_path, suffix):
    voc(tmp_path, CVAT, {"Train": ["cam/a", "cam/b"], "Validation": ["c"], "night": ["d"]}, suffix)
    for split in ("train", "val", "night"):
        assert (mask_of(tmp_path, split) == THREE).all()
    assert open_dataset(tmp_path, "train").labels.names == ("background", "zebra", "ant")


def test_row_03_exported_without_images(tmp_path):
    voc(tmp_path, CVAT, {"default": [f"f{n}" for n in range(10)]})
    (tmp_path / "JPEGImages/f3.jpg").unlink()
    refused(tmp_path, "default.txt: lists f3", "export the dataset again with its images")


# --- 4: EXIF


@pytest.mark.parametrize("turn", range(2, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_row_04_labels_of_tools_that_ignored_exif(tmp_path, turn, suffix):
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    stored = np.zeros((8, 16), np.uint8)
    stored[:4, :4], stored[4:, 8:] = 1, 2
    pixels = (stored[..., None] * 100).repeat(3, 2).repeat(8, 0).repeat(8, 1)
    for split in SPLITS:
        (tmp_path / f"images/{split}").mkdir(parents=True)
        shot = image.fromarray(pixels)
        exif = shot.getexif()
        exif[0x112] = turn
        shot.save(tmp_path / f"images/{split}/a{suffix}", exif=exif, quality=100)
        write(tmp_path / f"labels/{split}/a.png", stored.repeat(8, 0).repeat(8, 1))
    frame, mask = open_dataset(tmp_path, "train", options=ReadOptions(exif="stored")).read(0)
    assert (np.abs(frame[..., 0].astype(int) - mask.astype(int) * 100) < 30).mean() > 0.97
    if turn > 4:
        refused(tmp_path, f"EXIF orientation {turn}", "`exif='stored'`")
    assert any(
        f"EXIF orientation {turn}" in line for line in check(tmp_path, CheckOptions(exif="stored", save=True)).warnings
    )
    assert (open_dataset(tmp_path, "val").read_mask(0) == mask).all()  # reading.json keeps it


# --- 5: Ultralytics' semantic YAML


@pytest.mark.parametrize("path", ["relative", "absolute", "of another machine"])
def test_row_05_yaml_outside_of_its_dataset(tmp_path, path):
    pytest.importorskip("yaml", reason="PyYAML comes with the train extra")
    data = tmp_path / "sets/street"
    fill(data, "images/{split}/{name}.jpg", "masks/{split}/{name}.png", np.array([7, 8, 255], np.uint8)[THREE])
    said = {"relative": "sets/street", "absolute": str(data), "of another machine": "/home/you/street"}[path]
    folder = data if path == "of another machine" else tmp_path
    text = f"path: {said}\ntrain: images/train\nval: images/val\nnames: [road, walk]\nlabel_mapping: {{7: 0, 8: 1}}\n"
    (folder / "street.yaml").write_text(text)
    assert (mask_of(folder / "street.yaml") == np.array([0, 1, 255], np.uint8)[THREE]).all()
    found = check(folder / "street.yaml")
    assert (found.labels.names, found.errors, found.layout_key) == (("road", "walk"), [], "ultralytics")


def test_row_05_no_folder_of_masks(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML comes with the train extra")
    fill(tmp_path, "{split}/{name}.png", "masks/{split}/{name}.png")
    (tmp_path / "data.yaml").write_text("train: train\nval: val\nnames: [road, walk, sky]\nmasks_dir: masks\n")
    refused(tmp_path, "data.yaml: train: train has no folder 'images'")


# --- 7: suffixes and folders


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/{name}.jpg", "masks/{name}_mask.png"),
        ("images/{name}.jpg", "masks/{name}_seg.png"),
        ("images/{name}.jpg", "masks/{name}_annotated.png"),
        ("images/{name}.jpg", "masks/mask_{name}.png"),
        ("images/img_{name}.jpg", "masks/ann_{name}.png"),
        ("images/{name}_rgb.jpg", "labels/{name}_label.png"),
        ("images/{name}.jpg", "labels/{name}.jpg.png"),
        ("images/ride1/{name}.jpg", "labels/ride1/{name}_labelIds.png"),
        ("images/ride1/{name}.jpg", "labels/{name}.png"),
    ],
)
def test_row_07_without_splits(tmp_path, images, labels):
    fill(tmp_path, images, labels, count=10, splits=("a",))
    sizes = [len(open_dataset(tmp_path, split)) for split in ("train", "val")]
    assert sum(sizes) in (9, 10)
    data = open_dataset(tmp_path, "train" if sizes[0] else "val")
    for image, label in zip(data.images, data.masks, strict=True):
        assert image.name.split(".")[0].strip("img_").strip("_rgb") in label.name
    assert (data.read_mask(0) == THREE).all()


@pytest.mark.parametrize("inner", ["{split}/aachen", "{split}/ride/front", "{split}"])
@pytest.mark.parametrize("suffix", ["_GT", "_labelTrainIds", "-label"])
def test_row_07_with_splits_and_cities(tmp_path, inner, suffix):
    fill(tmp_path, f"images/{inner}/{{name}}.jpg", f"labels/{inner}/{{name}}{suffix}.png")
    assert (mask_of(tmp_path, "val") == THREE).all()


def test_row_07_rides_are_not_parted(tmp_path):
    for ride in range(10):
        fill(tmp_path, f"images/ride{ride}/{{name}}.jpg", f"labels/ride{ride}/{{name}}.png", splits=("a",))
    rides = [{path.parent.name for path in open_dataset(tmp_path, split).images} for split in ("train", "val", "test")]
    assert [len(part) for part in rides] == [8, 1, 1]
    assert len(set.union(*rides)) == 10


def test_row_07_two_label_files_or_two_images(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    write(tmp_path / "labels/train/train0.bmp", THREE)
    refused(tmp_path, "train0.bmp and train0.png are label files of one name")
    (tmp_path / "labels/train/train0.bmp").unlink()
    write(tmp_path / "labels/train/train0.jpg", photo())  # an overlay beside the label
    assert (mask_of(tmp_path) == THREE).all()
    write(tmp_path / "images/train/train0.png", photo(5))
    refused(tmp_path, "label file train0.png fits 2 images")


def test_row_07_two_folders_of_labels(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    fill(tmp_path, "images/{split}/{name}.jpg", "masks/{split}/{name}.png", THREE[:, ::-1])
    refused(tmp_path, "labels and masks both hold images that may be the labels")


# --- 19: known folders, own classes


def test_row_19_a_carvana_of_ones_own(tmp_path):
    fill(tmp_path, "train/{name}.jpg", "train_masks/{name}.png", splits=("train",), count=10)
    classes(tmp_path, names=["lung", "heart", "bone"])
    assert (mask_of(tmp_path) == THREE).all()
    (tmp_path / "classes.json").unlink()
    assert open_dataset(tmp_path, "train").labels.names == ("class0", "class1", "class2")


def test_row_19_segnets_folders_with_other_images(tmp_path):
    fill(tmp_path, "{split}/{name}.png", "{split}annot/{name}.png")
    assert open_dataset(tmp_path, "train").labels.names == ("class0", "class1", "class2")


def test_row_19_mmsegmentations_folders_are_ade20ks(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "annotations/{split}/{name}.png", splits=("training", "validation"))
    refused(tmp_path, "`layout='ade20k'`", "`layout='folders'`", "classes.json")
    assert (mask_of(tmp_path, layout="folders") == THREE).all()
    assert (mask_of(tmp_path, layout="ade20k") == np.array([255, 0, 1], np.uint8)[THREE]).all()
    classes(tmp_path, names=["a", "b", "c"])
    assert (mask_of(tmp_path) == THREE).all()


def test_row_19_voc_without_a_word_on_classes(tmp_path):
    voc(tmp_path, dict(zip(VOC.names[:3], VOC.palette[:3], strict=True)), {"train": ["mine"], "val": ["other"]})
    (tmp_path / "labelmap.txt").unlink()
    assert "taken to be Pascal VOC's 21 for its folders alone" in open_dataset(tmp_path, "train").notes[0]


# --- 20, 24: nothing labelled, what lies there instead


def test_row_20_void_throughout(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    write(tmp_path / "labels/train/train1.png", np.full(SIZE_HW, 255, np.uint8))
    assert any("train: 1 images are void throughout (train1.jpg)" in line for line in check(tmp_path).warnings)


def test_row_24_a_dataset_one_folder_below(tmp_path):
    fill(tmp_path / "street", "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    refused(tmp_path, f"the dataset lies in {tmp_path}/street: pass that folder")


def test_row_24_annotations_of_another_tool(tmp_path):
    (tmp_path / "tasks.json").write_text("[]")
    refused(tmp_path, f"seg-edge data convert auto {tmp_path} DST", "1 .json")


# --- 28: damaged JPEGs


def test_row_28_each_is_named_and_only_it(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", count=6)
    path = tmp_path / "images/train/train4.jpg"
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4 : len(data) * 3 // 4 + 3] = b"\xff\xd3\x00"
    path.write_bytes(data)
    found = check(tmp_path)
    assert [error.split(":")[0] for error in found.errors] == [str(path)]
    assert found.splits[0].damaged == 1


# --- 29: the same reading whatever splits exist


def test_row_29_ade20k_with_its_list_of_names(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "annotations/{split}/{name}.png", splits=("validation",))
    rows = [f"{i}\t0.1\t1\t1\t1\tthing {i}" for i in range(1, 151)]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tStuff\tName", *rows]) + "\n")
    assert (mask_of(tmp_path, "val") == np.array([255, 0, 1], np.uint8)[THREE]).all()


# --- 31: folders under other names


@pytest.mark.parametrize(
    ("images", "labels", "key"),
    [
        ("image/{split}/{name}.jpg", "label/{split}/{name}.png", "folders"),
        ("img_dir/{split}/{name}.jpg", "ann_dir/{split}/{name}.png", "folders"),
        ("Images/{split}/{name}.jpg", "Masks/{split}/{name}_mask.png", "folders"),
        ("imgs/{split}/{name}.jpg", "gt/{split}/{name}.png", "folders"),
        ("{split}/image/{name}.jpg", "{split}/mask/{name}.png", "split-first"),
        ("{split}/imgs/{name}.jpg", "{split}/masks/{name}.png", "split-first"),
        ("{split}/{name}.jpg", "{split}/labels/{name}.png", "split-first"),
        ("images/ulm/{split}/{name}.jpg", "labels/ulm/{split}/{name}.png", "flat"),
        ("{split}/{name}.jpg", "{split}_labels/{name}_L.png", "side-by-side"),
        ("{split}_images/{name}.jpg", "{split}_masks/{name}.png", "side-by-side"),
        ("images_{split}/{name}.jpg", "labels_{split}/{name}.png", "side-by-side"),
        ("{split}/{name}.jpg", "{split}/{name}_mask.png", "beside"),
        ("{split}/{name}_sat.jpg", "{split}/{name}_mask.png", "beside"),
        ("{split}/{name}.jpg", "{split}/{name}.png", "beside"),
        ("images/{split}/{name}.jpg", "images/{split}/{name}_label.png", "beside"),
    ],
)
def test_row_31_folders_under_other_names(tmp_path, images, labels, key):
    fill(tmp_path, images, labels)
    found = check(tmp_path)
    assert (found.layout_key, found.errors, [split.images for split in found.splits]) == (key, [], [3, 3])
    assert found.shown_by
    for split in SPLITS:
        assert (mask_of(tmp_path, split) == THREE).all()


@pytest.mark.parametrize("names", [("train", "valid"), ("Train", "Valid"), ("training", "validation"), ("TRAIN", "VAL")])
def test_row_31_names_of_splits(tmp_path, names):
    fill(tmp_path, "{split}/images/{name}.jpg", "{split}/masks/{name}.png", splits=names)
    for split in SPLITS:
        assert len(open_dataset(tmp_path, split)) == 3


def test_row_31_roboflow_masks(tmp_path):
    fill(
        tmp_path, "{split}/{name}_jpg.rf.0a1b.jpg", "{split}/{name}_jpg.rf.0a1b_mask.png", splits=("train", "valid", "test")
    )
    for split in ("train", "valid", "test"):
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, cat\n2, dog\n")
    for split in ("train", "val", "test"):
        data = open_dataset(tmp_path, split)
        assert (data.labels.names, len(data)) == (("background", "cat", "dog"), 3)
        assert (data.read_mask(0) == THREE).all()


@pytest.mark.parametrize("folder", ["SegmentationClass", "SegmentationClassPNG"])
def test_row_31_labelme2voc(tmp_path, folder):
    palette = np.zeros((256, 3), np.uint8)
    palette[:21], palette[255] = VOC.palette, (224, 224, 192)
    mask = THREE.copy()
    mask[0] = 255
    for n in range(10):
        write(tmp_path / f"JPEGImages/2011_{n:06d}.jpg", photo(n))
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"2011_{n:06d}.png").write_bytes(with_palette(encode_png(mask), palette))
        write(tmp_path / f"SegmentationClassVisualization/2011_{n:06d}.jpg", photo(n))
    (tmp_path / "class_names.txt").write_text("_background_\nnut\nbolt\n")
    data = open_dataset(tmp_path, "train")
    assert (data.labels.names, len(data)) == (("_background_", "nut", "bolt"), 8)
    assert (data.read_mask(0) == mask).all()


def test_row_31_class_dict(tmp_path):
    colours = np.array([(64, 128, 64), (192, 0, 128), (0, 0, 0)], np.uint8)
    fill(tmp_path, "{split}/{name}.png", "{split}_labels/{name}_L.png", colours[THREE][..., ::-1])
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nAnimal,64,128,64\nArchway,192,0,128\nVoid,0,0,0\n")
    data = open_dataset(tmp_path, "val")
    assert data.labels.names == ("Animal", "Archway")
    assert (data.read_mask(0) == np.array([0, 1, 255], np.uint8)[THREE]).all()


def test_row_31_what_was_seen_and_what_to_do(tmp_path):
    fill(tmp_path, "left/{name}.jpg", "right/{name}.png")
    refused(tmp_path, "left: 6 .jpg; right: 6 .png", "rename them to images and labels")


def test_row_31_no_pair_is_guessed(tmp_path):
    for n in range(3):
        write(tmp_path / f"images/train/a{n}.jpg", photo(n))
        write(tmp_path / f"labels/train/{n}x{n}.png", THREE)
    refused(tmp_path, "a0.jpg: has no label (3 of 3 images have none)")


# --- 34: the same options


@pytest.mark.parametrize("key", ["folders", "beside"])  # what another reading does: row 19
def test_row_34_a_layout_by_name(tmp_path, key):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    if key == "folders":
        assert check(tmp_path, CheckOptions(layout=key)).errors == []
    else:
        refused(
            tmp_path, "`layout='beside'` is label images beside their images, and nothing here lies in that way", layout=key
        )


def test_labels_without_an_image_are_counted(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    (tmp_path / "images/train/train1.jpg").unlink()
    assert any("train: 1 label files have no image (train1.png)" in line for line in check(tmp_path).warnings)


def test_swapped_folders(tmp_path):
    fill(tmp_path, "labels/{split}/{name}.png", "images/{split}/{name}.png")
    refused(tmp_path, "images and labels are swapped", "rename the folders")


def test_foreground_and_background_swapped_between_splits(tmp_path):
    mask = (THREE == 1).astype(np.uint8)
    fill(tmp_path, "images/{split}/{name}.jpg", "masks/{split}/{name}.png", mask * 255)
    for path in tmp_path.glob("masks/val/*.png"):
        write(path, 255 - mask * 255)
    assert any("train and val look swapped" in line for line in check(tmp_path).warnings)
