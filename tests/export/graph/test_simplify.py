from __future__ import annotations

import onnx
import pytest

from seg_edge.calib.graph import get_spec, run, session, set_weight, weights
from seg_edge.export.graph.simplify import simplify
from seg_edge.export.graph.to_onnx import to_onnx


@pytest.fixture(scope="module")
def model(nets):
    return to_onnx(nets.tiny(), nets.SPEC)


def copy_of(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def test_onnxsim_folds_and_keeps_outputs_and_spec(model, nets):
    wordy = copy_of(model)
    wordy.graph.node[-1].output[0] = "logits_"
    wordy.graph.node.append(onnx.helper.make_node("Identity", ["logits_"], ["logits"]))
    result, note = simplify(wordy, nets.frames(2))
    assert note == ""
    assert "Identity" not in [node.op_type for node in result.graph.node]
    assert get_spec(result) == get_spec(model)
    frame = nets.frames(1, seed=7)[0]
    assert run(session(result), frame)[0] == pytest.approx(run(session(model), frame)[0], abs=1e-4)


def off_by_little(model):
    result = copy_of(model)
    name = next(name for name, value in weights(result).items() if value.shape == (4,))
    set_weight(result, name, weights(result)[name] + 0.05)
    return result


def renamed(model):
    result = copy_of(model)
    result.graph.output[0].name = "other"
    result.graph.node[-1].output[0] = "other"
    return result


def dangling(model):
    result = copy_of(model)
    result.graph.node[3].input[0] = "nowhere"
    return result


def foreign(model):
    result = copy_of(model)
    relu = next(node for node in result.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "Gelu", "com.microsoft"
    result.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return result


def crashing(model):
    raise RuntimeError("simplifier bug")


def missing(model):
    raise ImportError("No module named 'onnxsim'")


@pytest.mark.parametrize(
    ("simplifier", "reason"),
    [
        (off_by_little, "changed the outputs"),
        (renamed, "changed inputs, outputs or opset"),
        (dangling, "doesn't load"),
        (foreign, "com.microsoft"),
        (crashing, "simplifier bug"),
        (missing, "pip install onnxsim"),
    ],
)
def test_a_graph_that_is_not_the_same_is_not_taken(simplifier, reason, model, nets):
    before = model.SerializeToString()
    result, note = simplify(model, nets.frames(2), simplifier)
    assert result.SerializeToString() == before
    assert note.startswith("not simplified")
    assert reason in note
