"""Pruning from end to end, on a small network of the family and a data set that it labelled itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import GateError, InputError
from seg_edge.export import export
from seg_edge.export.options import ExportOptions
from seg_edge.export.pruning.options import PruneOptions
from seg_edge.export.pruning.report import PruneGateError
from seg_edge.export.pruning.steps import prune_checkpoint
from seg_edge.train import DistillOptions
from seg_edge.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from seg_edge.train.models.registry import build, macs, parameters

CONFIG = {"widths": [16, 16, 24, 32, 32], "depths": [1, 1, 1, 1, 1], "decoder_depths": [1, 1, 1]}
FILES = ["best.pt", "model.json", "report.json", "report.md"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def parent(nets, tmp_path_factory):
    """A checkpoint, with a data set beside it that its own network labelled."""
    folder = tmp_path_factory.mktemp("parent")
    net = nets.trained(build("unet-n", 4, CONFIG))
    spec = nets.SPEC.with_(name="unet-n", provenance={"dataset": "made", "seed": 3})
    save_checkpoint(folder / "best.pt", Checkpoint(net, spec, 5, "unet-n", CONFIG))
    nets.write_dataset(folder / "data", net, spec, train=4, val=2)
    return folder / "best.pt"


@pytest.fixture
def options(parent):
    return PruneOptions(
        ratio=0.4, data=parent.parent / "data", engine="onnxruntime", threads=1, batch=2, workers=0, device="cpu",
        precision="fp32", round_to=8,
    )  # fmt: skip


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_result_is_a_plain_checkpoint(parent, options, tmp_path):
    report = prune_checkpoint(parent, tmp_path / "out", options)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == FILES
    raw = torch.load(tmp_path / "out" / "best.pt", weights_only=True)
    assert sorted(raw) == ["epoch", "seg_edge", "state_dict"]
    loaded = load_checkpoint(tmp_path / "out" / "best.pt")
    assert loaded.config == report.widths == raw["seg_edge"]["config"]
    assert loaded.epoch == 5
    assert all(width % 8 == 0 for stage in loaded.model.config.stages for width in stage)
    first, last = report.steps
    assert (first.step, last.step) == ("start", "prune 1")
    assert (last.params, last.macs) == (parameters(loaded.model), macs(loaded.model, (64, 96)))
    assert last.channels < first.channels == 16 + 16 + 24 + 32 + 32 + 32 + 24 + 16
    assert first.miou > 0.999 > last.miou > 0
    assert last.worst_class["delta"] < 0
    assert last.latency_ms.keys() == {"onnxruntime"}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report.to_dict()
    assert "| prune 1 |" in (tmp_path / "out" / "report.md").read_text()


def test_provenance_says_where_it_is_from(parent, options, tmp_path):
    prune_checkpoint(parent, tmp_path / "a", options)
    provenance = load_checkpoint(tmp_path / "a" / "best.pt").spec.provenance
    assert (provenance["dataset"], provenance["seed"]) == ("made", 3)
    about = provenance["pruned"]
    assert about["parent"] == {"file": "best.pt", "sha256": sha256(parent)}
    assert (about["importance"], about["scope"], about["round_to"]) == ("l2", "global", 8)
    assert about["finetune"]["epochs"] == 0
    (step,) = about["steps"]
    assert 0.2 < step["ratio"] < 0.5
    # A pruned network may be pruned again: its history comes along.
    prune_checkpoint(tmp_path / "a" / "best.pt", tmp_path / "b", replace(options, round_to=4))
    again = load_checkpoint(tmp_path / "b" / "best.pt").spec.provenance["pruned"]
    assert again["parent"]["sha256"] == sha256(tmp_path / "a" / "best.pt")
    assert again["earlier"] == about


def test_steps_with_fine_tuning(parent, options, tmp_path):
    wanted = replace(options, steps=2, finetune=1, importance="taylor", images=2, scope="uniform")
    report = prune_checkpoint(parent, tmp_path / "out", wanted)
    assert [row.step for row in report.steps] == ["start", "prune 1", "fine-tune 1", "prune 2", "fine-tune 2"]
    channels = [row.channels for row in report.steps]
    assert channels[0] > channels[1] == channels[2] > channels[3] == channels[4]
    assert report.steps[1].miou != report.steps[2].miou
    assert names(tmp_path / "out") == ["best.pt", "finetune1", "finetune2", *FILES[1:]]
    assert names(tmp_path / "out" / "finetune1") == ["curves.png", "metrics.csv", "report.json"]
    assert load_checkpoint(tmp_path / "out" / "best.pt").epoch == 7
    assert load_checkpoint(tmp_path / "out" / "best.pt").spec.provenance["pruned"]["finetune"]["epochs"] == 1


def test_measured_latency_as_a_goal(parent, options, tmp_path):
    """With a measure that counts MACs: the goal is met, and the gate says so."""

    def measure(net, spec, engine):
        assert engine == "onnxruntime"
        return macs(net, spec.input_hw) / 1e6

    start = measure(load_checkpoint(parent).model, load_checkpoint(parent).spec, "onnxruntime")
    wanted = replace(options, ratio=None, target_latency=f"{0.6 * start:.9f}ms@onnxruntime", data=None)
    report = prune_checkpoint(parent, tmp_path / "out", wanted, measure=measure)
    assert 0.3 * start < report.steps[-1].macs / 1e6 <= 0.6 * start
    (gate,) = report.gates
    assert (gate.name, gate.passed) == ("target latency", True)


def test_a_drop_that_is_too_large_ships_nothing(parent, options, tmp_path):
    out = tmp_path / "out"
    prune_checkpoint(parent, out, replace(options, ratio=0.2))
    before = {name: (out / name).read_bytes() for name in FILES}
    with pytest.raises(
        PruneGateError, match=r"mIoU drops by \d+\.\d\d points .* `max_drop` allows 0\.1; .*result is in failed/"
    ) as e:
        prune_checkpoint(parent, out, replace(options, max_drop=0.001))
    assert isinstance(e.value, GateError)
    assert e.value.report.gates[-1].passed is False
    assert {name: (out / name).read_bytes() for name in FILES} == before
    assert names(out / "failed") == ["best.pt", "report.json", "report.md"]
    assert load_checkpoint(out / "failed" / "best.pt").epoch == 5


def test_a_class_that_is_lost(parent, options, tmp_path):
    with pytest.raises(PruneGateError, match=r"IoU of class\d drops by \d+\.\d\d points, `max_class_drop` allows 0\.1"):
        prune_checkpoint(parent, tmp_path / "out", replace(options, max_drop=1.0, max_class_drop=0.001))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"data": None, "finetune": 1}, "`finetune`: needs images and labels; pass `data`, a folder with"),
        ({"data": None, "importance": "hessian"}, "`importance='hessian'`: needs images and labels"),
        ({"data": None, "max_drop": 0.1}, "`max_drop`: needs images and labels"),
        ({"max_drop": 2.0}, "`max_drop`: expected a drop from 0 to 1 (100 points), got 2 (200 points)"),
        ({"steps": 0}, "`steps`: expected at least 1, got 0"),
        ({"round_to": 0}, "`round_to`: expected at least 1, got 0"),
        ({"importance": "l3"}, "unknown importance 'l3'"),
        ({"scope": "local"}, "unknown pruning scope 'local'"),
        ({"ratio": None, "target_latency": "1ms@openvin"}, "did you mean 'openvino'"),
        ({"round_to": 64}, "removes no channel in multiples of 64; choose a harder goal or a smaller `round_to`"),
    ],
)
def test_what_makes_no_sense(parent, options, tmp_path, changes, text):
    with pytest.raises(InputError, match=re.escape(text)):
        prune_checkpoint(parent, tmp_path / "out", replace(options, **changes))
    assert names(tmp_path) == []


def test_a_rebuilt_network_that_differs_is_caught(parent, options, tmp_path, monkeypatch):
    from seg_edge.export.pruning import steps

    def broken(name, classes, config):
        net = build(name, classes, config)
        net.register_forward_hook(lambda _m, _i, output: output + 1e-6)
        return net

    monkeypatch.setattr(steps, "build", broken)
    with pytest.raises(InputError, match="the rebuilt network computes something else than the pruned one"):
        prune_checkpoint(parent, tmp_path / "out", options)


def test_as_the_first_step_of_an_export(parent, options, tmp_path):
    out = tmp_path / "art"
    wanted = ExportOptions(data=options.data, engine="onnxruntime", threads=1, prune=options)
    report = export(parent, out, wanted)
    assert [step.step for step in report.steps] == ["start", "prune 1", "onnx", "simplify"]
    start, pruned, first, _ = report.steps
    assert start.miou > pruned.miou == pytest.approx(first.miou, abs=0.01)
    assert pruned.worst_class["delta"] < 0
    assert "channels, 0.0" in pruned.notes[0]
    assert names(tmp_path) == ["art", "art.pruned"]
    model = json.loads((out / "model.json").read_text())
    assert model["provenance"]["pruned"]["parent"]["sha256"] == sha256(parent)
    assert model["provenance"]["params"] == parameters(load_checkpoint(tmp_path / "art.pruned" / "best.pt").model)


def test_export_prunes_at_one_size(parent, options, tmp_path):
    with pytest.raises(InputError, match=re.escape("`prune`: prunes and measures at the checkpoint's input size")):
        export(parent, tmp_path / "art", ExportOptions(input_hw=(96, 96), prune=options))


def test_the_unpruned_network_teaches(parent, options, tmp_path):
    wanted = replace(options, finetune=1, distill=DistillOptions(teacher=parent))
    report = prune_checkpoint(parent, tmp_path / "out", wanted)
    header = (tmp_path / "out" / "finetune1" / "metrics.csv").read_text().splitlines()[0]
    assert header.endswith("train_features,train_kd,train_supervised")
    about = load_checkpoint(tmp_path / "out" / "best.pt").spec.provenance["pruned"]
    assert about["teacher"]["sha256"] == about["parent"]["sha256"] == report.about["teacher"]["sha256"]
    with pytest.raises(InputError, match="`teacher`: takes part in the fine-tuning; pass `finetune` too"):
        prune_checkpoint(parent, tmp_path / "other", replace(wanted, finetune=0))
