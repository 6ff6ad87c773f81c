"""Generated datasets and videos on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import InputError, SinkError
from seg_edge.core.labels import CAMVID
from seg_edge.core.progress import Count, Progress, Silent
from seg_edge.datasets import SynthOptions, synthesize
from seg_edge.datasets.dataset import read_mask
from seg_edge.datasets.opening import open_dataset
from seg_edge.datasets.synth import StreetScene, write_video
from seg_edge.datasets.synth.writer import FRAMES_PER_SCENE, scene_seed

SIZE = (48, 64)


class Steps(Silent):
    """Calls a function with what is done and what there is in all."""

    def __init__(self, step: Callable[[int, int | None], None]) -> None:
        self._step = step

    def count(self, what: str) -> Count:
        assert what == "rendering"
        return self._step


def write_dataset(out: Path, progress: Progress | None = None, **options: Any) -> Path:
    return synthesize(out, SynthOptions(**options), progress=progress).data


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "data"
    steps: list[tuple[int, int | None]] = []
    write_dataset(
        out,
        train=8,
        val=3,
        test=1,
        size_hw=SIZE,
        seed=4,
        domains=("day", "fog"),
        progress=Steps(lambda *step: steps.append(step)),
    )
    assert steps == [(done, 12) for done in (6, 8, 11, 12)]  # after each scene
    return out


def test_reads_back_as_a_dataset(dataset: Path) -> None:
    for split, count in (("train", 8), ("val", 3), ("test", 1)):
        part = open_dataset(dataset, split)
        assert part.labels == CAMVID
        assert len(part) == count
        for frame, mask in part:
            assert frame.shape == (*SIZE, 3)
            assert mask.shape == SIZE
    assert json.loads((dataset / "synth.json").read_text())["seed"] == 4


def test_pictures_are_those_of_the_scenes(dataset: Path) -> None:
    part = open_dataset(dataset, "train")
    assert [path.stem for path in part.images][:1] == ["synth_day_00000_0"]
    assert part.images[-1].stem == "synth_fog_00001_1"
    frame, mask = StreetScene(scene_seed(4, "train", 0), SIZE, fps=1 / 2.1).frame(0)
    np.testing.assert_array_equal(part.read(0)[0], frame)
    np.testing.assert_array_equal(part.read(0)[1], mask)


def test_splits_share_no_street() -> None:
    seeds = {
        split: {scene_seed(seed, split, i) for seed in (0, 1) for i in (0, 99_999)}
        for split in ("train", "val", "test", "video")
    }
    assert len(set().union(*seeds.values())) == sum(len(each) for each in seeds.values())
    assert FRAMES_PER_SCENE > 1


def test_same_seed_same_files(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "again", train=8, val=3, test=1, size_hw=SIZE, seed=4, domains=("day", "fog"))
    assert files(tmp_path / "again") == files(dataset)


def test_same_files_from_several_processes(tmp_path: Path) -> None:
    for workers in (1, 2):
        write_dataset(tmp_path / str(workers), train=13, val=5, size_hw=(32, 48), domains=("day", "rain"), workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "data", train=12, val=0, size_hw=SIZE, progress=Steps(interrupt))
    assert list(tmp_path.iterdir()) == []


def test_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"the folder is not empty; .*`force=True`"):
        write_dataset(tmp_path, train=1, val=0, size_hw=SIZE)
    with pytest.raises(InputError, match="is a file"):
        write_dataset(tmp_path / "notes.txt", train=1, val=0, size_hw=SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_force_replaces_its_own_files_only(tmp_path: Path) -> None:
    out = tmp_path / "data"
    write_dataset(out, train=3, val=1, size_hw=SIZE, seed=1)
    (out / "images" / "train" / "mine.png").write_bytes(b"foreign")
    (out / "notes.txt").write_text("mine")
    write_dataset(out, train=1, val=0, size_hw=SIZE, seed=2, image_suffix=".jpg", force=True)
    assert set(files(out)) == {
        "classes.json", "notes.txt", "synth.json", "images/train/mine.png", "images/train/synth_day_00000_0.jpg",
        "labels/train/synth_day_00000_0.png",
    }  # fmt: skip
    assert (out / "images" / "train" / "mine.png").read_bytes() == b"foreign"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_manifest_can_not_reach_outside(tmp_path: Path) -> None:
    out, victim = tmp_path / "data", tmp_path / "victim.txt"
    out.mkdir()
    victim.write_text("mine")
    (out / "synth.json").write_text(json.dumps({"files": ["../victim.txt", str(victim)]}))
    write_dataset(out, train=1, val=0, size_hw=SIZE, force=True)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"train": 0, "val": 0}, "not all 0"),
        ({"train": -1}, "0 to 100000"),
        ({"size_hw": (16, 64)}, "each 32 to 4096 pixels, got 16x64"),
        ({"seed": -1}, "`seed`: expected 0 to"),
        ({"fps": 0.0}, "`fps`: expected 1 to 240"),
        ({"domains": ()}, "at least one domain"),
        ({"domains": ("foggy",)}, "did you mean 'fog'"),
        ({"image_suffix": ".gif"}, "valid names: .jpg, .png"),
    ],
)
def test_bad_arguments_write_nothing(tmp_path: Path, options: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        write_dataset(tmp_path / "data", **options)
    assert list(tmp_path.iterdir()) == []


def test_video_has_a_mask_for_every_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "ride.mp4", seconds=0.5, size_hw=(96, 128), seed=3, fps=10)
    masks = sorted((tmp_path / "ride_labels").iterdir())
    assert [mask.name for mask in masks] == [f"{i:06d}.png" for i in range(5)]
    scene = StreetScene(scene_seed(3, "video", 0), (96, 128), fps=10)
    reader = cv2.VideoCapture(str(path))
    for i, file in enumerate(masks):
        good, seen = reader.read()
        frame, mask = scene.frame(i)
        assert good
        np.testing.assert_array_equal(read_mask(file), mask)
        assert np.abs(seen.astype(int) - frame).mean() < 8  # the film is lossy
    assert not reader.read()[0]
    reader.release()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ride.mp4", "ride_labels"]


def test_interrupted_video_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "ride.mp4", seconds=1, size_hw=SIZE, fps=10, progress=Steps(interrupt))
    assert list(tmp_path.iterdir()) == []


def test_video_without_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        fourcc = staticmethod(cv2.VideoWriter.fourcc)

        def __init__(self, *_: object) -> None: ...
        def isOpened(self) -> bool:
            return False

        def release(self) -> None: ...

    monkeypatch.setattr(cv2, "VideoWriter", Closed)
    with pytest.raises(SinkError, match="can't write mp4"):
        write_video(tmp_path / "ride.mp4", seconds=1, size_hw=SIZE, fps=10)
    assert list(tmp_path.iterdir()) == []
