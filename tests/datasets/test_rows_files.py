"""Rows 1, 2, 8, 9, 17, 18 and 26 of the table of people's data (issue 18): what image and label files hold.

Each is read right, or refused with a line that helps."""

from __future__ import annotations

import zlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets import ReadOptions, check, open_dataset
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
SIZE_HW, THREE, SPLITS, photo, write, fill, mask_of, refused, classes = (
    rows.SIZE_HW,
    rows.THREE,
    rows.SPLITS,
    rows.photo,
    rows.write,
    rows.fill,
    rows.mask_of,
    rows.refused,
    rows.classes,
)


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


def test_row_02_colours_that_nothing_names(tmp_path):
    colours = np.array([(0, 0, 0), (128, 64, 128), (142, 0, 0)], np.uint8)
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", colours[THREE])
    refused(tmp_path, "name the classes and their palette in classes.json", snap=True)


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


def test_row_18_tiff_of_one_bit(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    for path in list(tmp_path.glob("labels/*/*.png")):
        image.fromarray(THREE > 0).save(path.with_suffix(".tif"))
        path.unlink()
    classes(tmp_path, names=["a", "b"], ignore_index=255)
    assert (mask_of(tmp_path) == (THREE > 0)).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("packing", [1, 8, 5])
def test_row_18_tiff_of_few_bits(tmp_path, bits, packing):
    """OpenCV refuses 2 and 4 bits. Widths of 40 and 41 end within a byte or not."""
    mask = np.pad(np.minimum(THREE, (1 << bits) - 1), ((0, 0), (0, 1)), mode="edge")
    write(tmp_path / "images/train/a.png", photo(0, (SIZE_HW[0], SIZE_HW[1] + 4))[:, : SIZE_HW[1] + 1])
    path = tmp_path / "labels/train/a.tif"
    path.parent.mkdir(parents=True)
    path.write_bytes(tiff_of_few_bits(mask, bits, packing))
    classes(tmp_path, names=["a", "b", "c"], ignore_index=255)
    data = open_dataset(tmp_path, "train")
    if packing != 5:
        assert (data.read_mask(0) == mask).all()
    elif bits > 1:
        with pytest.raises(DataError, match=r"a TIFF of \d bits a pixel, packed in a way that is not read; save it as PNG"):
            data.read_mask(0)
    elif int(cv2.__version__.split(".")[0]) >= 5:  # it decodes what it can, and says so on the screen
        (error,) = check(tmp_path).splits[0].errors
        assert error.startswith(f"{path}: damaged (TIFF_Error LZWDecode")


def tiff_of_few_bits(mask: np.ndarray, bits: int, packing: int) -> bytes:
    """A grey TIFF file in strips of 10 rows; packing 1: none, 8: zlib, 5: LZW, whose strips here are none."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, 0), (0, -width % (8 // bits))))
    shifts = np.arange(8 - bits, -1, -bits)
    rows = (padded.reshape(height, -1, 8 // bits) << shifts).sum(2).astype(np.uint8)
    strips = [rows[at : at + 10].tobytes() for at in range(0, height, 10)]
    strips = [zlib.compress(strip) for strip in strips] if packing == 8 else strips
    sizes = np.array([len(strip) for strip in strips], "<u4")
    starts = (8 + np.cumsum([0, *sizes[:-1]])).astype("<u4")
    body = b"".join(strips)
    tables, end = starts.tobytes() + sizes.tobytes(), 8 + len(body)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, packing), (262, 3, 1, 1),
        (273, 4, len(strips), end), (277, 3, 1, 1), (278, 4, 1, 10), (279, 4, len(strips), end + 4 * len(strips)),
    ]  # fmt: skip
    directory = np.array(len(entries), "<u2").tobytes() + b"".join(
        np.array([tag, kind], "<u2").tobytes() + np.array([count, value], "<u4").tobytes()
        for tag, kind, count, value in entries
    )
    return b"II*\0" + np.array(end + len(tables), "<u4").tobytes() + body + tables + directory + b"\0" * 4


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


# --- 26: names as a dictionary


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ({"0": "sky", "1": "road", "2": "car"}, [0, 1, 2]),
        ({"2": "car", "0": "sky", "1": "road"}, [0, 1, 2]),
        ({"sky": 0, "road": 1, "car": 2}, [0, 1, 2]),
        ({"0": "sky", "7": "road", "20": "car"}, [0, 7, 20]),
    ],
)
def test_row_26_names_as_a_dictionary(tmp_path, names, values):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png", np.array(values, np.uint8)[THREE])
    classes(tmp_path, names=names)
    assert (mask_of(tmp_path) == THREE).all()
    assert open_dataset(tmp_path, "train").labels.names == ("sky", "road", "car")


@pytest.mark.parametrize("names", [{"0": "sky", "one": "road"}, {"sky": 0, "road": 0}, {"0": "sky", "300": "road"}, {}])
def test_row_26_dictionaries_that_are_none(tmp_path, names):
    fill(tmp_path, "images/{split}/{name}.jpg", "labels/{split}/{name}.png")
    classes(tmp_path, names=names)
    refused(tmp_path, "classes.json", "names")
