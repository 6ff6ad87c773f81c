"""Every network that can be trained: names, strides, one step, the checkpoint, ONNX and the runtime, at small size."""

from __future__ import annotations

import re
import sys
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from seg_edge.core.errors import InputError, ModelFileError, UnknownNameError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.export.guard import check_graph
from seg_edge.runtime.segmenter import Segmenter
from seg_edge.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from seg_edge.train.models import catalog, names, registry, zoo
from seg_edge.train.models.config import config_of
from seg_edge.train.models.costs import costs
from seg_edge.train.models.names import ENCODERS
from seg_edge.train.models.parts import encoders
from seg_edge.train.models.parts.heads import BinPool
from seg_edge.train.models.parts.segnet import pool, unpool
from seg_edge.train.models.widths import layer_widths
from seg_edge.train.torch_engine import TorchEngine

pytest.importorskip("segmentation_models_pytorch")

#: Every architecture, each with an encoder of another kind; what torchvision has, and the compact family.
SAMPLE = (
    "fcn-mobilenetv3small", "fcn8s-resnext50", "unet-efficientnetb0", "segnet-vgg16bn", "pspnet-resnet18", "deeplabv2-vgg16",
    "deeplabv3-resnet18", "deeplabv3plus-densenet121", "lraspp-mobilenetv3", "unet-n",
)  # fmt: skip
SIZE = (32, 64)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_table():
    assert list(names.TABLE)[: len(registry.MODELS)] == list(registry.MODELS)
    assert set(zoo.NETWORKS) <= set(names.TABLE)
    asked = {"fcn", "unet", "segnet", "pspnet", "deeplabv2", "deeplabv3", "deeplabv3plus"}
    assert asked <= {name.partition("-")[0] for name in SAMPLE} | {"fcn"}
    assert set(names.ARCHITECTURES) == asked | {"fcn8s"}
    assert {f"resnet{n}" for n in (18, 34, 50, 101, 152)} | {"vgg16", "vgg19"} <= set(ENCODERS)
    assert all(f"{kind}-{encoder}" in names.TABLE for kind in asked - {"segnet"} for encoder in ENCODERS)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_step_a_checkpoint_onnx_and_the_runtime(name, tmp_path):
    torch.manual_seed(0)
    net, stride = catalog.build(name, 3), names.TABLE[name].stride
    assert net.training
    assert catalog.stride_of(net) == stride
    images, targets = torch.randn(2, 3, *SIZE), torch.randint(0, 3, (2, *(-(-side // stride) for side in SIZE)))
    before = {key: value.detach().clone() for key, value in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    F.cross_entropy(net(images), targets).backward()
    idle = {key for key, p in net.named_parameters() if p.grad is None}
    # The library keeps EfficientNet's last convolution, which no decoder reads.
    assert all(key.startswith(("network.encoder._conv_head", "network.encoder._bn1")) for key in idle)
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in net.parameters())
    assert any(not torch.equal(value, before[key]) for key, value in net.named_parameters())

    spec = ModelSpec(name, Labels.numbered(3), SIZE, output_stride=stride)
    save_checkpoint(tmp_path / "net.pt", Checkpoint(net.eval(), spec, 1, name, config_of(net)))
    loaded = load_checkpoint(tmp_path / "net.pt")  # reads with weights_only=True
    model = to_onnx(loaded.model, spec)
    assert [found.row.name for found in check_graph(model)] == []
    onnx.save(model, tmp_path / "net.onnx")
    frame = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
    with Segmenter(tmp_path / "net.onnx", "onnxruntime") as exported:
        assert exported.engine.spec == spec
        got = exported(frame).copy()
    with Segmenter(TorchEngine.from_checkpoint(tmp_path / "net.pt")) as original:
        assert np.mean(got == original(frame)) > 0.99
    assert got.shape == (80, 120)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_builds_dilated(encoder):
    """Stride 8 is what most architectures hold; the undilated encoder is the library's own."""
    with torch.device("meta"), torch.inference_mode():
        net = catalog.build(f"deeplabv2-{encoder}", 5).eval()
        assert net(torch.zeros(1, 3, *SIZE)).shape == (1, 5, SIZE[0] // 8, SIZE[1] // 8)


@pytest.mark.parametrize(
    ("encoder", "stride", "expected"),
    [
        # Block by block, as DeepLab dilates VGG: no stride in the last two pools, rate 2 behind the first of them.
        ("vgg16bn", 8, {1: 10, 2: 3}),
        ("vgg16bn", 16, {1: 13}),
        # DenseNet-121's blocks have 6, 12, 24 and 16 convolutions of 3x3.
        ("densenet121", 8, {1: 18, 2: 24, 4: 16}),
        ("densenet121", 16, {1: 42, 2: 16}),
    ],
)
def test_our_dilation(encoder, stride, expected):
    with torch.device("meta"), torch.inference_mode():
        net = encoders.make(encoder, stride).eval()
        convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
        rates = Counter(m.dilation[0] for m in convolutions)
        assert rates == expected
        shapes = [tuple(f.shape[-2:]) for f in net(torch.zeros(1, 3, 64, 96))]
    assert shapes == [(64 // min(2**k, stride), 96 // min(2**k, stride)) for k in range(6)]


@pytest.mark.parametrize("name", ["unet-n", "pspnet-resnet18", "unet-efficientnetb0", "fcn8s-densenet121"])
def test_costs_are_those_of_the_real_network(name):
    net = catalog.build(name, 3)
    assert costs(name, 3, SIZE) == (registry.parameters(net), registry.macs(net, SIZE))


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_bin_pool_is_adaptive_pooling(bins):
    x = torch.randn(2, 5, 11, 8)
    assert torch.allclose(BinPool(bins)(x), F.adaptive_avg_pool2d(x, bins), atol=1e-6)


def test_unpooling_puts_values_where_the_maxima_were():
    # One block: the maximum 7 stands at the lower left; in the other all are equal, and the first place counts.
    x = torch.tensor([[[[1.0, 2, 0, 0], [7, 3, 0, 0]]]])
    best, places = pool(x)
    assert best.tolist() == [[[[7.0, 0.0]]]]
    assert unpool(torch.tensor([[[[5.0, 6.0]]]]), places).tolist() == [[[[0.0, 0, 6, 0], [5, 0, 0, 0]]]]
    x = torch.randn(2, 3, 8, 12).relu()
    best, indices = F.max_pool2d(x, 2, return_indices=True)
    values = torch.randn_like(best)
    assert torch.equal(unpool(values, pool(x)[1]), F.max_unpool2d(values, indices, 2))


def test_widths_of_a_narrowed_network_travel_in_its_config():
    net = catalog.build("fcn8s-resnet18", 3)
    widths = layer_widths(net)
    again = catalog.build("fcn8s-resnet18", 3, {"layer_widths": widths})
    assert config_of(again) == config_of(net) == {"layer_widths": widths}
    with pytest.raises(ModelFileError, match="unknown key 'widths'; valid keys: layer_widths"):
        catalog.build("fcn8s-resnet18", 3, {"widths": [1]})
    with pytest.raises(ModelFileError, match="layer_widths must be a table, got int"):
        catalog.build("fcn8s-resnet18", 3, {"layer_widths": 3})


def test_the_same_weights_as_the_benchmarks_network():
    """Without the upsampling at the end: what `bench --table` measures can be trained, and the other way round."""
    full, ours = zoo.build("deeplabv3plus-resnet50", 2), catalog.build("deeplabv3plus-resnet50", 2)
    ours.load_state_dict(full.state_dict())
    x = torch.randn(1, 3, 32, 64)
    with torch.inference_mode():
        small = ours.eval()(x)
        assert torch.allclose(
            F.interpolate(small, scale_factor=4, mode="bilinear", align_corners=True), full(x), atol=1e-4
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("unet-resnt50", "did you mean 'unet-resnet50'?"),
        ("unet_s", "did you mean 'unet-s'?"),
        ("segnet-resnet50", "SegNet goes with vgg16, vgg16bn, vgg19, vgg19bn alone;"),
        ("7", "valid names: unet-"),
    ],
)
def test_unknown_names(name, hint):
    with pytest.raises(UnknownNameError, match=f"^unknown model '{name}': {re.escape(hint)}") as caught:
        catalog.build(name, 3)
    assert str(caught.value).endswith("others; seg-edge models lists them")
    assert len(str(caught.value)) < 220


def test_no_classes_and_no_library(monkeypatch):
    with pytest.raises(ModelFileError, match="model unet-resnet18: needs at least one class, got 0"):
        catalog.build("unet-resnet18", 0)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    for name in ("unet-resnet18", "fcn-resnet18"):
        with pytest.raises(InputError, match=r"needs segmentation-models-pytorch .*seg-edge\[zoo\]"):
            catalog.build(name, 3)
