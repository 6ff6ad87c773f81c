"""Plain graphs: the same scores from floats that a tool prepares, and its settings."""

from __future__ import annotations

import configparser
import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.export import DeliverOptions, ExportOptions, export
from seg_edge.export.deliver.plain import make_plain
from seg_edge.runtime import Segmenter


@pytest.fixture
def artefact(tmp_path):
    """A network of random weights in an artefact, whose front is folded into its convolution."""
    import torch

    from seg_edge.core.labels import Labels
    from seg_edge.core.spec import ModelSpec
    from seg_edge.export.graph.to_onnx import to_onnx

    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, 3, 4, stride=4).eval()
    (tmp_path / "source").mkdir()
    onnx.save(to_onnx(net, ModelSpec("net", Labels.numbered(3), (32, 64))), tmp_path / "source" / "model.fp32.onnx")
    return tmp_path / "source"


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_plain(artefact, tmp_path, layout):
    options = ExportOptions(engine="onnxruntime", threads=1, deliver=DeliverOptions(plain=layout))
    report = export(artefact, tmp_path / "out", options)
    row = next(row for row in report.steps if row.step == "plain")
    assert row.max_abs_error < 1e-4
    about = json.loads((tmp_path / "out" / "model.json").read_text())["provenance"]["plain"]
    assert (about["layout"], about["color_order"], about["std"]) == (layout, "BGR", [1, 1, 1])
    np.testing.assert_allclose(about["mean"], (103.53, 116.28, 123.675), rtol=1e-6)

    frame = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    image = (frame.astype(np.float32) - np.array(about["mean"], np.float32))[None]
    image = image if layout == "nhwc" else image.transpose(0, 3, 1, 2)
    session = ort.InferenceSession(str(tmp_path / "out" / about["file"]), providers=["CPUExecutionProvider"])
    with Segmenter(tmp_path / "out", "onnxruntime", threads=1) as segmenter:
        np.testing.assert_allclose(session.run(None, {"image": image})[0][0], segmenter.logits(frame), atol=1e-3)


def test_settings_of_tools(artefact, tmp_path):
    export(artefact, tmp_path / "out", ExportOptions(engine="onnxruntime", deliver=DeliverOptions(plain="nchw")))
    folder = tmp_path / "out" / "plain"
    parser = configparser.ConfigParser()
    parser.read(folder / "config_infer_primary.txt")
    found = parser["property"]
    assert (found["infer-dims"], found["offsets"], found["model-color-format"]) == ("3;32;64", "103.53;116.28;123.675", "1")
    assert (folder / found["onnx-file"]).resolve() == (tmp_path / "out" / "model.plain.onnx").resolve()
    assert (folder / found["labelfile-path"]).read_text().split() == ["class0", "class1", "class2"]
    compile((folder / "rknn_convert.py").read_text(), "rknn_convert.py", "exec")
    assert "mean_values=[[103.53, 116.28, 123.675]]" in (folder / "rknn_convert.py").read_text()
    assert (
        folder / "hailo.alls"
    ).read_text() == "normalization1 = normalization([103.53, 116.28, 123.675], [1.0, 1.0, 1.0])\n"
    assert "{103.53f, 116.28f, 123.675f}" in (folder / "ncnn.txt").read_text()


def test_what_has_no_plain_graph(artefact):
    model = onnx.load(artefact / "model.fp32.onnx")
    model.graph.node.remove(next(node for node in model.graph.node if node.op_type == "Transpose"))
    with pytest.raises(ModelFileError, match="`plain`: net does not begin with Transpose"):
        make_plain(model, "nchw")
    with pytest.raises(InputError, match="`plain`: tools take graphs for one frame"):
        ExportOptions(batch=4, deliver=DeliverOptions(plain="nchw"))
    with pytest.raises(InputError, match="unknown plain 'nchv'"):
        DeliverOptions(plain="nchv")
