from __future__ import annotations

import numpy as np
import pytest

from seg_edge.runtime.stats import Rate, Samples, percentiles


def test_percentiles():
    assert percentiles(range(101)) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None}
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}


def test_samples_keep_the_latest():
    samples = Samples(window=10)
    for value in range(25):
        samples.add(value)
    assert samples.count == 25
    assert samples.percentiles() == percentiles(np.arange(15, 25))


def test_rate_counts_intervals():
    rate = Rate()
    assert rate.fps is None
    rate.tick(100.0)
    assert rate.fps is None
    for i in range(1, 5):
        rate.tick(100.0 + 0.25 * i)
    assert rate.fps == pytest.approx(4.0)  # five frames, four intervals, one second
