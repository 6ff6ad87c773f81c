from __future__ import annotations

import numpy as np
import pytest

from seg_edge.export.checks.compare import compare


def logits(*classes_of_pixels):
    """(1, 3, 1, n): 1.0 for the class of each pixel, else 0."""
    return np.eye(3, dtype=np.float32)[list(classes_of_pixels)].T[None, :, None, :]


def test_agreement_and_error_by_hand():
    found = compare([logits(0, 1, 2, 2)], [logits(0, 1, 1, 2) * 0.5])
    assert (found.agreement, found.max_abs_error, found.peak) == (0.75, 1.0, 1.0)


def test_tolerance_grows_with_large_logits_only():
    big, small = compare([logits(0) * 100], [logits(0) * 100.05]), compare([logits(0) * 0.1], [logits(0) * 0.15])
    assert big.within(1e-3)
    assert not small.within(1e-3)


def test_nan_is_within_nothing():
    assert not compare([logits(0)], [logits(0) * np.nan]).within(1e9)


def test_shapes_must_match():
    with pytest.raises(ValueError, match="shapes must be equal"):
        compare([logits(0)], [logits(0, 1)])
