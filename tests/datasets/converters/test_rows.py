"""Rows 6, 10 to 12, 21 to 23, 30, 32, 33 and 35 of the table of people's data (issue 18): annotations of other tools."""

from __future__ import annotations

import base64
import json
import zlib

import cv2
import numpy as np
import pytest

SIZE = (6, 8)
SQUARE = [1, 1, 5, 1, 5, 4, 1, 4]


def coco(images, annotations, names=("car",), **more):
    categories = [{"id": number, "name": name, "supercategory": "none"} for number, name in enumerate(names, 1)]
    listed = [{"id": n, "file_name": name, "height": SIZE[0], "width": SIZE[1]} for n, name in enumerate(images, 1)]
    return json.dumps({"images": listed, "annotations": annotations, "categories": categories, **more})


def thing(number=1, image=1, category=1, segmentation=(SQUARE,), **more):
    found = {"id": number, "image_id": image, "category_id": category, "segmentation": list(segmentation), **more}
    return {**found, "bbox": [1, 1, 4, 3], "iscrowd": 0}


def polygon(points, name="car", kind="polygon", **more):
    return {"label": name, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def labelme(shapes, image="a.png", **more):
    return json.dumps(
        {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None, "imageHeight": SIZE[0],
         "imageWidth": SIZE[1], **more}
    )  # fmt: skip


def test_row_06_roboflow_with_test_alone_and_a_parent(bench):
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    for split in ("train", "test"):
        bench.image(f"{split}/a_jpg.rf.1.jpg")
        content = json.loads(coco(["a_jpg.rf.1.jpg"], [thing(category=2)], ("vehicles", "car")))
        content["categories"][1]["supercategory"] = "vehicles"
        bench.text(f"{split}/_annotations.coco.json", json.dumps(content))
    masks = bench.run("auto")
    assert sorted(masks) == ["test/a_jpg.rf.1", "train/a_jpg.rf.1"]
    assert bench.done.labels.names == ("background", "car")
    assert any("'vehicles'" in line and "parent" in line for line in bench.done.notes)


def test_row_10_supervisely_bitmap_with_an_origin(bench):
    bench.image("ds/img/a.png")
    part = np.zeros((2, 3, 4), np.uint8)
    part[:, 1:] = 255
    data = base64.b64encode(zlib.compress(cv2.imencode(".png", part)[1].tobytes())).decode()
    bench.text("meta.json", json.dumps({"classes": [{"title": "car", "shape": "bitmap", "color": "#FF0000"}], "tags": []}))
    shape = {"classTitle": "car", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [4, 3]}, "tags": []}
    size = {"height": SIZE[0], "width": SIZE[1]}
    bench.text("ds/ann/a.png.json", json.dumps({"size": size, "objects": [shape], "tags": [], "description": ""}))
    (mask,) = bench.run("auto").values()
    assert np.argwhere(mask).tolist() == [[3, 5], [3, 6], [4, 5], [4, 6]]


def test_row_10_cvat_mask_at_the_border_of_its_image(bench):
    bench.image("images/a.png")
    shape = '<mask label="car" rle="1, 3, 1, 1" left="6" top="3" width="2" height="3" z_order="0"></mask>'
    labels = "<labels><label><name>car</name><color>#ff0000</color></label></labels>"
    image = f'<image id="0" name="a.png" width="8" height="6">{shape}</image>'
    meta = f"<version>1.1</version><meta><task>{labels}</task></meta>"
    bench.text("annotations.xml", f"<annotations>{meta}{image}</annotations>")
    (mask,) = bench.run("auto").values()
    assert np.argwhere(mask).tolist() == [[3, 7], [4, 6], [4, 7], [5, 7]]


@pytest.mark.parametrize("kind", ["point", "line", "linestrip", "points"])
def test_row_11_shapes_without_an_area(bench, kind):
    bench.image("a.png")
    bench.text("a.json", labelme([polygon([[1, 1], [5, 1], [5, 4]]), polygon([[2, 2], [3, 3]], "tip", kind)]))
    assert "`skip_shapes=True`" in bench.refused("labelme")
    (mask,) = bench.run("labelme", skip_shapes=True).values()
    assert mask.any()
    assert any(line.startswith("skipped 1 shapes of the kind") and "a.json (1)" in line for line in bench.done.notes)


def test_row_11_boxes_among_yolos_outlines(bench):
    bench.image("images/train/a.png")
    bench.text("data.yaml", "names: [car]\ntrain: images/train\n")
    bench.text("labels/train/a.txt", "0 0.5 0.5 0.2 0.2\n0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    assert "is a box, not a polygon" in bench.refused("yolo")
    bench.run("yolo", skip_shapes=True)
    assert any("kind box" in line for line in bench.done.notes)


@pytest.mark.parametrize("segmentation", [[], [[]]])
def test_row_11_empty_outlines_are_counted_or_refused(bench, segmentation):
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    bench.image("images/a.png")
    bench.text("annotations/instances.json", coco(["a.png"], [thing(), thing(2, segmentation=segmentation)]))
    if segmentation == []:
        bench.run("coco")
        assert any("1 annotations have no outline" in line for line in bench.done.notes)
    else:
        assert "a polygon is a list" in bench.refused("coco")


def test_row_12_a_crowd_and_ids_with_gaps(bench):
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    bench.image("images/a.png")
    counts = {"size": list(SIZE), "counts": [12, 6, 30]}  # the third column
    content = json.loads(
        coco(["a.png"], [thing(category=90), {**thing(2, category=7), "segmentation": counts, "iscrowd": 1}])
    )
    content["categories"] = [{"id": 90, "name": "toothbrush"}, {"id": 7, "name": "train"}]
    bench.text("annotations/instances.json", json.dumps(content))
    (mask,) = bench.run("coco").values()
    assert bench.done.labels.names == ("background", "train", "toothbrush")
    assert mask[0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert mask[2, 4] == 2


@pytest.mark.parametrize("area", [0, None, -1, "missing", 1e9])
def test_row_21_the_files_areas_dont_count(bench, area):
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    bench.image("images/a.png")
    whole = [0, 0, 8, 0, 8, 6, 0, 6]
    things = [thing(1, category=2, area=5.0), thing(2, category=1, segmentation=[whole], area=area)]
    for entry in things:
        if entry["area"] == "missing":
            del entry["area"]
    bench.text("annotations/instances.json", coco(["a.png"], things, ("road", "car")))
    (mask,) = bench.run("coco").values()
    assert (mask[2, 2], mask[0, 0]) == (2, 1)


@pytest.mark.parametrize("counts", [[12, 6, 29], [12, 6, 31], "06"])
def test_row_21_counts_that_dont_fill_the_image(bench, counts):
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    bench.image("images/a.png")
    entry = {**thing(), "segmentation": {"size": list(SIZE), "counts": counts}}
    bench.text("annotations/instances.json", coco(["a.png"], [entry]))
    assert "48 pixels" in bench.refused("coco")


@pytest.mark.parametrize("file", ["data.yaml", "labels/train/a.txt"])
def test_row_22_byte_order_marks(bench, file):
    bench.image("images/train/a.png")
    texts = {"data.yaml": "names: [car]\ntrain: images/train\n", "labels/train/a.txt": "0 0.1 0.1 0.9 0.1 0.9 0.9\n"}
    for name, text in texts.items():
        bench.text(name, ("\ufeff" if name == file else "") + text)
    (mask,) = bench.run("yolo").values()
    assert mask.any()


@pytest.mark.parametrize("path", ["C:\\Users\\me\\a.png", "/home/me/a.png", "..\\images\\a.png"])
def test_row_23_image_paths_of_another_machine(bench, path):
    bench.image("a.png")
    bench.text("a.json", labelme([polygon([[1, 1], [5, 1], [5, 4], [1, 4]])], path))
    (mask,) = bench.run("labelme").values()
    assert mask[2, 2] == 1
    assert any("found beside their JSON files" in line for line in bench.done.notes)


def test_row_23_x_anylabelings_rotated_box(bench):
    bench.image("a.png")
    shape = polygon([[4, 0], [8, 3], [4, 6], [0, 3]], kind="rotation", direction=0.7)
    bench.text("a.json", labelme([shape]))
    (mask,) = bench.run("labelme").values()
    assert (mask[3, 4], mask[0, 0], mask[5, 7]) == (1, 0, 0)


def test_row_30_coco_as_published(bench):
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    for split in ("train", "val"):
        bench.image(f"{split}2017/{split}.png")
        bench.text(f"annotations/instances_{split}2017.json", coco([f"{split}.png"], [thing()]))
        bench.text(f"annotations/captions_{split}2017.json", json.dumps({"images": [], "annotations": []}))
        bench.text(f"annotations/person_keypoints_{split}2017.json", coco([f"{split}.png"], []))
    assert sorted(bench.run("auto")) == ["train/train", "val/val"]
    assert any("left out captions_train2017.json" in line for line in bench.done.notes)


def test_row_32_sparse_ids_and_windows_paths(bench):
    for split in ("train", "val"):
        bench.image(f"{split}/images/{split}.png")
        bench.text(f"{split}/labels/{split}.txt", "7 0.1 0.1 0.9 0.1 0.9 0.9\n")
    bench.image("train/images/b.png")
    names = "names:\n  3: road\n  7: car\n"
    bench.text("data.yaml", f"path: D:\\sets\\x\ntrain: D:\\sets\\x\\train\\images\nval: D:\\sets\\x\\val\\images\n{names}")
    masks = bench.run("yolo")
    assert bench.done.labels.names == ("background", "road", "car")
    assert sorted(masks) == ["train/b", "train/train", "val/val"]
    assert masks["val/val"].max() == 2
    assert any("1 images have no label file: train/images/b.png" in line for line in bench.done.notes)
    (bench.root / "data.yaml").write_text(f"train: train/images\nval: val/images\nskip_if_label_file_missing: true\n{names}")
    assert sorted(bench.run("yolo")) == ["train/train", "val/val"]


def test_row_33_an_embedded_image_and_foreign_files(bench):
    image = cv2.imencode(".png", np.full((*SIZE, 3), 9, np.uint8))[1].tobytes()
    bench.text("data_annotated/a.png", "not an image")
    shape = polygon([[1, 1], [5, 1], [5, 4], [1, 4]], "nut")
    bench.text("data_annotated/a.json", labelme([shape], imageData=base64.b64encode(image).decode()))
    bench.text("data_annotated/settings.json", '{"theme": "dark"}')
    bench.text("labels.txt", "__ignore__\n_background_\nbolt\nnut\n")
    (mask,) = bench.run("labelme").values()
    assert bench.done.labels.names[-2:] == ("bolt", "nut")
    assert mask[2, 2] == bench.done.labels.names.index("nut")
    assert any("json" in line.lower() and "1" in line for line in bench.done.notes)


def test_row_35_labelmes_oriented_rectangle(bench):
    bench.image("a.png")
    bench.text("a.json", labelme([polygon([[4, 0], [8, 3], [4, 6], [0, 3]], kind="oriented_rectangle")]))
    (mask,) = bench.run("labelme").values()
    assert (mask[3, 4], mask[0, 0]) == (1, 0)


@pytest.mark.parametrize("corner", [(-2, -1), (5, 4)])
def test_row_35_masks_that_leave_the_image(bench, corner):
    bench.image("a.png")
    x, y = corner
    pixels = cv2.imencode(".png", np.full((3, 5), 255, np.uint8))[1].tobytes()
    shape = polygon([[x, y], [x + 4, y + 2]], kind="mask", mask=base64.b64encode(pixels).decode())
    bench.text("a.json", labelme([shape]))
    assert "`clip=True`" in bench.refused("labelme")
    (mask,) = bench.run("labelme", clip=True).values()
    expected = np.zeros(SIZE, np.uint8)
    expected[max(0, y) : y + 3, max(0, x) : x + 5] = 1
    assert (mask == expected).all()


def test_row_32_outlines_without_a_list_of_names(bench):
    """data check says "convert them", so convert must not say that there is nothing to convert."""
    bench.image("images/train/a.png")
    bench.text("labels/train/a.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    assert "has no names of classes; expected 'names: [road, car]' there, or" in bench.refused("auto")
    bench.text("classes.txt", "car\n")
    assert bench.run("auto")["train/a"].any()


def test_row_12_sizes_that_the_file_leaves_out_and_images_of_one_name(bench):
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    for folder in ("x", "y"):
        bench.image(f"images/{folder}/a.png")
    content = json.loads(coco(["x/a.png", "y/a.png"], [thing(), {**thing(2), "image_id": 2}]))
    for image in content["images"]:
        del image["height"], image["width"]
    bench.text("annotations/instances_train.json", json.dumps(content))
    assert sorted(bench.run("coco")) == ["train/x_a", "train/y_a"]


def test_row_12_crowd_regions_alone(bench):
    """Compressed and not: the columns from the third on."""
    pytest.importorskip("pycocotools", reason="comes with the extra convert")
    for counts in ([12, 36], "<T1"):
        bench.image("images/a.png")
        crowd = {**thing(), "segmentation": {"size": list(SIZE), "counts": counts}, "iscrowd": 1}
        bench.text("annotations/instances.json", coco(["a.png"], [crowd]))
        (mask,) = bench.run("coco").values()
        assert mask[0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
