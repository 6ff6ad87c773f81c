"""Observers: choose the range that the 256 levels of a tensor cover, from the tensor's statistics.

A range narrower than the extremes clips outliers and gives all other values a finer step. Observers differ in how they
weigh clipping against resolution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..core.errors import UnknownNameError
from .scales import activation_params
from .statistics import TensorStatistics

Range = tuple[float, float]
Observer = Callable[[TensorStatistics], Range]

# Share of values inside the range of the percentile observer. 1 of 10 000 is clipped, the common setting for 8-bit
# activations (Wu et al., "Integer Quantization for Deep Learning Inference", 2020, table 4).
KEPT = 0.9999
# Candidate ranges of the searches, as shares of the extremes. Ranges below a third always lose more than they gain.
SHARES = np.linspace(1.0, 0.34, 67)
LEVELS = 256


def minmax(stats: TensorStatistics) -> Range:
    """The extremes of the values, without clipping."""
    return stats.minimum, stats.maximum


def percentile(stats: TensorStatistics) -> Range:
    """Clips the most extreme 0.01 % of the values; half at each end if there are negative values."""
    total = stats.counts.sum()
    ends = 2 if stats.minimum < 0 else 1
    allowed = total * (1 - KEPT) / ends
    width = (stats.maximum - stats.minimum) / len(stats.counts)
    above = np.cumsum(stats.counts[::-1])[::-1]
    top = int(np.flatnonzero(above > allowed)[-1]) if total else len(stats.counts) - 1
    high = stats.minimum + width * (top + 1)
    if stats.minimum >= 0:
        return stats.minimum, high
    below = np.cumsum(stats.counts)
    bottom = int(np.flatnonzero(below > allowed)[0])
    return stats.minimum + width * bottom, high


def mse(stats: TensorStatistics) -> Range:
    """The range with the least mean squared error of quantization over the histogram."""
    return _best(stats, _squared_error)


def entropy(stats: TensorStatistics) -> Range:
    """The range whose quantized histogram loses the least information (Kullback-Leibler divergence).

    After Migacz, "8-bit Inference with TensorRT" (GTC 2017): clipped values are counted in the last bin, the other
    values are spread evenly over the bins of their level.
    """
    return _best(stats, _divergence)


OBSERVERS: dict[str, Observer] = {"minmax": minmax, "percentile": percentile, "mse": mse, "entropy": entropy}


def observer(name: str) -> Observer:
    """The observer with this name.

    Raises:
        UnknownNameError: no such observer.
    """
    if name not in OBSERVERS:
        raise UnknownNameError("observer", name, OBSERVERS)
    return OBSERVERS[name]


def _best(stats: TensorStatistics, cost: Callable[[TensorStatistics, Range], float]) -> Range:
    full = minmax(stats)
    if stats.maximum <= stats.minimum:
        return full
    ranges = [(full[0] * share, full[1] * share) for share in SHARES]
    costs = [cost(stats, each) for each in ranges]
    return ranges[int(np.argmin(costs))]  # of equal costs, the first: the widest range


def _squared_error(stats: TensorStatistics, limits: Range) -> float:
    centers = stats.centers
    return float(np.dot(stats.counts, (activation_params(*limits).fake(centers) - centers) ** 2))


def _divergence(stats: TensorStatistics, limits: Range) -> float:
    params = activation_params(*limits)
    level = params.quantize(stats.centers)
    # Zero is left out: after ReLU, half of all values are 0. Every range represents 0, and its count would dominate.
    counts = np.where(level == params.zero_point, 0, stats.counts).astype(np.float64)
    low, high = params.limits
    inside = (stats.centers >= low) & (stats.centers <= high)
    if not counts[inside].any():
        return float("inf")
    reference: npt.NDArray[np.float64] = np.where(inside, counts, 0.0)
    edges = np.flatnonzero(inside)
    reference[edges[0]] += counts[: edges[0]].sum()
    reference[edges[-1]] += counts[edges[-1] + 1 :].sum()
    kept = inside & (counts > 0)
    sums = np.bincount(level[kept], weights=counts[kept], minlength=LEVELS)
    sizes = np.bincount(level[kept], minlength=LEVELS)
    smeared = np.where(kept, sums[level] / np.maximum(sizes[level], 1), 0.0)
    p, q = reference / reference.sum(), smeared / smeared.sum()
    both = p > 0
    return float(np.sum(p[both] * np.log(p[both] / np.maximum(q[both], 1e-12))))
