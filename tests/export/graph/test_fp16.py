from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from seg_edge.calib.graph import get_spec, run, session
from seg_edge.core.errors import ModelFileError
from seg_edge.export.checks.compare import compare
from seg_edge.export.graph.fp16 import rounded, to_fp16
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, prepare, quantize
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.export.trt import BuildOptions, build_plan, for_tensorrt
from seg_edge.runtime.engines.nvinfer import module_available

RTX = module_available("rtx")


@pytest.fixture(scope="module", params=["TinyUNet", "NotAConvFirst", "mobile_lraspp", "erf_like"])
def single(request, nets, load_module):
    zoo = load_module("export/trt/zoo.py").ZOO
    kind = zoo.get(request.param) or getattr(nets, request.param)
    return to_onnx(nets.trained(kind()), nets.SPEC)


def kinds(model):
    """Element type of each tensor that a node computes."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {value.name: value.type.tensor_type.elem_type for value in [*inferred.value_info, *inferred.output]}


def test_it_computes_the_same_within_half_precision(single, nets):
    frames = nets.frames(3) + [np.zeros((1, 64, 96, 3), np.uint8), np.full((1, 64, 96, 3), 255, np.uint8)]
    half = to_fp16(single)
    found = compare(*([run(opened, frame)[0] for frame in frames] for opened in map(session, (single, rounded(half)))))
    assert 0 < found.max_abs_error < 0.01 * found.peak
    assert found.agreement > 0.99


def test_only_normalization_and_output_are_single(single):
    half = to_fp16(single)
    onnx.checker.check_model(half, full_check=True)
    found = kinds(half)
    first = next(node for node in half.graph.node if node.op_type == "Cast" and node.name.endswith(".to_half"))
    before = {name for node in half.graph.node[: list(half.graph.node).index(first)] for name in node.output}
    last = half.graph.node[-1]
    assert (last.op_type, list(last.output)) == ("Cast", ["logits"])
    floats = {name for name, kind in found.items() if kind == onnx.TensorProto.FLOAT}
    assert floats <= before | {"logits"}
    weights = [tensor for tensor in half.graph.initializer if len(tensor.dims) == 4 and tensor.name != "mean_bgr"]
    assert {tensor.data_type for tensor in weights if tensor.dims[2] * tensor.dims[1] > 3} <= {onnx.TensorProto.FLOAT16}


def test_signature_and_spec(single):
    half = to_fp16(single)
    assert [v.SerializeToString() for v in (*half.graph.input, *half.graph.output)] == [
        v.SerializeToString() for v in (*single.graph.input, *single.graph.output)
    ]
    assert get_spec(half) == get_spec(single).with_(precision="fp16")
    initial = [sum(len(t.raw_data) for t in model.graph.initializer if t.name != "mean_bgr") for model in (single, half)]
    assert initial[1] < 0.65 * initial[0]


@pytest.mark.skipif(not RTX.ok, reason=RTX.reason)
def test_tensorrt_builds_it(single):
    assert build_plan(to_fp16(single), BuildOptions(compute_capabilities=("89",))).plan


def test_it_is_a_base_for_qdq(nets):
    model = prepare(to_onnx(nets.tiny(), nets.SPEC))
    options = QuantOptions()
    int8 = for_tensorrt(quantize(model, calibrate(model, nets.frames(3), options), options))
    half = to_fp16(int8)
    assert half.opset_import[0].version == 19
    assert get_spec(half) == get_spec(int8)
    found = kinds(half)
    for node in half.graph.node:
        if node.op_type == "Conv":
            assert found[node.input[0]] == found[node.input[1]] == found[node.output[0]] == onnx.TensorProto.FLOAT16
    frames = nets.frames(2, seed=3)
    opened = [session(graph, fuse_quantized=False) for graph in (int8, half)]
    assert compare(*([run(each, frame)[0] for frame in frames] for each in opened)).agreement > 0.97
    if RTX.ok:
        assert build_plan(
            quantize(model, calibrate(model, nets.frames(1), options), options),
            BuildOptions(compute_capabilities=("89",), half_base=True),
        ).plan


def test_weights_beyond_half_precision_are_refused(nets):
    model = to_onnx(nets.tiny(), nets.SPEC)
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4 and t.name != "mean_bgr" and t.dims[1] > 3)
    values = numpy_helper.to_array(tensor).copy()
    values[0, 0, 0, 0] = 1e5
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(ModelFileError, match=r"fp16: weight .* reaches 1e\+05, float16 holds 65504 at most; keep .* fp32"):
        to_fp16(model)


def test_rounding_is_that_of_every_operation(nets):
    """Against torch in half precision, which rounds the same way but for the order of its sums."""
    import torch

    net = nets.tiny()
    frame = nets.frames(1)[0]
    half = to_fp16(to_onnx(net, nets.SPEC))
    got = run(session(rounded(half)), frame)[0]
    single = run(session(to_onnx(net, nets.SPEC)), frame)[0]
    with torch.inference_mode():
        expected = net.half()(nets.normalized(frame).half()).float().numpy()
    assert np.abs(got - expected).max() < 4e-3 * np.abs(expected).max()
    assert 1e-5 < np.abs(got - single).max() < 4e-3 * np.abs(single).max()
    levels = np.unique(got)
    assert (levels == levels.astype(np.float16)).all()


def test_overflow_shows(nets):
    model = to_onnx(nets.tiny(), nets.SPEC)
    head = [node for node in model.graph.node if node.op_type == "Conv"][-2:]
    for node, factor in zip(head, (3e4, 1e-5), strict=True):
        tensor = next(t for t in model.graph.initializer if t.name == node.input[1])
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
    half = to_fp16(model)
    frame = nets.frames(1)[0]
    assert np.isfinite(run(session(half), frame)[0]).all()
    assert not np.isfinite(run(session(rounded(half)), frame)[0]).all()
