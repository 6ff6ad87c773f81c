from __future__ import annotations

import numpy as np
import pytest
from seg_edge.calib.scales import activation_params, fit_bias, quantize_weight, weight_scales


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


@pytest.mark.parametrize(("bits", "limit"), [(8, 127), (7, 63)])
def test_each_output_channel_uses_all_its_levels(bits, limit):
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32) * [[[[1]]], [[[10]]], [[[0.01]]], [[[0]]]]
    weight = weight.astype(np.float32)
    scales = weight_scales(weight, bits)
    levels = quantize_weight(weight, scales, bits)
    assert np.abs(levels[:3]).reshape(3, -1).max(1).tolist() == [limit] * 3
    assert not levels[3].any()
    errors = np.abs(levels * scales.reshape(-1, 1, 1, 1) - weight).reshape(4, -1).max(1)
    assert (errors <= scales * 0.5001).all()


def test_pairs_of_7_bit_products_fit_16_bits():
    # What x86 without VNNI adds up in int16 (pmaddubsw): the reason for 7 bits.
    weight = np.array([[1.0, 1.0]], np.float32)
    seven, eight = (quantize_weight(weight, weight_scales(weight, bits), bits).astype(int) for bits in (7, 8))
    assert 255 * seven.sum() <= 32767 < 255 * eight.sum()


def test_other_bit_widths_are_refused():
    with pytest.raises(ValueError, match="bits must be 7 or 8, got 4"):
        weight_scales(np.ones((1, 1), np.float32), 4)


def test_a_bias_that_outgrows_its_weights_widens_their_scale():
    scales = np.array([1e-12, 0.01], np.float32)
    bias = np.array([5.0, 5.0], np.float32)
    fitted = fit_bias(scales, bias, 0.02)
    assert fitted[1] == scales[1]
    assert abs(bias[0] / (0.02 * fitted[0])) < 2**31
