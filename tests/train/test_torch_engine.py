"""A checkpoint behind the runtime's engine interface."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from seg_edge.core.errors import EngineError, ModelFileError
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.evaluation import evaluate
from seg_edge.runtime import Segmenter
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.torch_engine import TorchEngine


@pytest.fixture(autouse=True)
def keep_threads():
    """Opening an engine sets torch's number of threads."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def frame(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def bare_logits(path, frame_bgr):
    """The network called by hand: float32, RGB, normalized."""
    loaded = load_checkpoint(path)
    mean, std = (np.float32(values) for values in (loaded.spec.mean, loaded.spec.std))
    normalized = (frame_bgr[..., ::-1].astype(np.float32) - mean) / std
    with torch.inference_mode():
        return loaded.model(torch.from_numpy(normalized.transpose(2, 0, 1)[None].copy()))[0].numpy()


def test_logits_are_the_networks(trained):
    picture = frame(64, 96)
    with Segmenter(TorchEngine.from_checkpoint(trained.out / "best.pt", threads=1)) as segmenter:
        np.testing.assert_allclose(segmenter.logits(picture), bare_logits(trained.out / "best.pt", picture), atol=1e-4)


def test_mask_is_the_upsampled_logits(trained):
    """A frame of another size: stretched by the runtime, its mask at its own size."""
    picture = frame(90, 150)
    with Segmenter(TorchEngine.from_checkpoint(trained.out / "best.pt", threads=1)) as segmenter:
        mask, logits = segmenter(picture), segmenter.logits(picture)
    full = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], (90, 150), mode="bilinear")[0]
    assert mask.shape == (90, 150)
    assert np.mean(mask == full.argmax(0).numpy()) > 0.999  # ties within rounding


def test_batches(trained):
    frames = np.stack([frame(64, 96), frame(64, 96)[:, ::-1], np.zeros((64, 96, 3), np.uint8)])
    with TorchEngine.from_checkpoint(trained.out / "best.pt", threads=1) as engine:
        assert engine.batch is None
        together = engine.infer(frames)
        assert together.shape == (3, 3, 16, 24)
        for one, logits in zip(frames, together, strict=True):
            np.testing.assert_allclose(logits, engine.infer(np.ascontiguousarray(one[None]))[0], atol=1e-4)


def test_evaluation_by_the_runtime_is_the_trainings_own(trained):
    """One road: the mIoU that training reports is the one that the runtime's pre- and post-processing gives."""
    with Segmenter(TorchEngine.from_checkpoint(trained.out / "best.pt", threads=1)) as segmenter:
        report = evaluate(segmenter, open_dataset(trained.data, "val"))
    assert report["miou"] == pytest.approx(trained.report["best"]["miou"], abs=2e-3)
    assert report["pixel_accuracy"] == pytest.approx(trained.report["best"]["pixel_accuracy"], abs=2e-3)


def test_says_what_it_is(trained):
    torch.set_num_threads(2)
    with TorchEngine.from_checkpoint(trained.out / "best.pt", threads=1) as engine:
        assert (engine.name, engine.device, engine.version) == ("torch", "CPU, 1 thread", str(torch.__version__))
        assert torch.get_num_threads() == 1
        assert engine.spec.labels.names == ("class0", "class1", "class2")
        assert engine.spec.input_hw == (64, 96)


def test_refuses_after_close(trained):
    engine = TorchEngine.from_checkpoint(trained.out / "best.pt", threads=1)
    engine.close()
    with pytest.raises(EngineError, match="engine torch: infer after close"):
        engine.infer(np.zeros((1, 64, 96, 3), np.uint8))


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(ModelFileError, match=re.escape("absent.pt: no such file")):
        TorchEngine.from_checkpoint(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(ModelFileError, match=re.escape("text.pt: not a readable checkpoint")):
        TorchEngine.from_checkpoint(tmp_path / "text.pt")
