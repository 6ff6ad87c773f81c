"""YOLO folders as they lie about: other machines' paths, missing parts, box rows, numbers with gaps."""

from __future__ import annotations

import numpy as np
import pytest

SQUARE = "0.125 0.16666667 0.625 0.16666667 0.625 0.66666667 0.125 0.66666667"


def yolo(bench, yaml, splits=("train", "valid"), line=f"0 {SQUARE}"):
    for split in splits:
        bench.image(f"{split}/images/{split}1.png")
        bench.text(f"{split}/labels/{split}1.txt", f"{line}\n")
    bench.text("data.yaml", yaml)


@pytest.mark.parametrize(
    "paths",
    [
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n",
        "path: C:\\data\\cars\ntrain: train\\images\nval: valid\\images\n",
        "train: C:\\Users\\me\\cars\\train\\images\nval: C:\\Users\\me\\cars\\valid\\images\n",
        "train: /home/me/cars/train/images\nval: /home/me/cars/valid/images\ntest:\n",
        "train: train.txt\nval: valid/images\n",
    ],
)
def test_paths_of_other_machines(bench, paths):
    yolo(bench, f"{paths}names: [car]\n")
    bench.text("train.txt", "D:\\cars\\train\\images\\train1.png\n")
    masks = bench.run("yolo")
    assert set(masks) == {"train/train1", "val/valid1"}
    assert masks["train/train1"].sum() == 12
    said = [note for note in bench.done.notes if "test" in note]
    assert said == (["data.yaml names ../test/images for test, which is not there"] if "test: .." in paths else [])


def test_two_splits_are_never_one_folder(bench):
    """Cut off from the left, both paths end in the same folder."""
    bench.image("images/a.png")
    bench.text("labels/a.txt", f"0 {SQUARE}")
    bench.text("data.yaml", "train: D:\\x\\train\\images\nval: D:\\x\\val\\images\nnames: [car]\n")
    assert "train and val are both " in bench.refused("yolo")


def test_train_and_val_must_be_there(bench):
    yolo(bench, "train: train/images\nval: elsewhere/pictures\nnames: [car]\n")
    assert "elsewhere/pictures: no such folder of images; correct the path in data.yaml" in bench.refused("yolo")


def test_class_numbers_with_gaps(bench):
    yolo(bench, "train: train/images\nval: valid/images\nnames: {0: car, 7: road}\n", line=f"7 {SQUARE}")
    assert set(np.unique(bench.run("yolo")["train/train1"])) == {0, 2}
    assert bench.done.labels.names == ("background", "car", "road")
    bench.text("train/labels/train1.txt", f"3 {SQUARE}")
    assert "train1.txt:1: unknown class 3; expected 0, 7" in bench.refused("yolo")


def test_images_without_label_files_are_counted(bench):
    yolo(bench, "train: train/images\nval: valid/images\nnames: [car]\n")
    bench.image("train/images/empty.png")
    assert not bench.run("yolo")["train/empty"].any()
    assert "warning: 1 images have no label file: train/images/empty.png" in bench.done.notes
    assert bench.done.to_dict()["images_without_label_file"] == ["train/images/empty.png"]
    # Lightly Train's key.
    bench.text("data.yaml", "train: train/images\nval: valid/images\nnames: [car]\nskip_if_label_file_missing: true\n")
    assert set(bench.run("yolo")) == {"train/train1", "val/valid1"}
    assert "skipped 1 images without a label file, as skip_if_label_file_missing in data.yaml says" in bench.done.notes


def test_no_label_file_at_all(bench):
    bench.image("images/train/a.png")
    bench.text("Labels/train/a.txt", f"0 {SQUARE}")
    bench.text("data.yaml", "names: [car]\ntrain: images/train\n")
    line = bench.refused("yolo")
    assert f"none of 1 images has a label file; expected such as {bench.root}/labels/train/a.txt for a.png" in line
    assert "text files lie in Labels/train; rename the folder to labels" in line


def test_box_rows_among_outlines(bench):
    yolo(bench, "train: train/images\nval: valid/images\nnames: [car]\n", line=f"0 0.5 0.5 0.2 0.2\n0 {SQUARE}")
    assert "train1.txt:1: is a box, not a polygon" in bench.refused("yolo")
    assert bench.run("yolo", skip_shapes=True)["train/train1"].sum() == 12
    assert bench.done.notes == ["skipped 2 shapes of the kind box in train1.txt (1), valid1.txt (1)"]
    assert bench.done.to_dict()["skipped_shapes"] == {"box": {"train1.txt": 1, "valid1.txt": 1}}


def test_byte_order_marks(bench):
    yolo(bench, "\ufeffnames: [car]\ntrain: train/images\nval: valid/images\n", line=f"\ufeff0 {SQUARE}")
    assert bench.run("yolo")["train/train1"].sum() == 12


def test_smaller_things_lie_on_larger_ones_by_their_pixels(bench):
    """A polygon that crosses itself has a large outline and few pixels: what is drawn decides."""
    yolo(bench, "names: [car, road]\ntrain: train/images\nval: valid/images\n", line=f"1 {SQUARE}\n0 0 0 1 0 1 1 0 1")
    mask = bench.run("yolo")["train/train1"]
    assert (mask == 2).sum() == 12
    assert (mask == 1).sum() == 48 - 12
