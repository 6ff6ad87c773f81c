"""The search for the fewest layers in float."""

from __future__ import annotations

import pytest

from seg_edge.export.int8.fallback import Limits, Trial, search, tried

ORDER = [f"layer{i}" for i in range(10)]


def trial(layers, excess):
    return Trial(tuple(layers), 0.5, 0.0, None, excess, {})


def evaluation(miou, **iou):
    return {"miou": miou, "per_class": [{"name": name, "iou": value} for name, value in iou.items()]}


@pytest.mark.parametrize("needed", range(1, 9))
@pytest.mark.parametrize("most", [8, 10])
def test_the_fewest_layers_that_hold_are_found(needed, most):
    asked = []

    def attempt(layers):
        asked.append(len(layers))
        return trial(layers, needed - len(layers))

    trials = search(trial([], needed), ORDER, most, attempt)
    assert trials[-1].layers == tuple(ORDER[:needed])
    assert trials[-1].held
    assert len(asked) == len(set(asked)) <= 6
    assert len(trials) == 1 + len(asked)


def test_nothing_is_tried_where_everything_holds():
    first = trial([], 0.0)
    assert search(first, ORDER, 5, lambda _layers: pytest.fail("tried")) == [first]


def test_the_closest_comes_last_where_nothing_holds():
    excess = {1: 0.5, 2: 0.2, 4: 0.3, 5: 0.4}
    trials = search(trial([], 1.0), ORDER, 5, lambda layers: trial(layers, excess[len(layers)]))
    assert [len(each.layers) for each in trials] == [0, 1, 4, 5, 2]
    assert not trials[-1].held


def test_no_layer_may_go_back():
    first = trial([], 1.0)
    assert search(first, ORDER, 0, lambda _layers: pytest.fail("tried")) == [first]


@pytest.mark.parametrize(
    ("limits", "excess"),
    [
        (Limits(), 0.0),
        (Limits(max_drop=0.05), -0.01),
        (Limits(max_drop=0.03), 0.01),
        (Limits(max_drop=0.05, max_class_drop=0.1), 0.1),
        (Limits(max_class_drop=0.2), 0.0),
    ],
)
def test_the_worse_of_two_limits_counts(limits, excess):
    found = tried([], evaluation(0.7, road=0.9, pole=0.5), evaluation(0.66, road=0.9, pole=0.3), limits)
    assert found.drop == pytest.approx(0.04)
    assert found.worst_class == {"name": "pole", "delta": pytest.approx(-0.2)}
    assert found.excess == pytest.approx(excess)
