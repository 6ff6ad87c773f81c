"""Tiles: where they lie, how they are weighed, and that they leave no seam."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from seg_edge.core.errors import InputError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.runtime import Segmenter
from seg_edge.runtime.frame import kernels, tiles
from seg_edge.runtime.frame.tiles import ArrayRows, Axis, Tiles
from seg_edge.runtime.tiled import TiledSegmenter


@pytest.mark.parametrize(
    ("length", "cell", "tile", "overlap"), [(100, 4, 10, 8), (40, 4, 10, 8), (41, 4, 10, 0), (7, 4, 10, 8), (500, 3, 8, 21)]
)
def test_tiles_cover_all_and_their_weights_sum_to_one(length, cell, tile, overlap):
    axis = Axis.make(length, cell, tile, overlap)
    total = np.zeros(axis.cells)
    for start, weight in zip(axis.starts, axis.weights, strict=True):
        total[start : start + tile] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert axis.cells * cell >= length
    assert axis.starts[-1] + tile == axis.cells
    shared = -(-overlap // cell)
    assert all(b - a <= tile - shared for a, b in zip(axis.starts, axis.starts[1:], strict=False))


@pytest.mark.parametrize(("stride", "starts"), [(1, (0, 7, 14, 15)), (3, (0, 6, 12, 15)), (8, (0, 7, 14, 15))])
def test_tiles_are_apart_by_multiples_of_the_networks_stride(stride, starts):
    axis = Axis.make(100, 4, 10, 12, stride)  # where neighbours may be 7 cells apart at most
    assert axis.starts == starts
    total = np.zeros(axis.cells)
    for start, weight in zip(axis.starts, axis.weights, strict=True):
        total[start : start + 10] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize(
    ("input_hw", "tile_hw", "overlap"),
    [((352, 480), (352, 480), 160), ((352, 480), (704, 960), 320), ((512, 1024), (512, 1024), 256)],
)
def test_the_usual_overlap_keeps_the_stride(input_hw, tile_hw, overlap):
    spec = ModelSpec("m", Labels.numbered(3), input_hw)
    assert Tiles(spec, tile_hw).overlap == overlap
    first, second = Tiles(spec, tile_hw).axes((5000, 5000))
    assert len(first.starts) > 2
    assert all(start % 8 == 0 for axis in (first, second) for start in axis.starts[:-1])


def test_the_usual_overlap_of_a_network_that_is_its_stride():
    assert Tiles(ModelSpec("m", Labels.numbered(3), (32, 40)), (32, 40)).overlap == 16


def test_weights_are_a_raised_cosine():
    weights = Axis.make(128, 4, 20, 32).weights  # 32 cells, of which two tiles share exactly 8
    falling = 0.5 + 0.5 * np.cos(np.pi * (np.arange(4) + 0.5) / 4)
    np.testing.assert_allclose(weights[0], [*[1] * 14, *falling, 0, 0], atol=2e-6)
    np.testing.assert_allclose(weights[1], [0, 0, *(1 - falling), *[1] * 14], atol=2e-6)


def whole(frame):
    """What the tiny network would say of a frame of any size: means of blocks, mirrored past the end."""
    height, width = frame.shape[:2]
    padded = np.pad(frame, ((0, -height % 4), (0, -width % 4), (0, 0)), "symmetric")
    blocks = padded.reshape(padded.shape[0] // 4, 4, padded.shape[1] // 4, 4, 3).mean((1, 3))
    return np.ascontiguousarray(blocks.transpose(2, 0, 1) / 255, np.float32)


@pytest.mark.parametrize("size_hw", [(32, 40), (100, 90), (33, 41), (20, 300), (131, 57), (3, 2)])
@pytest.mark.parametrize("overlap", [0, 8, 13])
def test_no_seam(tiny_model, colour_frame, size_hw, overlap, monkeypatch):
    monkeypatch.setattr(tiles, "_COLUMNS", 64)
    frame = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), np.uint8)
    frame[: size_hw[0] // 2] //= 2
    logits = whole(frame)
    if min(size_hw) >= 32:  # a smaller image is mirrored more than once
        padded = (4 * logits.shape[1], 4 * logits.shape[2])
        expected = kernels.upsample_argmax(logits, padded)[: size_hw[0], : size_hw[1]]
    with Segmenter(tiny_model, confidence="margin", throughput=True) as seg:
        result = TiledSegmenter(seg, (32, 40), overlap).segment(frame, overlay=True)
    assert result.mask.shape == result.confidence.shape == size_hw
    assert result.overlay_bgr.shape == frame.shape
    if min(size_hw) >= 32:
        assert (result.mask == expected).mean() > 0.999  # ties within a rounding
        full = kernels.confidence(logits, padded, "margin")[: size_hw[0], : size_hw[1]].astype(int)
        assert np.abs(full - result.confidence).max() <= 1


def test_a_tile_of_another_size_is_resized(tiny_model, colour_frame):
    frame = colour_frame(64, 80)
    with Segmenter(tiny_model) as seg:
        np.testing.assert_array_equal(TiledSegmenter(seg, (64, 80)).segment(frame).mask, seg(frame))


def test_strips_come_from_top_to_bottom_and_rows_are_read_once(tiny_model, colour_frame):
    frame = colour_frame(300, 100)
    with Segmenter(tiny_model) as seg:
        tiled = TiledSegmenter(seg, (32, 40), 8)
        rows = ArrayRows(frame)
        strips = list(tiled.strips(rows))
        whole_mask = tiled.segment(frame).mask
    assert len(strips) > 5
    assert [strip.y for strip in strips] == np.cumsum([0, *(len(strip.mask) for strip in strips)])[:-1].tolist()
    assert rows.read(1).shape[0] == 0
    np.testing.assert_array_equal(np.concatenate([strip.mask for strip in strips]), whole_mask)


def test_an_error_in_a_tile_ends_it(tiny_model, colour_frame):
    def fail(tile):
        raise RuntimeError("tile")

    with Segmenter(tiny_model) as seg, ThreadPoolExecutor(2) as pool, pytest.raises(RuntimeError, match="tile"):
        list(Tiles(seg.spec, (32, 40)).strips(ArrayRows(colour_frame(100, 100)), fail, pool, 2))


@pytest.mark.parametrize(
    ("tile", "overlap", "text"),
    [
        ((33, 40), None, "multiples of the logits' 8x10, at most 8192, got 33x40; use 32x40, or the network's input 32x40"),
        ((32, 9000), None, "at most 8192"),
        ((32, 40), 29, "`overlap`: expected less than the tile's 32, got 29"),
    ],
)
def test_refusals(tiny_model, tile, overlap, text):
    with Segmenter(tiny_model) as seg, pytest.raises(InputError, match=text):
        TiledSegmenter(seg, tile, overlap)


def test_models_that_cannot_be_tiled(tiny_onnx, tmp_path):
    for words, text in (({"output": "labels"}, "head='labels'"), ({"resize": "letterbox"}, "keeps an image's proportions")):
        spec = tiny_onnx(tmp_path / "m.onnx", **words)
        with pytest.raises(InputError, match=text):
            Tiles(spec, (32, 80))
