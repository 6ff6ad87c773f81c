"""One short training that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from seg_edge.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from seg_edge.train.models.registry import build
from seg_edge.train.trainer import TrainConfig, fit

MakeConfig = Callable[..., TrainConfig]


@dataclass(frozen=True)
class Trained:
    """A finished training of two epochs: how it was asked for, where it lies, what it reported."""

    config: TrainConfig
    report: dict[str, Any]

    @property
    def out(self) -> Path:
        return self.config.out


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are too small to gain from threads, and on a busy machine threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def rectangles(load_module: Callable[[str], ModuleType]) -> ModuleType:
    """``tests/train/rectangles.py``: a data set of three classes."""
    return load_module("train/rectangles.py")


@pytest.fixture(scope="session")
def dataset(rectangles: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 training and 3 validation images, 64x96, 3 classes. Read only."""
    root: Path = rectangles.write_dataset(tmp_path_factory.mktemp("rectangles") / "data")
    return root


@pytest.fixture(scope="session")
def config(dataset: Path) -> MakeConfig:
    """A function (out, **changes) → the TrainConfig of a training that takes about a second."""

    def make(out: Path, **changes: Any) -> TrainConfig:
        values: dict[str, Any] = {
            "data": dataset, "out": out, "model": "unet-n", "epochs": 2, "batch": 4, "workers": 0, "device": "cpu",
            "precision": "fp32",
        }  # fmt: skip
        return TrainConfig(**(values | changes))

    return make


@pytest.fixture(scope="session")
def trained(config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A finished training of two epochs. Read only."""
    wanted = config(tmp_path_factory.mktemp("trained") / "out")
    return Trained(wanted, fit(wanted, progress=False))


@pytest.fixture
def pruned(trained: Trained, tmp_path: Path) -> Path:
    """The trained network's first layers, as if pruned: other widths than the registry has."""
    config: dict[str, Any] = {"widths": [8, 8, 16, 16, 24], "depths": [1] * 5, "decoder_depths": [1] * 3}
    config["layer_widths"] = [[8], [8], [16], [16], [24], [12], [10], [6]]
    start = load_checkpoint(trained.out / "best.pt")
    torch.manual_seed(4)
    spec = start.spec.with_(provenance={"pruned": {"importance": "l2"}})
    save_checkpoint(tmp_path / "pruned.pt", Checkpoint(build("unet-n", 3, config), spec, 2, "unet-n", config))
    return tmp_path / "pruned.pt"
