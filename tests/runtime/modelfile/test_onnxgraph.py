"""The small graph editor against the onnx package."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from seg_edge.runtime.modelfile.onnxgraph import Graph, node
from seg_edge.runtime.modelfile.wire import WireError, put_bytes, put_number


def no_types(model):
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.value_info[:]
    return result


def test_a_graph_that_nobody_edits_comes_back_as_it_was(tiny):
    model = onnx.shape_inference.infer_shapes(tiny)
    helper.set_model_props(model, {"author": "Ünal"})
    back = onnx.load_from_string(Graph.from_bytes(model.SerializeToString()).to_bytes())
    assert back == no_types(model)


def test_shapes_come_from_inputs_outputs_and_types(tiny):
    model = onnx.shape_inference.infer_shapes(tiny)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    shapes = Graph.from_bytes(model.SerializeToString()).shapes
    assert shapes["frames"] == (None, 64, 96, 3)
    assert shapes["logits"] == (1, 4, 16, 24)
    resize = next(each for each in model.graph.node if each.op_type == "Resize")
    assert (shapes[resize.input[0]], shapes[resize.output[0]]) == ((1, 32, 8, 12), (1, 32, 16, 24))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8", "int32", "int64"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_constants_are_read_and_written_as_onnx_does(tiny, dtype, shape):
    value = (np.arange(np.prod(shape, dtype=int)).reshape(shape) - (2 if dtype != "uint8" else 0)).astype(dtype)
    model = onnx.ModelProto()
    model.CopyFrom(tiny)
    model.graph.initializer.append(numpy_helper.from_array(value, "value"))
    graph = Graph.from_bytes(model.SerializeToString())
    found = graph.constant("value")
    assert found.dtype == value.dtype
    assert np.array_equal(found, value)
    graph.set_constant("other", value)
    back = onnx.load_from_string(graph.to_bytes())
    assert np.array_equal(numpy_helper.to_array(back.graph.initializer[-1]), value)
    assert numpy_helper.to_array(back.graph.initializer[-1]).shape == shape


def test_attributes_are_read_and_written_as_onnx_does(tiny):
    graph = Graph.from_bytes(tiny.SerializeToString())
    resize = next(each for each in graph.nodes if each.op == "Resize")
    move = next(each for each in graph.nodes if each.op == "Transpose")
    assert resize.attribute("mode") == b"nearest"
    assert move.attribute("perm") == (0, 3, 1, 2)
    assert move.attribute("none") is None
    graph.nodes.append(node("Op", ["a"], ["b"], "n", axis=-1, perm=[0, 2, -3]))
    made = onnx.load_from_string(graph.to_bytes()).graph.node[-1]
    expected = helper.make_node("Op", ["a"], ["b"], "n", axis=-1, perm=[0, 2, -3])
    assert sorted(made.attribute, key=lambda a: a.name) == sorted(expected.attribute, key=lambda a: a.name)
    assert Graph.from_bytes(graph.to_bytes()).nodes[-1].attribute("axis") == -1


def test_replaced_nodes_stand_in_their_place_and_unused_ones_go(tiny):
    graph = Graph.from_bytes(tiny.SerializeToString())
    names = [each.name for each in graph.nodes]
    old = graph.nodes[2]
    graph.replace(
        [old], [node("Identity", old.inputs[:1], old.outputs, "new"), node("Identity", old.outputs, ["x"], "dead")]
    )
    assert [each.name for each in graph.nodes] == [*names[:2], "new", "dead", *names[3:]]
    graph.drop_unused()
    assert [each.name for each in graph.nodes] == [*names[:2], "new", *names[3:]]


@pytest.mark.parametrize("damage", [b"", b"\x08\x07", b"\x3a\x05abc", b"\x3a\x02\x0a\x09"])
def test_damage_is_an_error(damage):
    with pytest.raises(WireError):
        Graph.from_bytes(damage)


def test_a_number_where_a_text_belongs_is_said():
    """Fields of another wire type: an initializer's name, and a dimension of an input."""
    for body in (
        put_bytes(5, put_number(8, 3)),
        put_bytes(11, put_bytes(1, "x") + put_bytes(2, put_bytes(1, put_bytes(2, put_number(1, 4))))),
    ):
        with pytest.raises(WireError, match="holds a number instead of a text or message"):
            Graph.from_bytes(put_bytes(7, body))
