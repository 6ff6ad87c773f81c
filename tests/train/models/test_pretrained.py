"""Weights of classification networks for the zoo's encoders: from files as others write them."""

from __future__ import annotations

import pytest
import torch

from seg_edge.core.errors import DownloadError, InputError, ModelFileError
from seg_edge.train.models import catalog, names, pretrained

smp = pytest.importorskip("segmentation_models_pytorch")


@pytest.fixture(scope="module")
def weights():
    """What torchvision's resnet18 would be saved as, classifier included."""
    from torchvision.models import resnet18

    torch.manual_seed(1)
    return resnet18(weights=None).state_dict()


@pytest.mark.parametrize("prefix", ["", "module.", "encoder."])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_of_another_library(weights, tmp_path, prefix, wrapped):
    state = {prefix + key: value for key, value in weights.items()}
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "w.pth")
    net = catalog.build("fcn8s-resnet18", 3)
    head = {key: value.clone() for key, value in net.network.head.state_dict().items()}
    pretrained.load(net, "fcn8s-resnet18", str(tmp_path / "w.pth"))
    got = net.encoder.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in got.items())
    assert all(torch.equal(value, head[key]) for key, value in net.network.head.state_dict().items())


def test_safetensors_and_timms_names(tmp_path):
    """timm's encoder lies one level deeper in segmentation-models-pytorch."""
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    theirs = timm.create_model("mobilenetv3_small_100", pretrained=False).state_dict()
    save_file(theirs, tmp_path / "w.safetensors")
    net = catalog.build("unet-mobilenetv3small", 2)
    pretrained.load(net, "unet-mobilenetv3small", str(tmp_path / "w.safetensors"))
    assert torch.equal(net.encoder.state_dict()["model.conv_stem.weight"], theirs["conv_stem.weight"])


def test_torchvisions_segmentation_networks(weights, tmp_path):
    from torchvision.models import resnet50

    state = resnet50(weights=None).state_dict()
    torch.save(state, tmp_path / "w.pth")
    net = catalog.build("deeplabv3-resnet50", 2)
    pretrained.load(net, "deeplabv3-resnet50", str(tmp_path / "w.pth"))
    assert torch.equal(net.encoder.state_dict()["layer4.2.conv3.weight"], state["layer4.2.conv3.weight"])


def test_densenets_first_names(tmp_path):
    from torchvision.models import densenet121

    state = densenet121(weights=None).state_dict()
    old = {}
    for key, value in state.items():
        for part in ("norm", "relu", "conv"):
            for number in "12":
                if ".denselayer" in key:
                    key = key.replace(f".{part}{number}.", f".{part}.{number}.")
        old[key] = value
    assert set(old) != set(state)
    torch.save(old, tmp_path / "w.pth")
    net = catalog.build("unet-densenet121", 2)
    pretrained.load(net, "unet-densenet121", str(tmp_path / "w.pth"))
    key = "features.denseblock4.denselayer16.conv2.weight"
    assert torch.equal(net.encoder.state_dict()[key], state[key])


def test_weights_that_do_not_fit_change_nothing(weights, tmp_path):
    net = catalog.build("unet-resnet34", 2)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(
        ModelFileError, match=r"has \d+ of the \d+ weights of unet-resnet34's encoder, layer1.2.conv1.weight"
    ):
        pretrained.load(net, "unet-resnet34", str(tmp_path / "w.pth"))
    torch.save(weights | {"conv1.weight": torch.zeros(64, 1, 7, 7)}, tmp_path / "w.pth")
    net18 = catalog.build("unet-resnet18", 2)
    with pytest.raises(ModelFileError, match=r"conv1.weight is \(64, 1, 7, 7\), .* needs \(64, 3, 7, 7\)"):
        pretrained.load(net18, "unet-resnet18", str(tmp_path / "w.pth"))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_files_that_are_no_weights(content, tmp_path):
    path = tmp_path / "w.pth"
    if content is None:
        torch.save({"epoch": 3}, path)
    else:
        path.write_bytes(content)
    text = "holds no weights" if content is None else "not readable as weights"
    with pytest.raises(ModelFileError, match=text):
        pretrained.load(catalog.build("unet-mobilenetv2", 2), "unet-mobilenetv2", str(path))


def test_early_refusals(tmp_path):
    with pytest.raises(InputError, match="unet-s has no encoder of a classification network; use `init`"):
        names.check_pretrained("unet-s", "imagenet")
    with pytest.raises(InputError, match="there are none for lraspp-mobilenetv3; pass a file"):
        names.check_pretrained("lraspp-mobilenetv3", "imagenet")
    with pytest.raises(ModelFileError, match="no such file; expected 'imagenet' or a state dict"):
        names.check_pretrained("unet-resnet18", str(tmp_path / "absent.pth"))


def test_no_network_is_one_line_that_says_what_to_do(monkeypatch):
    def unreachable(*_words, **_more):
        raise OSError("Cannot reach https://example.invalid\nand more lines")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", unreachable)
    net = catalog.build("unet-resnet18", 2)
    with pytest.raises(
        DownloadError, match=r"weights of resnet18 can't be downloaded \(OSError: Cannot .*pass the file to `pretrained`$"
    ):
        pretrained.load(net, "unet-resnet18", "imagenet")


def test_downloaded_weights_are_put_into_the_encoder(monkeypatch, tmp_path, weights):
    """The hub's client is the only part that is played: the library reads a real file."""
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / "model.safetensors")
    monkeypatch.setattr(smp.encoders, "hf_hub_download", lambda *_a, **_k: str(tmp_path / "model.safetensors"))
    net = catalog.build("deeplabv3plus-resnet18", 2)
    pretrained.load(net, "deeplabv3plus-resnet18", "imagenet")
    assert torch.equal(net.encoder.state_dict()["layer4.1.conv2.weight"], weights["layer4.1.conv2.weight"])
