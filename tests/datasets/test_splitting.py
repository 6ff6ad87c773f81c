"""A dataset taken apart into single-class ones."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.core.errors import DataError, InputError, UnknownNameError
from seg_edge.datasets import SplitOptions
from seg_edge.datasets.dataset import read_mask
from seg_edge.datasets.opening import open_dataset
from seg_edge.datasets.splitting import split_classes


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """18 training and 2 validation pictures of generated streets. Read only."""
    out = tmp_path_factory.mktemp("streets") / "d"
    assert (
        main(["data", "synth", "--out", str(out), "--train", "18", "--val", "2", "--size", "48x64", "--workers", "1"]) == 0
    )
    return out


def test_each_picture_has_one_class_and_nothing_else_changes(streets, tmp_path):
    report = split_classes(streets, tmp_path / "o", SplitOptions(classes=("car", "road", "tree")))
    assert report.shares == {"car": 6, "road": 6, "tree": 6}
    whole = open_dataset(streets, "train")
    single = open_dataset(tmp_path / "o", "train")
    assert single.labels.names == ("background", "car", "road", "tree")
    assert single.labels.palette[2] == whole.labels.palette[whole.labels.names.index("road")]
    truth = {path.name: index for index, path in enumerate(whole.images)}
    assert sorted(path.name for path in single.images) == sorted(truth)
    for index, image in enumerate(single.images):
        frame, mask = single.read(index)
        name = image.parents[2].name
        expected_frame, expected = whole.read(truth[image.name])
        np.testing.assert_array_equal(frame, expected_frame)
        mine = mask == single.labels.names.index(name)
        np.testing.assert_array_equal(mine, expected == whole.labels.names.index(name))
        assert mine.any(), "a class gets pictures that show it"
        assert set(np.unique(read_mask(single.masks[index]))) <= {0, 255}


def test_other_splits_stay_whole(streets, tmp_path):
    split_classes(streets, tmp_path / "o", SplitOptions(classes=("car", "road")))
    whole, found = open_dataset(streets, "val"), open_dataset(tmp_path / "o", "val")
    assert found.sets == ()
    for (_, a), (_, b) in zip(whole, found, strict=True):
        for name in ("car", "road"):
            np.testing.assert_array_equal(a == whole.labels.names.index(name), b == found.labels.names.index(name))
        np.testing.assert_array_equal(a == whole.labels.ignore_index, b == 255)


def test_same_seed_same_shares(streets, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        split_classes(streets, tmp_path / name, SplitOptions(classes=("building", "road", "sky"), seed=seed))
    files = [sorted(p.relative_to(tmp_path / n).as_posix() for p in (tmp_path / n).rglob("*.png")) for n in "abc"]
    assert files[0] == files[1] != files[2]


def test_command_and_check(streets, tmp_path, capsys):
    out = tmp_path / "o"
    assert main(["data", "split-classes", str(streets), "--out", str(out), "--classes", "car, road"]) == 0
    assert capsys.readouterr().out == f"{out}: 9 images of car, 9 images of road\n"
    assert main(["data", "check", str(out), "--json", str(tmp_path / "c.json"), "--sheet", str(tmp_path / "s.png")]) == 0
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["layout"] == "several datasets as one"
    assert [(split["split"], split["images"]) for split in found["splits"]] == [("train", 18), ("val", 2)]
    assert sum(found["splits"][0]["pixels"]) == 18 * 48 * 64
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "o", "s.png"]


def test_refusals(streets, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown class 'cars': did you mean 'car'"):
        split_classes(streets, tmp_path / "o", SplitOptions(classes=("cars", "road")))
    with pytest.raises(InputError, match="at least two classes"):
        split_classes(streets, tmp_path / "o", SplitOptions(classes=("road",)))
    assert not (tmp_path / "o").exists()
    split_classes(streets, tmp_path / "o", SplitOptions(classes=("road", "sky")))
    with pytest.raises(InputError, match="is there already; choose another folder"):
        split_classes(streets, tmp_path / "o")
    with pytest.raises(InputError, match="needs a dataset with all labels"):
        split_classes(tmp_path / "o", tmp_path / "p")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        split_classes(streets, tmp_path / "file" / "o", SplitOptions(classes=("road", "sky")))


def test_a_class_that_nobody_shows(streets, tmp_path, load_module):
    data = load_module("train/rectangles.py").write_dataset(tmp_path / "d", train=4, val=1)
    for path in (data / "labels").rglob("*.png"):
        import cv2

        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask[mask == 1] = 0
        cv2.imwrite(str(path), mask)
    with pytest.raises(DataError, match="no image is left for class class1; leave it out"):
        split_classes(data, tmp_path / "o")


def test_images_of_one_name_in_several_folders(tmp_path):
    for city, value in (("aachen", 0), ("ulm", 1)):
        for kind, pixels in (("images", np.zeros((8, 8, 3))), ("labels", np.full((8, 8), value))):
            (tmp_path / f"d/{kind}/train/{city}").mkdir(parents=True)
            cv2.imwrite(str(tmp_path / f"d/{kind}/train/{city}/a.png"), pixels.astype(np.uint8))
    (tmp_path / "d/classes.json").write_text('{"names": ["road", "car"]}')
    split_classes(tmp_path / "d", tmp_path / "o", SplitOptions())
    written = sorted(str(path.relative_to(tmp_path / "o")) for path in (tmp_path / "o").rglob("*.png"))
    assert written == [
        "car/images/train/ulm_a.png", "car/masks/train/ulm_a.png",
        "road/images/train/aachen_a.png", "road/masks/train/aachen_a.png",
    ]  # fmt: skip
