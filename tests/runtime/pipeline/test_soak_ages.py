"""What benchmarks/soak_ages.py says of the ages of frames behind a slow network."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def soak():
    spec = spec_from_file_location("soak_ages", Path(__file__).parents[3] / "benchmarks" / "soak_ages.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OWN = np.full(100, 200.0)


@pytest.mark.parametrize(
    ("waits", "inferences", "late_ms", "passed"),
    [
        (np.full(100, 50.0), OWN, 1, True),
        (np.full(100, 301.0), OWN, 0, False),  # behind two inferences
        (np.full(100, 301.0), OWN, 2, True),  # on a machine that wakes late
        (np.where(np.arange(100) == 70, 900.0, 50.0), OWN, 1, True),  # one of a hundred
        (np.where(np.arange(100) // 2 == 35, 900.0, 50.0), OWN, 1, False),
        (np.arange(100) * 2.0, OWN, 1, False),  # growing
        (np.full(100, 50.0), np.where(np.arange(100) < 50, 200.0, 600.0), 1, True),  # as the inference does
    ],
)
def test_a_frame_waits_for_one_inference_at_most(soak, waits, inferences, late_ms, passed):
    assert soak.fresh(list(inferences + waits), list(inferences), late_ms)["passed"] is passed
