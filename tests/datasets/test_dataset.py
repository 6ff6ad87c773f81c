from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError, UnknownNameError
from seg_edge.core.labels import CAMVID, Labels
from seg_edge.datasets.dataset import read_image, read_mask, write_labels
from seg_edge.datasets.layouts import list_images
from seg_edge.datasets.opening import open_dataset, open_dataset_for

SIZE_HW = (6, 8)
#: Writes one pair into a split: (name without suffix, label values).
Add = Callable[..., Path]


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "streets"


@pytest.fixture
def add(root: Path) -> Add:
    def make(name: str, *values: int, split: str = "val", suffix: str = ".png") -> Path:
        mask = np.resize(np.array(values or (0, 1, 2), np.uint8), SIZE_HW)
        write(root / "images" / split / f"{name}{suffix}", np.full((*SIZE_HW, 3), (10, 20, 30), np.uint8))
        return write(root / "labels" / split / f"{name}.png", mask)

    return make


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_pairs_in_order_of_names(root, add):
    add("b", 1)
    add("c", 2, suffix=".jpg")
    add("a", 0, suffix=".JPG")
    (root / "images/val/notes.txt").touch()
    (root / "images/val/.a.png.swp.png").touch()
    write(root / "labels/val/unused.png", np.zeros(SIZE_HW, np.uint8))
    found = open_dataset(root, "val")
    assert [path.name for path in found.images] == ["a.JPG", "b.png", "c.jpg"]
    assert [path.name for path in found.masks] == ["a.png", "b.png", "c.png"]
    assert (len(found), found.split, found.root) == (3, "val", root)
    pairs = list(found)
    assert len(pairs) == 3
    for value, (frame, mask) in enumerate(pairs):
        assert (frame.shape, frame.dtype, mask.shape, mask.dtype) == ((*SIZE_HW, 3), np.uint8, SIZE_HW, np.uint8)
        assert np.unique(mask).tolist() == [value]
    assert pairs[1][0][0, 0].tolist() == [10, 20, 30]  # BGR, as written


def test_images_of_one_split_only(root, add):
    add("a", split="train")
    add("b", split="val")
    assert [path.name for path in open_dataset(root, "train").images] == ["a.png"]


# --- the folder


def test_missing_folder(root):
    assert refused(lambda: open_dataset(root, "val")) == (
        f"dataset {root}: no such folder; pass `data` a folder with images/val and labels/val"
    )


def test_missing_split_names_those_that_exist(root, add):
    add("a", split="val")
    add("a", split="train")
    assert refused(lambda: open_dataset(root, "test")) == (
        f"dataset {root}: no folder images/test (it has train, val); expected images/test and labels/test"
    )


def test_missing_labels_folder(root, add):
    write(root / "images/val/a.png", np.zeros((*SIZE_HW, 3), np.uint8))
    assert "no folder labels/val (it has no splits)" in refused(lambda: open_dataset(root, "val"))


def test_folder_of_something_else(root):
    root.mkdir()
    assert "no folder images/val (it has no splits)" in refused(lambda: open_dataset(root, "val"))


def test_empty_folder(root):
    for kind in ("images", "labels"):
        (root / kind / "val").mkdir(parents=True)
    text = refused(lambda: open_dataset(root, "val"))
    assert text.startswith(f"{root}/images/val: no images in this folder; expected files ending in .jpg, ")


def test_missing_label_is_named_and_counted(root, add):
    for name in "abc":
        add(name)
    for name in "bc":
        (root / f"labels/val/{name}.png").unlink()
    assert refused(lambda: open_dataset(root, "val")) == (
        f"{root}/images/val/b.png: has no label (2 of 3 images have none); expected {root}/labels/val/b.png"
    )


# --- one pair


def test_corrupt_image_and_label(root, add):
    label = add("a")
    found = open_dataset(root, "val")
    image = found.images[0]
    for path in (label, image):
        whole = path.read_bytes()
        for data in (b"", b"no picture", whole[:20]):
            path.write_bytes(data)
            assert refused(lambda: found.read(0)) == (
                f"{path}: not a readable image ({len(data)} bytes); replace or remove it"  # noqa: B023
            )
        path.write_bytes(whole)
    image.unlink()
    assert refused(lambda: found.read(0)) == f"{image}: can't be read (No such file or directory); check the path"


def test_coloured_label(tmp_path):
    picture = np.zeros((*SIZE_HW, 3), np.uint8)
    picture[2, 3] = (0, 128, 0)
    path = write(tmp_path / "a.png", picture)
    assert refused(lambda: read_mask(path)) == (
        f"{path}: labels must be one 8-bit channel of class numbers, got uint8 (6, 8, 3); "
        "if they are coloured, name the classes and their palette in classes.json"
    )


@pytest.mark.parametrize("channels", [(), (3,)])
def test_16_bit_label(tmp_path, channels):
    for value in (1, 255):
        assert (read_mask(write(tmp_path / "a.png", np.full((*SIZE_HW, *channels), value, np.uint16))) == value).all()
    widened = np.full((*SIZE_HW, *channels), 257 * 3, np.uint16)  # as PNG converters write 3 in 16 bits
    assert (read_mask(write(tmp_path / "a.png", widened)) == 3).all()
    path = write(tmp_path / "a.png", np.full((*SIZE_HW, *channels), 26001, np.uint16))
    assert "label values are uint16 from 26001 to 26001; class numbers go up to 255" in refused(lambda: read_mask(path))


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_stored_as_colour_is_read(tmp_path, channels):
    values = np.arange(48, dtype=np.uint8).reshape(SIZE_HW)
    picture = values[..., None].repeat(channels, 2)
    if channels == 4:
        picture[..., 3] = 255
    mask = read_mask(write(tmp_path / "a.png", picture))
    assert mask.flags["C_CONTIGUOUS"]
    assert mask.tolist() == values.tolist()


def test_grey_image_is_read_as_three_channels(tmp_path):
    assert read_image(write(tmp_path / "a.png", np.full(SIZE_HW, 7, np.uint8))).shape == (*SIZE_HW, 3)


def test_size_mismatch(root, add):
    label = add("a")
    write(label, np.zeros((4, 5), np.uint8))
    found = open_dataset(root, "val")
    assert refused(lambda: found.read(0)) == (f"{label}: label is 5x4 but its image a.png is 8x6; both must have one size")


def test_label_value_out_of_range(root, add):
    label = add("a", 0, 1, 3, 9, 255)
    found = open_dataset(root, "val", Labels.numbered(3, 9))
    assert refused(lambda: found.read(0)) == (
        f"{label}: label value 3 is out of range: expected 0..2 or 9 (void); name the classes in {root}/classes.json"
    )
    label = add("a", 0, 1, 255)
    assert "label value 255 is out of range" in refused(lambda: found.read(0))
    add("a", 0, 1, 2, 9)
    assert np.unique(found.read(0)[1]).tolist() == [0, 1, 2, 9]


# --- the classes


def test_classes_given_win(root, add):
    add("0001TP_1")
    write_labels(root, Labels.numbered(5))
    assert open_dataset(root, "val", Labels.numbered(3, 7)).labels == Labels.numbered(3, 7)
    assert open_dataset(root, "val", "camvid").labels is CAMVID
    with pytest.raises(UnknownNameError, match="did you mean 'camvid'"):
        open_dataset(root, "val", "camvd")


def test_classes_file_comes_next(root, add):
    add("0001TP_1")
    labels = Labels(("road", "car"), ((1, 2, 3), (4, 5, 6)), 11)
    write_labels(root, labels)
    assert open_dataset(root, "val").labels == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not readable as JSON"),
        (b"", "not readable as JSON"),
        (b"\xff\xfe\x00", "not readable as JSON"),
        (b"null", "expected a JSON object with names, palette, ignore_index, got NoneType"),
        (b"5", "got int"),
        (b'["road"]', "got list"),
        (b"{}", "classes: expected names"),
        (b'{"names": "road"}', "classes: names must be a list"),
        (b'{"names": ["road"], "color": 1}', "classes: unknown key 'color'"),
        (b'{"names": ["road"], "ignore_index": Infinity}', "classes: expected names"),
    ],
)
def test_broken_classes_file_is_named(root, add, text, message):
    add("a")
    (root / "classes.json").write_bytes(text)
    error = refused(lambda: open_dataset(root, "val"))
    assert error.startswith(f"{root}/classes.json: ")
    assert message in error


def test_camvid_is_known_by_its_file_names(root, add):
    for name in ("0001TP_008550", "0006R0_f00930", "0016E5_00390", "Seq05VD_f00000"):
        add(name, 0, 10, 11)
    assert open_dataset(root, "val").labels is CAMVID
    add("frame_1", 0, 3, 255)
    assert open_dataset(root, "val").labels == Labels.numbered(12)


def test_classes_are_counted_over_all_labels(root, add):
    add("a", 0, 255)
    add("b", 0, 4)
    assert open_dataset(root, "val").labels == Labels.numbered(5)
    add("c", 254)
    assert len(open_dataset(root, "val").labels) == 255


def test_only_void_is_one_class(root, add):
    add("a", 255)
    assert open_dataset(root, "val").labels == Labels.numbered(1)


def test_list_images(tmp_path):
    for name in ("b.PNG", "a.tiff", "c.gif", "d", ".e.png"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.tiff", "b.PNG"]


NAMED = Labels(("sky", "road", "car"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)), ignore_index=3)


def test_numbers_get_the_names_of_the_network_that_they_are_for(root, add):
    add("a", 0, 1, 255)
    found = open_dataset_for(root, "val", NAMED)
    assert (found.labels.names, found.labels.ignore_index) == (NAMED.names, 255)
    assert set(np.unique(found.read(0)[1])) == {0, 1, 255}
    add("b", 2, 3)  # void as the network's own data has it
    assert open_dataset_for(root, "val", NAMED).labels == NAMED
    add("c", 4)
    found = open_dataset_for(root, "val", NAMED)
    assert "label value 4 is out of range: expected 0..2 or 3 (void)" in refused(lambda: found.read(2))


def test_a_dataset_that_names_its_classes_keeps_them(root, add):
    add("0001TP_000001", 0, 1)
    assert open_dataset_for(root, "val", NAMED).labels.names[:2] == ("sky", "building")
    # A network without names has no opinion about what CamVid's file names say.
    assert open_dataset_for(root, "val", Labels.numbered(3)).labels.names == ("class0", "class1", "class2")
    write_labels(root, Labels.numbered(2))
    assert open_dataset_for(root, "val", NAMED).labels == Labels.numbered(2)
    assert open_dataset_for(root, "val", Labels.numbered(3)).labels == Labels.numbered(2)


def test_single_class_folders_name_theirs_whatever_the_network_says(tmp_path):
    for folder in ("cat", "dog"):
        for name in ("a", "b", "c", "d"):
            write(tmp_path / folder / "images" / f"{folder}{name}.png", np.zeros((*SIZE_HW, 3), np.uint8))
            write(tmp_path / folder / "masks" / f"{folder}{name}.png", np.full(SIZE_HW, 255, np.uint8))
    for labels in (NAMED, Labels.numbered(3)):
        assert open_dataset_for(tmp_path, "train", labels).labels.names == ("background", "cat", "dog")
