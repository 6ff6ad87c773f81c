"""``auto`` recognises a format and says which one and why, or what stands in the way."""

from __future__ import annotations

import json

import pytest

from seg_edge.datasets import ConvertOptions

SQUARE = "0 0.125 0.16666667 0.625 0.16666667 0.625 0.66666667 0.125 0.66666667"


def yolo(bench):
    bench.image("images/train/a.png")
    bench.text("labels/train/a.txt", SQUARE)
    bench.text("data.yaml", "names: [car]\ntrain: images/train\n")


def test_it_says_what_it_took_and_why(bench):
    yolo(bench)
    assert ConvertOptions().format == "auto"
    assert bench.run("auto")["train/a"].sum() == 12
    assert bench.done.format == bench.done.to_dict()["format"] == "yolo"
    assert bench.done.notes[0] == "read as yolo: data.yaml has names"


def test_several_formats(bench):
    yolo(bench)
    data = {"images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}], "categories": [], "annotations": []}
    bench.text("annotations/train.json", json.dumps(data))
    line = bench.refused("auto")
    assert "looks like several formats: coco (train.json has images and categories); yolo (data.yaml has names)" in line
    assert bench.run("yolo")["train/a"].sum() == 12  # a name decides


def test_nothing_that_is_known(bench):
    bench.image("a.jpg")
    bench.image("b.jpg")
    bench.text("notes.txt", "?")
    line = bench.refused("auto")
    assert "none of the formats coco, coco-panoptic, cvat, " in line
    assert "it holds 2 .jpg, 1 .txt" in line
    assert "it holds a .jpg file" in bench.refused("auto", bench.root / "a.jpg")


def test_folders_that_need_no_conversion(bench):
    bench.image("images/train/a.png")
    bench.image("labels/train/a.png")
    assert "lies there as images/<split> and labels/<split>, which is read as it is" in bench.refused("auto")


@pytest.mark.parametrize("name", ["export.zip", "export.tar.gz"])
def test_archives(bench, name):
    assert "is an archive; unpack it and pass the folder" in bench.refused("auto", bench.text(name, ""))


def test_the_command(bench, capsys):
    from seg_edge.cli.main import main

    yolo(bench)
    bench.image("images/train/empty.png")
    assert main(["data", "convert", "auto", str(bench.root), str(bench.out)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{bench.out}: 2 train images, 2 classes"
    assert out[1:3] == ["read as yolo: data.yaml has names", "warning: 1 images have no label file: images/train/empty.png"]
    bench.text("labels/train/empty.txt", "0 0.5 0.5 0.1 0.1")
    assert main(["data", "convert", "yolo", str(bench.root), f"{bench.out}2"]) == 1
    assert "leave such shapes out with --skip-shapes" in capsys.readouterr().err
    assert main(["data", "convert", "yolo", str(bench.root), f"{bench.out}2", "--skip-shapes"]) == 0
