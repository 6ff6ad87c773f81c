"""ncnn's files, converted by pnnx and run by ncnn itself."""

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
from seg_edge.export.deliver import ncnn as deliver
from seg_edge.export.steps import converted as step
from seg_edge.runtime import Segmenter

HW = (32, 64)


def options(weights="fp32", **words):
    return ExportOptions(engine="onnxruntime", threads=1, deliver=DeliverOptions(ncnn=weights), **words)


@pytest.fixture
def artefact(tmp_path):
    """A small U-shaped network of random weights."""
    import torch

    from seg_edge.export.graph.to_onnx import to_onnx

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 4, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, 2, 1), torch.nn.Hardswish(),
        torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), torch.nn.Conv2d(8, 3, 1),
    ).eval()  # fmt: skip
    (tmp_path / "source").mkdir()
    onnx.save(to_onnx(net, ModelSpec("net", Labels.numbered(3), HW)), tmp_path / "source" / "model.fp32.onnx")
    return tmp_path / "source"


needs_ncnn = pytest.mark.skipif(
    any(deliver.find_spec(name) is None for name in ("pnnx", "ncnn")), reason="pip install 'seg-edge[ncnn]'"
)


@needs_ncnn
@pytest.mark.parametrize(("weights", "limit"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_ncnn_computes_what_the_artefact_computes_on_the_golden_frames(artefact, tmp_path, weights, limit):
    out = tmp_path / "out"
    report = export(artefact, out, options(weights))
    rows = [row for row in report.steps if row.step == "ncnn"]
    assert sorted(row.file for row in rows) == ["model.ncnn.bin", "model.ncnn.param"]
    (row,) = (row for row in rows if row.file.endswith("param"))
    assert row.agreement > 0.99
    assert row.max_abs_error < limit
    assert any(gate.name == "ncnn: parity" and gate.passed for gate in report.gates)

    # What a user does with the parameters beside the files, without anything of seg-edge.
    import ncnn

    about = json.loads((out / "model.ncnn.json").read_text())
    assert json.loads((out / "model.json").read_text())["provenance"]["ncnn"] == about
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = False
    assert (net.load_param(str(out / about["param"])), net.load_model(str(out / about["bin"]))) == (0, 0)
    with Segmenter(out, "onnxruntime", threads=1) as segmenter:
        golden = sorted((out / "golden").glob("frame?.png"))
        assert golden
        for path in golden:
            frame = cv2.resize(cv2.imread(str(path)), (about["width"], about["height"]), interpolation=cv2.INTER_AREA)
            image = ncnn.Mat.from_pixels(frame, ncnn.Mat.PixelType.PIXEL_BGR, about["width"], about["height"])
            image.substract_mean_normalize(about["mean"], [])
            extractor = net.create_extractor()
            extractor.input(about["input"], image)
            scores = np.array(extractor.extract(about["output"])[1])
            np.testing.assert_allclose(scores, segmenter.logits(frame), atol=limit)
            assert scores.shape == (len(about["classes"]), HW[0] // about["output_stride"], HW[1] // about["output_stride"])


@needs_ncnn
def test_fp16_weights_take_half_the_bytes(artefact, tmp_path):
    sizes = {}
    for weights in ("fp32", "fp16"):
        export(artefact, tmp_path / weights, options(weights))
        sizes[weights] = (tmp_path / weights / "model.ncnn.bin").stat().st_size
    assert sizes["fp16"] < 0.6 * sizes["fp32"]


@needs_ncnn
def test_a_conversion_that_computes_something_else_breaks_the_gate(artefact, tmp_path, monkeypatch):
    right = step.ncnn_logits
    monkeypatch.setattr(step, "ncnn_logits", lambda *given: [values * 1.1 for values in right(*given)])
    with pytest.raises(GateError, match="step ncnn: logits differ by"):
        export(artefact, tmp_path / "out", options())
    assert not (tmp_path / "out" / "model.ncnn.param").exists()


def test_what_ncnn_lacks_is_named(tmp_path):
    param = tmp_path / "m.param"
    param.write_text("7767517\n3 3\nInput in0 0 1 in0\naten::grid 1 1 in0 1\nConvolution c 1 1 1 out0 0=3\n")
    assert deliver._foreign_operators(param) == ["aten::grid"]


def test_a_missing_package_and_options_that_do_not_fit(artefact, tmp_path, monkeypatch):
    monkeypatch.setattr(deliver, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"`ncnn`: the package pnnx and ncnn is missing; pip install 'seg-edge\[ncnn\]'"):
        export(artefact, tmp_path / "out", options())
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="`ncnn`: its files give logits"):
        DeliverOptions(ncnn="fp32", head="labels")
    with pytest.raises(InputError, match="`ncnn`: its files take one frame"):
        options(batch=2)
    with pytest.raises(InputError, match="unknown ncnn 'int8'"):
        DeliverOptions(ncnn="int8")


@needs_ncnn
def test_files_that_ncnn_cannot_load(tmp_path):
    with pytest.raises(ModelFileError, match="ncnn can't load it"):
        deliver.ncnn_logits(tmp_path, [], 1)
