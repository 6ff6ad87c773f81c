"""Label Studio's exports: per cent, rotation, brushes, several annotations of a task, JSON-MIN."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seg_edge.datasets.converters.label_studio import brush_mask, unpack

SIZE = (6, 8)
SIZES = {"original_width": 8, "original_height": 6}


def result(kind="rectanglelabels", label="car", number="r", **value):
    value = value or {"x": 12.5, "y": 100 / 6, "width": 50, "height": 50, "rotation": 0}
    return {"id": number, "type": kind, **SIZES, "value": {**value, kind: [label]}}


def task(*results, image="/data/upload/1/0a1b2c3d-a.png", **more):
    return {"id": 5, "data": {"image": image}, "annotations": [{"result": list(results), **more}]}


def export(bench, *tasks):
    return bench.text("export.json", json.dumps(list(tasks)))


def pack(values):
    """Literal words of rle-pack: 32 bits count, 5 bits word size - 1, four sizes - 1, then runs."""
    bits = f"{len(values):032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    for at in range(0, len(values), 8):
        run = values[at : at + 8]
        bits += f"000{len(run) - 1:03b}" + "".join(f"{value:08b}" for value in run)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("/data/upload/1/0a1b2c3d-a.png", "images/a.png"),
        ("/data/upload/1/0a1b2c3d-a.png", "0a1b2c3d-a.png"),
        ("/data/local-files/?d=pics/a%20b.png", "pics/a b.png"),
        ("s3://bucket/pics/a.png", "a.png"),
        ("https://example.org/a.png?size=1", "deep/er/a.png"),
    ],
)
def test_images_are_found_by_name(bench, image, name):
    bench.image(name)
    export(bench, task(result(), image=image))
    (mask,) = bench.run("label-studio").values()
    assert mask.sum() == 12
    assert mask[1:4, 1:5].all()


def test_rectangles_turn_around_their_first_corner(bench):
    bench.image("a.png")
    export(bench, task(result(x=50, y=0, width=25, height=50, rotation=90)))  # 2 wide, 3 high, from (4, 0) to the left
    expected = np.zeros(SIZE, np.uint8)
    expected[0:2, 1:4] = 1
    (mask,) = bench.run("label-studio").values()
    assert np.array_equal(mask, expected)


def test_brushes_have_soft_borders(bench):
    """A pixel belongs to a brush from half of its strongest alpha on; other programs pack an alpha of 1."""
    alpha = np.zeros(SIZE, np.uint8)
    alpha[2, 2:6] = 255, 128, 127, 1
    for values, count in ((alpha, 2), (np.minimum(alpha, 1), 4)):
        packed = pack(np.repeat(values.ravel(), 4).tolist())
        assert brush_mask(packed, SIZE, "here").sum() == count
    bench.image("a.png")
    export(bench, task(result("brushlabels", format="rle", rle=pack(np.repeat(alpha.ravel(), 4).tolist()))))
    (mask,) = bench.run("label-studio").values()
    assert [tuple(p) for p in np.argwhere(mask).tolist()] == [(2, 2), (2, 3)]


def test_damaged_brushes(bench):
    whole = pack(list(range(100)))
    assert unpack(bytes(whole)).tolist() == list(range(100))
    bench.image("a.png")
    for rle in (whole, whole[:30], [], ["x"]):
        export(bench, task(result("brushlabels", format="rle", rle=rle)))
        assert "task 5, result r: not a brush of 8x6 pixels" in bench.refused("label-studio")


def test_a_tag_with_its_labels_apart(bench):
    bench.image("a.png")
    brush = {"id": "x", "type": "rectangle", **SIZES, "value": {"x": 0, "y": 0, "width": 50, "height": 50}}
    labels = {"id": "x", "type": "labels", **SIZES, "value": {"x": 0, "y": 0, "width": 50, "height": 50, "labels": ["car"]}}
    export(bench, task(brush, labels, {"id": "c", "type": "choices", "value": {"choices": ["sunny"]}}))
    (mask,) = bench.run("label-studio").values()
    assert mask.sum() == 12
    export(bench, task(brush))
    assert "task 5, result x: has no label" in bench.refused("label-studio")


def test_several_annotations_of_a_task(bench):
    bench.image("a.png")
    one = task(result(label="old"), updated_at="2026-01-01")
    one["annotations"] += [
        {"result": [result(label="new")], "updated_at": "2026-02-01"},
        {"result": [result(label="cancelled")], "updated_at": "2026-03-01", "was_cancelled": True},
    ]
    export(bench, one)
    bench.run("label-studio")
    assert bench.done.labels.names == ("background", "new")
    assert "1 tasks have several annotations; the ground truth is taken, else the newest" in bench.done.notes
    one["annotations"][0]["ground_truth"] = True
    export(bench, one)
    bench.run("label-studio")
    assert bench.done.labels.names == ("background", "old")


def test_json_min(bench):
    bench.image("a.png")
    flat = {"id": 1, "image": "/data/upload/1/0a1b2c3d-a.png", "annotator": 1,
            "label": [{"points": [[12.5, 16.67], [62.5, 16.67], [62.5, 66.67], [12.5, 66.67]], "polygonlabels": ["car"], **SIZES}]}  # fmt: skip  # noqa: E501
    export(bench, flat)
    (mask,) = bench.run("label-studio").values()
    assert mask.sum() == 12
    assert bench.run("auto").keys() == {"train/a"}


def test_mistakes(bench):
    export(bench, task(result()))
    assert "task 5: image 0a1b2c3d-a.png is not below " in bench.refused("label-studio")
    bench.image("a.png", (5, 5))
    assert "is 5x5, its annotations are for 8x6" in bench.refused("label-studio")
    export(bench, {"id": 1, "data": {"text": "hello"}, "annotations": []})
    assert "task 1: names no image" in bench.refused("label-studio")
    bench.text("export.json", "{}")
    assert "no JSON export of Label Studio" in bench.refused("label-studio")
