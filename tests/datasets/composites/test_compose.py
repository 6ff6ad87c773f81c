"""Composites: what is cut out, where it is pasted, and what the labels say of it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError, InputError, UnknownNameError
from seg_edge.core.labels import Labels
from seg_edge.datasets import ComposeOptions, compose, open_dataset
from seg_edge.datasets.composites.body import completed
from seg_edge.datasets.composites.light import matched
from seg_edge.datasets.composites.pool import open_pool
from seg_edge.datasets.composites.scene import Layer, compose_one, paste
from seg_edge.datasets.dataset import write_labels

RED, GREY = (20, 20, 230), (110, 110, 110)
PEOPLE = Labels(("background", "person"), ((0, 0, 0), (0, 200, 120)))
STREETS = Labels(("road", "walker", "rider"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))


def _pair(root: Path, split: str, name: str, mask: np.ndarray) -> None:
    """A grey photograph in which all that is labelled is red."""
    frame = np.full((*mask.shape, 3), GREY, np.uint8)
    frame[(mask > 0) & (mask < 255)] = RED
    for folder, image in (("images", frame), ("labels", mask)):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / folder / split / f"{name}.png"), image)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compose") / "people"
    for split in ("train", "val"):
        mask = np.zeros((96, 128), np.uint8)
        mask[30:96, 40:80] = 1  # cut off below
        mask[28:30, 40:80] = 255
        _pair(root, split, "bust", mask)
        mask = np.zeros((96, 128), np.uint8)
        mask[20:70, 50:70] = 1
        mask[5:8, 5:8] = 1  # too small to be cut out
        _pair(root, split, "whole", mask)
    write_labels(root, PEOPLE)
    return root


@pytest.fixture(scope="module")
def streets(people: Path) -> Path:
    root = people.with_name("streets")
    mask = np.zeros((96, 128), np.uint8)
    mask[30:80, 0:20], mask[30:80, 60:90] = 1, 2
    _pair(root, "train", "street", mask)
    _pair(root, "train", "void", np.full((96, 128), 255, np.uint8))
    _pair(root, "train", "empty", np.zeros((96, 128), np.uint8))
    write_labels(root, STREETS)
    return root


@pytest.fixture(scope="module")
def rooms(people: Path) -> Path:
    root = people.with_name("rooms")
    root.mkdir()
    for number in range(60):
        cv2.imwrite(str(root / f"{number:02d}.png"), np.full((60, 90, 3), GREY, np.uint8))
    return root


def _pool(*sources: Path, split: str = "train", **options: object):
    return open_pool(sources, split, ComposeOptions(**options), lambda _done, _total: None)


def test_things_are_regions_with_the_sides_at_which_they_were_cut_off(people: Path, rooms: Path) -> None:
    pool = _pool(people, backgrounds=rooms)
    boxes = {cutout.box: cutout.cut for cutout in pool.cutouts}
    assert boxes == {(30, 96, 40, 80): (False, True, False, False), (20, 70, 50, 70): (False,) * 4}
    pixels, region = pool.cut(pool.cutouts[0])
    assert (pixels == RED).all()
    assert (region == 255).all()
    assert region.shape == (66, 40)


def test_classes_of_further_datasets_become_those_of_the_first(people: Path, streets: Path) -> None:
    pool = _pool(people, streets, rename="walker=person, rider=void")
    street = next(photo for photo in pool.photos if photo.source == 1)
    _, mask = pool.read(street)
    assert [mask[50, column] for column in (10, 40, 70)] == [1, 0, 255]
    walker = next(cutout for cutout in pool.cutouts if cutout.photo == street)
    assert walker.label == 1
    assert walker.cut == (False, False, True, False)
    # A photograph without things is a background, one of which nothing is known is not.
    assert [pool.data[1].images[photo.index].stem for photo in pool.empty] == ["empty"]
    # What is named nowhere is the first class.
    _, mask = _pool(people, streets, rename="walker=person").read(street)
    assert mask[50, 70] == 0


@pytest.mark.parametrize("options", [{"things": "person"}, {"empty": 0.0, "plain": 1.0}])
def test_labels_lie_on_what_is_red(people: Path, rooms: Path, options: dict[str, object]) -> None:
    wanted = ComposeOptions(backgrounds=rooms, size_hw=(96, 128), **options)
    pool = open_pool([people], "train", wanted, lambda _done, _total: None)
    wrong = labelled = 0
    for number in range(20):
        frame, mask = compose_one(pool, wanted, np.random.default_rng(number))
        assert frame.shape == (96, 128, 3)
        assert mask.shape == (96, 128)
        assert frame.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 1, 255}
        core = cv2.erode((mask == 1).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        blue, _, red = (plane.astype(int) for plane in cv2.split(frame))
        labelled += core.sum()
        wrong += (core & (red < blue + 25)).sum()
    assert labelled > 5000
    assert wrong < 0.02 * labelled


def test_paste_cuts_off_what_lies_outside_and_labels_half_opaque_pixels() -> None:
    frame, mask = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    alpha = np.array([[255, 255, 0], [255, 127, 0]], np.uint8)
    paste(frame, mask, Layer(np.full((2, 3, 3), 200, np.uint8), alpha), (3, -1), 1)
    assert mask.tolist() == [[0] * 6] * 3 + [[1, 0, 0, 0, 0, 0]]
    assert frame[3, :3, 0].tolist() == [200, 0, 0]
    paste(frame, mask, Layer(np.full((2, 3, 3), 200, np.uint8), alpha), (0, 4), 1)
    assert mask[:2].tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 0]]
    assert frame[1, 5, 0] == 100  # half of each
    before = frame.copy()
    paste(frame, mask, Layer(np.full((2, 3, 3), 9, np.uint8), alpha), (4, 0), 1)
    assert (frame == before).all()


def test_matched_colours_come_nearer_to_those_around() -> None:
    patch, around = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8, 3), 150, np.uint8)
    weight = np.ones((8, 8), np.float32)
    assert (matched(patch, weight, around, 0) == 200).all()
    assert (matched(patch, weight, around, 0.5) == 175).all()


def test_folder_is_the_same_with_any_number_of_processes_and_says_what_it_is_made_of(
    people: Path, streets: Path, rooms: Path, tmp_path: Path
) -> None:
    options = ComposeOptions(train=3, val=2, size_hw=(48, 64), backgrounds=rooms, seed=5)
    report = compose(people, tmp_path / "a", options)
    compose([people], tmp_path / "b", options.with_(workers=2))
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.??g"))
    assert len(names) == 10
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    data = open_dataset(tmp_path / "a", "val")
    assert data.labels == PEOPLE
    assert len(data) == 2
    assert data.read(0)[0].shape == (48, 64, 3)
    assert json.loads((tmp_path / "a" / "compose.json").read_text()) == report.to_dict()
    # Backgrounds are dealt out in runs of eight; the sixth run is for val alone. Three are
    # parts of photographs, beside the things in them.
    assert {split: pool["backgrounds"] for split, pool in report.pools.items()} == {"train": 55, "val": 11}


def test_splits_share_no_background(people: Path, rooms: Path) -> None:
    train, val = (set(_pool(people, split=split, backgrounds=rooms).backgrounds) for split in ("train", "val"))
    assert len(train | val) == 60
    assert not train & val


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"things": "cat"}, UnknownNameError, "unknown class in `things` 'cat'"),
        ({"backgrounds": "nowhere"}, DataError, "backgrounds nowhere: no such folder"),
    ],
)
def test_what_can_not_be_made_is_said(
    people: Path, tmp_path: Path, options: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        compose(people, tmp_path / "out", ComposeOptions(**options))
    assert not (tmp_path / "out").exists()


def test_folder_with_something_in_it_is_left_alone(people: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="the folder is not empty; choose another one$"):
        compose(people, tmp_path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"train": 0, "val": 0}, "`train` and `val` are both 0"),
        ({"plain": 0.6, "empty": 0.5}, "expected at most 1 together, got 0.5 and 0.6"),
        ({"rename": "walker"}, "expected OLD=NEW such as pedestrian=person, got 'walker'"),
        ({"size_hw": (16, 32)}, "each 32 to 4096 pixels, got 16x32"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        ComposeOptions(**options)


def test_what_lies_beside_things_is_a_background(people: Path) -> None:
    pool = _pool(people)
    stems = [(pool.data[0].images[side.photo.index].stem, side.columns) for side in pool.sides]
    assert stems == [("bust", (0, 40)), ("bust", (80, 128)), ("whole", (70, 128))]
    options = ComposeOptions(size_hw=(48, 64), empty=1.0, plain=0.0)
    frame, mask = compose_one(pool, options, np.random.default_rng(0))
    assert not mask.any()
    assert np.ptp(frame.astype(int), axis=2).max() < 150  # nothing of the red thing


def test_people_who_were_cut_off_get_legs() -> None:
    pixels, region = np.full((60, 50, 3), RED, np.uint8), np.zeros((60, 50), np.uint8)
    region[0:20, 18:32], region[20:60, 5:45] = 255, 255  # head and shoulders, 40 wide
    image, drawn = completed(pixels, region, np.random.default_rng(3))
    assert (drawn[:60, 14:64] >= region).all()  # who was there is there
    assert (image[:60, 14:64][region > 0] == RED).all()
    assert drawn.shape[0] > 60 + 40 * 1.5
    legs = drawn[-30:] > 0
    assert legs.any(axis=1)[:20].all()
    assert not drawn[-25].all()
    narrow = np.zeros((60, 50), np.uint8)
    narrow[:, 22:28] = 255  # neither shoulders nor hips
    assert completed(pixels, narrow, np.random.default_rng(3))[1] is narrow


def test_share_of_bodies_is_that_of_the_option(people: Path, rooms: Path) -> None:
    """Legs are not red; all else that is labelled is."""

    def other(share: float) -> float:
        options = ComposeOptions(size_hw=(96, 128), backgrounds=rooms, empty=0.0, plain=0.0, most=1, bodies=share)
        pool = open_pool([people], "train", options, lambda _done, _total: None)
        drawn = [compose_one(pool, options, np.random.default_rng(number)) for number in range(20)]
        cores = [cv2.erode((mask == 1).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for _, mask in drawn]
        pale = [frame[..., 2] < frame[..., 0].astype(int) + 25 for frame, _ in drawn]
        return sum((core & not_red).sum() for core, not_red in zip(cores, pale, strict=True)) / sum(c.sum() for c in cores)

    assert other(0.0) < 0.02
    assert other(1.0) > other(0.0) + 0.02


def test_photographs_full_of_things_need_backgrounds(tmp_path: Path) -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[40:] = 1
    _pair(tmp_path / "full", "train", "a", mask)
    write_labels(tmp_path / "full", PEOPLE)
    with pytest.raises(DataError, match="there is no background: each of its images shows one of the things"):
        compose(tmp_path / "full", tmp_path / "out", ComposeOptions(val=0))
