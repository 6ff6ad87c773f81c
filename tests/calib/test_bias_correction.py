from __future__ import annotations

import numpy as np
import pytest

from seg_edge.calib.bias_correction import channel_means, correct_biases
from seg_edge.calib.cache import Calibration
from seg_edge.calib.graph import convolutions, run, session, up_to, weights
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, insert

OPTIONS = QuantOptions(bias_correction=False)


@pytest.fixture(scope="module")
def frames(nets):
    return nets.frames(8)


@pytest.fixture
def simulated(tiny, frames):
    """The quantized graph with float biases, not corrected."""
    return insert(tiny, Calibration(calibrate(tiny, frames, OPTIONS).activations, {}), OPTIONS)


def shifts(reference, quantized, frames):
    """Largest shift of a channel's mean, relative to the largest mean, convolution by convolution."""
    result = []
    for a, b in zip(convolutions(reference), convolutions(quantized), strict=True):
        before = channel_means(reference, [a.output[0]], frames)[a.output[0]]
        after = channel_means(quantized, [b.output[0]], frames)[b.output[0]]
        result.append(np.abs(after - before).max() / np.abs(before).max())
    return result


def test_corrected_means_are_those_of_the_float_network(tiny, simulated, frames):
    before = shifts(tiny, simulated, frames)
    correct_biases(tiny, simulated, frames)
    after = shifts(tiny, simulated, frames)
    assert min(before) > 1e-4
    assert max(after) < 2e-6


def test_biases_are_written_into_the_graph_and_returned(tiny, simulated, frames):
    corrected = correct_biases(tiny, simulated, frames)
    assert set(corrected) == {node.input[2] for node in convolutions(tiny)}
    for name, bias in corrected.items():
        assert bias.dtype == np.float32
        assert np.array_equal(weights(simulated)[name], bias)
        assert not np.array_equal(weights(tiny)[name], bias)


def test_each_convolution_sees_the_corrections_before_it(tiny, simulated, frames):
    # Corrections computed all at once, from the uncorrected graph, leave shifts behind.
    names = {a.name: (a.output[0], b.output[0]) for a, b in zip(convolutions(tiny), convolutions(simulated), strict=True)}
    corrected = correct_biases(tiny, simulated, frames)
    uncorrected = insert(tiny, Calibration(calibrate(tiny, frames, OPTIONS).activations, {}), OPTIONS)
    last = convolutions(tiny)[-1]
    a, b = names[last.name]
    at_once = channel_means(uncorrected, [b], frames)[b] - channel_means(tiny, [a], frames)[a]
    sequential = weights(tiny)[last.input[2]] - corrected[last.input[2]]
    assert np.abs(at_once - sequential).max() > 1e-4


def test_means_are_over_frames_and_pixels(tiny, frames):
    name = convolutions(tiny)[0].output[0]
    opened = session(up_to(tiny, [name]))
    expected = np.mean([run(opened, frame)[0].mean((0, 2, 3)) for frame in frames], 0)
    assert channel_means(tiny, [name], frames)[name] == pytest.approx(expected, rel=1e-4, abs=1e-6)
