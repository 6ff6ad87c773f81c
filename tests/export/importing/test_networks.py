"""Networks of segmentation-models-pytorch, torchvision and timm, with random weights at small sizes."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import InputError
from seg_edge.export import ImportOptions, import_network

torch = pytest.importorskip("torch")
SIZE = (64, 96)
OPTIONS = ImportOptions(engine="onnxruntime", threads=1, input_hw=SIZE)


def spread(network):
    """Gives batch normalization statistics, so that an untrained network's masks aren't flat."""
    made = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=made)
            module.running_var.uniform_(0.5, 1.5, generator=made)
    return network.eval()


def smp(name, **words):
    made = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    return spread(getattr(made, name)("mobilenet_v2", encoder_weights=None, **words))


def torchvision(name, **words):
    made = pytest.importorskip("torchvision").models.segmentation
    torch.manual_seed(0)
    return spread(getattr(made, name)(weights=None, weights_backbone=None, num_classes=21, **words))


@pytest.mark.parametrize(
    ("name", "words", "removed"),
    [
        ("Unet", {"classes": 1, "activation": "sigmoid", "encoder_depth": 3, "decoder_channels": (32, 16, 8)}, ["sigmoid"]),
        ("FPN", {"classes": 11, "decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32}, []),
    ],
)
def test_smp(tmp_path, name, words, removed):
    """Its upsampling has align-corners, so it stays."""
    report = import_network(smp(name, **words), tmp_path / "out", OPTIONS)
    assert report.compared[0].agreement >= 0.999
    assert report.spec.provenance["imported"]["family"] == "segmentation-models-pytorch"
    assert (report.spec.output_stride, report.removed) == (1, removed)


def test_torchvision_with_an_auxiliary_head(tmp_path):
    """LR-ASPP's upsampling is the kernel's rule, so it is taken off."""
    report = import_network(torchvision("lraspp_mobilenet_v3_large"), tmp_path / "out", OPTIONS)
    assert report.compared[0].agreement >= 0.999
    assert (report.spec.output_stride, report.removed) == (8, ["upsampling by 8"])
    assert report.spec.provenance["imported"]["family"] == "torchvision"


def test_a_timm_encoder_with_an_own_head(tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features = timm.create_model(
                "mobilenetv3_small_050", pretrained=False, features_only=True, out_indices=(1,)
            )
            self.head = torch.nn.Conv2d(self.features.feature_info.channels()[0], 5, 1)

        def forward(self, image):
            scores = self.head(self.features(image)[0])
            return torch.nn.functional.interpolate(scores, size=image.shape[2:], mode="bilinear").softmax(1)

    report = import_network(spread(Own()), tmp_path / "out", OPTIONS)
    assert report.compared[0].agreement >= 0.999
    assert (report.spec.output_stride, report.removed, report.source) == (4, ["upsampling by 4", "softmax"], "Own")


class Two(torch.nn.Module):
    """An auxiliary head first, in a dictionary."""

    def __init__(self):
        super().__init__()
        self.body, self.head = torch.nn.Conv2d(3, 4, 4, stride=4), torch.nn.Conv2d(4, 3, 1)

    def forward(self, image):
        low = self.body(image)
        return {"aux": low[:, :3], "out": self.head(low.relu())}


def test_a_dictionary_and_an_exported_program(tmp_path):
    network = Two().eval()
    report = import_network(network, tmp_path / "module", OPTIONS)
    assert report.spec.provenance["imported"]["output"] == "out"
    program = torch.export.export(network, (torch.zeros(1, 3, *SIZE),))
    torch.export.save(program, tmp_path / "two.pt2")
    for source, name in ((program, "ExportedProgram"), (tmp_path / "two.pt2", "two.pt2")):
        found = import_network(source, tmp_path / "program", OPTIONS.with_(input_hw=None))
        assert (found.source, found.spec.input_hw, found.compared[0].passed) == (name, SIZE, True)


def test_modules_that_cannot_be_imported(tmp_path):
    with pytest.raises(InputError, match="`input_hw`: a torch module has no input size"):
        import_network(Two().eval(), tmp_path / "out", OPTIONS.with_(input_hw=None))
    with pytest.raises(InputError, match=r"is in training mode; call eval\(\)"):
        import_network(Two(), tmp_path / "out", OPTIONS)
    with pytest.raises(InputError, match="expected a path, a torch module or an ExportedProgram, got int"):
        import_network(3, tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()
