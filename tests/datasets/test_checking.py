from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError, UnknownNameError
from seg_edge.core.labels import Labels
from seg_edge.core.progress import Count, Silent
from seg_edge.datasets.checking import check, contact_sheet, image_hash
from seg_edge.datasets.dataset import read_image, write_labels
from seg_edge.datasets.encodings.png import encode_png, with_palette
from seg_edge.datasets.opening import open_dataset
from seg_edge.datasets.options import CheckOptions

LABELS = Labels(("road", "car"), ((128, 64, 128), (0, 0, 142)))
SIZE_HW = (48, 64)


def picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two pictures for training, one for validation: half road, one eighth car in one of them, one row of void."""
    write_labels(tmp_path, LABELS)
    for seed, split, name in ((0, "train", "a"), (1, "train", "b"), (2, "val", "c")):
        mask = np.zeros(SIZE_HW, np.uint8)
        mask[0] = 255
        if name == "a":
            mask[24:30] = 1
        write(tmp_path / f"images/{split}/{name}.png", picture(seed))
        write(tmp_path / f"labels/{split}/{name}.png", mask)
    return tmp_path


def test_counts(root):
    found = check(root)
    train, val = found.splits
    assert (found.layout, found.labels, found.errors, found.duplicates) == (
        "images/<split> and labels/<split>", LABELS, [], [],
    )  # fmt: skip
    assert (train.name, train.images, train.sizes, train.void) == ("train", 2, {"48x64": 2}, 128)
    assert (train.pixels, train.seen_in) == ([2 * 47 * 64 - 6 * 64, 6 * 64], [2, 1])
    assert (val.pixels, val.seen_in) == ([47 * 64, 0], [1, 0])
    assert found.warnings == ["val: no pixel of class car"]


def test_progress(root):
    seen = []

    class Steps(Silent):
        def count(self, what: str) -> Count:
            return lambda done, total: seen.append((what, done, total))

    check(root, progress=Steps())
    assert seen == [("train", 1, 2), ("train", 2, 2), ("val", 1, 1)]


def test_everything_wrong_is_listed_and_the_rest_is_counted(root):
    (root / "images/train/a.png").write_bytes(b"no picture")
    write(root / "labels/val/c.png", np.full(SIZE_HW, 7, np.uint8))
    found = check(root)
    assert [split.images for split in found.splits] == [1, 0]
    assert found.errors == [
        f"{root}/images/train/a.png: not a readable image (10 bytes); replace or remove it",
        f"{root}/labels/val/c.png: label value 7 is out of range: expected 0..1 or 255 (void); name the classes in "
        f"{root}/classes.json",
    ]


def test_a_split_without_labels_is_an_error_of_its_own(root):
    (root / "labels/val/c.png").unlink()
    found = check(root)
    assert [split.name for split in found.splits] == ["val", "train"]
    assert "c.png: has no label (1 of 1 images have none)" in found.errors[0]


def test_classes_from_a_file(root):
    (root / "classes.json").unlink()
    (root / "names.txt").write_text("street\nauto\nbus\n")
    (root / "other.json").write_text('{"names": {"0": "street", "1": "auto"}}')
    for name, names in (("names.txt", ("street", "auto", "bus")), ("other.json", ("street", "auto"))):
        assert check(root, CheckOptions(classes=root / name)).labels.names == names
    assert check(root, CheckOptions(classes="voc")).labels.names[1] == "aeroplane"
    with pytest.raises(UnknownNameError, match="did you mean 'camvid'"):
        check(root, CheckOptions(classes="camvd"))
    (root / "names.txt").write_text("")
    with pytest.raises(DataError, match="`classes` .*names.txt: classes: expected 1 to 255 names, got 0"):
        check(root, CheckOptions(classes=root / "names.txt"))


def test_masks_of_0_and_255_are_said(tmp_path):
    for split, values in (("train", (0, 255)), ("val", (255,))):
        write(tmp_path / f"images/{split}/a.png", picture(3 + len(values)))
        write(tmp_path / f"masks/{split}/a.png", np.resize(np.array(values, np.uint8), SIZE_HW))
    found = check(tmp_path)
    assert (found.labels.names, found.errors) == (("background", "foreground"), [])
    assert [split.pixels for split in found.splits] == [[1536, 1536], [0, 3072]]
    assert found.warnings[0].startswith("label values are 0 and 255 alone: 0 is taken as background, 255 as foreground")


@pytest.mark.parametrize(("value", "text"), [(0, "hold class road alone, so there"), (255, "label pixel is void")])
def test_nothing_to_learn(root, value, text):
    for name in ("a", "b"):
        write(root / f"labels/train/{name}.png", np.full(SIZE_HW, value, np.uint8))
    errors = check(root).errors
    assert len(errors) == 1
    assert text in errors[0]


def test_gaps_in_class_numbers_are_pointed_out(root):
    (root / "classes.json").unlink()
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        write(root / f"labels/{split}/{name}.png", np.resize(np.array([0, 20], np.uint8), SIZE_HW))
    found = check(root)
    assert len(found.labels) == 21
    told, _, command = found.warnings[0].partition(": run: ")
    assert told.startswith("label values have gaps: 2 of 0 to 20 occur, and each number is a class; to leave the others out")
    subprocess.run(command, shell=True, check=True)
    assert check(root).labels.names == ("class0", "class20")
    assert not any("have gaps" in line or "never occur" in line for line in check(root).warnings)
    (root / "classes.json").write_text('{"names": {"0": "road", "20": "car"}}')
    assert [split.pixels for split in check(root).splits] == [[3072, 3072], [1536, 1536]]


def test_no_training_split(root):
    for kind in ("images", "labels"):
        shutil.rmtree(root / kind / "train")
    assert check(root).warnings[0] == "no split train: it can be evaluated, but a training needs one"


def test_palettes_differ_between_splits(root):
    (root / "classes.json").write_text('{"names": ["road", "car"]}')
    for split, name, colours in (("train", "a", [(9, 0, 0), (0, 9, 0)]), ("val", "c", [(0, 9, 0), (9, 0, 0)])):
        grey = encode_png(np.resize(np.array([0, 1], np.uint8), SIZE_HW))
        (root / f"labels/{split}/{name}.png").write_bytes(with_palette(grey, np.array(colours, np.uint8)))
    errors = check(root).errors
    assert len(errors) == 1
    assert "c.png: palette index 0 is (0, 9, 0) here and (9, 0, 0) in" in errors[0]


def test_damaged_jpegs_are_named(root, capfd):
    data = bytearray(cv2.imencode(".jpg", picture(7))[1].tobytes())
    (root / "images/train/a.png").unlink()
    (root / "images/train/a.jpg").write_bytes(data)
    assert check(root).errors == []
    middle = len(data) * 3 // 4
    data[middle : middle + 3] = b"\xff\xd3\x00"
    (root / "images/train/a.jpg").write_bytes(data)
    errors = check(root).errors
    assert len(errors) == 1
    assert errors[0].startswith(f"{root}/images/train/a.jpg: damaged (")
    assert capfd.readouterr().err == ""


def test_16_bit_images_need_a_range(root):
    thermal = np.linspace(7000, 8000, 48 * 64).reshape(SIZE_HW).astype(np.uint16)
    for path in sorted(root.glob("images/*/*.png")):
        assert cv2.imwrite(str(path), thermal)
        thermal = thermal + 100
    found = check(root)
    assert found.errors[0] == (
        f"{root}/images/train/a.png: the image has uint16 values from 7000 to 8000; expected 8 bits, or the range of values "
        "that matters, the same for every image, as in `value_range='7000:8000'`"
    )
    assert f"with: seg-edge data check {root} --range 7000:8200 --save" in found.warnings[0]
    assert check(root, CheckOptions(value_range=(7000, 8200), save=True)).errors == []
    frame, _ = open_dataset(root, "train").read(0)
    assert (frame[0, 0, 0], frame[-1, -1, 0]) == (0, round(1000 / 1200 * 255))


def test_remarks_on_image_files(root):
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    rgba = np.dstack([picture(0), np.full(SIZE_HW, 200, np.uint8)])
    write(root / "images/train/a.png", rgba)
    (root / "images/train/b.png").unlink()
    image.fromarray(picture(1)).convert("CMYK").save(root / "images/train/b.jpg")
    (root / "images/val/c.png").unlink()
    photo = image.fromarray(picture(2))
    exif = photo.getexif()
    exif[0x112] = 3
    photo.save(root / "images/val/c.jpg", exif=exif)
    found = check(root)
    assert found.errors == []
    assert found.warnings[:3] == [
        "train: 1 image has an alpha channel, which is dropped (a.png)",
        "train: 1 image has CMYK colours, which are converted to RGB without their profile (b.jpg)",
        "val: 1 image has EXIF orientation 3: read as viewers show it, rotated by 180°; labels must be drawn that way; "
        "if they are for the pixels as stored: `exif='stored'` (c.jpg)",
    ]


def test_exif_is_named_where_sizes_differ(root):
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    (root / "images/val/c.png").unlink()
    photo = image.fromarray(picture(2))
    exif = photo.getexif()
    exif[0x112] = 6
    photo.save(root / "images/val/c.jpg", exif=exif)
    (error,) = check(root).errors
    assert "label is 64x48 but its image c.jpg is 48x64" in error
    assert "EXIF orientation 6 of the image says rotated by 90°" in error


def test_no_split_at_all(root):
    for name in ("a", "b"):
        (root / f"labels/train/{name}.png").unlink()
    (root / "labels/val/c.png").unlink()
    with pytest.raises(DataError, match="has no label"):
        check(root)


@pytest.mark.parametrize("change", ["copy", "jpeg", "half"])
def test_a_picture_in_two_splits(root, change):
    image = read_image(root / "images/train/b.png")
    target = root / "images/val/c.png"
    if change == "jpeg":
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_COLOR)
    if change == "half":
        image = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
        write(root / "labels/val/c.png", np.zeros((24, 32), np.uint8))
    write(target, image)
    found = check(root)
    assert [row[:4] for row in found.duplicates] == [("train", "b.png", "val", "c.png")]
    same = "the same" if change == "copy" else "(nearly )?the same"
    assert any(w.startswith("train: b.png is ") for w in found.warnings)
    if change == "copy":
        assert found.duplicates[0][4] == 0
        assert any(f"train: b.png is {same} image as c.png of val" in warning for warning in found.warnings)


def test_neighbours_are_no_copies():
    bits = np.unpackbits(image_hash(picture(3)) ^ image_hash(np.roll(picture(3), 8, 1)))
    assert bits.sum() > 40


def test_rare_classes_and_void(root):
    mask = np.zeros((480, 640), np.uint8)
    mask[0, :10] = 1
    write(root / "images/train/a.png", np.zeros((480, 640, 3), np.uint8))
    write(root / "labels/train/a.png", mask)
    write(root / "labels/val/c.png", np.full(SIZE_HW, 255, np.uint8))
    warnings = check(root).warnings
    assert any(line.startswith("train: class car is rare (3.2e-05 of the pixels)") for line in warnings)
    assert "val: most pixels are void (3072 of 3072)" in warnings


def test_unreadable_pictures_are_no_duplicates(root):
    for path in (root / "images/train/a.png", root / "images/val/c.png"):
        path.write_bytes(b"no picture")
    assert check(root).duplicates == []


def test_contact_sheet(root, tmp_path):
    target = tmp_path / "sheet.png"
    contact_sheet(check(root), target, columns=2, width=64)
    sheet = read_image(target)
    assert sheet.shape == (2 * 48 + 2 * 20 + 6, 128, 3)  # two splits; a legend of one class a line
    # The car is painted over the first picture, half of it; void shows the picture.
    frame = read_image(root / "images/train/a.png")
    assert np.abs(sheet[26, :64].astype(int) - (0.4 * frame[26] + 0.6 * np.array([142, 0, 0]))).max() <= 1
    assert sheet[0, :64].tolist() == frame[0].tolist()
    assert sheet[96 + 8, 8].tolist() == [128, 64, 128]
