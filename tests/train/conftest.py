"""One short training that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch

from seg_edge.core.progress import Silent
from seg_edge.train import TrainConfig, TrainReport, callbacks, fit
from seg_edge.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from seg_edge.train.models.registry import build


class Asked(NamedTuple):
    """The arguments of :func:`fit`."""

    data: Path
    out: Path
    config: TrainConfig


MakeConfig = Callable[..., Asked]


@dataclass(frozen=True)
class Trained:
    """A finished training of two epochs: how it was asked for, where it lies, what it reported."""

    asked: Asked
    report: TrainReport

    @property
    def data(self) -> Path:
        return self.asked.data

    @property
    def out(self) -> Path:
        return self.asked.out


class Lines(Silent):
    """Progress that keeps its lines."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture(scope="session")
def losses() -> Callable[[Mapping[str, Any]], list[list[float]]]:
    """A function (report) → its curve, without the seconds."""
    return lambda report: [[row[key] for key in callbacks.COLUMNS[:-1]] for row in report["history"]]


@pytest.fixture(scope="session")
def same_weights() -> Callable[[Path, Path], bool]:
    """A function (last.pt, last.pt) → whether weights, averages and the optimizer's state are equal, bit for bit."""

    def same(a: Path, b: Path) -> bool:
        one, other = (torch.load(path, weights_only=True) for path in (a, b))
        for key in ("state_dict", "current_model_state"):
            if not all(torch.equal(value, other[key][name]) for name, value in one[key].items()):
                return False
        states = [data["optimizer_states"][0]["state"] for data in (one, other)]
        return all(torch.equal(value, states[1][k][name]) for k, state in states[0].items() for name, value in state.items())

    return same


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are too small to gain from threads, and on a busy machine threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these trainings do. ``trained`` has real curves, and test_callbacks.py looks at some."""
    monkeypatch.setattr(callbacks, "plot", lambda _rows, path: path.write_bytes(b"curves"))


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
    """A function (out, **changes) → the arguments of a training that takes about a second."""

    def make(out: Path, data: Path = dataset, **changes: Any) -> Asked:
        values: dict[str, Any] = {
            "model": "unet-n", "epochs": 2, "batch": 4, "workers": 0, "device": "cpu", "precision": "fp32",
        }  # fmt: skip
        return Asked(data, out, TrainConfig(**(values | changes)))

    return make


@pytest.fixture(scope="session")
def trained(config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A finished training of two epochs. Read only."""
    asked = config(tmp_path_factory.mktemp("trained") / "out")
    return Trained(asked, fit(*asked))


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
