"""The guard names each graph of the table for the right engines, and the table is right about the engines at hand."""

from __future__ import annotations

import json
import re
from importlib import metadata
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from seg_edge.core.artefact import sha256
from seg_edge.core.shipped import FOLDER
from seg_edge.core.spec import METADATA_KEY
from seg_edge.export.guard import PATTERNS, check_graph, warnings
from seg_edge.export.trt.typed import planned_in_float
from seg_edge.runtime.machine.disagreements import ROWS, TABLE
from seg_edge.runtime.modelfile import dialect
from seg_edge.runtime.modelfile.dialect import translate
from seg_edge.runtime.modelfile.onnxgraph import Graph
from seg_edge.runtime.modelfile.opsets import EXTENDED, NEWEST
from seg_edge.runtime.modelfile.repairs import REPAIRS, repaired, scalar_scales

ABOUT_GRAPHS = sorted(row.name for row in TABLE if row.engines)
#: Rows that a graph of another row meets as well.
ALSO = {"resize-antialias-border": ["resize-antialias"]}


@pytest.fixture(scope="module")
def small(load_module):
    return load_module("export/guard/graphs.py")


def names(model: onnx.ModelProto) -> list[str]:
    return [each.row.name for each in check_graph(model)]


def test_each_row_about_graphs_has_a_pattern_and_a_graph(small):
    assert sorted(PATTERNS) == ABOUT_GRAPHS == sorted(small.MEETS)


@pytest.mark.parametrize("row", ABOUT_GRAPHS)
def test_named(small, row):
    model = small.MEETS[row]
    assert sorted(names(model)) == sorted([row, *ALSO.get(row, [])])
    every = ("onnxruntime", "onnxruntime-cuda", "openvino", "rtx", "tensorrt")
    about = ROWS[row]
    for engine in every:
        said = [line for line in warnings(model, [engine]) if about.where in line]
        assert len(said) == (engine in about.engines and engine not in about.rewritten)
        assert all(line.startswith(f"{engine} computes something else at ") and about.remedy in line for line in said)


def test_nothing_else_is_named(small):
    assert {title: names(model) for title, model in small.NEAR.items()} == dict.fromkeys(small.NEAR, [])


def test_the_shipped_models_pass():
    files = sorted(FOLDER.rglob("*.onnx"))
    assert files
    for path in files:
        model = onnx.load(path)
        assert names(model) == []
        assert [item.key for item in model.metadata_props] == [METADATA_KEY]
        steps = json.loads((path.parent / "report.json").read_text())["steps"]
        assert (path.name, sha256(path), path.stat().st_size) in {
            (step["file"], step["sha256"], step["bytes"]) for step in steps
        }


def on_onnxruntime(model: bytes, frame: Any, *, optimized: bool = False) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, {"x": frame})[0]


def on_openvino(model: bytes, frame: Any) -> Any:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    return core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(frame)[0]


def differ(a: Any, b: Any, tolerance: float = 1e-4) -> bool:
    return a.shape != b.shape or bool(np.abs(a - b).max() > tolerance)


def frame_of(small, model: onnx.ModelProto) -> Any:
    width = model.graph.input[0].type.tensor_type.shape.dim[3].dim_value
    return np.ascontiguousarray(small.FRAME[..., : width or None])


@pytest.mark.parametrize(
    "row", [row.name for row in TABLE if "openvino" in row.engines and row.name != "resize-fractional-corners"]
)
def test_openvino_does_what_the_table_says(small, row):
    """ONNX Runtime without optimizations gives ONNX's answer for these."""
    seen = ROWS[row].packages["openvino"].seen
    if metadata.version("openvino") != seen:
        pytest.skip(f"the table's version is {seen}")
    model = small.MEETS[row]
    data, frame = model.SerializeToString(), frame_of(small, model)
    assert differ(on_onnxruntime(data, frame), on_openvino(data, frame))


@pytest.mark.parametrize("row", ["bias-scale", "blocked-weights", "newest-opset"])
def test_onnxruntime_does_what_the_table_says(small, row):
    seen = ROWS[row].packages["onnxruntime"].seen
    if metadata.version("onnxruntime") != seen:
        pytest.skip(f"the table's version is {seen}")
    model = small.MEETS[row]
    data, frame = model.SerializeToString(), frame_of(small, model)
    expected = on_openvino(data, frame)
    try:
        found = on_onnxruntime(data, frame, optimized=True)
    except Exception:
        assert row != "bias-scale"
    else:
        assert row == "bias-scale"
        assert differ(expected, found)


def test_fractional_corners_differ_from_the_reference(small):
    from onnx.reference import ReferenceEvaluator

    model = small.MEETS["resize-fractional-corners"]
    expected = ReferenceEvaluator(model).run(None, {"x": small.FRAME})[0]
    assert differ(expected, on_onnxruntime(model.SerializeToString(), small.FRAME))
    assert differ(expected, on_openvino(model.SerializeToString(), small.FRAME))


@pytest.mark.parametrize("scale", [2.6, 2.3, 1.3, 0.6])
def test_fractional_corners_are_pytorchs_on_every_engine(small, scale):
    model = small.resize(scale=scale, coordinate_transformation_mode="align_corners").SerializeToString()
    image = torch.from_numpy(small.FRAME)
    expected = torch.nn.functional.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=True).numpy()
    assert not differ(expected, on_onnxruntime(model, small.FRAME), 1e-5)
    assert not differ(expected, on_openvino(model, small.FRAME), 1e-5)


@pytest.mark.parametrize("scales", [(2.3,), (1.5,), (3.7,), (1.1, 2.3), (2.0, 1.9), (1.0, 1.7)])
def test_fractional_upsampling_picks_the_same_pixels_on_every_engine(small, scales):
    model = small.upsample(*scales)
    data = repaired(model.SerializeToString(), "openvino")
    assert data is not None
    onnx.checker.check_model(onnx.load_from_string(data))
    expected = on_onnxruntime(model.SerializeToString(), small.FRAME)
    np.testing.assert_array_equal(on_openvino(data, small.FRAME), expected)
    np.testing.assert_array_equal(on_onnxruntime(data, small.FRAME), expected)
    assert repaired(data, "openvino") is None


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (None, 4, None, None)])
@pytest.mark.parametrize("axis", [0, 1, 2, -2, -3, None])
@pytest.mark.parametrize("opset", [11, 12])
def test_softmax_takes_all_axes_from_its_own_on_every_engine(small, opset, axis, shape):
    softmax = small.node("Softmax", "x", **({} if axis is None else {"axis": axis}))
    model = small.model([softmax], opset=opset, shape=shape)
    assert names(model) == ["softmax-flattened"]
    data = repaired(model.SerializeToString(), "openvino")
    assert data is not None
    onnx.checker.check_model(onnx.load_from_string(data))
    expected = on_onnxruntime(model.SerializeToString(), small.FRAME)
    assert not differ(on_openvino(data, small.FRAME), expected, 1e-6)
    assert not differ(on_onnxruntime(data, small.FRAME), expected, 1e-6)


def test_the_newest_opset_is_read_as_the_one_before(small):
    model = small.conv(opset=28)
    data = repaired(model.SerializeToString(), "onnxruntime")
    assert data is not None
    assert data == repaired(model.SerializeToString(), "onnxruntime-cuda")
    made = onnx.load_from_string(data)
    onnx.checker.check_model(made)
    assert [(each.domain, each.version) for each in made.opset_import] == [("", 27)]
    assert not differ(on_onnxruntime(data, small.FRAME, optimized=True), on_openvino(model.SerializeToString(), small.FRAME))


@pytest.mark.parametrize("operator", EXTENDED)
def test_operators_that_mean_more_keep_the_newest_opset(small, operator):
    made = onnx.ModelProto()
    made.CopyFrom(small.conv(opset=28))
    made.graph.node.append(onnx.helper.make_node(operator, ["y"], ["z"]))
    assert names(made) == []
    assert repaired(made.SerializeToString(), "onnxruntime") is None


def test_all_other_operators_only_take_more_types():
    """What the schemas of opset 28 say: attributes and inputs of the others are those of the version before."""
    versions: dict[str, list[Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= NEWEST:
            versions.setdefault(schema.name, []).append(schema)
    for name, schemas in versions.items():
        *before, last = sorted(schemas, key=lambda schema: schema.since_version)
        if last.since_version == NEWEST and name not in EXTENDED:
            assert before
            assert before[-1].doc == last.doc
            assert sorted(before[-1].attributes) == sorted(last.attributes)
            assert [each.name for each in before[-1].inputs] == [each.name for each in last.inputs]


@pytest.mark.parametrize(
    ("kernel", "stride", "pads", "size"),
    [(2, 3, 1, 8), (2, 2, 1, 7), (3, 2, 1, 8), (3, 2, 0, 8), (2, 2, 0, 7), (3, 4, 1, 8), (3, 3, 1, 7), (2, 3, 1, 5)],
)
def test_pools_are_repaired_exactly(small, kernel, stride, pads, size):
    model = small.pool(kernel, stride, pads, size=size)
    frame = np.random.default_rng(size).normal(0, 1, (1, 4, size, size)).astype(np.float32) - 9
    expected = on_onnxruntime(model.SerializeToString(), frame)
    data = repaired(model.SerializeToString(), "openvino")
    assert data is not None
    assert b"ceil_mode" in data
    np.testing.assert_array_equal(on_openvino(data, frame), expected)
    np.testing.assert_array_equal(on_onnxruntime(data, frame), expected)
    assert repaired(data, "openvino") is None


@pytest.mark.parametrize("outside", [0, 1])
@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel"])
@pytest.mark.parametrize("to", [{"sizes": [1, 4, 3, 3]}, {"sizes": [1, 4, 5, 16]}, {"sizes": [1, 4, 1, 8]}, {"scale": 0.6}])
def test_antialiased_resizes_are_repaired_exactly(small, to, coordinates, outside):
    words = {"antialias": 1, "exclude_outside": outside, "coordinate_transformation_mode": coordinates}
    model = small.resize(**to, **words)
    data = repaired(model.SerializeToString(), "openvino")
    expected = on_onnxruntime(model.SerializeToString(), small.FRAME)
    assert data is not None
    assert not differ(on_openvino(data, small.FRAME), expected, 1e-5)
    assert not differ(on_onnxruntime(data, small.FRAME), expected, 1e-5)
    assert repaired(data, "openvino") is None


@pytest.mark.parametrize("kind", ["uint16", "int16"])
def test_pairs_of_16_bits_keep_their_clamp(small, kind):
    model = small.pair_around(kind)
    data = repaired(model.SerializeToString(), "openvino")
    assert data is not None
    expected = on_onnxruntime(model.SerializeToString(), small.FRAME)
    assert np.abs(on_openvino(data, small.FRAME) - expected).max() <= 0.51e-4  # half a level


@pytest.mark.parametrize("off", [1.009, 0.995])
def test_biases_get_the_scale_that_is_taken_for_granted(small, off):
    model = small.conv(off=off)
    data = repaired(model.SerializeToString(), "onnxruntime")
    assert data is not None
    expected = on_openvino(model.SerializeToString(), small.FRAME)
    assert not differ(on_onnxruntime(data, small.FRAME, optimized=True), expected, 0.01)
    assert repaired(data, "onnxruntime") is None


def test_what_needs_no_repair_stays(small):
    for title, model in small.NEAR.items():
        for engine in REPAIRS:
            made = repaired(model.SerializeToString(), engine)
            if made is None or title in ("a pooling whose last window holds a pixel", "a bias scale that is 2 % off"):
                continue
            pytest.fail(f"{title} was rewritten for {engine}")


@pytest.mark.parametrize("row", ["activation-scales", "no-zero-point"])
def test_tensorrt_gets_scalars_and_signed_levels(small, row):
    graph = Graph.from_bytes(translate(small.MEETS[row].SerializeToString(), "tensorrt"))
    pairs = [each for each in graph.nodes if each.op == "QuantizeLinear"]
    assert len(pairs) == 2
    for each in pairs:
        scale, zero_point = (graph.constant(name) for name in each.inputs[1:3])
        assert scale is not None
        assert scale.shape == ()
        assert zero_point is not None
        assert (zero_point.dtype, zero_point.item()) == (np.int8, 0)
        widened = 255 / 127 if row == "no-zero-point" else 1
        assert any(np.isclose(scale.item(), value * widened) for value in (0.02, 0.5))
    if row == "activation-scales":  # zero point 128 becomes 0 exactly
        data = small.MEETS[row].SerializeToString()
        answer = on_onnxruntime(translate(data, "tensorrt"), small.FRAME)
        np.testing.assert_allclose(answer, on_onnxruntime(data, small.FRAME), atol=0.51)  # a level, where sums round


@pytest.mark.parametrize(("zero_point", "factor"), [(0, 255 / 127), (128, 1)])
def test_tensorrt_gets_signed_levels_by_channel(small, zero_point, factor):
    model = small.conv(shape=(4,))
    for tensor in model.graph.initializer:
        if tensor.name in ("zx", "zy"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(4, zero_point, np.uint8), tensor.name))
    graph = Graph.from_bytes(translate(model.SerializeToString(), "tensorrt"))
    first = next(each for each in graph.nodes if each.op == "QuantizeLinear")
    scale, stated = (graph.constant(name) for name in first.inputs[1:3])
    assert scale is not None
    assert stated is not None
    np.testing.assert_allclose(scale, np.full(4, 0.02 * factor), rtol=1e-6)
    assert (stated.dtype, stated.tolist()) == (np.int8, [0] * 4)


RTX_ROWS = ["int8-transposed", "activation-scales", "activation-channels", "weight-scales-axis"]


@pytest.mark.parametrize("row", [*RTX_ROWS, None])
def test_tensorrt_rtx_plans_what_the_table_says(small, row, monkeypatch):
    """The builder needs no GPU, and its log names the data type that each layer reads."""
    trt = pytest.importorskip("tensorrt_rtx")
    if row is not None and not metadata.version("tensorrt-rtx").startswith(ROWS[row].packages["tensorrt-rtx"].seen):
        pytest.skip("the table's version is another one")
    model = small.conv() if row is None else small.MEETS[row]
    kinds = planned(trt, translate(model.SerializeToString(), "tensorrt"))
    unquantized = row in RTX_ROWS and "rtx" not in ROWS[row].rewritten
    assert kinds == ["Float" if unquantized else "Int8"]
    assert planned_in_float(onnx.load_from_string(translate(model.SerializeToString(), "tensorrt")), []) == (
        ["conv"] if unquantized else []
    )
    if row == "activation-scales":  # without the rewrite
        rules = tuple(rule for rule in dialect.DIALECTS["tensorrt"] if rule is not scalar_scales)
        monkeypatch.setitem(dialect.DIALECTS, "tensorrt", rules)
        assert planned(trt, translate(model.SerializeToString(), "tensorrt")) == ["Float"]


def planned(trt: Any, model: bytes) -> list[str]:
    """The data type of the input of each convolution in TensorRT-RTX's plan."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.text = ""

        def log(self, _severity: Any, message: str) -> None:
            self.text += message + "\n"

    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, log).parse(model)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    assert builder.build_serialized_network(network, config) is not None
    return re.findall(r"LayerType: (?:correlation|deconv), Inputs: .*?Datatype: (\w+)", log.text)


def test_scales_in_typed_fields_are_read(small):
    """ONNX Runtime's quantizer and NNCF 3.4 write scales into float_data, zero points into int32_data."""
    model = small.conv()
    for tensor in model.graph.initializer:
        if tensor.name in ("sx", "sy", "zx", "zy"):
            values = onnx.numpy_helper.to_array(tensor).reshape(-1).tolist()
            tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, tensor.data_type, list(tensor.dims), values))
            assert not tensor.raw_data
    graph = Graph.from_bytes(translate(model.SerializeToString(), "tensorrt"))
    first = next(each for each in graph.nodes if each.op == "QuantizeLinear")
    scale, zero_point = (graph.constant(name) for name in first.inputs[1:3])
    assert scale is not None
    assert zero_point is not None
    assert (round(scale.item(), 6), zero_point.dtype) == (0.02, np.int8)
