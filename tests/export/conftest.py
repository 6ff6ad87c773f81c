"""Exports of tests time their tiny networks in short turns: what they check is not how sure a median is."""

from __future__ import annotations

import pytest

from seg_edge.export.checks import measure
from seg_edge.measure.benchmark.timing import QUICK


@pytest.fixture(autouse=True, scope="session")
def quick_turns():
    patch = pytest.MonkeyPatch()
    patch.setattr(measure, "TURNS", QUICK)
    yield
    patch.undo()
