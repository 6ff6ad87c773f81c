"""Layers that go back to float16: built by TensorRT-RTX, run on ONNX Runtime, kept out where float16 can't hold them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import convolutions, run, session, set_spec, set_weight, weights
from seg_edge.core.errors import InputError, ModelFileError, UnknownNameError
from seg_edge.export.chain import export_network
from seg_edge.export.deliver.options import DeliverOptions
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, quantize
from seg_edge.export.int8.half_layers import half_convolutions, half_range
from seg_edge.export.options import ExportOptions
from seg_edge.export.trt import BuildOptions, build_plan
from seg_edge.runtime.engines.nvinfer import module_available

RTX = module_available("rtx")
OPTIONS = QuantOptions()


@pytest.fixture(scope="module")
def mixture(nets, tiny):
    """A function (float convolutions by number) → INT8 graph, and their names."""
    calibration = calibrate(tiny, nets.frames(4), OPTIONS)

    def make(numbers):
        names = [convolutions(tiny)[i].name for i in numbers]
        model = quantize(tiny, calibration, OPTIONS, names)
        set_spec(model, nets.SPEC.with_(precision="int8"))
        return model, names

    return make


def kinds(model):
    inferred = onnx.shape_inference.infer_shapes(model).graph
    found = {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.output)}
    return found | {tensor.name: tensor.data_type for tensor in model.graph.initializer}


@pytest.mark.parametrize("layers", [[0], [1], [2, 3], [4]])
def test_the_chosen_layers_are_half_and_the_others_stay_on_levels(layers, mixture, nets):
    model, names = mixture(layers)
    half = half_convolutions(model, names)
    found = kinds(half)
    for node in convolutions(half):
        wanted = onnx.TensorProto.FLOAT16 if node.name in names else onnx.TensorProto.FLOAT
        assert {found[name] for name in (*node.input, *node.output)} == {wanted}
    assert half.graph.output == model.graph.output
    for frame in nets.frames(2, seed=5):
        a, b = (run(session(each), frame)[0] for each in (model, half))
        assert 0 < np.abs(a - b).max() < 0.1 * np.abs(a).max()
        assert np.mean(a.argmax(1) == b.argmax(1)) > 0.98


@pytest.mark.skipif(not RTX.ok, reason=RTX.reason)
@pytest.mark.parametrize("half_base", [False, True])
def test_tensorrt_builds_the_mixture(half_base, mixture):
    model, names = mixture([1, 2])
    options = BuildOptions(compute_capabilities=("89",), half_base=half_base)
    built = build_plan(half_convolutions(model, names), options)
    assert built.in_float == names
    assert built.plan[:4] == b"vtrt"


def test_a_layer_that_float16_cannot_hold_stays_in_float32(tiny, nets):
    names = [node.name for node in convolutions(tiny)]
    assert half_range(tiny, names[::-1], nets.frames(2)) == names[::-1]
    loud = onnx.ModelProto()
    loud.CopyFrom(tiny)
    weight = convolutions(loud)[1].input[1]
    set_weight(loud, weight, weights(loud)[weight] * np.float32(1e5))
    # Its own result is too large, and so is what the layers behind it read.
    assert half_range(loud, names, nets.frames(2)) == [names[0]]
    assert half_range(loud, [], nets.frames(2)) == []


def test_what_is_no_float_convolution_is_refused(mixture):
    model, _ = mixture([1])
    other = convolutions(model)[3].name
    with pytest.raises(ModelFileError, match=f"{other} is no float convolution"):
        half_convolutions(model, [other])


@pytest.fixture(scope="module")
def hostile(nets):
    """A network whose second layer reads one channel a thousand times as large as the others."""
    net = nets.tiny()
    net.stem[1].weight.data[0] *= 1000
    net.stem[1].bias.data[0] *= 1000
    net.down[0].weight.data[:, 0] /= 1000
    return net


@pytest.mark.parametrize(("precision", "other"), [("fp16", "fp32"), ("fp32", "fp16")])
def test_an_export_takes_the_precision_that_is_asked_for(precision, other, nets, hostile, tmp_path):
    data = nets.write_dataset(tmp_path / "data", hostile)
    options = ExportOptions(
        int8=True, data=data, engine="onnxruntime", threads=1, max_drop=0.06, fallback_precision=precision
    )
    report = export_network(hostile, nets.SPEC, tmp_path / "art", options)
    assert [cost.precision for cost in report.sensitivity] == ["int8", precision, "int8", "int8", "int8"]
    note = report.to_dict()["steps"][-1]["note"]
    assert f"1 of 5 convolutions went back to {precision}" in note
    assert f"back to {other}" not in note
    model = onnx.load(tmp_path / "art" / "model.int8.onnx")
    assert any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer) == (precision == "fp16")


def test_the_default_follows_what_is_built(tmp_path):
    options = ExportOptions(int8=True, data=tmp_path)
    assert options.float_precision == "fp32"
    assert replace(options, deliver=DeliverOptions(plan=BuildOptions())).float_precision == "fp16"
    assert replace(options, deliver=DeliverOptions(plan=BuildOptions(dla_core=0))).float_precision == "fp32"
    with pytest.raises(UnknownNameError, match="did you mean 'fp16'"):
        replace(options, fallback_precision="fp61")
    with pytest.raises(InputError, match="`fallback_precision`: .* pass `int8=True` too"):
        ExportOptions(fallback_precision="fp16")
