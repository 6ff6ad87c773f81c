"""Converters on small datasets in the formats' own shape: masks pixel by pixel, splits, and one line for each mistake."""

from __future__ import annotations

import base64
import json
import re

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError, InputError, SegEdgeError, UnknownNameError
from seg_edge.datasets import Converted, ConvertOptions
from seg_edge.datasets import convert as convert_with
from seg_edge.datasets.converters.formats import READERS
from seg_edge.datasets.opening import open_dataset
from seg_edge.datasets.options import FORMATS

SIZE = (6, 8)
#: A rectangle from (1, 1) to (5, 4): the 12 pixels of columns 1 to 4 and rows 1 to 3.
BOX = [1, 1, 5, 1, 5, 4, 1, 4]
BOX_MASK = np.zeros(SIZE, np.uint8)
BOX_MASK[1:4, 1:5] = 1


def picture(path, size_hw=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8))


def masks(root, split):
    data = open_dataset(root, split)
    return {path.stem: data.read_mask(i) for i, path in enumerate(data.images)}


def convert(kind, source, target, **words) -> Converted:
    return convert_with(source, target, ConvertOptions(format=kind, **words))


def refused(kind, source, target, error=DataError, **words):
    with pytest.raises(error) as caught:
        convert(kind, source, target, **words)
    assert isinstance(caught.value, SegEdgeError)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    assert not [p for p in target.parent.iterdir() if p.name.startswith(f".{target.name}")]
    return str(caught.value)


# --- COCO


def coco(root, annotations, split="val2017", kind="instances", categories=((1, "car"), (7, "road")), size_hw=SIZE):
    """As cocodataset.org has it: annotations/KIND_SPLIT.json beside a folder named after the split."""
    picture(root / split / "0001.png", size_hw)
    data = {
        "images": [{"id": 42, "file_name": "0001.png", "height": SIZE[0], "width": SIZE[1]}],
        "categories": [{"id": number, "name": name, "supercategory": "x"} for number, name in categories],
        "annotations": [{"id": i, "image_id": 42, "iscrowd": 0, **a} for i, a in enumerate(annotations)],
    }
    file = root / "annotations" / f"{kind}_{split}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data))
    return root


def test_coco_polygons_and_run_lengths(tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools import mask as coco_mask

    whole = {"size": list(SIZE), "counts": [0, SIZE[0] * SIZE[1]]}  # uncompressed: 0 outside, then all inside
    row = np.zeros(SIZE, np.uint8)
    row[5] = 1
    packed = coco_mask.encode(np.asfortranarray(row))
    packed["counts"] = packed["counts"].decode()
    annotations = [
        # The small car lies on the road, though it comes first: areas decide.
        {"category_id": 1, "segmentation": [BOX], "area": 12},
        {"category_id": 7, "segmentation": whole, "area": 48, "iscrowd": 1},
        {"category_id": 1, "segmentation": packed, "area": 8},
    ]
    done = convert("coco", coco(tmp_path / "coco", annotations), tmp_path / "out")
    assert done.splits == {"val": 1}
    assert done.labels.names == ("background", "car", "road")
    expected = np.where(BOX_MASK, 1, 2)
    expected[5] = 1
    assert np.array_equal(masks(tmp_path / "out", "val")["0001"], expected)
    source, target = (p.read_bytes() for p in (tmp_path / "coco/val2017/0001.png", tmp_path / "out/images/val/0001.png"))
    assert source == target


def test_coco_panoptic(tmp_path):
    """Ids in the PNG's colours: R + 256 G + 65536 B. What no segment covers is void."""
    root = coco(tmp_path / "coco", [], kind="panoptic")
    file = root / "annotations/panoptic_val2017.json"
    ids = np.zeros(SIZE, np.int64)
    ids[:3], ids[3:5] = 70_000, 9
    colours = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], -1).astype(np.uint8)
    (root / "annotations/panoptic_val2017").mkdir()
    cv2.imwrite(str(root / "annotations/panoptic_val2017/0001.png"), colours)
    data = json.loads(file.read_text())
    segments = [{"id": 70_000, "category_id": 7}, {"id": 9, "category_id": 1}]
    data["annotations"] = [{"image_id": 42, "file_name": "0001.png", "segments_info": segments}]
    for category, colour in zip(data["categories"], ([1, 2, 3], [4, 5, 6]), strict=True):
        category["color"] = colour
    file.write_text(json.dumps(data))
    done = convert("coco", file, tmp_path / "out")
    assert (done.labels.names, done.labels.palette) == (("car", "road"), ((1, 2, 3), (4, 5, 6)))
    expected = np.repeat(np.array([1, 1, 1, 0, 0, 255], np.uint8)[:, None], SIZE[1], 1)
    assert np.array_equal(masks(tmp_path / "out", "val")["0001"], expected)

    data["annotations"][0]["segments_info"] = segments[:1]
    file.write_text(json.dumps(data))
    assert "segment 9 is not in segments_info of panoptic_val2017.json" in refused("coco", file, tmp_path / "out2")


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ({"category_id": 3, "segmentation": [BOX]}, "category_id 3 is not in the file's categories"),
        (
            {"category_id": 1, "segmentation": [[1, 1, 90, 1, 5, 4]]},
            r"the corner \(90.0, 1.0\) lies outside its image of 8x6",
        ),
        ({"category_id": 1, "segmentation": [[1, 1, 5, 1]]}, "a polygon of 4 numbers has no area; expected 6 or more"),
        ({"category_id": 1, "segmentation": {"size": [5, 8], "counts": [40]}}, r"run lengths are for \[5, 8\]"),
        ({"category_id": 1, "segmentation": {"size": [6, 8], "counts": [40]}}, "add up to 40, its image has 48 pixels"),
        ({"category_id": 1}, "has no 'segmentation'"),
        ({"category_id": 1, "segmentation": [BOX], "image_id": 5}, "annotations of image 5, which is not in its list"),
    ],
)
def test_coco_mistakes(tmp_path, annotation, text):
    pytest.importorskip("pycocotools")
    line = refused("coco", coco(tmp_path / "coco", [annotation]), tmp_path / "out")
    assert re.search(text, line)
    assert "instances_val2017.json" in line


def test_coco_files_that_are_missing_or_differ(tmp_path):
    root = coco(tmp_path / "coco", [])
    (root / "val2017/0001.png").unlink()
    assert "image 0001.png is in none of" in refused("coco", root, tmp_path / "out")
    root = coco(tmp_path / "coco", [], size_hw=(9, 9))
    assert "is 9x9, its annotations are for 8x6" in refused("coco", root, tmp_path / "out")
    (root / "val2017/0001.png").write_bytes(b"no picture")
    assert "0001.png: not a readable image (10 bytes)" in refused("coco", root, tmp_path / "out")
    coco(tmp_path / "coco", [], kind="stuff")
    coco(tmp_path / "coco", [], kind="captions")
    (root / "annotations/instances_val2017.json").unlink()
    line = refused("coco", root, tmp_path / "out")
    assert "annotations of several kinds (captions, stuff), none of them instances; pass one file" in line
    (root / "annotations/stuff_val2017.json").write_text("{")
    assert "not readable as JSON" in refused("coco", root / "annotations/stuff_val2017.json", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert "no annotations/*.json" in refused("coco", tmp_path / "empty", tmp_path / "out")


def test_polygons_are_clipped_if_asked(tmp_path):
    pytest.importorskip("pycocotools")
    shape = {"category_id": 1, "segmentation": [[4, -50, 90, -50, 90, 90, 4, 90]], "area": 1}
    convert("coco", coco(tmp_path / "coco", [shape]), tmp_path / "out", clip=True)
    mask = masks(tmp_path / "out", "val")["0001"]
    assert mask[:, 5:].all()
    assert not mask[:, :3].any()


# --- LabelMe


def labelme(root, shapes, name="a", **changes):
    data = {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None,
        "imageHeight": SIZE[0], "imageWidth": SIZE[1],
    } | changes  # fmt: skip
    picture(root / f"{name}.png")
    (root / f"{name}.json").write_text(json.dumps(data))
    return root


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


PAIRS = np.array(BOX, float).reshape(-1, 2).tolist()


def test_labelme_shapes(tmp_path):
    png = cv2.imencode(".png", np.array([[255, 0], [0, 255]], np.uint8))[1].tobytes()
    shapes = [
        shape("road", PAIRS),
        shape("car", [[5, 4], [1, 1]], "rectangle"),  # drawn later, so on top; corners in any order
        shape("__ignore__", [[6, 0], [8, 2]], "rectangle"),
        shape("tree", [[0, 4], [1, 5]], "mask", mask=base64.b64encode(png).decode()),
    ]
    done = convert("labelme", labelme(tmp_path / "in", shapes), tmp_path / "out")
    assert done.labels.names == ("background", "car", "road", "tree")
    expected = BOX_MASK.copy()
    expected[:2, 6:] = 255
    expected[4, 0] = expected[5, 1] = 3
    assert np.array_equal(masks(tmp_path / "out", "train")["a"], expected)


def test_labelme_circle(tmp_path):
    convert("labelme", labelme(tmp_path / "in", [shape("car", [[4, 3], [4, 5]], "circle")]), tmp_path / "out")
    mask = masks(tmp_path / "out", "train")["a"]
    # Radius 2 around (4, 3): symmetrical, about pi * 4 pixels.
    assert np.array_equal(mask, mask[::-1])
    assert 10 <= mask.sum() <= 16
    assert mask[2, 3] == mask[3, 4] == 1


def test_labelme_image_inside_the_file_and_order_of_classes(tmp_path):
    root = labelme(tmp_path / "in", [shape("road", PAIRS), shape("_background_", [[1, 1], [3, 4]], "rectangle")])
    data = (root / "a.png").read_bytes()
    labelme(root, [shape("road", PAIRS)], name="b")
    for name in "cdefgh":
        labelme(root, [], name=name)
    text = json.loads((root / "a.json").read_text()) | {"imageData": base64.b64encode(data).decode()}
    (root / "a.json").write_text(json.dumps(text))
    (root / "a.png").unlink()
    (root / "labels.txt").write_text("__ignore__\n_background_\ncar\nroad\n")
    done = convert("labelme", root, tmp_path / "out")
    assert done.labels.names == ("background", "car", "road")
    # Without splits, hashed names draw them: 8 pictures give 6, 1 and 1.
    assert done.splits == {"train": 6, "val": 1, "test": 1}
    found = {name: mask for split in done.splits for name, mask in masks(tmp_path / "out", split).items()}
    expected = 2 * BOX_MASK
    expected[1:4, 1:3] = 0
    assert np.array_equal(found["a"], expected)
    assert np.array_equal(found["b"], 2 * BOX_MASK)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (shape("car", [[0, 0], [1, 1]], "line"), "shape 0: a line has no area; expected polygon, rectangle, circle or mask"),
        (shape("car", [[0, 0], [1, 1]]), "shape 0: a polygon of 2 corners has no area; expected three or more"),
        (shape("car", [[0, 0], [1, 1], [0, 30]]), r"shape 0: the corner \(0.0, 30.0\) lies outside its image of 8x6"),
        (shape("car", [[7, 5], [9, 9]], "mask", mask="AAAA"), "shape 0: its mask is not a readable image"),
        (shape("car", [[7, 5], [9, 9]], "mask", mask="%"), "shape 0: not base64"),
        ({"points": PAIRS}, "shape 0: has no 'label'"),
    ],
)
def test_labelme_mistakes(tmp_path, content, text):
    line = refused("labelme", labelme(tmp_path / "in", [content]), tmp_path / "out")
    assert re.search(text, line)
    assert "a.json" in line


def test_labelme_missing_image(tmp_path):
    root = labelme(tmp_path / "in", [])
    (root / "a.png").unlink()
    assert "a.png is missing, and none is inside the file" in refused("labelme", root, tmp_path / "out")


# --- YOLO


def yolo(root, lines, *, yaml="names: [road, car]\ntrain: images/train\nval: images/val\n"):
    for split in ("train", "val"):
        picture(root / "images" / split / f"{split}1.png")
    (root / "labels/train").mkdir(parents=True, exist_ok=True)
    (root / "labels/train/train1.txt").write_text("\n".join(lines))
    if yaml:
        (root / "data.yaml").write_text(yaml)
    return root


NORMALIZED = " ".join(str(value / (SIZE[1] if i % 2 == 0 else SIZE[0])) for i, value in enumerate(BOX))


def test_yolo(tmp_path):
    whole = "0 0 0 1 0 1 1 0 1"
    done = convert("yolo", yolo(tmp_path / "in", [f"1 {NORMALIZED}", whole]), tmp_path / "out", link=True)
    assert done.labels.names == ("background", "road", "car")
    assert done.splits == {"train": 1, "val": 1}
    assert np.array_equal(masks(tmp_path / "out", "train")["train1"], 1 + BOX_MASK)
    assert not masks(tmp_path / "out", "val")["val1"].any()  # no text file: nothing to see
    assert (tmp_path / "out/images/train/train1.png").is_symlink()


@pytest.mark.parametrize(
    "yaml",
    [
        "path: /somewhere/else\nnames: {0: road, 1: car}\ntrain: images/train\nval: images/val\n",
        "names: [road, car]\ntrain: ../images/train\nval: ../images/val\n",
        "names: [road, car]\n",
        "names: [road, car]\ntrain: train.txt\nval: [images/val]\n",
    ],
)
def test_yolo_ways_to_name_folders(tmp_path, yaml):
    root = yolo(tmp_path / "in", [f"1 {NORMALIZED}"], yaml=yaml)
    (root / "train.txt").write_text("./images/train/train1.png\n")
    assert convert("yolo", root, tmp_path / "out").splits == {"train": 1, "val": 1}
    assert np.array_equal(masks(tmp_path / "out", "train")["train1"], 2 * BOX_MASK)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("2 0 0 1 0 1 1", "unknown class 2; expected 0 to 1"),
        ("1 0.5 0.5 0.2 0.2", "is a box, not a polygon"),
        ("1 0 0 1 0", "is a box, not a polygon"),
        ("1 0 0 1 0 1", "at least three pairs x y, got 6 values"),
        ("1 a b c d e f", "expected 'class x1 y1 x2 y2 …'"),
        ("1 0 0 2 0 1 1", r"the corner \(16.0, 0.0\) lies outside"),
        ("1 0 0 9 0 1 1", "expected coordinates from 0 to 1, got 9; if they are pixels, divide x by the image's width 8"),
    ],
)
def test_yolo_mistakes(tmp_path, line, text):
    found = refused("yolo", yolo(tmp_path / "in", ["", line]), tmp_path / "out")
    assert re.search(text, found)
    assert "train1.txt:2: " in found


def test_yolo_without_names_or_images(tmp_path):
    root = yolo(tmp_path / "in", [f"1 {NORMALIZED}"], yaml=None)
    assert "has no names of classes" in refused("yolo", root, tmp_path / "out")
    (root / "classes.txt").write_text("road\ncar\n")
    assert convert("yolo", root, tmp_path / "out").labels.names == ("background", "road", "car")
    (root / "data.yaml").write_text("names: [a]\ntrain: nowhere\n")
    assert "nowhere: no such folder of images" in refused("yolo", root, tmp_path / "out2")


# --- what all share


def test_class_lists(tmp_path):
    root = labelme(tmp_path / "in", [shape("road", PAIRS), shape("dog", [[6, 0], [8, 2]], "rectangle")])
    (tmp_path / "names.txt").write_text("background\nroad\n")
    words = {"classes": tmp_path / "names.txt"}
    line = refused("labelme", root, tmp_path / "out", **words)
    assert "a.json: shape 1: unknown class 'dog'; expected one of background, road" in line
    expected = BOX_MASK.copy()
    convert("labelme", root, tmp_path / "b", **words, others="background")
    assert np.array_equal(masks(tmp_path / "b", "train")["a"], expected)
    convert("labelme", root, tmp_path / "v", **words, others="void", unlabelled="void")
    expected[expected == 0] = 255
    assert np.array_equal(masks(tmp_path / "v", "train")["a"], expected)
    assert "has no 'background' for pixels" in refused("labelme", root, tmp_path / "out", InputError, classes="camvid")
    convert("labelme", root, tmp_path / "c", classes="camvid", others="void", unlabelled="void")
    assert set(np.unique(masks(tmp_path / "c", "train")["a"])) == {3, 11}  # road, and CamVid's own void


def test_the_options_name_every_reader():
    assert set(FORMATS) == set(READERS)


def test_refusals_before_any_work(tmp_path):
    root = labelme(tmp_path / "in", [])
    for words, text in (({"others": "voit"}, "did you mean 'void'"), ({"unlabelled": "x"}, "unknown `unlabelled` 'x'")):
        assert text in refused("labelme", root, tmp_path / "out", UnknownNameError, **words)
    assert "did you mean 'coco'" in refused("cocoo", root, tmp_path / "out", UnknownNameError)
    assert "no such folder or file" in refused("yolo", tmp_path / "absent", tmp_path / "out")
    with pytest.raises(InputError, match="exists and is not empty"):
        convert("labelme", root, root)


def test_two_pictures_of_one_name(tmp_path):
    """They keep the folders that tell them apart."""
    root = labelme(tmp_path / "in/x", [shape("car", [[1, 1], [5, 1], [5, 4]])]).parent
    labelme(root / "y", [shape("car", [[1, 1], [5, 1], [5, 4]])])
    convert("labelme", root, tmp_path / "out")
    assert sorted(path.stem for path in (tmp_path / "out").glob("images/*/*")) == ["x_a", "y_a"]


def test_one_picture_twice(tmp_path):
    root = coco(tmp_path / "in", [])
    file = next(root.glob("annotations/*.json"))
    content = json.loads(file.read_text())
    content["images"].append({**content["images"][0], "id": 99})
    file.write_text(json.dumps(content))
    assert "two images are called" in refused("coco", root, tmp_path / "out")


def test_the_command(tmp_path, capsys):
    from seg_edge.cli.main import main

    root = yolo(tmp_path / "in", [f"1 {NORMALIZED}"])
    assert main(["data", "convert", "yolo", str(root), str(tmp_path / "out")]) == 0
    assert "1 train + 1 val images, 3 classes" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "out")]) == 0
    assert main(["data", "convert", "yolo", str(root), str(tmp_path / "out")]) == 1
    assert "exists and is not empty" in capsys.readouterr().err
