"""Several sources side by side, or a sink for each."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from seg_edge.core.errors import SinkError
from seg_edge.runtime import CallbackSink, Result, Sink, Source
from seg_edge.runtime.sinks import MosaicSink, open_sinks


class Still(Source):
    def __iter__(self):
        yield from ()


class Keep(Sink):
    def __init__(self):
        super().__init__("keep")
        self.pictures = []

    def write(self, frame_bgr):
        self.pictures.append(frame_bgr.copy())


def result(origin, grey, height=2, width=3):
    return Result(None, None, np.full((height, width, 3), grey, np.uint8), origin=origin)


def test_pictures_side_by_side():
    keep = Keep()
    with MosaicSink([keep], 3, live=False) as mosaic:
        for origin, grey in ((0, 10), (1, 20), (2, 30)):
            assert keep.pictures == []
            mosaic.take(result(origin, grey))
        assert keep.pictures[0][..., 0].tolist() == [
            [10, 10, 10, 20, 20, 20],
            [10, 10, 10, 20, 20, 20],
            [30, 30, 30, 0, 0, 0],
            [30, 30, 30, 0, 0, 0],
        ]
        for grey in (11, 12):  # the fastest source sets the pace
            mosaic.take(result(0, grey))
        assert [int(picture[0, 0, 0]) for picture in keep.pictures] == [10, 11]
    assert [int(picture[0, 0, 0]) for picture in keep.pictures] == [10, 11, 12]
    assert keep.pictures[2][0, 3, 0] == 20


def test_another_size_is_fitted_with_bars():
    keep = Keep()
    with MosaicSink([keep], 2, live=False) as mosaic:
        mosaic.take(result(0, 10, 4, 8))
        mosaic.take(result(1, 90, 8, 8))
    assert keep.pictures[0][..., 2].tolist() == [[10] * 8 + [0, 0, 90, 90, 90, 90, 0, 0]] * 4


def test_an_old_picture_is_darkened(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("seg_edge.runtime.sinks.several.perf_counter", lambda: clock[0])
    keep = Keep()
    with MosaicSink([keep], 2, live=True) as mosaic:
        mosaic.take(result(0, 200, 60, 80))
        mosaic.take(result(1, 200, 60, 80))
        clock[0] += 5
        for _ in range(2):
            mosaic.take(result(0, 200, 60, 80))
        mosaic.take(result(1, 200, 60, 80))
    left = [picture[50, 5, 0] for picture in keep.pictures]
    right = [picture[50, 85, 0] for picture in keep.pictures]
    assert left == [200] * 3
    assert right == [200, 50, 200]
    assert keep.pictures[1][:30, 80:].max() > 200  # and says why


def test_which_sinks_are_opened(tmp_path):
    sources = [Still("a", fps=25), Still("b", fps=10)]
    with ExitStack() as stack:
        given, opened = open_sinks(["none", f"{tmp_path}/o/", f"pipe:{tmp_path}/m{{source}}"], sources, stack)
        assert [type(sink).__name__ for sink in given] == ["ImageFolderSink", "OnlySink", "OnlySink", "MosaicSink"]
        assert len(opened) == 4
        mask = np.ones((2, 3), np.uint8)
        for origin in (0, 1, 1):
            given[1].take(Result(None, mask, None, origin=origin))
            given[2].take(Result(None, mask + 1, None, origin=origin))
    assert (tmp_path / "m0").read_bytes() == bytes([1] * 6)
    assert (tmp_path / "m1").read_bytes() == bytes([2] * 12)
    with (
        ExitStack() as stack,
        pytest.raises(SinkError, match=r"can't be told apart in one stream; .* pipe:masks-\{source\}"),
    ):
        open_sinks([f"pipe:{tmp_path}/m"], sources, stack)
    with ExitStack() as stack:
        given, opened = open_sinks(["none"], sources[:1], stack)
        assert given == opened


def test_results_only():
    for sink in (MosaicSink([Keep()], 2, live=False), CallbackSink(print)):
        with pytest.raises(TypeError, match="takes results"):
            sink.write(np.zeros((2, 3, 3), np.uint8))
