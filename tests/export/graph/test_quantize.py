from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from seg_edge.calib.graph import convolutions, run, session, weights
from seg_edge.calib.observers import OBSERVERS
from seg_edge.core.errors import DataError, ModelFileError, UnknownNameError
from seg_edge.export.checks.compare import compare
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, float_convolutions, prepare, quantize, quantized_tensors, scale_groups
from seg_edge.export.graph.to_onnx import to_onnx

OPTIONS = QuantOptions()


@pytest.fixture(scope="module")
def frames(nets):
    return nets.frames(8)


@pytest.fixture(scope="module")
def calibration(tiny, frames):
    return calibrate(tiny, frames, OPTIONS)


@pytest.fixture(scope="module")
def int8(tiny, calibration):
    return quantize(tiny, calibration, OPTIONS)


def difference(reference, model, frames, **session_options):
    a, b = session(reference), session(model, **session_options)
    return compare([run(a, frame)[0] for frame in frames], [run(b, frame)[0] for frame in frames])


def test_every_convolution_has_pairs_on_input_and_weights(int8):
    made_by = {node.output[0]: node for node in int8.graph.node}
    known = weights(int8)
    assert len(convolutions(int8)) == 5
    assert float_convolutions(int8) == []
    for node in convolutions(int8):
        data, weight, bias = (made_by[name] for name in node.input)
        assert made_by[data.input[0]].op_type == "QuantizeLinear"
        assert known[weight.input[0]].dtype == np.int8
        assert known[weight.input[1]].shape == (known[weight.input[0]].shape[0],)
        assert known[bias.input[0]].dtype == np.int32
        assert known[bias.input[1]] == pytest.approx(known[data.input[1]] * known[weight.input[1]])


def test_a_convolution_left_in_float_is_named(int8):
    broken = onnx.ModelProto()
    broken.CopyFrom(int8)
    node = convolutions(broken)[1]
    node.input[0] = "somewhere"
    assert float_convolutions(broken) == [node.name]


def test_onnx_runtime_runs_every_convolution_on_integers(int8, tmp_path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(int8.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert kinds.count("QLinearConv") == 5
    assert not {"Conv", "FusedConv", "Relu"} & set(kinds)
    # Nothing is converted in between: one quantization of the input, one conversion of the logits.
    assert kinds.count("QuantizeLinear") == kinds.count("DequantizeLinear") == 1


def test_openvino_runs_every_convolution_on_integers(int8):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(int8.SerializeToString()), "CPU", {"PERF_COUNT": True})
    request = compiled.create_infer_request()
    request.infer([np.zeros((1, 64, 96, 3), np.uint8)])
    kinds = [info.exec_type for info in request.profiling_info if info.node_type == "Convolution"]
    assert len(kinds) == 5
    assert all("I8" in kind or "U8" in kind or "i8" in kind for kind in kinds), kinds


def test_it_computes_nearly_what_the_float_network_computes(tiny, int8, nets):
    found = difference(tiny, int8, nets.frames(6, seed=5))
    assert found.agreement > 0.97
    assert found.max_abs_error < 0.2 * found.peak


@pytest.mark.parametrize("rule", OBSERVERS)
def test_every_observer_gives_a_network_on_integers(rule, tiny, frames, nets):
    options = QuantOptions(observer=rule)
    model = quantize(tiny, calibrate(tiny, frames, options), options)
    assert float_convolutions(model) == []
    assert difference(tiny, model, nets.frames(3, seed=5)).agreement > 0.95
    if rule != "minmax":  # the others clip: no range is wider, some are narrower
        scales = [calibrate(tiny, frames, QuantOptions(observer=each, bias_correction=False)) for each in ("minmax", rule)]
        ratios = [scales[1].activations[name].scale / params.scale for name, params in scales[0].activations.items()]
        assert max(ratios) < 1.001
        assert min(ratios) < 0.999


def test_integer_kernels_compute_what_the_graph_says(int8, nets):
    # Holds on every processor because of the portable weights; full ones saturate on x86 without VNNI.
    found = difference(int8, int8, nets.frames(3, seed=5), fuse_quantized=False)
    assert found.agreement > 0.995


def mean_shift(tiny, frames, options):
    a, b = session(tiny), session(quantize(tiny, calibrate(tiny, frames, options), options), fuse_quantized=False)
    return np.abs(np.mean([(run(a, f)[0] - run(b, f)[0]).mean((0, 2, 3)) for f in frames], 0)).max()


def test_bias_correction_takes_the_mean_error_off_the_logits(tiny, frames):
    with_it, without = (mean_shift(tiny, frames, QuantOptions(bias_correction=on)) for on in (True, False))
    assert with_it < 0.3 * without


def test_float_biases_give_the_same_network(tiny, calibration, int8, frames):
    floats = quantize(tiny, calibration, QuantOptions(int32_bias=False))
    assert {weights(floats)[node.input[2]].dtype for node in convolutions(floats)} == {np.dtype(np.float32)}
    assert difference(int8, floats, frames, fuse_quantized=False).agreement > 0.995


def test_what_meets_in_a_concat_shares_one_scale(tiny, calibration):
    concat = next(node for node in tiny.graph.node if node.op_type == "Concat")
    resize = next(node for node in tiny.graph.node if node.op_type == "Resize")
    together = {*concat.input, *concat.output, resize.input[0]}
    assert len({calibration.activations[name] for name in together}) == 1
    tensors = quantized_tensors(tiny)
    assert together in [set(group) for group in scale_groups(tiny, tensors)]
    assert len({params.scale for params in calibration.activations.values()}) > 3


def test_scales_cover_what_the_tensors_take(tiny, calibration, frames):
    from seg_edge.calib.statistics import collect

    for name, stats in collect(tiny, list(calibration.activations), frames).items():
        low, high = calibration.activations[name].limits
        assert low <= stats.minimum * 1.001
        assert high >= stats.maximum * 0.999
        assert calibration.activations[name].zero_point == (128 if stats.minimum < 0 else 0)


def test_no_pair_stands_between_a_convolution_and_its_relu(int8):
    readers = {name: node for node in int8.graph.node for name in node.input}
    after = [readers[node.output[0]].op_type for node in convolutions(int8)]
    assert after == ["Relu"] * 4 + ["QuantizeLinear"]


def test_the_logits_may_stay_float(tiny, frames):
    options = QuantOptions(quantize_output=False)
    model = quantize(tiny, calibrate(tiny, frames, options), options)
    assert model.graph.node[-1].op_type == "Conv"
    assert model.graph.output[0].name == "logits"


def test_nothing_unused_is_stored(int8, tiny):
    used = {name for node in int8.graph.node for name in node.input}
    assert {tensor.name for tensor in int8.graph.initializer} <= used
    # The float weights are gone: the file shrinks to little more than a quarter.
    assert int8.ByteSize() < 0.55 * tiny.ByteSize()


def test_a_switched_off_channel_keeps_its_bias(nets, frames):
    net = nets.tiny()
    net.down[1].weight.data[3] = 1e-12
    net.down[1].bias.data[3] = 2.0
    model = prepare(to_onnx(net, nets.SPEC))
    found = difference(model, quantize(model, calibrate(model, frames, OPTIONS), OPTIONS), frames)
    assert found.agreement > 0.93


def test_prepare_gives_names_and_biases(nets):
    model = to_onnx(nets.tiny(), nets.SPEC)
    for node in model.graph.node:
        node.name = "same"
    del convolutions(model)[-1].input[2:]
    prepared = prepare(model)
    assert len({node.name for node in prepared.graph.node}) == len(prepared.graph.node)
    biases = [node.input[2] for node in convolutions(prepared)]
    assert len(set(biases)) == 5
    assert not weights(prepared)[biases[-1]].any()


def test_graphs_that_cannot_be_quantized_say_why(nets, frames, tiny):
    model = to_onnx(nets.tiny(), nets.SPEC)
    convolutions(model)[0].input[1] = "computed"
    with pytest.raises(ModelFileError, match="weights must be constants"):
        prepare(model)
    with pytest.raises(ModelFileError, match="no convolution"):
        prepare(helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])))
    with pytest.raises(DataError, match="got 0 frames"):
        calibrate(tiny, [], OPTIONS)
    with pytest.raises(UnknownNameError, match="unknown observer"):
        calibrate(tiny, frames, QuantOptions(observer="best"))
