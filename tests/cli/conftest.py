"""What tests of several verbs use."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def nets() -> ModuleType:
    """The module ``tests/export/nets.py``: small networks, and checkpoints and data sets made of them."""
    found = spec_from_file_location("seg_edge_test_nets", Path(__file__).parents[1] / "export" / "nets.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module
