"""Folders, lists, videos and object stores to masks: names, formats, resume, shards, bad images."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.batch import PredictOptions, Segment, predict
from seg_edge.batch.options import FORMATS
from seg_edge.batch.store import Journal, Store, manifest_of
from seg_edge.core.errors import InputError, SinkError, SourceError
from seg_edge.core.labels import Labels
from seg_edge.datasets import ConvertOptions, convert
from seg_edge.datasets.dataset import read_mask
from seg_edge.datasets.writers import YoloWriter
from seg_edge.runtime import Segmenter


@pytest.fixture
def images(tmp_path, colour_frame):
    """Three images, two of them with one stem, and one two folders below."""
    folder = tmp_path / "in"
    for name, size in (("a.png", (48, 66)), ("a.bmp", (40, 40)), ("sub/deep/b.png", (90, 30))):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), colour_frame(*size))
    return folder


def manifest(out, name="manifest.jsonl"):
    return [json.loads(line) for line in (Path(out) / name).read_text().splitlines()]


def files(out, folder):
    return sorted(path.relative_to(out / folder).as_posix() for path in (out / folder).rglob("*") if path.is_file())


MASKS = PredictOptions(formats="mask")


def test_sub_folders_and_equal_stems_keep_their_names(tiny_model, images, tmp_path):
    report = predict(images, tmp_path / "o", tiny_model, MASKS)
    assert (report.images, report.failed, report.skipped) == (3, 0, 0)
    assert files(tmp_path / "o", "masks") == ["a.bmp.png", "a.png.png", "sub/deep/b.png"]
    with Segmenter(tiny_model) as seg:
        for name in ("a.bmp", "a.png", "sub/deep/b.png"):
            mask = f"{name}.png" if name.startswith("a") else name
            np.testing.assert_array_equal(read_mask(tmp_path / "o" / "masks" / mask), seg(cv2.imread(str(images / name))))
    rows = manifest(tmp_path / "o")
    assert [row["input"] for row in rows] == [str(images / name) for name in ("a.bmp", "a.png", "sub/deep/b.png")]
    assert rows[2]["outputs"] == {"mask": "masks/sub/deep/b.png"}
    assert rows[2]["size"] == [90, 30]
    mask = read_mask(tmp_path / "o" / "masks" / "sub/deep/b.png")
    assert rows[2]["shares"] == {f"class{k}": round(float((mask == k).mean()), 6) for k in range(3) if (mask == k).any()}


def test_an_output_folder_inside_the_source_is_no_source(tiny_model, images):
    for out in (images, images / "out"):
        for _ in range(2):
            assert predict(images, out, tiny_model).images == 3
        shutil.rmtree(out / "masks")
        shutil.rmtree(out / "overlays")


@pytest.mark.parametrize("kind", ["glob", "list", "two folders"])
def test_patterns_lists_and_several_folders(tiny_model, images, tmp_path, kind):
    if kind == "glob":
        sources, names = [str(images / "**" / "*.png")], ["a.png", "sub/deep/b.png"]
    elif kind == "list":
        (tmp_path / "in" / "some.txt").write_text("# two\nsub/deep/b.png\n\na.bmp\n", encoding="utf-8-sig")
        sources, names = [str(tmp_path / "in" / "some.txt")], ["a.png", "sub/deep/b.png"]
    else:
        other = tmp_path / "other"
        other.mkdir()
        os.link(images / "a.png", other / "a.png")
        sources, names = [str(images / "sub"), str(other)], ["other/a.png", "sub/deep/b.png"]
    predict(sources, tmp_path / "o", tiny_model, MASKS)
    assert files(tmp_path / "o", "masks") == names


def test_every_format_at_once_and_what_reads_it_back_has_the_same_pixels(tiny_model, images, tmp_path):
    pytest.importorskip("pycocotools")
    pytest.importorskip("pyarrow")
    out = tmp_path / "o"
    (images / "a.bmp").unlink()
    predict(images, out, tiny_model, PredictOptions(formats=tuple(FORMATS)))
    masks = {name: read_mask(out / "masks" / f"{name}.png") for name in ("a", "sub/deep/b")}
    for name, mask in masks.items():
        raw = cv2.imread(str(out / "palette" / f"{name}.png"))
        labels = json.loads((out / "classes.json").read_text())
        np.testing.assert_array_equal(raw[..., ::-1], np.array(labels["palette"], np.uint8)[mask])
        shapes = json.loads((out / "labelme" / f"{name}.json").read_text())["shapes"]
        assert {shape["label"] for shape in shapes} == {f"class{k}" for k in np.unique(mask)}
        features = json.loads((out / "geojson" / f"{name}.geojson").read_text())["features"]
        drawn = np.full(mask.shape, 255, np.uint8)
        for feature in features:
            for outer, *_holes in feature["geometry"]["coordinates"]:
                xs, ys = zip(*outer, strict=True)
                drawn[min(ys) : max(ys), min(xs) : max(xs)] = feature["properties"]["id"]
        np.testing.assert_array_equal(drawn, mask)  # columns: their boxes are exact
    for form in ("coco", "coco-polygons"):
        document = json.loads((out / f"{form}.json").read_text())
        assert [row["file_name"] for row in document["images"]] == ["a.png", "sub/deep/b.png"]
        assert [row["id"] for row in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))
        root = tmp_path / f"read-{form}"
        (root / "annotations").mkdir(parents=True)
        (root / "train").symlink_to(images)
        os.link(out / f"{form}.json", root / "annotations" / "train.json")
        done = convert(root, tmp_path / f"back-{form}", ConvertOptions(format="coco"))
        back = {Path(path).stem: path for path in (tmp_path / f"back-{form}" / "labels").rglob("*.png")}
        for name, mask in masks.items():
            read = read_mask(back[name.rpartition("/")[2]])
            np.testing.assert_array_equal(np.array(done.labels.names)[read], np.array(["class0", "class1", "class2"])[mask])
    for name, mask in masks.items():
        labels = Labels.numbered(3)
        text = (out / "yolo" / "labels" / f"{name}.txt").read_text()
        assert text == YoloWriter(tmp_path, labels).document(f"{name}.png", mask)
        text = (out / "labelme" / f"{name}.json").read_text()
        assert json.loads(text)["imagePath"] == f"{Path(name).name}.png"
        assert json.loads(text)["imageHeight"] == mask.shape[0]
    lines = (out / "shares.csv").read_text().splitlines()
    assert lines[0] == "image,height,width,class0,class1,class2"
    assert lines[1].startswith("a.png,48,66,")
    from pyarrow import parquet

    rows = parquet.read_table(out / "masks.parquet").to_pylist()
    decoded = cv2.imdecode(np.frombuffer(rows[1]["label"]["bytes"], np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, masks["sub/deep/b"])


def test_bad_images_end_nothing_and_are_tried_again(tiny_model, images, tmp_path, colour_frame):
    (images / "bad.png").write_bytes(b"\x89PNG nothing")
    (images / "locked.jpg").symlink_to(tmp_path / "absent.jpg")
    report = predict(images, tmp_path / "o", tiny_model, MASKS)
    assert (report.images, report.failed) == (3, 2)
    assert [Path(name).name for name, _ in report.errors] == ["bad.png", "locked.jpg"] or len(report.errors) == 2
    failed = [row for row in manifest(tmp_path / "o") if "error" in row]
    assert {Path(row["input"]).name for row in failed} == {"bad.png", "locked.jpg"}
    assert "outputs" not in failed[0]
    cv2.imwrite(str(images / "bad.png"), colour_frame(20, 20))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "o" / "masks").rglob("*.png")}
    again = predict(images, tmp_path / "o", tiny_model, MASKS.with_(resume=True))
    assert (again.images, again.failed, again.skipped) == (1, 1, 3)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(manifest(tmp_path / "o")) == 5  # one line for each input


def test_an_image_beyond_the_kernels_limit_ends_nothing(tiny_model, images, tmp_path):
    cv2.imwrite(str(images / "long.png"), np.zeros((2, 16400, 3), np.uint8))
    report = predict(images, tmp_path / "o", tiny_model, MASKS)
    assert (report.images, report.failed) == (3, 1)
    assert report.errors[0][0].endswith("long.png")


def test_equal_names_from_several_sources_are_refused_and_one_file_twice_is_one(tiny_model, images, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    os.link(images / "a.png", other / "a.png")
    with pytest.raises(SourceError, match="are both called 'a'"):
        predict([images / "a.png", other / "a.png"], tmp_path / "o", tiny_model, MASKS)
    assert predict([images / "a.png", images / "a.png"], tmp_path / "o", tiny_model, MASKS).images == 1


def test_a_stem_that_is_another_files_name(tiny_model, images, tmp_path):
    os.link(images / "a.png", images / "a.bmp.png")
    predict(images, tmp_path / "o", tiny_model, PredictOptions(formats=("mask", "coco")))
    assert files(tmp_path / "o", "masks") == ["a.bmp.png", "a.bmp.png.png", "a.png.png", "sub/deep/b.png"]
    document = json.loads((tmp_path / "o" / "coco.json").read_text())
    assert [row["file_name"] for row in document["images"]] == ["a.bmp", "a.bmp.png", "a.png", "sub/deep/b.png"]


def test_too_many_errors(tiny_model, images, tmp_path):
    for number in range(3):
        (images / f"bad{number}.png").write_bytes(b"x")
    with pytest.raises(InputError, match="more than `max_errors` 1"):
        predict(images, tmp_path / "o", tiny_model, MASKS.with_(max_errors=1))


def test_shards_are_disjoint_and_complete(tiny_model, images, tmp_path):
    for part in (1, 2):
        predict(images, tmp_path / "o", tiny_model, PredictOptions(formats=("mask", "csv"), shard=(part, 2)))
    assert files(tmp_path / "o", "masks") == ["a.bmp.png", "a.png.png", "sub/deep/b.png"]
    inputs = [row["input"] for part in (1, 2) for row in manifest(tmp_path / "o", f"manifest-{part}-of-2.jsonl")]
    assert len(inputs) == len(set(inputs)) == 3
    assert len((tmp_path / "o" / "shares-1-of-2.csv").read_text().splitlines()) == 3


def test_resume_wants_the_same_options(tiny_model, images, tmp_path):
    predict(images, tmp_path / "o", tiny_model, MASKS)
    with pytest.raises(InputError, match=r"was written with formats \['mask'\], and this run has \['csv'\]"):
        predict(images, tmp_path / "o", tiny_model, PredictOptions(formats="csv", resume=True))


def test_a_cut_line_and_a_lost_mask_are_done_again(tiny_model, images, tmp_path):
    out = tmp_path / "o"
    whole = PredictOptions(formats=("mask", "coco"))
    predict(images, out, tiny_model, whole)
    expected = (out / "coco.json").read_bytes()
    lines = (out / "manifest.jsonl").read_bytes()
    (out / "manifest.jsonl").write_bytes(lines[:-20])
    (out / "masks" / "a.png.png").unlink()
    report = predict(images, out, tiny_model, whole.with_(resume=True))
    assert (report.images, report.skipped) == (2, 1)
    assert files(out, "masks") == ["a.bmp.png", "a.png.png", "sub/deep/b.png"]
    assert (out / "coco.json").read_bytes() == expected
    assert len(manifest(out)) == 3


def test_scaled_decoding_keeps_the_size(tiny_model, tmp_path, colour_frame):
    cv2.imwrite(str(tmp_path / "x.jpg"), colour_frame(128, 160))  # four times the network's input
    predict(tmp_path / "x.jpg", tmp_path / "o", tiny_model, PredictOptions(formats="mask", decode="scaled"))
    predict(tmp_path / "x.jpg", tmp_path / "f", tiny_model, MASKS)
    scaled, full = (read_mask(tmp_path / folder / "masks" / "x.png") for folder in "of")
    assert scaled.shape == (128, 160)
    assert (scaled == full).mean() > 0.97
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seg_edge.batch.segment.scale_for", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):  # the scale is asked for only where it is wanted
            predict(tmp_path / "x.jpg", tmp_path / "g", tiny_model, PredictOptions(formats="mask", decode="scaled"))
        predict(tmp_path / "x.jpg", tmp_path / "h", tiny_model, MASKS)


def test_killed_and_resumed_nothing_is_missing_twice_or_half(tiny_model, tmp_path, colour_frame):
    folder, out = tmp_path / "many", tmp_path / "o"
    folder.mkdir()
    for number in range(300):
        cv2.imwrite(str(folder / f"{number:03}.png"), colour_frame(24 + number % 5, 30))
    words = [
        sys.executable,
        "-m",
        "seg_edge.cli",
        "predict",
        tiny_model,
        folder,
        "--out",
        out,
        "--format",
        "mask,coco",
        "--resume",
    ]
    for _ in range(2):
        process = subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        written = out / "manifest.jsonl"
        lines = written.read_bytes().count(b"\n") if written.exists() else 0
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if written.exists() and written.read_bytes().count(b"\n") > lines + 10:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
    report = predict(folder, out, tiny_model, PredictOptions(formats=("mask", "coco"), resume=True))
    assert report.images + report.skipped == 300
    assert report.skipped > 10
    assert files(out, "masks") == [f"{number:03}.png" for number in range(300)]  # and no temporary file
    assert [row["name"] for row in manifest(out)] == [f"{number:03}" for number in range(300)]
    document = json.loads((out / "coco.json").read_text())
    assert [row["file_name"] for row in document["images"]] == [f"{number:03}.png" for number in range(300)]
    for number in range(300):
        assert read_mask(out / "masks" / f"{number:03}.png").shape == (24 + number % 5, 30)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: [p / "absent"], SourceError, "no such file or folder"),
        (lambda p: [p / "empty"], SourceError, "no images in it"),
        (lambda p: [p / "in", p / "x" / "in"], SourceError, "two sources are called 'in'"),
        (lambda p: [p / "o" / "masks"], SinkError, "is the source folder"),
        (lambda p: ["nosuch://bucket/x"], InputError, "nosuch"),
    ],
)
def test_refusals(tiny_model, images, tmp_path, make, error, message):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "x" / "in", tmp_path / "o" / "masks"):
        folder.mkdir(parents=True)
        os.link(images / "a.png", folder / "a.png")
    with pytest.raises(error, match=message):
        predict(make(tmp_path), tmp_path / "o", tiny_model)


def test_any_store_of_fsspec_in_and_out(tiny_model, images, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(images), "/bucket/in", recursive=True)
    options = PredictOptions(formats=("mask", "coco"))
    report = predict("memory://bucket/in", "memory://bucket/o", tiny_model, options)
    assert report.images == 3
    predict(images, tmp_path / "o", tiny_model, options)
    for file in ("masks/a.bmp.png", "masks/sub/deep/b.png", "coco.json"):
        assert memory.cat_file(f"/bucket/o/{file}") == (tmp_path / "o" / file).read_bytes()
    memory.rm("/bucket/o/masks/sub/deep/b.png")
    again = predict("memory://bucket/in", "memory://bucket/o", tiny_model, options.with_(resume=True))
    assert (again.images, again.skipped) == (1, 2)


def test_segment_for_frameworks(tiny_model, images):
    data = [(images / name).read_bytes() for name in ("a.png", "sub/deep/b.png")] + [b"none"]
    done = Segment(tiny_model)({"path": ["a", "b", "c"], "bytes": data})
    assert done["path"] == ["a", "b", "c"]
    assert "bytes" not in done
    assert [bool(error) for error in done["error"]] == [False, False, True]
    assert done["height"] == [48, 90, 0]
    mask = cv2.imdecode(np.frombuffer(done["png"][1], np.uint8), cv2.IMREAD_UNCHANGED)
    with Segmenter(tiny_model) as seg:
        np.testing.assert_array_equal(mask, seg(cv2.imread(str(images / "sub/deep/b.png"))))


def test_a_store_without_a_local_folder_makes_none(tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.chdir(tmp_path)
    Store("memory://bucket/actor").write("masks/a.png", b"x")
    assert list(tmp_path.iterdir()) == []


def test_lines_of_a_manifest_are_read_alike_with_and_without_escapes(tmp_path):
    rows = [
        {"input": "a/ä b.png", "name": "ä b", "file": "ä b.png", "number": 0, "size": [3, 4], "shares": {"sky": 1.0},
         "outputs": {"mask": "masks/ä b.png", "overlay": "overlays/ä b.jpg"}, "milliseconds": 1.25},
        {"input": 'a/"b".png', "name": '"b"', "file": '"b".png', "number": 1, "size": [3, 4], "shares": {"{sky}": 1.0},
         "outputs": {"mask": 'masks/"b".png'}, "milliseconds": 2},
        {"input": "c.png", "name": "c", "file": "c.png", "number": 2, "error": "c.png is empty"},
        {"input": "d.png", "name": "d", "file": "d.png", "number": 3, "size": [3, 4], "shares": {}, "outputs": {},
         "milliseconds": 1.0},
    ]  # fmt: skip
    journal = Journal(tmp_path / "manifest.jsonl", fresh=True)
    for row in rows:
        journal.add(row)
    journal.close()
    with open(tmp_path / "manifest.jsonl", "ab") as file:
        file.write(b'{"input":"half')
    expected = [(row["input"], row["number"], None if "error" in row else row["outputs"]) for row in rows]
    assert list(manifest_of(tmp_path / "manifest.jsonl")) == expected
