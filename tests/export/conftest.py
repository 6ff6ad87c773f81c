"""Small networks for the tests of this folder."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import onnx
import pytest

from seg_edge.export.quantize import prepare
from seg_edge.export.to_onnx import to_onnx


@pytest.fixture(scope="session")
def nets() -> ModuleType:
    """The module ``tests/export/nets.py``: small networks and frames."""
    found = spec_from_file_location("seg_edge_test_nets", Path(__file__).parents[1] / "export" / "nets.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny(nets: ModuleType) -> onnx.ModelProto:
    """A small U-Net as ONNX, named and with biases as calibration wants it."""
    return prepare(to_onnx(nets.tiny(), nets.SPEC))
