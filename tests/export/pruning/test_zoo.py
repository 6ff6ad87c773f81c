"""Networks of other libraries: skip connections, depthwise convolutions, squeeze and excitation, dilated pyramids."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from seg_edge.core.errors import InputError
from seg_edge.core.progress import Silent
from seg_edge.export import export
from seg_edge.export.options import ExportOptions
from seg_edge.export.pruning.importance import scorer
from seg_edge.export.pruning.options import PruneOptions
from seg_edge.export.pruning.samples import estimate_statistics
from seg_edge.export.pruning.steps import prune_checkpoint
from seg_edge.export.pruning.structure import allocate, narrow, units
from seg_edge.train import DistillOptions
from seg_edge.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from seg_edge.train.models import zoo
from seg_edge.train.models.catalog import build
from seg_edge.train.models.config import config_of
from seg_edge.train.models.registry import parameters

X = torch.zeros(1, 3, 64, 64)
SMALL = "lraspp-mobilenetv3"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "name", ["lraspp-mobilenetv3", "unet-mobilenetv2", "unet-resnet18", "deeplabv3plus-resnet50", "unet-lite0"]
)
def test_halved_and_rebuilt_bit_for_bit(name, tmp_path):
    """From the name, the widths as JSON values and a state dict that loads without pickled code."""
    pytest.importorskip(zoo.NETWORKS[name].package if name in zoo.NETWORKS else "timm")
    torch.manual_seed(0)
    net = build(name, 5).eval()
    before, score = parameters(net), scorer("l2", net)
    found = units(net, X, score)
    widths = allocate(found, 0.5, "global", 8)
    narrow(net, X, score, widths)
    config = config_of(net)
    assert {unit: config["layer_widths"][unit][1] for unit in widths} == widths
    assert parameters(net) < 0.5 * before
    depthwise = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert all(m.groups == m.in_channels == m.out_channels for m in depthwise)
    assert bool(depthwise) == (name != "unet-resnet18")
    torch.save({"config": json.loads(json.dumps(config)), "weights": net.state_dict()}, tmp_path / "x.pt")
    data = torch.load(tmp_path / "x.pt", weights_only=True)
    again = build(name, 5, data["config"]).eval()
    again.load_state_dict(data["weights"])
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(net(x), again(x))


@pytest.fixture(scope="module")
def parent(nets, tmp_path_factory):
    """A checkpoint of a narrow LR-ASPP on MobileNetV3, with a data set beside it that its own network labelled."""
    folder = tmp_path_factory.mktemp("zoo")
    torch.manual_seed(0)
    net = build(SMALL, 4).eval()
    score = scorer("l2", net)
    narrow(net, X, score, allocate(units(net, X, score), 0.85, "uniform", 8))
    nets.trained(net)
    spec = nets.SPEC.with_(name=SMALL, output_stride=8)
    save_checkpoint(folder / "best.pt", Checkpoint(net, spec, 5, SMALL, config_of(net)))
    nets.write_dataset(folder / "data", net, spec, train=3, val=1)
    return folder / "best.pt"


@pytest.fixture
def options(parent):
    return PruneOptions(
        target_macs=0.8, data=parent.parent / "data", engine="onnxruntime", threads=1, batch=2, workers=0, device="cpu",
        precision="fp32", round_to=4, images=2,
    )  # fmt: skip


def test_pruned_fine_tuned_taught_and_exported(parent, options, tmp_path):
    wanted = replace(options, importance="taylor", finetune=1, distill=DistillOptions(teacher=parent), scope="uniform")

    class Watched(Silent):
        def __init__(self):
            self.counted = []

        def count(self, what):
            self.counted.append(what)
            return super().count(what)

    progress = Watched()
    report = prune_checkpoint(parent, tmp_path / "out", wanted, progress)
    assert "training" in progress.counted  # the fine-tuning is seen by whoever watches the pruning
    start, pruned, tuned = report.steps
    assert pruned.macs <= 0.8 * start.macs
    assert pruned.channels == tuned.channels < start.channels
    assert pruned.sha256 != tuned.sha256
    loaded = load_checkpoint(tmp_path / "out" / "best.pt")
    assert (loaded.name, loaded.epoch) == (SMALL, 6)
    assert loaded.config == report.widths == config_of(loaded.model)
    assert parameters(loaded.model) == tuned.params < start.params
    header = (tmp_path / "out" / "finetune1" / "metrics.csv").read_text().splitlines()[0]
    assert "train_kd" in header
    made = export(tmp_path / "out" / "best.pt", tmp_path / "art", ExportOptions(engine="onnxruntime", threads=1))
    assert made.spec.provenance["params"] == tuned.params
    assert made.spec.output_hw == (8, 12)


def test_statistics_of_a_pooled_layer_need_two_images(nets, options):
    from seg_edge.datasets.opening import open_dataset

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.conv(x).mean((2, 3), keepdim=True))

    data = open_dataset(options.data, "train")
    net = Pooled().eval()
    estimate_statistics(net, data, nets.SPEC, 3, batch=2)  # a last batch of a single image would have no variance
    assert bool(net.norm.running_var.isfinite().all())
    with pytest.raises(InputError, match="`images=1`: this network normalizes what it pools over a whole image"):
        estimate_statistics(net, data, nets.SPEC, 1)


def test_what_the_graph_cannot_follow_is_said_in_one_line():
    class Attention(nn.Module):
        """Splits its channels into heads by numbers that pruning doesn't know."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("shape '[1, 4, 4, 64]' is invalid")

    with pytest.raises(InputError, match=r"Torch-Pruning can't follow this network \(RuntimeError: shape '\[1, 4, 4, 64"):
        units(Attention().eval(), X, scorer("l2", nn.Identity()))
