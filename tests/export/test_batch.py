from __future__ import annotations

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import run, session, set_weight
from seg_edge.core.errors import ModelFileError
from seg_edge.export.batch import run_batched, with_batch


def test_each_frame_of_a_batch_gets_its_own_output(tiny, nets):
    frames = nets.frames(4)
    single = session(tiny)
    expected = [run(single, frame)[0] for frame in frames]
    outputs = run_batched(with_batch(tiny, 3), frames, 3)  # 3 + 1, filled up
    assert len(outputs) == 4
    for a, b in zip(expected, outputs, strict=True):
        assert b == pytest.approx(a, abs=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 0.1


def test_shapes_say_the_batch(tiny):
    model = with_batch(tiny, 3)
    assert [v.type.tensor_type.shape.dim[0].dim_value for v in (*model.graph.input, *model.graph.output)] == [3, 3]


def test_a_network_that_fixes_its_batch_is_refused(tiny):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(tiny)
    set_weight(fixed, "shape", np.array([1, 4, 16, 24], np.int64))
    fixed.graph.node[-1].output[0] = "before"
    fixed.graph.node.append(onnx.helper.make_node("Reshape", ["before", "shape"], ["logits"]))
    with pytest.raises(ModelFileError, match="--batch 3: the network .* can't take batches"):
        with_batch(fixed, 3)
