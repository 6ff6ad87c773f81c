"""The network in torch with fake quantization against the file that is made of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from seg_edge.calib.graph import convolutions, run, session, set_weight, weights
from seg_edge.core.errors import ModelFileError
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, prepare, quantize
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.export.int8.fake_quant import FakeQuantGraph

OPTIONS = QuantOptions()


@pytest.fixture(scope="module")
def frames(nets):
    return nets.frames(4)


@pytest.fixture(scope="module")
def calibration(tiny, frames):
    return calibrate(tiny, frames, OPTIONS)


def outputs(network, frames):
    with torch.no_grad():
        return [network(torch.from_numpy(frame)).numpy() for frame in frames]


def test_it_computes_what_the_file_computes(tiny, calibration, frames, nets):
    found = outputs(FakeQuantGraph(tiny, calibration, OPTIONS), frames)
    step = calibration.activations["logits"].scale
    # Biases of the file are rounded to int32 levels, which moves a value on the border of two levels to the other one.
    for options, share in ((replace(OPTIONS, int32_bias=False), 0.001), (OPTIONS, 0.15)):
        written = session(quantize(tiny, calibration, options), fuse_quantized=False)
        for ours, frame in zip(found, frames, strict=True):
            expected = run(written, frame)[0]
            assert np.mean(np.abs(ours - expected) > 0.01 * step) < share
            assert np.mean(ours.argmax(1) == expected.argmax(1)) > 1 - share / 10


def test_switched_off_it_is_the_float_network(tiny, calibration, frames):
    network = FakeQuantGraph(tiny, calibration.__class__(calibration.activations, {}), OPTIONS)
    network.enabled = False
    opened = session(tiny)
    for ours, frame in zip(outputs(network, frames), frames, strict=True):
        # The means of preprocessing lie on levels, as in the file.
        np.testing.assert_allclose(ours, run(opened, frame)[0], atol=0.02)


def test_an_unfolded_normalization_and_other_operations(nets, frames):
    class Mixed(nets.nn.Module):
        """Pools, clips, adds, resizes bilinearly, and reads its input without a convolution."""

        def __init__(self):
            super().__init__()
            self.conv, self.head = nets.nn.Conv2d(3, 3, 3, 2, 1), nets.nn.Conv2d(6, 4, 1)

        def forward(self, x):
            deep = nets.F.max_pool2d(self.conv(x).clamp(0, 6), 2)
            small = nets.F.max_pool2d(x, 4)
            up = nets.F.interpolate(nets.F.max_pool2d(deep + small, 2), scale_factor=2.0, mode="bilinear")
            return self.head(nets.torch.cat((up, small), 1))

    model = prepare(to_onnx(nets.trained(Mixed()), nets.SPEC))
    kinds = {node.op_type for node in model.graph.node}
    assert {"Div", "Gather", "MaxPool", "Clip", "Add", "Resize", "Concat"} <= kinds
    scales = calibrate(model, frames, OPTIONS)
    written = session(quantize(model, scales, replace(OPTIONS, int32_bias=False)), fuse_quantized=False)
    for ours, frame in zip(outputs(FakeQuantGraph(model, scales, OPTIONS), frames), frames, strict=True):
        assert np.mean(ours.argmax(1) == run(written, frame)[0].argmax(1)) > 0.99


def test_every_weight_and_bias_gets_a_gradient(tiny, calibration, frames):
    network = FakeQuantGraph(tiny, calibration, OPTIONS)
    network(torch.from_numpy(frames[0])).square().mean().backward()
    names = [name for node in convolutions(tiny) for name in node.input[1:3]]
    assert sorted(network.trained()) == sorted(names)
    assert len(list(network.parameters())) == len(names) == 10
    for parameter in network.parameters():
        assert float(parameter.grad.abs().max()) > 0


def test_clipped_values_stop_gradients(tiny, calibration, frames):
    tight = {
        name: params.__class__(params.scale / 50, params.zero_point) for name, params in calibration.activations.items()
    }
    network = FakeQuantGraph(tiny, calibration.__class__(tight, {}), OPTIONS)
    free = FakeQuantGraph(tiny, calibration, OPTIONS)
    sums = []
    for each in (network, free):
        each(torch.from_numpy(frames[0])).sum().backward()
        sums.append(float(next(each.parameters()).grad.abs().sum()))
    assert sums[0] < 0.1 * sums[1]


def test_trained_weights_go_back_into_the_graph(tiny, calibration, frames):
    network = FakeQuantGraph(tiny, calibration, OPTIONS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.25)
    result = onnx.ModelProto()
    result.CopyFrom(tiny)
    trained = network.trained()
    for name, value in trained.items():
        set_weight(result, name, value)
    first = convolutions(tiny)[0].input[1]
    np.testing.assert_allclose(weights(result)[first], 1.25 * weights(tiny)[first], rtol=1e-6)
    biases = {node.input[2]: trained[node.input[2]] for node in convolutions(tiny)}
    file = quantize(result, calibration.__class__(calibration.activations, biases), replace(OPTIONS, int32_bias=False))
    ours, expected = outputs(network, frames)[0], run(session(file, fuse_quantized=False), frames[0])[0]
    assert np.mean(ours.argmax(1) == expected.argmax(1)) > 0.999


def test_unknown_nodes_are_named(tiny, calibration):
    other = onnx.ModelProto()
    other.CopyFrom(tiny)
    next(node for node in other.graph.node if node.op_type == "Relu").op_type = "Elu"
    with pytest.raises(ModelFileError, match=r"can't train through Elu \("):
        FakeQuantGraph(other, calibration, OPTIONS)
