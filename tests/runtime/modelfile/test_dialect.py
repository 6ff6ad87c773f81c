"""One INT8 file in the dialects of several engines: what is computed must stay what was calibrated."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from seg_edge.calib.graph import run, session, set_spec, set_weight, weights
from seg_edge.core.errors import ModelFileError
from seg_edge.export.checks.compare import compare
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, prepare, quantize
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.runtime.engines import open_engine
from seg_edge.runtime.engines.trt_log import Log, listen
from seg_edge.runtime.modelfile.dialect import DIALECTS, load_model, mean_levels, translate
from seg_edge.runtime.modelfile.wire import WireError


def quantized(nets, network):
    model = prepare(to_onnx(network, nets.SPEC))
    result = quantize(model, calibrate(model, nets.frames(8), QuantOptions()), QuantOptions())
    set_spec(result, nets.SPEC.with_(precision="int8"))
    return result


@pytest.fixture(scope="module")
def int8(nets):
    return quantized(nets, nets.tiny())


def translated(model, engine):
    result = onnx.load_from_string(translate(model.SerializeToString(), engine))
    onnx.checker.check_model(result, full_check=True)
    return result


def difference(reference, model, frames, **options):
    a, b = session(reference, **options), session(model, **options)
    return compare([run(a, frame)[0] for frame in frames], [run(b, frame)[0] for frame in frames])


def kinds(model):
    return [each.op_type for each in model.graph.node]


def test_onnx_runtimes_dialect_computes_bit_for_bit_the_same(int8, nets):
    result = translated(int8, "onnxruntime")
    assert "Resize" in kinds(int8)
    assert not {"Resize", "Sub", "Cast"} & set(kinds(result))
    found = difference(int8, result, nets.frames(6, seed=5))
    assert found.agreement == 1.0
    # A mean may fall on the border between two levels, where float32's rounding decides.
    assert found.max_abs_error <= 2 * weights(int8)["logits.scale"]


def test_onnx_runtime_executes_copies_and_integers(int8, tmp_path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(translate(int8.SerializeToString(), "onnxruntime"), options, providers=["CPUExecutionProvider"])
    found = kinds(onnx.load(tmp_path / "optimized.onnx"))
    assert found.count("QLinearConv") == 5
    assert found.count("QLinearAdd") == 1
    assert not {"Conv", "FusedConv", "Resize", "QuantizeLinear", "Sub"} & set(found)


def test_upsampling_by_other_whole_factors(nets):
    class Uneven(nets.torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nets.block(3, 8, 4), nets.nn.Conv2d(8, 4, 3, (3, 2), 1)

        def forward(self, x):
            return self.second(nets.F.interpolate(self.first(x), scale_factor=(3.0, 2.0), mode="nearest"))

    model = quantized(nets, nets.trained(Uneven()))
    result = translated(model, "onnxruntime")
    assert "Resize" not in kinds(result)
    assert difference(model, result, nets.frames(3)).agreement == 1.0


def test_what_is_not_recognized_stays(int8, nets):
    other = onnx.ModelProto()
    other.CopyFrom(int8)
    del other.graph.value_info[:]  # sizes are unknown
    set_weight(other, "mean_bgr", weights(other)["mean_bgr"] + np.float32(0.1))  # not on levels
    result = translated(other, "onnxruntime")
    # The last convolution is known at any size: on x86 its 4 outputs are filled up and cut off again.
    assert [kind for kind in kinds(result) if kind != "Slice"] == kinds(other)
    resize = next(each for each in other.graph.node if each.op_type == "Resize")
    at = next(i for i, a in enumerate(resize.attribute) if a.name == "nearest_mode")
    resize.attribute[at].s = b"ceil"
    assert "Resize" in kinds(translated(onnx.shape_inference.infer_shapes(other), "onnxruntime"))


def test_a_requantizing_resize_stays(int8):
    other = onnx.ModelProto()
    other.CopyFrom(int8)
    resize = next(each for each in other.graph.node if each.op_type == "Resize")
    set_weight(other, f"{resize.output[0]}.scale", np.float32(0.5))
    assert "Resize" in kinds(translated(other, "onnxruntime"))


def test_openvino_takes_the_file_as_it_is(int8):
    data = int8.SerializeToString()
    assert translate(data, "openvino") is data


def test_tensorrts_dialect_has_what_its_parser_takes(int8):
    result = translated(int8, "tensorrt")
    known = weights(result)
    made_by = {name: each for each in result.graph.node for name in each.output}
    for each in result.graph.node:
        if each.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert known[each.input[2]].dtype == np.int8
            assert not known[each.input[2]].any()
        if each.op_type == "Conv":
            assert known[each.input[2]].dtype == np.float32
            assert made_by[each.input[1]].op_type == "DequantizeLinear"
    assert not any(value.dtype == np.uint8 for value in known.values())
    assert not any(name.endswith(".int32") for name in known)


def test_tensorrts_dialect_covers_the_same_range(int8):
    before, after = weights(int8), weights(translated(int8, "tensorrt"))
    zero_points = {name: value for name, value in before.items() if value.dtype == np.uint8}
    assert {int(value) for value in zero_points.values()} == {0, 128}
    for name, zero_point in zero_points.items():
        scale = name.replace("zero_point", "scale")
        top = before[scale] * (255 - int(zero_point))
        assert after[f"{scale}.signed"] * 127 == pytest.approx(top)


def test_signed_activations_have_an_exact_twin(nets):
    # Without a ReLU every tensor has negative values: zero point 128, and int8 with the same scale is the same.
    network = nets.nn.Sequential(nets.nn.Conv2d(3, 8, 3, 2, 1), nets.nn.Conv2d(8, 4, 3, 2, 1))
    model = quantized(nets, nets.trained(network))
    found = difference(model, translated(model, "tensorrt"), nets.frames(4), fuse_quantized=False)
    assert found.agreement > 0.999
    assert found.max_abs_error <= 1.01 * weights(model)["logits.scale"]


def test_tensorrts_masks_differ_by_the_lost_bit_only(int8, tiny, nets):
    # 127 instead of 255 levels behind each ReLU: not the same masks, but hardly farther from the float network's.
    frames = nets.frames(6, seed=5)
    result = translated(int8, "tensorrt")
    assert difference(int8, result, frames, fuse_quantized=False).agreement > 0.97
    ours, theirs = (difference(tiny, each, frames, fuse_quantized=False).agreement for each in (int8, result))
    assert theirs > ours - 0.015


def test_tensorrt_rtx_builds_it(int8):
    trt = pytest.importorskip("tensorrt_rtx")
    log = Log()
    logger = listen(trt, log)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(translate(int8.SerializeToString(), "tensorrt")), [
        parser.get_error(i).desc() for i in range(parser.num_errors)
    ]
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM89, 0)
    assert builder.build_serialized_network(network, config).nbytes > 10_000


def test_another_zero_point_is_refused(int8):
    other = onnx.ModelProto()
    other.CopyFrom(int8)
    set_weight(other, "logits.zero_point", np.uint8(7))
    with pytest.raises(WireError, match=r"zero point 7 of logits\..*expected 0 or 128"):
        translate(other.SerializeToString(), "tensorrt")


def test_the_engine_opens_its_dialect(int8, nets, tmp_path):
    onnx.save(int8, tmp_path / "model.onnx")
    with open_engine(tmp_path / "model.onnx", "onnxruntime", threads=1) as engine:
        for frame in nets.frames(2, seed=7):
            assert np.array_equal(engine.infer(frame).argmax(1), run(session(int8), frame)[0].argmax(1))
    assert isinstance(load_model(tmp_path / "model.onnx", nets.SPEC.with_(precision="int8"), "onnxruntime"), bytes)


def test_other_precisions_and_engines_open_the_file_itself(tmp_path, nets):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x3a\x00")  # an empty graph, which needs no repair
    assert load_model(path, nets.SPEC, "onnxruntime") == str(path)
    assert load_model(path, nets.SPEC.with_(precision="int8"), "openvino") == str(path)
    assert load_model(path, nets.SPEC.with_(precision="int8"), "another") == str(path)


def test_damage_is_one_clear_error(tmp_path, nets):
    path = tmp_path / "model.onnx"
    spec = nets.SPEC.with_(precision="int8")
    with pytest.raises(ModelFileError, match="can't be read"):
        load_model(path, spec, "onnxruntime")
    path.write_bytes(b"\x3a\x05abc")
    with pytest.raises(ModelFileError, match=r"model\.onnx: not an ONNX file, or damaged"):
        load_model(path, spec, "onnxruntime")


def test_means_are_moved_by_a_fraction_of_a_level():
    mean = np.array([103.53, 116.28, 123.675], np.float32)
    levels, width = mean_levels(mean)
    assert np.array_equal(levels, np.rint(levels))
    assert levels.max() <= 255
    assert np.abs(levels * width - mean).max() < 0.1
    assert mean_levels(np.zeros(3, np.float32)) == (pytest.approx(np.zeros(3)), 1.0)


def test_every_dialect_leaves_the_interface_alone(int8):
    for engine in DIALECTS:
        result = onnx.load_from_string(translate(int8.SerializeToString(), engine))
        assert (result.graph.input, result.graph.output) == (int8.graph.input, int8.graph.output)
        assert result.metadata_props == int8.metadata_props
        assert all(numpy_helper.to_array(each).size for each in result.graph.initializer)
