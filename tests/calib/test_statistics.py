from __future__ import annotations

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import run, session, set_weight, up_to
from seg_edge.calib.statistics import BINS, check_frames, collect
from seg_edge.core.errors import DataError


def conv_outputs(model, count=2):
    return [node.output[0] for node in model.graph.node if node.op_type == "Conv"][:count]


def test_extremes_and_histograms_are_those_of_all_frames(tiny, nets):
    frames, names = nets.frames(3), conv_outputs(tiny)
    found = collect(tiny, names, frames)
    opened = session(up_to(tiny, names))
    values = [np.stack(each) for each in zip(*(run(opened, frame) for frame in frames), strict=True)]
    for name, each in zip(names, values, strict=True):
        assert (found[name].minimum, found[name].maximum) == (each.min(), each.max())
        expected = np.histogram(each, BINS, (each.min(), each.max()))[0]
        assert found[name].counts.sum() == each.size
        # Values on the edge of a bin may fall on either side.
        assert np.abs(np.cumsum(found[name].counts) - np.cumsum(expected)).max() <= 3


def test_centers_lie_in_the_middle_of_the_bins(tiny, nets):
    stats = collect(tiny, conv_outputs(tiny, 1), nets.frames(1))[conv_outputs(tiny, 1)[0]]
    width = (stats.maximum - stats.minimum) / BINS
    assert stats.centers[[0, -1]] == pytest.approx([stats.minimum + width / 2, stats.maximum - width / 2])


def test_no_frames_is_an_error(tiny):
    with pytest.raises(DataError, match="got 0 frames; pass a data set"):
        collect(tiny, conv_outputs(tiny), [])


def test_weights_that_are_not_finite_are_found(tiny, nets):
    broken = onnx.ModelProto()
    broken.CopyFrom(tiny)
    conv = next(node for node in broken.graph.node if node.op_type == "Conv")
    set_weight(broken, conv.input[2], np.full(8, np.nan, np.float32))
    with pytest.raises(DataError, match="weights are damaged"):
        collect(broken, conv_outputs(broken, 1), nets.frames(1))


def test_progress_wraps_every_pass(tiny, nets):
    seen = []

    def track(items, what):
        seen.append((what, len(items)))
        return items

    collect(tiny, conv_outputs(tiny, 1), nets.frames(2), track=track)
    assert seen == [("calibrate: ranges", 2), ("calibrate: histograms", 2)]


def test_frames_that_show_nothing_are_refused(nets):
    good, black = nets.frames(3), [np.zeros((1, 64, 96, 3), np.uint8)] * 4
    noisy = [np.random.default_rng(0).integers(100, 104, (1, 64, 96, 3)).astype(np.uint8)] * 4
    check_frames(good + black[:3])  # a tunnel here and there is life
    for empty in (black, noisy):
        with pytest.raises(DataError, match="4 of 7 frames are of one colour"):
            check_frames(good + empty)
