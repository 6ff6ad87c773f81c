"""Checkpoint files: what comes back, what is refused, what an interruption leaves."""

from __future__ import annotations

import os
import pickle
import random
import re

import pytest
import torch

from seg_edge.core.errors import ModelFileError, SegEdgeError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.train.checkpoint import KEY, AtomicCheckpointIO, describe, load_checkpoint, read_checkpoint
from seg_edge.train.models.registry import build

CONFIG = {"widths": [8, 8, 8, 8, 8], "depths": [1, 1, 1, 1, 1], "decoder_depths": [1, 1, 1]}
SPEC = ModelSpec("unet-n", Labels(("sky", "road"), ((1, 2, 3), (4, 5, 6)), 9), (64, 96), provenance={"seed": 3})


def content(seed: int = 0) -> dict[str, object]:
    """What training saves, with a small network of random weights and statistics."""
    torch.manual_seed(seed)
    net = build("unet-n", 2, CONFIG)
    net(torch.randn(4, 3, 32, 32))  # statistics that are not the neutral ones
    return {
        "epoch": 4, "global_step": 20, "pytorch-lightning_version": "2", "optimizer_states": [],
        "state_dict": {f"net.{key}": value for key, value in net.state_dict().items()},
        KEY: describe("unet-n", CONFIG, SPEC),
    }  # fmt: skip


@pytest.fixture
def file(tmp_path):
    torch.save(content(), tmp_path / "last.pt")
    return tmp_path / "last.pt"


def refused(path) -> str:
    """The one line of the refusal, by both readers."""
    lines = []
    for read in (read_checkpoint, load_checkpoint):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        lines.append(str(caught.value))
    assert lines[0] == lines[1]
    assert "\n" not in lines[0]
    assert lines[0].startswith(f"{path}: ")
    return lines[0].removeprefix(f"{path}: ")


def test_round_trip(file):
    loaded = load_checkpoint(file)
    weights = {key.removeprefix("net."): value for key, value in content()["state_dict"].items()}
    assert loaded.model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in loaded.model.state_dict().items())
    assert loaded.spec == SPEC
    assert loaded.epoch == 5
    assert not loaded.model.training
    assert loaded.model.config.to_dict() == CONFIG


def test_other_entries_are_not_taken_for_weights(file):
    data = content()
    data["state_dict"] |= {"mean": torch.zeros(3), "loss.weights": torch.ones(2)}
    torch.save(data, file)
    load_checkpoint(file)


def test_what_training_writes_can_be_read(trained):
    """Both files: the network, its classes, provenance. All of it without pickled code: read_checkpoint loads no other."""
    for name in ("best.pt", "last.pt"):
        loaded = load_checkpoint(trained.out / name)
        assert loaded.spec.name == "unet-n"
        assert loaded.spec.input_hw == (64, 96)
        assert (loaded.spec.provenance["dataset"], loaded.spec.provenance["images"]) == ("data", 8)
        assert loaded.spec.provenance["epoch"] == loaded.epoch
    assert loaded.epoch == 2


class Code:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path, zipped):
    data = content() | {"extra": Code(tmp_path / "ran")}
    torch.save(data, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)
    assert refused(tmp_path / "evil.pt").startswith("not a readable checkpoint (Weights only load failed")
    assert not (tmp_path / "ran").exists()


def test_missing_file_and_folder(tmp_path):
    assert refused(tmp_path / "absent.pt") == "no such file; expected a checkpoint such as runs/NAME/best.pt"
    assert refused(tmp_path) == "is a folder; expected a checkpoint such as runs/NAME/best.pt"


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"PK\x03\x04", b"not a checkpoint\n", pickle.dumps([1, 2]), pickle.dumps("x")[:-1]]
)
def test_other_files(tmp_path, data):
    (tmp_path / "x.pt").write_bytes(data)
    assert re.match("not a (readable|seg-edge) checkpoint", refused(tmp_path / "x.pt"))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99, 0.9999])
def test_truncated(file, share):
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    assert refused(file).startswith("not a readable checkpoint (")


def test_damaged_bytes_are_one_line_or_harmless(file):
    """Any byte may be wrong, those of the pickle above all: never another exception than the documented one."""
    whole, rng = file.read_bytes(), random.Random(0)
    start = whole.index(b"data.pkl")
    places = [rng.randrange(len(whole)) for _ in range(20)] + [start + rng.randrange(1500) for _ in range(60)]
    lines = []
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            load_checkpoint(file)
            lines.append("harmless")
        except SegEdgeError as error:
            lines.append(str(error))
    assert not any("\n" in line for line in lines)
    assert 0 < lines.count("harmless") < len(lines)


def without(key):
    data = content()
    del data[key]
    return data


def about(**changes):
    data = content()
    data[KEY] = {key: value for key, value in (data[KEY] | changes).items() if value is not None}
    return data


@pytest.mark.parametrize(
    "data",
    [
        {}, [], torch.zeros(3), {"state_dict": {}}, {KEY: 3}, {KEY: {}}, about(format=2), about(model=None),
        about(config=None), about(spec=None), without("state_dict"), without("epoch"), without(KEY), content()["state_dict"],
    ],
)  # fmt: skip
def test_foreign_checkpoints(tmp_path, data):
    torch.save(data, tmp_path / "x.pt")
    text = "not a seg-edge checkpoint; expected a .pt file of seg-edge train (format 1)"
    assert refused(tmp_path / "x.pt") == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": "unet-x"}, "unknown model 'unet-x'"),
        ({"config": {"widths": [8, 8]}}, "widths must be 5 positive integers"),
        ({"config": {"width": 8}}, "unknown key 'width'"),
        ({"config": CONFIG | {"widths": [16, 8, 8, 8, 8]}}, "weights do not fit unet-n (size mismatch for "),
        ({"config": CONFIG | {"depths": [1, 1, 1, 1, 2]}}, "weights do not fit unet-n (Missing key"),
        ({"spec": {"format": 1}}, "model spec: key "),
        ({"spec": SPEC.with_(labels=Labels.numbered(5)).to_dict()}, "weights do not fit unet-n (size mismatch for head."),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path, changes, text):
    torch.save(about(**changes), tmp_path / "x.pt")
    with pytest.raises(SegEdgeError, match=re.escape(text)) as caught:
        load_checkpoint(tmp_path / "x.pt")
    assert "\n" not in str(caught.value)


def test_best_keeps_what_inference_needs(tmp_path):
    for name in ("best.pt", "last.pt"):
        AtomicCheckpointIO().save_checkpoint(content(), tmp_path / name)
    assert read_checkpoint(tmp_path / "last.pt").keys() == content().keys()
    assert content().keys() - read_checkpoint(tmp_path / "best.pt").keys() == {"optimizer_states"}
    assert load_checkpoint(tmp_path / "best.pt").epoch == 5


def test_reader_of_the_trainer_runs_no_code(tmp_path):
    torch.save(content() | {"extra": Code(tmp_path / "ran")}, tmp_path / "last.pt")
    with pytest.raises(ModelFileError):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "last.pt", weights_only=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_save_leaves_the_old_file(file, monkeypatch, error):
    before = file.read_bytes()

    def half(_checkpoint, path):
        path.write_bytes(before[:1000])
        raise error

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises((KeyboardInterrupt, OSError, SegEdgeError)):
        AtomicCheckpointIO().save_checkpoint(content(1), file)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["last.pt"]


def test_weights_kept_in_float16_become_float32():
    """Shipped checkpoints are small: half the bytes."""
    from seg_edge.core.shipped import CHECKPOINT, DEFAULT, shipped

    loaded = load_checkpoint(shipped(DEFAULT, CHECKPOINT))
    assert {tensor.dtype for tensor in loaded.model.parameters()} == {torch.float32}
    assert {tensor.dtype for tensor in loaded.model.buffers() if tensor.is_floating_point()} <= {torch.float32}
    assert loaded.model(torch.zeros(1, 3, 32, 32)).shape == (1, 11, 8, 8)
