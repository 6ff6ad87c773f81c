"""Areas over time: files, curves, statistics."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime.areas import AreaOptions, AreaRecorder, Areas, AreaTally
from seg_edge.runtime.areas.clock import Clock
from seg_edge.runtime.areas.tally import AreaCurves
from seg_edge.runtime.frame.result import Result

FRAME = np.zeros((2, 5, 3), np.uint8)


def areas(road, zones=("frame", "left")):
    pixels = np.array([[road, 10 - road], [min(road, 4), 0]])[: len(zones)]
    return Areas(("road", "car"), zones, pixels, np.array([10, 4])[: len(zones)])


def result(index, road, time_s=None, origin=0, captured_s=0.0):
    return Result(
        FRAME,
        None,
        None,
        index=index,
        name=f"n{index}",
        time_s=time_s,
        areas=areas(road),
        origin=origin,
        captured_s=captured_s,
    )


def rows_of(path):
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text().splitlines()))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_row_for_each_frame_zone_and_class(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    with AreaRecorder(AreaOptions(areas=path)) as recorder:
        recorder.add(result(0, 3, 0.0))
        recorder.add(result(1, 7, 0.04))
        assert not path.exists()  # until it is whole
    rows = rows_of(path)
    assert len(rows) == 8
    fifth = rows[4]
    assert (int(fifth["frame"]), float(fifth["time_s"]), fifth["zone"], fifth["class"]) == (1, 0.04, "frame", "road")
    assert (int(fifth["pixels"]), float(fifth["share"])) == (7, 0.7)
    assert [float(row["share"]) for row in rows if row["zone"] == "left"] == [0.75, 0, 1, 0]


def test_a_run_without_frames_writes_no_file(tmp_path):
    AreaRecorder(AreaOptions(areas=tmp_path / "a.csv")).close()
    assert list(tmp_path.iterdir()) == []


def test_suffixes():
    with pytest.raises(InputError, match=r"`areas`: expected a name ending in .csv, .jsonl, .parquet, got a.txt"):
        AreaOptions(areas="a.txt")
    with pytest.raises(InputError, match=r"`plot`: expected a name ending in .png"):
        AreaOptions(plot="a.csv")


def test_times_never_fall_and_start_with_the_source():
    clock = Clock()
    assert clock.time_s(result(0, 0, None, 0, 100.0)) == 0
    assert clock.time_s(result(0, 0, None, 1, 103.0)) == 0
    assert clock.time_s(result(1, 0, None, 0, 100.5)) == 0.5
    assert clock.time_s(result(2, 0, None, 0, 100.4)) == 0.5
    assert clock.time_s(result(0, 0, 7.5, 2, 1.0)) == 7.5


def test_the_tally():
    tally = AreaTally()
    for road in (2, 8, 5):
        tally.add(areas(road))
    tally.add(areas(1), origin=1)
    first, second, *others = tally.report()
    assert (first["source"], first["zone"], first["pixels"], second["zone"]) == (0, "frame", 10, "left")
    assert first["classes"][0] == {"name": "road", "last": 0.5, "mean": pytest.approx(0.5), "min": 0.2, "max": 0.8}
    assert [row["source"] for row in others] == [1, 1]


def test_curves_stay_small_and_keep_their_mean():
    curves = AreaCurves(most=16)
    for number in range(1000):
        curves.add(number / 10, areas(number % 10))
    times, shares = curves.points()
    assert len(times) <= 16
    assert shares.shape == (len(times), 2, 2)
    assert np.all(np.diff(times) > 0)
    assert times[0] < 10
    assert times[-1] > 90
    assert shares[:-1, 0, 0].mean() == pytest.approx(0.45, abs=0.02)
