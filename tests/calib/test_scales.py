from __future__ import annotations

import numpy as np
import pytest

from seg_edge.calib.scales import WEIGHTS, activation_params, fit_bias, quantize_weight, weight_scales
from seg_edge.core.errors import UnknownNameError


@pytest.mark.parametrize(("low", "high", "zero_point"), [(0, 6, 0), (0.5, 6, 0), (-1, 6, 128), (-6, 1, 128)])
def test_ranges_are_covered_and_zero_is_exact(low, high, zero_point):
    params = activation_params(low, high)
    assert params.zero_point == zero_point
    least, most = params.limits
    assert least <= min(low, 0) + 1e-6
    assert most >= high - 1e-6
    assert params.fake(np.zeros(1))[0] == 0


def test_rounding_errs_by_half_a_level_at_most():
    params = activation_params(-3, 5)
    values = np.random.default_rng(0).uniform(-3, 5, 10_000)
    assert np.abs(params.fake(values) - values).max() <= params.scale / 2 + 1e-9


def test_values_outside_saturate():
    params = activation_params(0, 2.55)
    assert params.quantize(np.array([-1, 0, 0.014, 2.55, 99])).tolist() == [0, 0, 1, 255, 255]


def test_a_tensor_that_is_always_zero_gets_some_scale():
    assert activation_params(0, 0).scale > 0


@pytest.fixture
def weight():
    """Four output channels of very different size, the last one switched off."""
    values = np.random.default_rng(0).normal(size=(4, 6, 3, 3)) * np.array([1, 10, 0.01, 0]).reshape(4, 1, 1, 1)
    return values.astype(np.float32)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_errors_are_half_a_level_of_each_channel(kind, weight):
    scales = weight_scales(weight, kind)
    levels = quantize_weight(weight, scales)
    errors = np.abs(levels * scales.reshape(-1, 1, 1, 1) - weight).reshape(4, -1).max(1)
    assert (errors <= scales * 0.5001).all()
    assert not levels[3].any()


def test_full_weights_use_all_levels(weight):
    levels = quantize_weight(weight, weight_scales(weight, "full"))
    assert np.abs(levels[:3]).reshape(3, -1).max(1).tolist() == [127] * 3


def worst_pair(levels):
    """Largest sum that two neighbours reach with the largest inputs, in the orders (I, kh, kw) and (kh, kw, I)."""
    worst = 0
    for order in (levels.reshape(len(levels), -1), levels.transpose(0, 2, 3, 1).reshape(len(levels), -1)):
        for signed in (order.astype(int), -order.astype(int)):
            positive = signed.clip(0)
            worst = max(worst, 255 * (positive[:, :-1] + positive[:, 1:]).max())
    return worst


@pytest.mark.parametrize("seed", range(5))
def test_portable_weights_fit_16_bits_and_waste_little(seed):
    weight = np.random.default_rng(seed).standard_t(4, size=(16, 8, 3, 3)).astype(np.float32)
    portable, full = (quantize_weight(weight, weight_scales(weight, kind)) for kind in WEIGHTS)
    assert worst_pair(portable) <= 32767 < worst_pair(full)
    # Halving would leave 63 levels.
    assert np.abs(portable).reshape(16, -1).max(1).mean() > 80


def test_two_neighbours_by_hand():
    # Row-wise neighbours of one sign: 1 + 1 must fit 127.5 levels; of different signs: they can't add up.
    same, opposite = np.array([[[[1.0, 1.0]]]], np.float32), np.array([[[[1.0, -1.0]]]], np.float32)
    assert quantize_weight(same, weight_scales(same)).ravel().tolist() == [64, 64]
    assert quantize_weight(opposite, weight_scales(opposite)).ravel().tolist() == [127, -127]


def test_other_kinds_are_refused(weight):
    with pytest.raises(UnknownNameError, match="did you mean 'portable'"):
        weight_scales(weight, "portabel")


def test_a_bias_that_outgrows_its_weights_widens_their_scale():
    scales = np.array([1e-12, 0.01], np.float32)
    bias = np.array([5.0, 5.0], np.float32)
    fitted = fit_bias(scales, bias, 0.02)
    assert fitted[1] == scales[1]
    assert abs(bias[0] / (0.02 * fitted[0])) < 2**31
