from __future__ import annotations

import numpy as np
import pytest
import torch

from seg_edge.calib.graph import get_spec, run, session
from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.export.graph.to_onnx import OPSET, to_onnx


def worst_error(net, model, spec, nets, frames):
    opened = session(model)
    with torch.inference_mode():
        pairs = [(net(nets.normalized(frame, spec)).numpy(), run(opened, frame)[0]) for frame in frames]
    return max(np.abs(a - b).max() for a, b in pairs), pairs


def edge_frames(size_hw):
    """Black, white and one colour: where a wrong zero padding or channel order shows most."""
    made = [np.full((1, *size_hw, 3), colour, np.uint8) for colour in ((0, 0, 0), (255, 255, 255), (250, 20, 120))]
    return made


@pytest.mark.parametrize("kind", ["TinyUNet", "NotAConvFirst"])
def test_the_graph_computes_what_torch_computes_up_to_the_border(kind, nets):
    net = nets.trained(getattr(nets, kind)())
    model = to_onnx(net, nets.SPEC)
    frames = nets.frames(2) + edge_frames(nets.SPEC.input_hw)
    error, pairs = worst_error(net, model, nets.SPEC, nets, frames)
    assert max(np.abs(a).max() for a, _ in pairs) > 0.5
    assert error < 1e-5 * max(1, max(np.abs(a).max() for a, _ in pairs))


def test_other_normalization_is_followed(nets):
    spec = nets.SPEC.with_(mean=(10.0, 100.0, 200.0), std=(20.0, 50.0, 90.0))
    net = nets.tiny()
    error, _ = worst_error(net, to_onnx(net, spec), spec, nets, nets.frames(2))
    assert error < 1e-4
    wrong, _ = worst_error(net, to_onnx(net, spec), nets.SPEC, nets, nets.frames(2))
    assert wrong > 0.1


def test_the_signature_is_the_contract(nets):
    model = to_onnx(nets.tiny(), nets.SPEC)
    source, target = model.graph.input[0], model.graph.output[0]
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (source, target)]
    assert (source.name, source.type.tensor_type.elem_type, shapes[0]) == ("frames", 2, [1, 64, 96, 3])  # 2: uint8
    assert (target.name, target.type.tensor_type.elem_type, shapes[1]) == ("logits", 1, [1, 4, 16, 24])  # 1: float32
    assert [entry.version for entry in model.opset_import] == [OPSET]
    assert get_spec(model) == nets.SPEC


def test_preprocessing_costs_one_subtraction_and_batch_normalization_nothing(nets):
    kinds = [node.op_type for node in to_onnx(nets.tiny(), nets.SPEC).graph.node]
    assert kinds[:5] == ["Cast", "Sub", "Transpose", "Conv", "Relu"]
    assert "BatchNormalization" not in kinds


def test_equal_weights_stay_constants(nets):
    # The exporter stores equal tensors once and reads them through Identity nodes, which would hide weights.
    net = nets.trained(nets.TinyUNet())
    net.fuse[0].weight.data.fill_(0.01)
    for block in (net.stem, net.down, net.deep, net.fuse):
        block[1].reset_parameters()
        block[1].reset_running_stats()
    model = to_onnx(net.eval(), nets.SPEC)
    assert "Identity" not in [node.op_type for node in model.graph.node]
    assert worst_error(net, model, nets.SPEC, nets, nets.frames(1))[0] < 1e-4


@pytest.mark.parametrize(("size", "near"), [((60, 96), "64x96"), ((64, 100), "64x96"), ((16, 32), "32x32")])
def test_sizes_off_the_grid_name_the_nearest(size, near, nets):
    with pytest.raises(InputError, match=f"multiples of 32; nearest: {near}"):
        to_onnx(nets.tiny(), nets.SPEC.with_(input_hw=size))


def test_a_spec_that_does_not_fit_the_network_is_refused(nets):
    with pytest.raises(ModelFileError, match=r"output is \[1, 4, 16, 24\], its spec says \[1, 5, 16, 24\]"):
        to_onnx(nets.tiny(), nets.SPEC.with_(labels=Labels.numbered(5)))


def test_a_network_that_cannot_be_exported_says_why(nets):
    class Broken(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError("wrong on purpose")

    with pytest.raises(ModelFileError, match="wrong on purpose"):
        to_onnx(Broken().eval(), nets.SPEC)


def test_nothing_is_printed(nets, capfd):
    to_onnx(nets.tiny(), nets.SPEC)
    assert capfd.readouterr() == ("", "")
