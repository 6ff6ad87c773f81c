"""What TensorRT's parser makes of INT8 graphs: no convolution is left in float but those that are meant to be."""

from __future__ import annotations

import pytest

from seg_edge.calib.graph import convolutions, set_spec
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, quantize
from seg_edge.export.trt import BuildOptions, build_file, build_plan
from seg_edge.runtime.engines.nvinfer import module_available

RTX = module_available("rtx")
pytestmark = pytest.mark.skipif(not RTX.ok, reason=RTX.reason)
SM89 = BuildOptions(compute_capabilities=("89",))


@pytest.fixture(scope="module")
def calibration(nets, tiny):
    return calibrate(tiny, nets.frames(2), QuantOptions())


@pytest.mark.parametrize("half_base", [False, True])
@pytest.mark.parametrize("planted", [[], [1], [0, 4]])
def test_planted_float_convolutions_are_found(planted, half_base, nets, tiny, calibration):
    names = [convolutions(tiny)[i].name for i in planted]
    model = quantize(tiny, calibration, QuantOptions(), names)
    set_spec(model, nets.SPEC.with_(precision="int8"))
    assert build_plan(model, BuildOptions(compute_capabilities=("89",), half_base=half_base)).in_float == names


def test_the_record_of_an_engine_lists_them(nets, tiny, calibration, tmp_path):
    import onnx

    name = convolutions(tiny)[2].name
    model = quantize(tiny, calibration, QuantOptions(), [name])
    set_spec(model, nets.SPEC.with_(precision="int8"))
    onnx.save(model, tmp_path / "model.int8.onnx")
    lines = nets.Lines()
    record = build_file(tmp_path / "model.int8.onnx", tmp_path / "m.engine", SM89, lines)
    assert record.options["float_layers"] == [name]
    assert f"engine: 1 convolutions in float: {name}" in lines.lines


def test_a_float_graph_has_nothing_to_list(tiny):
    assert build_plan(tiny, SM89).in_float == []
