from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from seg_edge.calib.graph import ancestors, get_spec, load, run, session, set_spec, set_weight, up_to, weights
from seg_edge.core.errors import ModelFileError


@pytest.fixture
def diamond() -> onnx.ModelProto:
    """x → a = x + 1 → b = 2a, c = 3a → y = b + c; z = x - 1 is a second output."""
    value = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Add", ["x", "one"], ["a"]),
                helper.make_node("Mul", ["a", "two"], ["b"]),
                helper.make_node("Mul", ["a", "three"], ["c"]),
                helper.make_node("Add", ["b", "c"], ["y"]),
                helper.make_node("Sub", ["x", "one"], ["z"]),
            ],
            "diamond",
            [value("x", TensorProto.FLOAT, [2])],
            [value("y", TensorProto.FLOAT, [2]), value("z", TensorProto.FLOAT, [2])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    for name, number in (("one", 1), ("two", 2), ("three", 3)):
        set_weight(model, name, np.float32(number))
    return model


def test_a_part_holds_only_what_its_outputs_need(diamond):
    part = up_to(diamond, ["b"])
    assert [node.output[0] for node in part.graph.node] == ["a", "b"]
    assert set(weights(part)) == {"one", "two"}
    assert run(session(part), np.array([1, 5], np.float32))[0].tolist() == [4, 12]


def test_a_part_starts_at_given_tensors(diamond):
    part = up_to(diamond, ["y"], ["a"])
    assert [value.name for value in part.graph.input] == ["a"]
    assert [node.output[0] for node in part.graph.node] == ["b", "c", "y"]
    assert run(session(part), np.array([1, 2], np.float32))[0].tolist() == [5, 10]


def test_ancestors_do_not_look_behind_a_stop(diamond):
    assert ancestors(diamond, ["y"], ["b"]) == {"y", "b", "c", "a", "x", "one", "three"}


def test_set_weight_replaces_and_adds(diamond):
    set_weight(diamond, "one", np.float32(10))
    assert weights(diamond)["one"] == 10
    assert len(diamond.graph.initializer) == 3


def test_the_spec_travels_in_the_metadata(diamond, nets):
    set_spec(diamond, nets.SPEC)
    set_spec(diamond, nets.SPEC.with_(name="renamed"))
    assert get_spec(diamond).name == "renamed"
    assert len(diamond.metadata_props) == 1


def test_files_that_are_not_models_are_refused(diamond, tmp_path):
    (tmp_path / "text.onnx").write_text("this is no model, but it is not empty either")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, problem in (("missing.onnx", "can't be read"), ("text.onnx", "not an ONNX"), ("empty.onnx", "not an ONNX")):
        with pytest.raises(ModelFileError, match=problem):
            load(tmp_path / name)
    with pytest.raises(ModelFileError, match="not a seg-edge export"):
        get_spec(diamond)


def test_a_graph_that_does_not_fit_is_a_model_error(diamond):
    set_weight(diamond, "two", np.zeros((3, 5), np.float32))
    diamond.graph.node[1].op_type = "MatMul"
    with pytest.raises(ModelFileError, match="ONNX Runtime refuses it"):
        session(diamond)
