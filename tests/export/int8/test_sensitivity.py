"""Each layer alone in INT8, and mixtures of float and INT8."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.calib.cache import Calibration
from seg_edge.calib.graph import convolutions, run, session
from seg_edge.core.errors import ModelFileError
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, insert, prepare, quantize, quantized_tensors
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.export.int8.sensitivity import LayerCost, most_sensitive, sensitivity, write_plot
from seg_edge.runtime.engines.trt_log import Log, listen
from seg_edge.runtime.modelfile.dialect import translate

OPTIONS = QuantOptions()


def names(model):
    return [node.name for node in convolutions(model)]


@pytest.fixture(scope="module")
def frames(nets):
    return nets.frames(4)


@pytest.fixture(scope="module")
def calibration(tiny, frames):
    return calibrate(tiny, frames, OPTIONS)


@pytest.fixture(scope="module")
def hostile(nets):
    """A network whose second layer reads one channel a thousand times as large as the others."""
    net = nets.tiny()
    net.stem[1].weight.data[0] *= 1000
    net.stem[1].bias.data[0] *= 1000
    net.down[0].weight.data[:, 0] /= 1000
    return prepare(to_onnx(net, nets.SPEC))


def test_the_hostile_layer_costs_most(hostile, frames):
    costs = sensitivity(hostile, calibrate(hostile, frames, OPTIONS), OPTIONS, frames)
    assert [cost.layer for cost in costs] == names(hostile)
    assert most_sensitive(costs)[0] == names(hostile)[1]
    others = [cost for i, cost in enumerate(costs) if i != 1]
    assert costs[1].noise > 20 * max(cost.noise for cost in others)
    assert costs[1].agreement < min(cost.agreement for cost in others)


def test_the_cost_is_that_of_one_layer(tiny, calibration, frames):
    costs = sensitivity(tiny, calibration, QuantOptions(bias_correction=False), frames)
    scales = Calibration(calibration.activations, {})
    for cost in costs:
        alone = insert(tiny, scales, OPTIONS, [name for name in names(tiny) if name != cost.layer])
        assert sum("weight.int8" in tensor.name for tensor in alone.graph.initializer) == 1
        a, b = session(tiny), session(alone, fuse_quantized=False)
        error = [run(b, frame)[0] - run(a, frame)[0] for frame in frames]
        energy = sum(float((run(a, frame)[0].astype(float) ** 2).sum()) for frame in frames)
        assert cost.noise == pytest.approx(sum(float((e.astype(float) ** 2).sum()) for e in error) / energy, rel=1e-3)
        assert cost.max_abs_error == pytest.approx(max(np.abs(e).max() for e in error), rel=1e-4)


def test_with_every_layer_in_float_nothing_is_left_of_quantization(tiny, calibration, frames):
    everything = insert(tiny, calibration.__class__(calibration.activations, {}), OPTIONS, names(tiny))
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in everything.graph.node}
    assert quantized_tensors(tiny, keep_float=names(tiny)) == []


@pytest.mark.parametrize("layer", range(5))
def test_a_float_layer_reads_float_and_the_others_stay_in_int8(layer, tiny, calibration, frames):
    name = names(tiny)[layer]
    model = quantize(tiny, calibration, OPTIONS, [name])
    made_by = {output: node for node in model.graph.node for output in node.output}
    for node in convolutions(model):
        kinds = [made_by[source].op_type if source in made_by else "constant" for source in node.input[:2]]
        if node.name == name:
            assert "DequantizeLinear" not in kinds
        else:
            assert kinds == ["DequantizeLinear"] * 2
    a, b = session(tiny), session(model)
    for frame in frames:
        assert np.mean(run(a, frame)[0].argmax(1) == run(b, frame)[0].argmax(1)) > 0.95


def test_an_unknown_layer_is_refused(tiny, calibration):
    with pytest.raises(ModelFileError, match="no convolution nowhere; take a name from the sensitivity table"):
        quantize(tiny, calibration, OPTIONS, ["nowhere"])


def test_the_plot_shows_a_bar_for_each_layer(tmp_path):
    pytest.importorskip("matplotlib")
    costs = [LayerCost(f"/net.{i}/net.{i}.0/Conv", 10.0**-i, 0.9, 0.1, "fp32" if i == 1 else "int8") for i in range(6)]
    write_plot(tmp_path / "s.png", costs)
    image = cv2.imread(str(tmp_path / "s.png"))
    blue, orange = (np.abs(image.astype(int) - colour).max(2) < 30 for colour in ((180, 119, 31), (14, 127, 255)))
    assert orange.any(1).sum() < blue.any(1).sum() / 3
    assert blue.sum() > 1000


@pytest.mark.parametrize("layers", [[1], [0, 1], [1, 2, 3]])
def test_every_engine_takes_a_mixture(layers, tiny, calibration, frames):
    model = quantize(tiny, calibration, OPTIONS, [names(tiny)[i] for i in layers])
    opened = session(model, fuse_quantized=False)
    expected = [run(opened, frame)[0].argmax(1) for frame in frames]
    translated = session(onnx.load_from_string(translate(model.SerializeToString(), "onnxruntime")))
    for frame, mask in zip(frames, expected, strict=True):
        assert np.mean(run(translated, frame)[0].argmax(1) == mask) > 0.995
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for frame, mask in zip(frames, expected, strict=True):
        assert np.mean(compiled([frame])[0].argmax(1) == mask) > 0.98


@pytest.mark.parametrize("layers", [[1], [1, 2, 3]])
def test_tensorrt_rtx_builds_a_mixture(layers, tiny, calibration):
    trt = pytest.importorskip("tensorrt_rtx")
    model = quantize(tiny, calibration, OPTIONS, [names(tiny)[i] for i in layers])
    log = Log()
    logger = listen(trt, log)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, logger).parse(translate(model.SerializeToString(), "tensorrt"))
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM89, 0)
    assert builder.build_serialized_network(network, config) is not None
