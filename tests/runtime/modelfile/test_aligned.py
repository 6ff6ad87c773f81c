"""Convolutions that get the shape of ONNX Runtime's fast 8-bit kernel must compute bit for bit the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import convolutions, run, session, weights
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, prepare, quantize
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.runtime.modelfile import aligned
from seg_edge.runtime.modelfile.dialect import DIALECTS, copying_resize, integer_mean
from seg_edge.runtime.modelfile.onnxgraph import Graph

BOTH = (aligned.columns_as_channels, aligned.padded_outputs)


def quantized(nets, network, keep_float=()):
    model = prepare(to_onnx(nets.trained(network), nets.SPEC))
    return quantize(model, calibrate(model, nets.frames(4), QuantOptions()), QuantOptions(), keep_float)


def rewritten(model, *rules):
    graph = Graph.from_bytes(model.SerializeToString())
    for rule in (copying_resize, integer_mean, *rules):
        rule(graph)
    graph.drop_unused()
    result = onnx.load_from_string(graph.to_bytes())
    onnx.checker.check_model(result, full_check=True)
    return result


def kernel_shapes(model):
    known = weights(model)
    made_by = {name: each for each in model.graph.node for name in each.output}
    return [known[made_by[each.input[1]].input[0]].shape for each in convolutions(model)]


def assert_same(model, result, nets, **options):
    a, b = session(rewritten(model), **options), session(result, **options)
    for frame in nets.frames(3, seed=5):
        assert np.array_equal(run(a, frame)[0], run(b, frame)[0])


@pytest.fixture(scope="module")
def int8(nets):
    return quantized(nets, nets.TinyUNet())


def test_the_ends_of_a_network_get_shapes_that_have_a_kernel(int8, nets):
    result = rewritten(int8, *BOTH)
    before, after = kernel_shapes(rewritten(int8)), kernel_shapes(result)
    # Stem: two output columns from twice four input columns; the head's 4 classes become 16; the stem of 16 is one already.
    assert (before[0], after[0]) == ((8, 3, 3, 3), (16, 12, 3, 2))
    assert (before[-1], after[-1]) == ((4, 16, 1, 1), (16, 16, 1, 1))
    assert before[1:-1] == after[1:-1]
    assert_same(int8, result, nets)


def test_onnx_runtime_executes_the_new_shapes_without_moving_data(int8, tmp_path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(rewritten(int8, *BOTH).SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = onnx.load(tmp_path / "optimized.onnx")
    known = weights(found)
    kinds = [each.op_type for each in found.graph.node]
    shapes = [known[each.input[3]].shape for each in found.graph.node if each.op_type == "QLinearConv"]
    assert shapes[0] == (16, 12, 3, 2)
    assert shapes[-1] == (16, 16, 1, 1)
    assert len(shapes) == 5
    # The one Transpose is that of the logits.
    assert kinds.count("Transpose") == 1
    assert "QuantizeLinear" not in kinds


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "shape"),
    [
        (3, 2, 1, (16, 12, 3, 2)),
        (3, 1, 1, (32, 12, 3, 3)),
        (5, 2, 2, (16, 12, 5, 3)),
        (7, 4, 3, (8, 12, 7, 2)),
        ((1, 3), 1, (0, 1), (32, 12, 1, 3)),
        ((3, 2), 2, (1, 0), (16, 12, 3, 1)),
        (1, 1, 0, (32, 12, 1, 1)),
    ],
)
def test_any_kernel_stride_and_padding(kernel, stride, padding, shape, nets):
    nn = nets.nn
    stem = nn.Sequential(nn.Conv2d(3, 8, kernel, stride, padding), nn.ReLU())
    model = quantized(nets, nn.Sequential(stem, nn.Conv2d(8, 4, 4 // stride if stride < 4 else 1, 4 // stride)))
    result = rewritten(model, *BOTH)
    assert kernel_shapes(result)[0] == (max(16, shape[0]), *shape[1:])  # 8 outputs have no kernel: they are filled up
    assert_same(model, result, nets)


def test_signed_values_without_a_relu(nets):
    nn = nets.nn
    model = quantized(nets, nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 4, 3, 2, 1)))
    result = rewritten(model, *BOTH)
    assert kernel_shapes(result) == [(16, 12, 3, 2), (16, 8, 3, 3)]
    assert_same(model, result, nets)
    assert_same(model, result, nets, fuse_quantized=False)


def test_widths_between_two_kernels_are_filled_up(nets):
    nn = nets.nn
    net = nn.Sequential(nets.block(3, 8, 2), nets.block(8, 20, 2), nn.Conv2d(20, 4, 1))
    model = quantized(nets, net)
    result = rewritten(model, *BOTH)
    assert kernel_shapes(result)[1:] == [(24, 8, 3, 3), (16, 20, 1, 1)]
    assert_same(model, result, nets)


@pytest.mark.parametrize(
    "stem",
    [
        lambda nn: nn.Conv2d(3, 8, 3, 2, 0),  # its last column is lost: 47 columns are no whole number of pairs
        lambda nn: nn.Conv2d(3, 8, 3, 2, 2, dilation=2),
        lambda nn: nn.Conv2d(3, 9, 3, 2, 1, groups=3),
    ],
)
def test_what_has_no_such_shape_stays(stem, nets):
    nn = nets.nn
    first = stem(nn)
    model = quantized(nets, nn.Sequential(first, nn.ReLU(), nn.Conv2d(first.out_channels, 4, 3, 2, 1)))
    result = rewritten(model, aligned.columns_as_channels)
    assert kernel_shapes(result) == kernel_shapes(rewritten(model))
    assert_same(model, result, nets)


def test_a_convolution_in_float_stays(nets):
    names = [each.name for each in convolutions(prepare(to_onnx(nets.tiny(), nets.SPEC)))]
    model = quantized(nets, nets.TinyUNet(), [names[0], names[-1]])
    result = rewritten(model, *BOTH)
    assert [each.op_type for each in result.graph.node] == [each.op_type for each in rewritten(model).graph.node]


def test_any_batch(int8, nets):
    from seg_edge.export.graph.batch import with_batch

    model = with_batch(int8, 2)
    result = rewritten(model, *BOTH)
    assert kernel_shapes(result)[0] == (16, 12, 3, 2)
    frames = np.concatenate(nets.frames(2, seed=5))
    assert np.array_equal(run(session(rewritten(model)), frames)[0], run(session(result), frames)[0])


@pytest.mark.skipif(not aligned.HERE, reason="the kernel and its rules are x86's")
def test_it_is_part_of_the_dialect_on_x86():
    assert set(BOTH) <= set(DIALECTS["onnxruntime"])
