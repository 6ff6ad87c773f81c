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
