"""``seg-edge models``, and training, exporting and running a zoo network as a user does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from seg_edge.cli.main import main
from seg_edge.core.shipped import DEFAULT, shipped_models
from seg_edge.export.networks import model_costs
from seg_edge.train.checkpoint import load_checkpoint, read_checkpoint
from seg_edge.train.models import names, registry

pytestmark = pytest.mark.usefixtures("quick_curves")

pytest.importorskip("segmentation_models_pytorch")


def test_names_alone_list_everything(tmp_path, capsys):
    target = tmp_path / "models.json"
    assert main(["models", "--no-cost", "--json", str(target)]) == 0
    rows = json.loads(target.read_text())["models"]
    assert [row["name"] for row in rows] == list(names.TABLE)
    assert [row["encoder"] for row in rows[: len(registry.MODELS)]] == [None] * 3 + ["EfficientNet-Lite0"]
    out = capsys.readouterr().out
    assert all(name in out for name in ("unet-s", "deeplabv3plus-resnet50", "unet-vgg16"))


def test_shipped_models_are_listed_with_their_cards(tmp_path, capsys):
    target = tmp_path / "models.json"
    assert main(["models", "--shipped", "--json", str(target)]) == 0
    listed = json.loads(target.read_text())
    assert listed == {"default": DEFAULT, "shipped": shipped_models()}
    out = capsys.readouterr().out
    for row in listed["shipped"]:
        assert f"{row['name']}: {row['card']}" in "".join(out.splitlines())
        assert f"{100 * row['miou']:.2f}" in out
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```json\n(.*?)```", page.split("models --shipped --json")[1].split("\n## ")[0], re.DOTALL)
    assert json.loads(shown).keys() == listed.keys()
    assert json.loads(shown)["shipped"][0].keys() == listed["shipped"][0].keys()
    assert main(["models", "--shipped", "--filter", "unet-s-camvd"]) == 1
    assert "unknown shipped model 'unet-s-camvd': did you mean 'unet-s-camvid'?" in capsys.readouterr().err


def test_costs_are_counted_once_and_kept(tmp_path, monkeypatch, capsys):
    words = ["models", "--filter", "unet-[ns]", "--imgsz", "64x96", "--cache", str(tmp_path)]
    assert main([*words, "--json", str(tmp_path / "a.json")]) == 0
    rows = json.loads((tmp_path / "a.json").read_text())["models"]
    for row in rows:
        net = registry.build(row["name"], 11)
        assert (row["params"], row["macs"]) == (registry.parameters(net), registry.macs(net, (64, 96)))
    assert [row["name"] for row in rows] == ["unet-n", "unet-s"]
    monkeypatch.setattr(model_costs, "costs", lambda *_: pytest.fail("counted again"))
    assert main([*words, "--json", str(tmp_path / "b.json")]) == 0
    assert (tmp_path / "b.json").read_text() == (tmp_path / "a.json").read_text()
    (kept,) = tmp_path.glob("costs-11-64x96-*.json")
    kept.write_text("[damaged")
    monkeypatch.undo()
    assert main([*words, "--json", str(tmp_path / "b.json")]) == 0
    assert (tmp_path / "b.json").read_text() == (tmp_path / "a.json").read_text()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--filter", "unet-resnt18"], "unknown model 'unet-resnt18': did you mean 'unet-resnet18'?"),
        (["--imgsz", "100x200"], "--imgsz: HEIGHTxWIDTH must be multiples of 32, got 100x200; try 96x192"),
    ],
)
def test_refusals(words, text, capsys):
    assert main(["models", *words]) == 1
    assert text in capsys.readouterr().err


@pytest.fixture(scope="module")
def dataset(load_module, tmp_path_factory):
    return load_module("train/rectangles.py").write_dataset(tmp_path_factory.mktemp("rectangles") / "data", train=4, val=2)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


QUICK = ("--batch", "2", "--workers", "0", "--device", "cpu", "--precision", "fp32")


def test_the_whole_road(dataset, tmp_path, capsys):
    from torchvision.models import mobilenet_v2

    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "weights.pth")
    out = tmp_path / "run"
    words = ["train", "--data", str(dataset), "--model", "deeplabv3plus-mobilenetv2", *QUICK, "--out", str(out)]
    assert main([*words, "--epochs", "1", "--pretrained", str(tmp_path / "weights.pth")]) == 0
    assert main([*words, "--epochs", "2", "--resume"]) == 0
    loaded = load_checkpoint(out / "best.pt")
    assert loaded.name == "deeplabv3plus-mobilenetv2"
    assert loaded.spec.output_stride == 4
    assert loaded.spec.provenance["pretrained"]["file"] == "weights.pth"
    assert "optimizer_states" in read_checkpoint(out / "last.pt")
    report = json.loads((out / "report.json").read_text())
    assert report["params"] == registry.parameters(loaded.model)

    # Another training's weights would not be this one any more.
    torch.save({"x": torch.zeros(1)}, tmp_path / "weights.pth")
    assert main([*words, "--epochs", "3", "--resume", "--pretrained", str(tmp_path / "weights.pth")]) == 1
    assert "began with other weights than --pretrained" in capsys.readouterr().err

    assert main(["export", str(out / "best.pt"), "--out", str(tmp_path / "model"), "--engine", "onnxruntime"]) == 0
    sink = tmp_path / "seen"
    assert main(["predict", str(tmp_path / "model"), "--source", str(dataset / "images/val"), "--out", str(sink)]) == 0
    assert len(list((sink / "overlays").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--model", "pspnet-resnet18", "--batch", "1"], "pspnet-resnet18 normalizes the mean of the whole image"),
        (["--pretrained", "imagenet"], "unet-s has no encoder of a classification network"),
        (["--model", "unet-resnet18", "--pretrained", "imagenet", "--init", "x.pt"], "drop --pretrained or --init"),
    ],
)
def test_training_options_that_do_not_go_together(dataset, tmp_path, words, text, capsys):
    assert main(["train", "--data", str(dataset), *QUICK, "--out", str(tmp_path / "o"), *words]) == 1
    assert text in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
