"""COCO files as they lie about: Roboflow's, published ones, detection exports, sloppy areas and counts."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("pycocotools")
SIZE = (6, 8)


def rectangle(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def annotation(category, shape, **more):
    return {"category_id": category, "segmentation": shape, "iscrowd": 0, **more}


def coco(annotations, categories=((3, "road"), (7, "car")), name="a.png", **more):
    listed = [c if isinstance(c, dict) else {"id": c[0], "name": c[1], "supercategory": "x"} for c in categories]
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": name, "height": SIZE[0], "width": SIZE[1]}],
            "annotations": [{"id": i, "image_id": 1, **a} for i, a in enumerate(annotations)],
            "categories": listed,
            **more,
        }
    )


WHOLE = [rectangle(0, 0, 8, 6)]
SMALL = [rectangle(1, 1, 4, 3)]


@pytest.mark.parametrize("area", [{"area": 0}, {}, {"area": None}, {"area": 1000}])
@pytest.mark.parametrize("small_first", [True, False])
def test_the_drawn_area_decides_what_lies_on_top(bench, area, small_first):
    bench.image("images/a.png")
    both = [annotation(7, SMALL, **area), annotation(3, WHOLE, area=1)]
    bench.text("annotations/train.json", coco(both if small_first else both[::-1]))
    mask = bench.run("coco")["train/a"]
    expected = np.ones(SIZE, np.uint8)
    expected[1:4, 1:5] = 2
    assert np.array_equal(mask, expected)


def test_roboflow(bench):
    """One file in each split's folder; a parent category without objects comes first."""
    categories = [{"id": 0, "name": "things", "supercategory": "none"}, {"id": 1, "name": "car", "supercategory": "things"}]
    for split in ("train", "valid", "test"):
        bench.image(f"{split}/{split}1.png")
        bench.text(f"{split}/_annotations.coco.json", coco([annotation(1, SMALL)], categories, f"{split}1.png"))
    masks = bench.run("coco")
    assert set(masks) == {"train/train1", "val/valid1", "test/test1"}
    assert bench.done.labels.names == ("background", "car")
    assert masks["val/valid1"].sum() == 12
    assert "category 0 ('things') is a parent without objects and is left out" in bench.done.notes
    bench.text("train/_annotations.coco.json", coco([annotation(0, SMALL)], categories, "train1.png"))
    bench.run("coco")  # it has an object: it stays
    assert bench.done.labels.names == ("background", "things", "car")


def test_roboflow_parent_of_the_same_name(bench):
    categories = [{"id": 0, "name": "car", "supercategory": "none"}, {"id": 1, "name": "car", "supercategory": "car"}]
    bench.image("train/a.png")
    bench.text("train/_annotations.coco.json", coco([annotation(1, SMALL), annotation(0, WHOLE)], categories))
    assert bench.run("coco")["train/a"].all()
    assert bench.done.labels.names == ("background", "car")
    assert "category 'car' is listed twice; both are one class" in bench.done.notes


def test_published_files_take_the_instances(bench):
    bench.image("train2017/a.png")
    bench.text("annotations/instances_train2017.json", coco([annotation(7, SMALL)]))
    for kind in ("captions", "person_keypoints", "stuff"):
        bench.text(f"annotations/{kind}_train2017.json", coco([]))
    assert bench.run("coco")["train/a"].sum() == 2 * 12
    line = next(note for note in bench.done.notes if note.startswith("took "))
    assert line == (
        "took instances_train2017.json; left out captions_train2017.json, person_keypoints_train2017.json, "
        "stuff_train2017.json"
    )
    assert "several kinds" in bench.refused("coco-panoptic")


def test_annotations_without_an_outline(bench):
    """Row by row of a detection export: ``[]`` counts as empty, a missing outline is a box."""
    bench.image("images/a.png")
    bench.text("annotations/train.json", coco([annotation(7, SMALL), annotation(7, []), {"category_id": 3}]))
    assert "annotation 2: has no 'segmentation', only a box" in bench.refused("coco")
    mask = bench.run("coco", skip_shapes=True)["train/a"]
    assert mask.sum() == 2 * 12
    assert bench.done.notes == [
        "skipped 1 shapes of the kind box in train.json (1)",
        "warning: 1 annotations have no outline or cover no pixel: a (1)",
    ]
    bench.text("annotations/train.json", coco([annotation(7, [])]))
    line = bench.refused("coco")
    assert "not one annotation in 1 images covers a pixel; warning: 1 annotations have no outline" in line


def test_crowds_parts_and_holes(bench):
    """Right before, and still: a crowd's run lengths, several polygons of one thing, ids with gaps."""
    bench.image("images/a.png")
    crowd = {"size": list(SIZE), "counts": [0, 6, 36, 6]}
    shapes = [annotation(3, crowd, iscrowd=1), annotation(7, [rectangle(2, 0, 1, 2), rectangle(5, 3, 2, 3)])]
    bench.text("annotations/train.json", coco(shapes))
    expected = np.zeros(SIZE, np.uint8)
    expected[:, [0, 7]] = 1
    expected[:2, 2] = expected[3:, 5:7] = 2
    assert np.array_equal(bench.run("coco")["train/a"], expected)


@pytest.mark.parametrize("counts", ["01", "04", "0X1", "00", "~~~", "0é"])
def test_compressed_counts_are_checked(bench, counts):
    """Runs that don't add up leave the rest of the mask undefined in pycocotools."""
    bench.image("images/a.png")
    bench.text("annotations/train.json", coco([annotation(7, {"size": list(SIZE), "counts": counts})]))
    line = bench.refused("coco")
    assert "train.json: a.png, annotation 0: " in line
    assert "run lengths" in line


def test_random_counts_are_those_of_pycocotools():
    from pycocotools import mask as coco_mask

    from seg_edge.datasets.regions.runs import mask_of, unpack_counts

    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = (int(v) for v in rng.integers(1, 50, 2))
        mask = rng.random((height, width)) < rng.random()
        packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
        assert np.array_equal(mask_of(unpack_counts(packed), (height, width)), mask)


def test_names_with_folders_of_another_system(bench):
    r"""Label Studio on Windows writes images\a.png."""
    bench.image("images/a.png")
    bench.text("result.json", coco([annotation(7, SMALL)], name="images\\a.png"))
    assert set(bench.run("coco")) == {"train/a"}


def test_byte_order_mark(bench):
    bench.image("images/a.png")
    bench.text("annotations/train.json", "\ufeff" + coco([annotation(7, SMALL)]))
    assert bench.run("coco")["train/a"].sum() == 2 * 12
