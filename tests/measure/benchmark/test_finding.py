"""Which files paths stand for."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.measure.benchmark.finding import find_models


def test_find_models(artefact, tiny_model, tmp_path):
    fp32, int8 = artefact / "model.fp32.onnx", artefact / "model.int8.onnx"
    assert find_models([artefact]) == [fp32, int8]
    assert find_models([artefact.parent]) == [fp32, int8]
    assert find_models([int8, artefact, tiny_model]) == [int8, fp32, tiny_model]
    with pytest.raises(ModelFileError, match="no such file or folder"):
        find_models([tmp_path / "away.onnx"])
    with pytest.raises(ModelFileError, match=r"holds a model \(model\.fp32\.onnx"):
        find_models([tmp_path])
    with pytest.raises(InputError, match="no model given"):
        find_models([])
