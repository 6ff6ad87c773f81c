"""Fine-tuning with fake quantization: it recovers what rounding lost, and stays out of the way where nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from seg_edge.calib.graph import convolutions, get_spec, run, session, set_weight, weights
from seg_edge.core.errors import InputError
from seg_edge.core.progress import Silent
from seg_edge.export.chain import export_network
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, quantize
from seg_edge.export.int8 import qat
from seg_edge.export.int8.options import QatOptions
from seg_edge.export.int8.qat import Tuned, divergence, fine_tune
from seg_edge.export.options import ExportOptions
from seg_edge.export.steps import int8

OPTIONS = QuantOptions()


def clipping(calibration, share=0.2):
    """A calibration that saw a fifth of the range only: what training has to live with."""
    tight = {name: replace(params, scale=params.scale * share) for name, params in calibration.activations.items()}
    return replace(calibration, activations=tight)


@pytest.fixture(scope="module")
def data(nets, tmp_path_factory):
    return nets.write_dataset(tmp_path_factory.mktemp("data"), nets.tiny())


@pytest.fixture
def options(data):
    return ExportOptions(int8=True, data=data, engine="onnxruntime", threads=1)


def test_divergence_is_zero_for_equal_logits_only():
    logits = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    assert float(divergence(logits, logits)) == pytest.approx(0, abs=1e-6)
    assert float(divergence(logits + 3, logits)) == pytest.approx(0, abs=1e-5)  # softmax doesn't see a constant
    a, b = torch.tensor([0.0, 0.0]).view(1, 2, 1, 1), torch.tensor([0.0, np.log(3.0)]).view(1, 2, 1, 1)
    # Distributions (1/2, 1/2) and (1/4, 3/4): sum of p log(p / q) with p the wanted one.
    expected = 0.25 * np.log(0.25 / 0.5) + 0.75 * np.log(0.75 / 0.5)
    assert float(divergence(a, b)) == pytest.approx(expected, rel=1e-5)


def test_it_brings_int8_closer_to_the_float_network(nets, tiny):
    frames = nets.frames(6)
    calibration = clipping(calibrate(tiny, frames, OPTIONS))
    batches = [torch.from_numpy(np.concatenate(frames[i : i + 3])) for i in (0, 3)]
    tuned = fine_tune(tiny, calibration, OPTIONS, QatOptions(epochs=6, lr=0.3), lambda _epoch: batches, Silent())
    assert tuned.calibration.activations == calibration.activations
    assert tuned.losses[-1] < 0.85 * tuned.losses[0]
    fresh = nets.frames(6, seed=9)
    files = quantize(tiny, calibration, OPTIONS), quantize(tuned.model, tuned.calibration, OPTIONS)
    wanted = [run(session(tiny), frame)[0].argmax(1) for frame in fresh]
    before, after = (
        np.mean([np.mean(run(opened, f)[0].argmax(1) == w) for f, w in zip(fresh, wanted, strict=True)])
        for opened in map(session, files)
    )
    assert after > before + 0.04
    # The file is built the same way: the same nodes, the same activation scales.
    assert [node.op_type for node in files[0].graph.node] == [node.op_type for node in files[1].graph.node]
    assert weights(files[0])["logits.scale"] == weights(files[1])["logits.scale"]
    onnx.checker.check_model(files[1], full_check=True)


def test_the_same_seed_gives_the_same_batches(nets, data):
    pytest.importorskip("torchvision")
    from seg_edge.datasets.opening import open_dataset

    train = open_dataset(data, "train", nets.SPEC.labels)
    batches = qat._batches(train, nets.SPEC, QatOptions(epochs=1, batch=4, seed=3))
    first, again, other = batches(0), batches(0), batches(1)
    assert [tuple(batch.shape) for batch in first] == [(4, 64, 96, 3), (2, 64, 96, 3)]
    assert first[0].dtype == torch.uint8
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_the_better_of_both_is_shipped(nets, options, tmp_path, monkeypatch):
    pytest.importorskip("torchvision")
    real = int8.calibrate
    monkeypatch.setattr(int8, "calibrate", lambda *args, **more: clipping(real(*args, **more)))
    tuned = replace(options, qat=QatOptions(epochs=5, batch=3, lr=0.3))
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", tuned)
    note = next(note for note in report.steps[-1].notes if note.startswith("qat: 5 epochs of fine-tuning: mIoU "))
    before, after = (float(text) for text in note.split("mIoU ")[1].split(" → "))
    assert after > before + 1
    assert 100 * report.steps[-1].miou == pytest.approx(after, abs=0.01)
    assert report.spec.provenance["int8"]["qat"] == {"epochs": 5, "batch": 3, "lr": 0.3, "seed": 0}
    assert [step.step for step in report.steps] == ["onnx", "simplify", "int8"]


def test_a_training_that_does_harm_is_not_taken(nets, options, tmp_path, monkeypatch):
    def damage(model, calibration, *_rest):
        broken = onnx.ModelProto()
        broken.CopyFrom(model)
        set_weight(broken, convolutions(broken)[1].input[1], weights(model)[convolutions(model)[1].input[1]] * -1)
        return Tuned(broken, calibration, [1.0])

    monkeypatch.setattr(qat, "fine_tune", damage)
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", replace(options, qat=QatOptions(epochs=1)))
    assert any(note.startswith("qat: 1 epochs") and note.endswith("; not taken") for note in report.steps[-1].notes)
    assert report.steps[-1].miou > 0.9
    assert "qat" not in report.spec.provenance["int8"]
    model = onnx.load(tmp_path / "art" / "model.int8.onnx")
    assert "qat" not in get_spec(model).provenance["int8"]


def test_nothing_is_trained_where_the_limits_hold(nets, options, tmp_path, monkeypatch):
    monkeypatch.setattr(qat, "fine_tune", lambda *_args: pytest.fail("trained"))
    limits = replace(options, max_drop=0.9, qat=QatOptions(epochs=5))
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", limits)
    assert "qat: post-training quantization holds the limits: no fine-tuning" in report.steps[-1].notes
    assert "qat" not in report.spec.provenance["int8"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"qat": 0}, "`qat`: expected at least 1 epoch, got 0"),
        ({"qat": 1, "int8": False}, "`qat`: trains for INT8; pass `int8=True` too"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, changes, text):
    with pytest.raises(InputError, match=text):
        replace(options, **{**changes, "qat": QatOptions(epochs=changes["qat"])})
