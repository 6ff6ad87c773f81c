from __future__ import annotations

from dataclasses import replace

import pytest

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import EngineError, ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.runtime import read_spec
from seg_edge.runtime.modelfile.plan import PlanHost, PlanRecord, with_plan
from seg_edge.runtime.modelfile.planfile import check_plan, find_plan, is_plan, read_plan

ADA = PlanHost("rtx", "1.7.1.116", "8.9", "RTX 4090", "13.0")


@pytest.fixture
def folder(tmp_path):
    """An artefact with an fp32 and an INT8 engine file."""
    spec = ModelSpec("m", Labels.numbered(3), (32, 40))
    for precision in ("fp32", "int8"):
        (tmp_path / f"model.{precision}.onnx").write_bytes(precision.encode())
        path = tmp_path / f"model.{precision}.engine"
        path.write_bytes(b"plan " + precision.encode())
        onnx = tmp_path / f"model.{precision}.onnx"
        record = PlanRecord("rtx", "1.7.1.116", "13", None, ["8.9"], precision, onnx.name, sha256(onnx), sha256(path))
        spec = with_plan(spec, path.name, record)
    (tmp_path / "model.json").write_text(spec.to_json())
    return tmp_path


def test_spec_and_record(folder):
    spec, record = read_plan(folder / "model.int8.engine")
    assert (spec.name, spec.precision, record.precision) == ("m", "int8", "int8")
    assert read_spec(folder / "model.fp32.engine").precision == "fp32"
    assert [is_plan(name) for name in ("a.engine", "b.plan", "c.onnx", "engine")] == [True, True, False, False]


def test_a_file_without_its_record(folder):
    with pytest.raises(ModelFileError, match=r"no such file; expected an engine file written by: seg-edge build"):
        read_plan(folder / "absent.engine")
    (folder / "other.engine").write_bytes(b"")
    with pytest.raises(
        ModelFileError,
        match=r"says nothing about other.engine \(it knows: model.fp32.engine, model.int8.engine\); copy model.json",
    ):
        read_plan(folder / "other.engine")
    (folder / "model.json").unlink()
    with pytest.raises(
        ModelFileError, match=r"model\.json: can't be read .* nobody knows what model\.int8\.engine is; copy"
    ):
        read_plan(folder / "model.int8.engine")


def test_what_fits_passes(folder):
    check_plan(folder / "model.int8.engine", read_plan(folder / "model.int8.engine")[1], ADA)


def test_another_machine_is_explained_part_by_part(folder):
    path = folder / "model.int8.engine"
    other = replace(ADA, version="1.6.0.7", compute_capability="12.0", gpu="RTX 5090", cuda="12.4")
    with pytest.raises(EngineError) as caught:
        check_plan(path, read_plan(path)[1], other)
    text = str(caught.value)
    assert text.startswith(f"engine rtx: {path} can't run here: TensorRT version: built for TensorRT-RTX 1.7.1.116, found")
    assert "compute capability: built for 8.9, found 12.0 (RTX 5090)" in text
    assert "CUDA: built for 13, found a driver for CUDA 12.4; update the NVIDIA driver" in text
    assert "\n" not in text


def test_damaged_and_stale_files(folder):
    path = folder / "model.int8.engine"
    record = read_plan(path)[1]
    (folder / "model.int8.onnx").write_bytes(b"newer")
    with pytest.raises(ModelFileError, match=r"built from another model\.int8\.onnx than the one beside it"):
        check_plan(path, record, ADA)
    (folder / "model.int8.onnx").unlink()
    check_plan(path, record, ADA)  # the engine alone is what goes onto a device
    path.write_bytes(b"other")
    with pytest.raises(ModelFileError, match=r"damaged or replaced: its sha256 is .*model\.json says"):
        check_plan(path, record, ADA)


def test_the_engine_of_a_folder_that_fits(folder):
    assert find_plan(folder, ADA) == folder / "model.int8.engine"
    assert find_plan(folder, replace(ADA, compute_capability="7.5")) is None
    assert find_plan(folder, PlanHost("tensorrt", "10.3.0")) is None
    (folder / "model.int8.engine").unlink()
    assert find_plan(folder, ADA) == folder / "model.fp32.engine"
    (folder / "model.json").write_text("{")
    assert find_plan(folder, ADA) is None
