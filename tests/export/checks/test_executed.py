"""What engines say that they executed: a convolution that is planted in float is found on each of them."""

from __future__ import annotations

import onnx
import pytest

from seg_edge.calib.graph import convolutions, set_spec
from seg_edge.core.errors import ModelFileError
from seg_edge.export.chain import export_network
from seg_edge.export.checks.executed import RECORDS, float_kernels
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, quantize
from seg_edge.export.options import ExportOptions
from seg_edge.export.steps import int8


@pytest.fixture(scope="module")
def file(nets, tiny, tmp_path_factory):
    """A function (float convolutions by number) → file of a mixture."""
    calibration = calibrate(tiny, nets.frames(4), QuantOptions())
    names = [node.name for node in convolutions(tiny)]

    def make(*in_float):
        model = quantize(tiny, calibration, QuantOptions(), [names[i] for i in in_float])
        set_spec(model, nets.SPEC.with_(precision="int8"))
        path = tmp_path_factory.mktemp("mixture") / "model.int8.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture(params=RECORDS)
def engine(request):
    pytest.importorskip(request.param)
    return request.param


def test_every_convolution_of_an_int8_file_runs_on_integers(engine, file):
    assert float_kernels(file(), engine) == []


def test_every_convolution_of_a_float_file_is_listed(engine, nets, tiny, tmp_path):
    model = onnx.ModelProto()
    model.CopyFrom(tiny)
    set_spec(model, nets.SPEC)
    onnx.save(model, tmp_path / "model.onnx")
    assert len(float_kernels(tmp_path / "model.onnx", engine)) == 5


@pytest.mark.parametrize("planted", [0, 1, 3])
def test_a_planted_float_convolution_is_found(engine, planted, file, tiny):
    name = convolutions(tiny)[planted].name
    found = float_kernels(file(planted), engine)
    assert any(each.startswith(name) for each in found)
    # ONNX Runtime has no kernel from levels to float: there those whose results the planted one reads are in float, too.
    assert len(found) == (1 if engine == "openvino" else 1 + {0: 0, 1: 1, 3: 2}[planted])


def test_a_pair_that_is_missing_is_found(file, tmp_path):
    """The planted fault of another kind: all weights are levels, but the logits are not quantized."""
    model = onnx.load(file())
    for name in ("logits.Q", "logits.DQ"):
        model.graph.node.remove(next(node for node in model.graph.node if node.name == name))
    convolutions(model)[-1].output[0] = "logits"
    onnx.save(model, tmp_path / "model.onnx")
    assert len(float_kernels(tmp_path / "model.onnx")) == 1


def test_an_engine_without_a_record_and_a_missing_file(tmp_path):
    with pytest.raises(KeyError):
        float_kernels(tmp_path / "model.onnx", "tensorrt")
    with pytest.raises(ModelFileError):
        float_kernels(tmp_path / "model.onnx")


def test_the_chain_says_what_each_engine_executed(nets, tmp_path, monkeypatch):
    data = nets.write_dataset(tmp_path / "data", nets.tiny())
    options = ExportOptions(int8=True, data=data, engine="onnxruntime", threads=1)
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options)
    assert "every convolution runs on integers on onnxruntime" in report.to_dict()["steps"][-1]["note"]
    lines = nets.Lines()
    monkeypatch.setattr(int8, "float_kernels", lambda _path, _engine: ["planted"])
    export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options, lines)
    assert "warning: int8: 1 convolutions run in float on onnxruntime: planted" in lines.lines
