"""Goals as they are written, and the search for the widest network that one allows."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seg_edge.core.errors import InputError
from seg_edge.export.pruning.goal import Goal, one_goal, parse_fps, parse_latency
from seg_edge.export.pruning.importance import scorer
from seg_edge.export.pruning.search import example_for, latency_ms, search, value_of
from seg_edge.export.pruning.structure import Unit, allocate, narrow, units
from seg_edge.train.models.registry import build, macs, parameters

CONFIG = {"widths": [16, 16, 24, 32, 40], "depths": [1, 1, 1, 1, 1], "decoder_depths": [1, 1, 1]}


@pytest.mark.parametrize("text", ["2.5ms@openvino", "2.5@openvino", " 2.5 ms@openvino"])
def test_latency(text):
    assert parse_latency(text) == Goal("latency", 2.5, "openvino")


def test_fps():
    assert parse_fps("100@onnxruntime") == parse_fps("100fps@onnxruntime") == Goal("latency", 10.0, "onnxruntime")


@pytest.mark.parametrize("text", ["2.5ms", "ms@openvino", "fast@openvino", "-1ms@openvino", "2.5s@openvino", ""])
def test_what_is_no_latency(text):
    with pytest.raises(InputError, match="expected MILLISECONDS@ENGINE such as 2.5ms@openvino"):
        parse_latency(text)


@pytest.mark.parametrize("text", ["100", "0@openvino", "@openvino"])
def test_what_is_no_frame_rate(text):
    with pytest.raises(InputError, match="expected FRAMES@ENGINE such as 100@onnxruntime"):
        parse_fps(text)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {},
            "expected one goal of `ratio`, `target_macs`, `target_params`, `target_latency`, `target_fps`; got none of them",
        ),
        ({"ratio": 0.5, "fps": "9@openvino"}, "got `ratio` and `target_fps`"),
        ({"ratio": 0}, "`ratio`: expected a share of the channels above 0 and up to 0.95, got 0"),
        ({"ratio": 1.5}, "got 1.5"),
        ({"macs": 50}, "`target_macs`: expected the share that may stay, between 0 and 1, got 50"),
        ({"params": 0}, "`target_params`: expected the share"),
        ({"latency": "0ms@openvino"}, "`target_latency`: expected milliseconds above 0, got 0"),
    ],
)
def test_goals_that_make_no_sense(given, text):
    with pytest.raises(InputError, match=re.escape(text)):
        one_goal(**given)


def test_steps_lie_on_a_line():
    assert [Goal("ratio", 0.6).at(k, 3, 0) for k in (1, 2, 3)] == pytest.approx([0.2, 0.4, 0.6])
    assert [Goal("macs", 0.5).at(k, 2, 1000) for k in (1, 2)] == [750, 500]
    assert [Goal("latency", 4, "openvino").at(k, 2, 10) for k in (1, 2)] == [7, 4]


@pytest.fixture
def net(nets):
    return nets.trained(build("unet-n", 4, CONFIG))


def find(nets, net, goal, limit, measure=None):
    found = units(net, example_for(nets.SPEC), scorer("l2", net))
    original = {unit.name: unit.channels for unit in found}
    widths = search(
        net, found, goal, limit, nets.SPEC, scope="uniform", multiple=8, original=original, measure=measure
    )  # fmt: skip
    narrow(net, example_for(nets.SPEC), scorer("l2", net), widths)
    return net


@pytest.mark.parametrize(("kind", "count"), [("macs", lambda net: macs(net, (64, 96))), ("params", parameters)])
def test_counted_goals_are_met_closely(nets, net, kind, count):
    start = count(net)
    limit = 0.5 * start
    assert value_of(Goal(kind, 0.5), net, nets.SPEC, lambda *_: 0.0) == start
    found = count(find(nets, net, Goal(kind, 0.5), limit))
    assert 0.6 * limit < found <= limit


def test_latency_is_searched_with_what_measures(nets, net):
    """Milliseconds that are made of the number of channels: the search must come to rest below the limit, close to it."""
    asked = []

    def measure(candidate, spec, engine):
        asked.append(sum(m.out_channels for m in candidate.modules() if isinstance(m, torch.nn.Conv2d)))
        assert (spec, engine) == (nets.SPEC, "openvino")
        return asked[-1] / 10

    found = find(nets, net, Goal("latency", 15.0, "openvino"), 15.0, measure)
    channels = sum(m.out_channels for m in found.modules() if isinstance(m, torch.nn.Conv2d))
    below = [value for value in asked if value / 10 <= 15.0 * 0.97]
    assert channels == max(below)
    assert len(asked) == len(set(asked))  # no network is measured twice


def test_a_noisy_measure_never_passes_what_was_too_slow(nets, net):
    """A network that measured too slow is not taken, even if the narrower one measured slower still."""
    values = iter([20.0, 1.0] + [9.0, 16.0] * 20)
    seen = {}

    def measure(candidate, _spec, _engine):
        key = sum(m.out_channels for m in candidate.modules() if isinstance(m, torch.nn.Conv2d))
        return seen.setdefault(key, next(values))

    found = find(nets, net, Goal("latency", 10.0, "openvino"), 10.0, measure)
    assert seen[sum(m.out_channels for m in found.modules() if isinstance(m, torch.nn.Conv2d))] <= 9.7


def test_a_goal_that_holds_already_removes_nothing(nets, net):
    before = parameters(net)
    assert parameters(find(nets, net, Goal("latency", 10.0, "openvino"), 10.0, lambda *_: 1.0)) == before


def test_a_goal_that_cannot_be_reached_says_how_close_it_came(nets, net):
    text = "prune: at most 10 ms on openvino can't be reached: with 95 % of the channels removed (multiples of 8 stay) "
    with pytest.raises(InputError, match=re.escape(text + "the network still has 50.00 ms")):
        find(nets, net, Goal("latency", 10.0, "openvino"), 10.0, lambda *_: 50.0)


def test_latency_is_measured_on_the_exported_network(nets, net):
    assert 0 < latency_ms(net, nets.SPEC, "onnxruntime", threads=1) < 1000


@given(
    channels=st.lists(st.integers(1, 12).map(lambda n: 4 * n), min_size=1, max_size=5),
    ratios=st.lists(st.floats(0, 0.95), min_size=2, max_size=6),
    multiple=st.sampled_from([1, 4, 8, 16]),
    scope=st.sampled_from(["global", "uniform"]),
    seed=st.integers(0, 99),
)
def test_a_harder_goal_never_leaves_more(channels, ratios, multiple, scope, seed):
    """Torch-Pruning's own rounding leaves 8 of 24 channels at 0.5, and 24 at 0.7."""
    generator = torch.Generator().manual_seed(seed)
    prunable = [Unit(f"layer{i}", count, 1, torch.rand(count, generator=generator)) for i, count in enumerate(channels)]
    made = [allocate(prunable, ratio, scope, multiple) for ratio in sorted(ratios)]
    for softer, harder in pairwise(made):
        assert all(harder[name] <= softer[name] for name in softer)
