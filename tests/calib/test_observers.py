from __future__ import annotations

import numpy as np
import pytest

from seg_edge.calib.observers import OBSERVERS, observer
from seg_edge.calib.scales import activation_params
from seg_edge.calib.statistics import BINS, TensorStatistics
from seg_edge.core.errors import UnknownNameError


def stats_of(values):
    counts = np.histogram(values, BINS, (values.min(), values.max()))[0]
    return TensorStatistics(float(values.min()), float(values.max()), counts)


def error_of(values, limits):
    return np.mean((activation_params(*limits).fake(values) - values) ** 2)


@pytest.fixture
def outliers():
    """100 000 values of a half normal distribution, and three far outside."""
    values = np.abs(np.random.default_rng(0).normal(size=100_000))
    return np.concatenate([values, [20.0, 30.0, 40.0]])


def test_minmax_covers_everything(outliers):
    assert observer("minmax")(stats_of(outliers)) == (outliers.min(), 40.0)


@pytest.mark.parametrize(("name", "most"), [("percentile", 10), ("mse", 39), ("entropy", 39)])
def test_the_others_clip_outliers(name, most, outliers):
    low, high = observer(name)(stats_of(outliers))
    assert low >= 0
    assert 3 < high < most


def test_percentile_clips_one_in_ten_thousand(outliers):
    _, high = observer("percentile")(stats_of(outliers))
    assert np.mean(outliers > high) == pytest.approx(1e-4, abs=5e-5)


def test_percentile_shares_between_both_ends():
    values = np.random.default_rng(1).normal(size=200_000)
    low, high = observer("percentile")(stats_of(values))
    assert low == pytest.approx(-high, rel=0.1)
    assert np.mean(values < low) == pytest.approx(5e-5, abs=3e-5)


def test_mse_has_less_error_than_any_other(outliers):
    errors = {name: error_of(outliers, rule(stats_of(outliers))) for name, rule in OBSERVERS.items()}
    heavy = np.abs(np.random.default_rng(2).standard_t(3, 100_000))
    heavier = {name: error_of(heavy, rule(stats_of(heavy))) for name, rule in OBSERVERS.items()}
    assert errors["mse"] <= min(errors.values()) * 1.01
    assert heavier["mse"] < 0.9 * heavier["minmax"]


@pytest.mark.parametrize("name", OBSERVERS)
def test_values_without_outliers_keep_their_range(name):
    values = np.random.default_rng(3).uniform(0, 6, 100_000)
    _, high = observer(name)(stats_of(values))
    assert high == pytest.approx(6, rel=0.03)


@pytest.mark.parametrize("name", OBSERVERS)
def test_a_constant_tensor_keeps_its_value(name):
    counts = np.zeros(BINS, np.int64)
    counts[0] = 10
    assert observer(name)(TensorStatistics(0.0, 0.0, counts)) == (0.0, pytest.approx(0.0))


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'percentile'"):
        observer("percentil")
