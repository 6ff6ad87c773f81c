from __future__ import annotations

import numpy as np
import pytest

from seg_edge.runtime.pipeline.stats import Rate, Samples, median_interval, percentiles


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


def test_row_38_a_few_frames_in_parallel_are_no_rate():
    """A slow frame of two in parallel holds back the next ones, which then leave at once."""
    rate = Rate(together=2)
    for now in (100.0, 100.1, 100.1001, 100.1002, 100.2):
        rate.tick(now)
        assert rate.fps is None
    rate.tick(100.3)
    assert rate.fps == pytest.approx(20.0)  # six frames, four intervals after the first two, 0.2 seconds


def test_interval_of_the_median_needs_six_values_and_narrows():
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None  # 1 - 2 / 2**5 = 0.9375
    assert median_interval([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]) == [1.0, 6.0]
    assert median_interval(range(9)) == [1, 7]  # the usual table's k = 2 for n = 9, k = 6 for n = 20
    assert median_interval(range(20)) == [5, 14]
    assert median_interval([]) is None


def test_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for count in (6, 10, 25):
        held = 0
        for _ in range(2000):
            low, high = median_interval(list(rng.exponential(1.0, count)))
            held += low <= np.log(2) <= high
        assert held / 2000 > 0.94
