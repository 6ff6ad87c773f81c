"""What people have on disk, row by row of the table of issue 18: each is read right, or refused with a line that helps.

Rows about annotations of other tools are in ``converters/test_rows.py``, row 15 in ``tests/core/test_cpu.py``, row 16 in
``tests/runtime/machine/test_video.py``, trainings in ``tests/train/test_newcomers.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.labels import VOC
from seg_edge.datasets import CheckOptions, ReadOptions, check, open_dataset
from seg_edge.datasets.encodings.png import encode_png, with_palette

SIZE_HW = (32, 40)
#: Left, middle and right third.
THREE = np.repeat(np.array([[0, 1, 2]], np.uint8), [13, 13, 14], 1).repeat(SIZE_HW[0], 0)
SPLITS = ("train", "val")


def photo(seed: int = 0, hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (hw[0] // 4, hw[1] // 4, 3), np.uint8)
    return cv2.resize(coarse, hw[::-1], interpolation=cv2.INTER_CUBIC)


def write(path: Path, image: object, *extra: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(image), list(extra))
    return path


def fill(root: Path, images: str, labels: str, mask: np.ndarray = THREE, count: int = 3, splits: tuple = SPLITS) -> Path:
    """Pairs at paths such as ``images/{split}/{n}.jpg``."""
    for position, split in enumerate(splits):
        for n in range(count):
            name = f"{split}{n}"
            write(root / images.format(split=split, name=name), photo(10 * position + n))
            write(root / labels.format(split=split, name=name), mask)
    return root


def mask_of(root: Path, split: str = "train", **options: object) -> np.ndarray:
    data = open_dataset(root, split, options=ReadOptions(**options))
    frame, mask = data.read(0)
    assert frame.shape[:2] == mask.shape
    return mask


def refused(root: Path, *texts: str, split: str = "train", **options: object) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(root, split, options=ReadOptions(**options)).read(0)
    assert "\n" not in str(caught.value)
    for text in texts:
        assert text in str(caught.value)


def classes(root: Path, **content: object) -> None:
    (root / "classes.json").write_text(json.dumps(content))


# --- 1: 0 and 255


@pytest.mark.parametrize("bits", ["grey", "colour", "one bit", "sixteen bits", "palette"])
def test_row_01_0_and_255_however_they_are_stored(tmp_path, bits):
    mask = (THREE > 0).astype(np.uint8)
    fill(tmp_path, "images/{split}/{name}.jpg", "masks/{split}/{name}.png", mask * 255)
    for path in tmp_path.glob("masks/*/*.png"):
        if bits == "colour":
            write(path, cv2.cvtColor(mask * 255, cv2.COLOR_GRAY2BGR))
        elif bits == "one bit":
            write(path, mask * 255, cv2.IMWRITE_PNG_BILEVEL, 1)
        elif bits == "sixteen bits":
            write(path, mask.astype(np.uint16) * 65535)
        elif bits == "palette":
            path.write_bytes(with_palette(encode_png(mask), np.array([(0, 0, 0), (255, 255, 255)], np.uint8)))
    assert (mask_of(tmp_path) == mask).all()
    assert len(open_dataset(tmp_path, "train").labels) == 2


def test_row_01_grey_colours_of_the_classes(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "masks/{split}/{name}.png", np.array([0, 128, 255], np.uint8)[THREE])
    classes(tmp_path, names=["sky", "road", "car"], palette=[[0, 0, 0], [128, 128, 128], [255, 255, 255]])
    assert (mask_of(tmp_path) == THREE).all()


def test_row_01_one_class_is_refused(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "masks/{split}/{name}.png", np.full(SIZE_HW, 255, np.uint8))
    assert "class class0 alone" in check(tmp_path).errors[0] or "void" in check(tmp_path).errors[0]


# --- 2: blurred labels


def smooth(mask: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(mask, (5, 5), 1)


def circle(value: int = 255) -> np.ndarray:
    mask = np.zeros((96, 96), np.uint8)
    cv2.circle(mask, (48, 48), 30, value, -1)
    return mask


@pytest.mark.parametrize("value", [255, 200, 90])
@pytest.mark.parametrize("kind", ["smooth", "jpeg"])
def test_row_02_blurred_labels_are_refused_or_snapped(tmp_path, value, kind):
    truth = circle(value)
    for seed, split in enumerate(SPLITS):
        write(tmp_path / f"images/{split}/a.jpg", photo(seed, (96, 96)))
        if kind == "jpeg":
            write(tmp_path / f"labels/{split}/a.jpg", truth, cv2.IMWRITE_JPEG_QUALITY, 60)
        else:
            write(tmp_path / f"labels/{split}/a.png", smooth(truth))
    refused(tmp_path, "`snap=True`")
    data = open_dataset(tmp_path, "train", options=ReadOptions(snap=True))
    assert data.labels.names == ("background", "foreground")
    assert "set to the nearest of 0 (background), " in data.notes[0]
    assert abs(data.snaps[1] - value) <= 2
    wrong = data.read_mask(0) != (truth > 0)
    border = cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    assert not wrong[~border].any()
    assert wrong.mean() < 0.01


def test_row_02_between_two_classes_no_third_one_appears(tmp_path):
    truth = np.array([0, 255, 128], np.uint8)[THREE]
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", smooth(truth))
    mask = mask_of(tmp_path, snap=True)
    assert (mask[:, :13] != 1).all()  # class1 is 128, which 0 and 255 have between them
    assert (np.diff(mask[5].astype(int)) != 0).sum() == 2


def test_row_02_blurred_colours(tmp_path):
    colours = np.array([(0, 0, 0), (128, 64, 128), (142, 0, 0)], np.uint8)
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", smooth(colours[THREE]))
    classes(tmp_path, names=["a", "b", "c"], palette=colours[:, ::-1].tolist())
    refused(tmp_path, "is no class's colour")
    wrong = mask_of(tmp_path, snap=True) != THREE
    assert wrong.sum() <= 2 * 2 * SIZE_HW[0]
    assert not wrong[:, :10].any()


def test_row_02_values_too_close_to_tell_apart(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.jpg", THREE)
    refused(tmp_path, "too close to be told apart", snap=True)
    classes(tmp_path, names=["a", "b", "c"])
    refused(tmp_path, "less than 16 apart", "export the labels again", snap=True)


def test_row_02_values_along_borders_are_pointed_out(tmp_path):
    mask = THREE * 2
    mask[:, 13] = 1
    mask[:, 26] = 3
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", mask)
    found = check(tmp_path)
    assert any("2 classes: class1, class3 along borders alone" in line for line in found.warnings)


# --- 3: labelmap.txt


def voc(
    root: Path, names: dict[str, tuple], lists: dict[str, list[str]], suffix: str = ".jpg", mask: np.ndarray = THREE
) -> Path:
    colours = np.array(list(names.values()), np.uint8)[:, ::-1]
    for position, name in enumerate(name for listed in lists.values() for name in listed):
        write(root / f"JPEGImages/{name}{suffix}", photo(position))
        write(root / f"SegmentationClass/{name}.png", colours[mask])
    for split, listed in lists.items():
        path = root / f"ImageSets/Segmentation/{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(listed) + "\n")
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in names.items()]
    (root / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n")
    return root


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


# --- 8: depth and bands


@pytest.mark.parametrize("kind", ["uint16.png", "uint16.tif", "float32.tiff", "uint16 colour.png"])
def test_row_08_a_range_of_values(tmp_path, kind):
    truth = np.linspace(7000, 8000, SIZE_HW[0] * SIZE_HW[1]).reshape(SIZE_HW)
    deep = truth.astype(kind.split(".")[0].split()[0])
    deep = cv2.merge([deep] * 3) if "colour" in kind else deep
    suffix = "." + kind.split(".")[1]
    fill(tmp_path, "images/{split}/{name}.png", "labels/{split}/{name}.png")
    for path in list(tmp_path.glob("images/*/*.png")):
        path.unlink()
        write(path.with_suffix(suffix), deep)
    refused(tmp_path, "from 7000 to 8000", "`value_range='7000:8000'`")
    frame, _ = open_dataset(tmp_path, "train", options=ReadOptions(value_range=(7250, 7750))).read(0)
    expected = np.clip((truth - 7250) / 500, 0, 1) * 255
    assert frame.shape == (*SIZE_HW, 3)
    assert np.abs(frame - expected[..., None]).max() <= 1
    refused(tmp_path / "none", "no such folder")


def test_row_08_a_range_for_images_of_8_bits(tmp_path):
    fill(tmp_path, "images/{split}/{name}.png", "labels/{split}/{name}.png")
    refused(tmp_path, "the image has 8 bits, and the range 7000:8000 is for deeper ones", value_range=(7000, 8000))


@pytest.mark.parametrize(("bands", "text"), [(2, ""), (4, "the image has 4 bands"), (5, "the image has 5 bands")])
def test_row_08_bands_that_would_be_dropped(tmp_path, bands, text, capfd):
    fill(tmp_path, "images/{split}/{name}.png", "labels/{split}/{name}.png")
    for path in list(tmp_path.glob("images/*/*.png")):
        path.unlink()
        path.with_suffix(".tif").write_bytes(grey_tiff(np.repeat(photo()[..., :1], bands, 2)))
    if text:
        refused(tmp_path, text, "three bands")
        assert capfd.readouterr().err == ""
    else:
        assert any("a band beside grey or colour" in line for line in check(tmp_path).warnings)


def grey_tiff(pixels: np.ndarray) -> bytes:
    """A TIFF file of grey with further bands, which OpenCV doesn't write."""
    height, width, bands = pixels.shape
    data = np.ascontiguousarray(pixels, np.uint8).tobytes()
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
        (277, 3, 1, bands), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip
    data += b"\0" * (len(data) % 2)
    table = b"".join(
        np.array([tag, kind], "<u2").tobytes() + np.array([n, v], "<u4").tobytes() for tag, kind, n, v in entries
    )
    head = b"II*\0" + np.array([8 + len(data)], "<u4").tobytes()
    return head + data + np.array([len(entries)], "<u2").tobytes() + table + b"\0" * 4


# --- 9: gaps, and a void of the user's own


def test_row_09_void_0_without_names(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", np.array([0, 3, 20], np.uint8)[THREE])
    data = open_dataset(tmp_path, "train", options=ReadOptions(void=0))
    assert data.labels.names == ("class3", "class20")
    assert (data.read_mask(0) == np.array([255, 0, 1], np.uint8)[THREE]).all()
    assert any("label values have gaps: 3 of 0 to 20 occur" in line for line in check(tmp_path).warnings)


def test_row_09_void_9_with_names(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", np.array([0, 1, 9], np.uint8)[THREE])
    classes(tmp_path, names=["road", "car"])
    refused(tmp_path, "label value 9 is out of range")
    assert (mask_of(tmp_path, void=9) == np.array([0, 1, 255], np.uint8)[THREE]).all()


def test_row_09_classes_that_never_occur(tmp_path):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    classes(tmp_path, names=["a", "b", "c", "unused", "too"])
    assert any("2 of 5 classes never occur: unused, too" in line for line in check(tmp_path).warnings)


# --- 17: palettes


def test_row_17_indices_in_the_order_of_first_use(tmp_path):
    colours = np.array([(10, 20, 200), (128, 64, 128), (0, 0, 142)], np.uint8)
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    for number, path in enumerate(sorted(tmp_path.glob("labels/*/*.png"))):
        order = np.roll([0, 1, 2], number)
        path.write_bytes(with_palette(encode_png(np.argsort(order).astype(np.uint8)[THREE]), colours[order]))
    classes(tmp_path, names=["sky", "road", "car"], palette=colours.tolist())
    for split in SPLITS:
        data = open_dataset(tmp_path, split)
        assert all((data.read_mask(n) == THREE).all() for n in range(len(data)))
    (tmp_path / "classes.json").unlink()
    refused(tmp_path, "number their colours differently")


# --- 18: few bits


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_row_18_grey_of_few_bits(tmp_path, bits):
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    mask = np.minimum(THREE, (1 << bits) - 1).astype(np.uint8)
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    for path in tmp_path.glob("labels/*/*.png"):
        if bits == 1:
            image.fromarray(mask.astype(bool)).save(path)
        else:
            path.write_bytes(few_bits(mask, bits))
    classes(tmp_path, names=["a", "b", "c"])
    assert (mask_of(tmp_path) == mask).all()


def few_bits(mask: np.ndarray, bits: int) -> bytes:
    """A grey PNG file of 2 or 4 bits."""
    import zlib
    from struct import pack

    per = 8 // bits
    padded = np.pad(mask, ((0, 0), (0, -mask.shape[1] % per)))
    shifts = np.arange(per - 1, -1, -1) * bits
    rows = (padded.reshape(mask.shape[0], -1, per) << shifts).sum(2).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body))

    head = pack(">IIBBBBB", mask.shape[1], mask.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


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


@pytest.mark.parametrize("key", ["folders", "flat", "beside"])
def test_row_34_a_layout_by_name(tmp_path, key):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    if key == "folders":
        assert check(tmp_path, CheckOptions(layout=key)).errors == []
    elif key == "flat":
        assert len(open_dataset(tmp_path, "train", options=ReadOptions(layout=key))) == 4
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
