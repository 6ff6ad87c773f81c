"""Peers of every layout and type, wrapped and run: masks must be those that the bare network gives."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_edge.core.errors import ModelFileError
from seg_edge.core.spec import IMAGENET_MEAN, IMAGENET_STD
from seg_edge.export.networks.peer import wrap_peer
from seg_edge.runtime import Segmenter, read_spec

SIZE = (32, 48)


def peer(
    path, dtype="float32", layout="NCHW", form="NCHW", free=False, stride=4, names=("frames", "logits"), batch=1, extra=False
):
    """Score k of an output pixel is the mean of channel k (of what the network gets) over its block, NCHW inside."""
    height, width = ("h", "w") if free else SIZE
    kind = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16}[dtype]
    inner = TensorProto.FLOAT16 if dtype == "float16" else TensorProto.FLOAT
    weights = np.zeros((3, 3, stride, stride), np.float16 if dtype == "float16" else np.float32)
    weights[range(3), range(3)] = 1 / stride**2
    shape = [batch, 3, height, width] if layout == "NCHW" else [batch, height, width, 3]
    nodes, at = [], names[0]
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [at], ["t"], perm=[0, 3, 1, 2]))
        at = "t"
    if dtype == "uint8":
        nodes.append(helper.make_node("Cast", [at], ["c"], to=TensorProto.FLOAT))
        at = "c"
    last = names[1] if form == "NCHW" else "scores"
    nodes.append(helper.make_node("Conv", [at, "w"], [last], strides=[stride, stride]))
    out_kind, out = inner, ["n", 3, "a", "b"]
    if form == "NHWC":
        nodes.append(helper.make_node("Transpose", [last], [names[1]], perm=[0, 2, 3, 1]))
        out = ["n", "a", "b", 3]
    if form == "labels":
        nodes.append(helper.make_node("ArgMax", [last], [names[1]], axis=1, keepdims=0))
        out_kind, out = TensorProto.INT64, ["n", "a", "b"]
    outputs = [helper.make_tensor_value_info(names[1], out_kind, out)]
    if extra:  # an output before it that can be no mask
        nodes.append(helper.make_node("ReduceMean", [at], ["brightness"], keepdims=0))
        outputs.insert(0, helper.make_tensor_value_info("brightness", inner, []))
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info(names[0], kind, shape)],
        outputs,
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def expected(frame_bgr, dtype):
    """Which channel is strongest in each block of 4x4, as the network sees it."""
    seen = frame_bgr.astype(np.float64)
    if dtype != "uint8":
        seen = (seen[..., ::-1] - IMAGENET_MEAN) / IMAGENET_STD
    blocks = seen.reshape(SIZE[0] // 4, 4, SIZE[1] // 4, 4, 3).mean((1, 3))
    return blocks.argmax(2)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("form", ["NCHW", "NHWC"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
def test_every_kind_of_input_and_output(tmp_path, dtype, layout, form, free):
    wrapped = wrap_peer(peer(tmp_path / "theirs.onnx", dtype, layout, form, free), SIZE, tmp_path / "cache")
    onnx.checker.check_model(onnx.load(wrapped), full_check=True)
    spec = read_spec(wrapped)
    assert (spec.name, spec.input_hw, spec.output, spec.output_stride, len(spec.labels)) == ("theirs", SIZE, "logits", 4, 3)
    assert spec.precision == ("fp16" if dtype == "float16" else "fp32")
    assert (spec.provenance["params"], spec.provenance["macs"]) == (144, 144 * 8 * 12)
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    with Segmenter(wrapped, "onnxruntime", threads=1) as segmenter:
        assert (segmenter.logits(frame).argmax(0) == expected(frame, dtype)).all()


def test_class_numbers(tmp_path):
    path = peer(tmp_path / "p.onnx", form="labels", stride=1)
    wrapped = wrap_peer(path, SIZE, tmp_path)
    assert read_spec(wrapped).output == "labels"
    frame = np.zeros((*SIZE, 3), np.uint8)
    frame[:, 24:] = (255, 0, 0)
    with Segmenter(wrapped, "onnxruntime", threads=1) as segmenter:
        mask = segmenter(frame)
    assert set(mask[:, 24:].ravel()) == {2}  # blue is the last of RGB


def test_an_output_that_is_no_mask_is_stepped_over(tmp_path):
    wrapped = wrap_peer(peer(tmp_path / "p.onnx", extra=True), SIZE, tmp_path)
    assert [value.name for value in onnx.load(wrapped).graph.output] == ["logits"]


def test_a_free_size_takes_the_one_that_is_asked_for_and_a_fixed_one_stays(tmp_path):
    assert read_spec(wrap_peer(peer(tmp_path / "a.onnx", free=True), (64, 64), tmp_path)).input_hw == (64, 64)
    assert read_spec(wrap_peer(peer(tmp_path / "b.onnx"), (64, 64), tmp_path)).input_hw == SIZE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"batch": 4}, r"input frames float \(4, 3, 32, 48\); expected one input"),
        ({"form": "labels"}, r"outputs logits int64 \(1, 8, 12\).*expected scores"),
    ],
)
def test_other_networks_are_refused_with_what_they_have(tmp_path, words, said):
    with pytest.raises(ModelFileError, match=said):
        wrap_peer(peer(tmp_path / "p.onnx", **words), SIZE, tmp_path)


def test_our_own_files_and_no_files(tmp_path, tiny_model):
    with pytest.raises(ModelFileError, match="pass it as a model"):
        wrap_peer(tiny_model, SIZE, tmp_path)
    with pytest.raises(ModelFileError, match="can't be read"):
        wrap_peer(tmp_path / "away.onnx", SIZE, tmp_path)


def test_row_27_an_auxiliary_head_first_and_sizes_of_minus_one(tmp_path):
    """Rows of the table of people's data: the finest head is taken and named, and -1 is a free size."""
    model = onnx.load(peer(tmp_path / "p.onnx"))
    model.graph.node.append(helper.make_node("AveragePool", ["frames"], ["aux"], kernel_shape=[4, 4], strides=[4, 4]))
    model.graph.output.insert(0, helper.make_tensor_value_info("aux", TensorProto.FLOAT, ["n", 3, "a", "b"]))
    for number in (0, 2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[number].dim_value = -1
    onnx.save(model, str(tmp_path / "p.onnx"))
    spec = read_spec(wrap_peer(tmp_path / "p.onnx", SIZE, tmp_path))
    assert spec.input_hw == SIZE
    assert "its output logits: most nodes compute it (1); others: aux (1)" in spec.provenance["note"]
