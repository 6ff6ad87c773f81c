"""VIA's files: JSON and project of version 2, CSV, version 1's dictionaries, projects of version 3."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

SIZE = (6, 8)
BOX = {"name": "polygon", "all_points_x": [1, 5, 5, 1], "all_points_y": [1, 1, 4, 4]}
BOX_MASK = np.zeros(SIZE, np.uint8)
BOX_MASK[1:4, 1:5] = 1


def region(shape=BOX, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes or {"class": "car"}}


def via(bench, *regions, name="a.png", inner=False):
    entries = {f"{name}123": {"filename": name, "size": 123, "regions": list(regions), "file_attributes": {}}}
    data = {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {}} if inner else entries
    bench.image(name)
    return bench.text("via_region_data.json", json.dumps(data))


@pytest.mark.parametrize("inner", [False, True])
def test_polygons(bench, inner):
    via(bench, region(), inner=inner)
    assert np.array_equal(bench.run("auto")["train/a"], BOX_MASK)
    assert bench.done.format == "via"


def test_version_1(bench):
    file = via(bench, region())
    data = json.loads(file.read_text())
    data["a.png123"]["regions"] = {"0": data["a.png123"]["regions"][0]}
    file.write_text(json.dumps(data))
    assert np.array_equal(bench.run("via")["train/a"], BOX_MASK)


def test_csv(bench):
    for name in ("a.png", "b.png"):
        bench.image(name)
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["filename", "file_size", "file_attributes", "region_count", "region_id",
                   "region_shape_attributes", "region_attributes"])  # fmt: skip
    rows.writerow(["a.png", 1, "{}", 1, 0, json.dumps(BOX), json.dumps({"class": "car"})])
    rows.writerow(["b.png", 1, "{}", 0, 0, "{}", "{}"])
    file = bench.text("via_export_csv.csv", "\ufeff" + out.getvalue())
    masks = {name.partition("/")[2]: mask for name, mask in bench.run("auto").items()}
    assert np.array_equal(masks["a"], BOX_MASK)
    assert not masks["b"].any()
    file.write_text(file.read_text(encoding="utf-8-sig").replace("polygon", "poly'gon").replace("{", "[", 3))
    assert "its attributes are not JSON" in bench.refused("via")


def test_version_3(bench):
    bench.image("a.png")
    shapes = {
        "1_a": {"vid": "1", "flg": 0, "z": [], "xy": [7, 1, 1, 5, 1, 5, 4, 1, 4], "av": {"1": "0"}},
        "1_b": {"vid": "1", "flg": 0, "z": [], "xy": [2, 6, 0, 2, 2], "av": {"1": "1"}},
        "1_c": {"vid": "1", "flg": 0, "z": [], "xy": [], "av": {"2": "sunny"}},
    }
    data = {
        "project": {}, "config": {}, "metadata": shapes, "view": {"1": {"fid_list": ["1"]}},
        "attribute": {"1": {"aname": "class", "options": {"0": "car", "1": "road"}}, "2": {"aname": "sky", "options": {}}},
        "file": {"1": {"fid": "1", "fname": "a.png", "type": 2, "loc": 1, "src": "a.png"}},
    }  # fmt: skip
    file = bench.text("project.json", json.dumps(data))
    expected = BOX_MASK.copy()
    expected[:2, 6:] = 2
    assert np.array_equal(bench.run("auto")["train/a"], expected)
    data["metadata"]["1_a"]["z"] = [1.5]
    file.write_text(json.dumps(data))
    assert "metadata 1_a: belongs to no single image; regions of videos" in bench.refused("via")


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        ({"name": "rect", "x": 1, "y": 1, "width": 4, "height": 3}, 12),
        ({"name": "circle", "cx": 4, "cy": 3, "r": 2}, 12),
        ({"name": "ellipse", "cx": 4, "cy": 3, "rx": 2, "ry": 2}, 12),
        ({"name": "ellipse", "cx": 4, "cy": 3, "rx": 3, "ry": 1, "theta": np.pi / 2}, 12),
    ],
)
def test_other_shapes(bench, shape, pixels):
    via(bench, region(shape))
    assert bench.run("via")["train/a"].sum() == pixels


def test_which_attribute_is_the_class(bench):
    via(bench, region(weather="fog", label="car"), region(weather="sun", label="road"))
    bench.run("via")
    assert bench.done.labels.names == ("background", "car", "road")
    assert "via_region_data.json: the attribute 'label' says the class; the others (weather) don't count" in bench.done.notes
    via(bench, region(kind={"car": True, "road": False}))  # check boxes
    bench.run("via")
    assert bench.done.labels.names == ("background", "car")
    via(bench, region(weather="fog", colour="red"))
    assert "regions have the attributes weather, colour; none is called class, label" in bench.refused("via")
    via(bench, {"shape_attributes": BOX, "region_attributes": {}})
    bench.run("via")
    assert bench.done.labels.names == ("background", "object")
    via(bench, region(), region(**{"class": " "}))
    assert "region 1: its attribute 'class' is empty" in bench.refused("via")


def test_splits_are_folders(bench):
    for split in ("train", "val"):
        via(bench, region(), name="a.png").rename(bench.root / "moved.json")
        bench.image(f"{split}/{split}.png")
        bench.text(f"{split}/via.json", (bench.root / "moved.json").read_text().replace("a.png", f"{split}.png"))
        (bench.root / "moved.json").unlink()
    assert set(bench.run("via")) == {"train/train", "val/val"}


def test_mistakes(bench):
    file = via(bench, region({"name": "polyline", "all_points_x": [1], "all_points_y": [1]}), region())
    assert "region 0: a polyline has no area; expected polygon, rect, circle or ellipse" in bench.refused("via")
    bench.run("via", skip_shapes=True)
    bench.text("second.json", file.read_text())
    assert "has several files of VIA (second.json, via_region_data.json); pass the right one" in bench.refused("via")
    assert set(bench.run("via", bench.root / "second.json", skip_shapes=True)) == {"train/a"}
    (bench.root / "a.png").unlink()
    assert "image a.png is not below" in bench.refused("via", file)


@pytest.mark.parametrize("kind", ["point", "polyline", "line"])
def test_shapes_without_an_area_are_refused_or_counted(bench, kind):
    shape = {"name": kind, "cx": 2, "cy": 2, "all_points_x": [1, 5, 5], "all_points_y": [1, 1, 4]}
    via(bench, region(shape), region())
    assert f"region 0: a {kind} has no area; expected polygon, rect, circle or ellipse" in bench.refused("via")
    assert np.array_equal(bench.run("via", skip_shapes=True)["train/a"], BOX_MASK)
    assert bench.done.to_dict()["skipped_shapes"] == {kind: {"via_region_data.json": 1}}


def project_3(*shapes):
    """A project of version 3 with these coordinates."""
    return {
        "project": {"pid": "__VIA_PROJECT_ID__"}, "config": {}, "view": {"1": {"fid_list": ["1"]}},
        "metadata": {f"1_{n}": {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": {"1": "0"}} for n, xy in enumerate(shapes)},
        "attribute": {"1": {"aname": "class", "options": {"0": "car"}}},
        "file": {"1": {"fid": "1", "fname": "a.png", "type": 2, "loc": 1, "src": "a.png"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([2, 1, 1, 4, 3], [2, 1, 1, 4, 3]),
        ([8, 1, 2, 3, 1, 5, 3, 2, 4], [2, 1, 1, 4, 3]),  # a point on each side
        ([9, 2, 3, 6, 3, 4, 5], [3, 4, 3, 2]),  # three points on the circle
        ([4, 4, 3, 3, 2], [4, 4, 3, 3, 2]),
        ([7, 1, 1, 5, 1, 5, 4, 1, 4], [2, 1, 1, 4, 3]),
    ],
)
def test_shapes_of_version_3(bench, shape, expected):
    bench.image("a.png")
    masks = []
    for own in (shape, expected):
        bench.text("project.json", json.dumps(project_3(own)))
        masks.append(bench.run("auto")["train/a"])
    assert np.array_equal(*masks)
    assert 0 < masks[0].sum() < masks[0].size


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ([1, 2, 2], "a point has no area"),
        ([5, 1, 1, 4, 4], "a line has no area"),
        ([6, 1, 1, 4, 4, 2, 3], "a polyline has no area"),
        ([2, 1, 1, 4], "a rect has 4 numbers, got 3"),
        ([9, 1, 1, 2, 2, 3, 3], "lie on a line"),
        ([9, 1, 1, 2, 2], "has three points, got 2"),
    ],
)
def test_shapes_of_version_3_that_are_refused(bench, shape, text):
    bench.image("a.png")
    bench.text("project.json", json.dumps(project_3(shape)))
    assert text in bench.refused("via")


def csv_3(*rows):
    """What VIA 3 exports as CSV."""
    attribute = {"1": {"aname": "class", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "car"}}}
    head = [
        "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)", "# Notes:",
        '# SHAPE_ID = {"POINT":1,"RECTANGLE":2}', f"# ATTRIBUTE = {json.dumps(attribute)}",
        "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata",
    ]  # fmt: skip
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    return "\n".join([*head, out.getvalue()])


def test_csv_of_version_3(bench):
    bench.image("a.png")
    row = ["1_Ab", '["a.png"]', 0, "[]", "[2,1,1,4,3]", '{"1":"0"}']
    bench.text("project_export.csv", csv_3(row))
    assert np.array_equal(bench.run("auto")["train/a"], BOX_MASK)
    assert bench.done.labels.names == ("background", "car")
    bench.text("project_export.csv", csv_3([*row[:4], "[2,1,1", row[5]]))
    assert "project_export.csv: a row is not as VIA 3 writes it" in bench.refused("via")
    bench.text("project_export.csv", csv_3([*row[:3], "[1.5]", *row[4:]]))
    assert "belongs to no single image; regions of videos" in bench.refused("via")
