"""LiteRT's file, converted by litert-torch and run by LiteRT itself."""

from __future__ import annotations

import json

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.core.errors import EngineError, GateError, InputError, ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.export import DeliverOptions, ExportOptions, export
from seg_edge.export.deliver import litert as deliver
from seg_edge.export.int8.in_torch import TorchGraph
from seg_edge.runtime import Segmenter

HW = (32, 64)
OPTIONS = ExportOptions(engine="onnxruntime", threads=1, deliver=DeliverOptions(litert=True))
needs_litert = pytest.mark.skipif(
    any(deliver.find_spec(name) is None for name in ("litert_torch", "ai_edge_litert")),
    reason="pip install 'seg-edge[litert]'",
)


@pytest.fixture
def artefact(tmp_path):
    """A small U-shaped network of random weights."""
    import torch

    from seg_edge.export.graph.to_onnx import to_onnx

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 4, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, 2, 1, bias=False), torch.nn.Hardswish(),
        torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), torch.nn.Conv2d(8, 3, 1),
    ).eval()  # fmt: skip
    (tmp_path / "source").mkdir()
    onnx.save(to_onnx(net, ModelSpec("net", Labels.numbered(3), HW)), tmp_path / "source" / "model.fp32.onnx")
    return tmp_path / "source"


@needs_litert
@pytest.mark.filterwarnings("ignore")
def test_litert_computes_what_the_artefact_computes_on_the_golden_frames(artefact, tmp_path):
    out = tmp_path / "out"
    row = next(row for row in export(artefact, out, OPTIONS).steps if row.step == "litert")
    assert (row.file, row.agreement) == ("model.tflite", 1.0)
    assert row.max_abs_error < 1e-4

    from ai_edge_litert.interpreter import Interpreter

    about = json.loads((out / "model.tflite.json").read_text())
    assert json.loads((out / "model.json").read_text())["provenance"]["litert"] == about
    interpreter = Interpreter(str(out / about["file"]), num_threads=1)
    interpreter.allocate_tensors()
    golden = sorted((out / "golden").glob("frame?.png"))
    assert golden
    with Segmenter(out, "onnxruntime", threads=1) as segmenter:
        for path in golden:
            frame = cv2.resize(cv2.imread(str(path)), (about["width"], about["height"]), interpolation=cv2.INTER_AREA)
            interpreter.set_tensor(
                interpreter.get_input_details()[0]["index"], np.float32(frame - np.float32(about["mean"]))[None]
            )
            interpreter.invoke()
            scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
            np.testing.assert_allclose(scores, segmenter.logits(frame), atol=1e-4)


@needs_litert
@pytest.mark.filterwarnings("ignore")
def test_a_conversion_that_computes_something_else_breaks_the_gate(artefact, tmp_path, monkeypatch):
    right = deliver.litert_logits
    monkeypatch.setattr(deliver, "litert_logits", lambda *given: [values * 1.1 for values in right(*given)])
    with pytest.raises(GateError, match="step litert: logits differ by"):
        export(artefact, tmp_path / "out", OPTIONS)


def test_operators_without_a_conversion_are_named(artefact):
    model = onnx.load(artefact / "model.fp32.onnx")
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Erf"
    with pytest.raises(ModelFileError, match="`litert`: no conversion of Erf in net; leave it out"):
        TorchGraph(model, "litert")


def test_a_missing_package_and_options_that_do_not_fit(artefact, tmp_path, monkeypatch):
    monkeypatch.setattr(deliver, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"litert-torch and ai-edge-litert is missing; pip install 'seg-edge\[litert\]'"):
        export(artefact, tmp_path / "out", OPTIONS)
    with pytest.raises(InputError, match="`litert`: its file gives logits"):
        DeliverOptions(litert=True, head="labels")
    with pytest.raises(InputError, match="`litert`: its file takes one frame"):
        ExportOptions(batch=2, deliver=DeliverOptions(litert=True))
