"""LabelMe's files as they lie about: of other machines, of other tools, of newer versions."""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest

SIZE = (6, 8)
BOX = [[1, 1], [5, 1], [5, 4], [1, 4]]


def shape(kind="polygon", points=BOX, label="car", **more):
    return {"label": label, "shape_type": kind, "points": points, **more}


def labelme(bench, shapes, name="a", image=True, **changes):
    if image:
        bench.image(f"{name}.png")
    size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    data = {"shapes": shapes, "imagePath": f"{name}.png", "imageData": None, **size, **changes}
    return bench.text(f"{name}.json", json.dumps(data))


@pytest.mark.parametrize("said", ["C:\\Users\\me\\a.png", "/home/me/pics/a.png", "old name.png", "..\\images\\a.png"])
def test_image_path_of_another_machine(bench, said):
    labelme(bench, [shape()], imagePath=said)
    assert bench.run("labelme")["train/a"].sum() == 12
    note = "images were found beside their JSON files: imagePath is of another machine or an old name"
    assert bench.done.notes == [note]


@pytest.mark.parametrize("broken", [None, b"no image"])
def test_embedded_image_where_the_path_is_unreadable(bench, broken):
    inside = base64.b64encode(bench.image("b.jpg").read_bytes()).decode()
    (bench.root / "b.jpg").unlink()
    labelme(bench, [shape()], image=False, imagePath="gone/a.tif", imageData=inside)
    if broken is not None:
        bench.text("gone/a.tif", broken.decode())
    assert bench.run("labelme", link=True)["train/a"].sum() == 12
    assert [p.name for p in bench.done.data.glob("images/train/*")] == ["a.jpg"]  # named after what it is
    assert bool(bench.done.notes) == (broken is not None)


@pytest.mark.parametrize("kind", ["rectangle", "rotation", "oriented_rectangle"])
def test_four_cornered_boxes(bench, kind):
    """X-AnyLabeling's rectangles and rotated boxes, LabelMe 7's oriented ones."""
    labelme(bench, [shape(kind, points=[[4, 0], [8, 3], [4, 6], [0, 3]])])
    mask = bench.run("labelme")["train/a"]
    assert np.array_equal(mask, mask[::-1, ::-1])
    assert mask.sum() == 24


def test_shapes_without_an_area(bench):
    shapes = [shape(), shape("point", [[1, 1]]), shape("line", [[1, 1], [2, 2]]), shape("line", [[1, 1], [2, 2]], "bus")]
    labelme(bench, shapes)
    labelme(bench, shapes[:2], "b")
    line = bench.refused("labelme")
    assert "a.json: shape 1: a point has no area; expected polygon, rectangle, circle or mask" in line
    assert line.endswith("leave such shapes out with `skip_shapes=True`")
    bench.run("labelme", skip_shapes=True)
    assert bench.done.notes == [
        "skipped 2 shapes of the kind line in a.json (2)",
        "skipped 2 shapes of the kind point in a.json (1), b.json (1)",
    ]
    assert bench.done.labels.names == ("background", "car")  # bus had no area at all


def test_labels_file_beside_the_folder(bench):
    """LabelMe's own examples have data_annotated and labels.txt side by side."""
    labelme(bench, [shape()], "data_annotated/a")
    bench.text("data_annotated/a.json", (bench.root / "data_annotated/a.json").read_text().replace("data_annotated/a", "a"))
    file = bench.text("labels.txt", "\ufeff__ignore__\n_background_\nroad\ncar\n")
    assert set(np.unique(bench.run("labelme", bench.root / "data_annotated")["train/a"])) == {0, 2}
    assert bench.done.labels.names == ("background", "road", "car")
    assert bench.done.notes == [f"classes in the order of {file}"]
    bench.text("labels.txt", "dog\n")  # somebody else's
    bench.run("labelme", bench.root / "data_annotated")
    assert bench.done.labels.names == ("background", "car")


def test_files_of_other_tools_inside(bench):
    labelme(bench, [shape()])
    bench.text("coco/result.json", json.dumps({"images": [], "annotations": []}))
    bench.text("list.json", "[1, 2]")
    assert set(bench.run("labelme")) == {"train/a"}
    assert bench.done.notes == ["skipped 2 .json files of other tools, such as coco/result.json"]
    (bench.root / "a.json").unlink()
    assert "has no shapes; expected a file of LabelMe" in bench.refused("labelme")


def test_masks_that_leave_the_image(bench):
    """Cut as LabelMe 7 cuts them; whole corners bound the mask, fractional ones are rounded."""
    png = cv2.imencode(".png", np.arange(1, 13, dtype=np.uint8).reshape(3, 4) % 5)[1].tobytes()
    packed = base64.b64encode(png).decode()
    labelme(bench, [shape("mask", [[-2, 4], [1, 6]], mask=packed)])
    line = bench.refused("labelme")
    assert "its mask of 4x3 at (-2, 4) leaves the image of 8x6; correct it, or cut it off with `clip=True`" in line
    expected = np.zeros(SIZE, np.uint8)
    inside = np.arange(1, 13).reshape(3, 4) % 5 > 0
    expected[4:6, 0:2] = inside[0:2, 2:4]
    assert np.array_equal(bench.run("labelme", clip=True)["train/a"], expected)
    labelme(bench, [shape("mask", [[-1.6, 4.4], [1.4, 6.4]], mask=packed)])
    assert np.array_equal(bench.run("labelme", clip=True)["train/a"], expected)
    labelme(bench, [shape("mask", [[0, 0], [1, 1]], mask=packed)])  # the corners say 2x2
    assert bench.run("labelme")["train/a"].sum() == inside[:2, :2].sum()


def test_nothing_annotated(bench):
    labelme(bench, [])
    assert "not one annotation in 1 images covers a pixel; a training would see only background" in bench.refused("labelme")


def test_byte_order_mark(bench):
    file = labelme(bench, [shape()])
    file.write_text("\ufeff" + file.read_text(), encoding="utf-8")
    assert bench.run("labelme")["train/a"].sum() == 12
