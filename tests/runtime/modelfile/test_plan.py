from __future__ import annotations

from dataclasses import replace

import pytest

from seg_edge.core.errors import ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.runtime.modelfile.plan import PlanHost, PlanRecord, mismatches, plan_records, with_plan

ADA = PlanRecord("rtx", "1.7.1.116", "13", None, ["8.9"], "int8", "model.int8.onnx", "a" * 64, "b" * 64)
ORIN = replace(ADA, flavour="tensorrt", version="10.3.0.30", cuda="12", gpu="Orin", compute_capabilities=["8.7"])
HERE = PlanHost("rtx", "1.7.1.116", "8.9", "RTX 4090", "13.0")
ON_ORIN = PlanHost("tensorrt", "10.3.0.30", "8.7", "Orin", "12.6", 2)


def parts(record, host):
    return [found.part for found in mismatches(record, host)]


def test_what_fits_has_no_mismatch():
    assert parts(ADA, HERE) == []
    assert parts(ORIN, ON_ORIN) == []
    assert parts(replace(ADA, compute_capabilities=[]), HERE) == []
    # A later build of the same version reads it.
    assert parts(ADA, replace(HERE, version="1.7.1.200")) == []
    # What is not known is not compared.
    assert parts(ADA, PlanHost("rtx", "1.7.1.116")) == []


@pytest.mark.parametrize(
    ("record", "host", "expected"),
    [
        (ADA, ON_ORIN, ["TensorRT flavour"]),
        (ADA, replace(HERE, version="1.6.0.1"), ["TensorRT version"]),
        (ORIN, replace(ON_ORIN, version="10.3.1.2"), ["TensorRT version"]),
        (replace(ORIN, version_compatible=True), replace(ON_ORIN, version="10.7.0"), []),
        (replace(ORIN, version_compatible=True), replace(ON_ORIN, version="10.2.0"), ["TensorRT version"]),
        (replace(ORIN, version_compatible=True), replace(ON_ORIN, version="11.0.0"), ["TensorRT version"]),
        (ADA, replace(HERE, compute_capability="12.0"), ["compute capability"]),
        (replace(ORIN, hardware="ampere_plus"), replace(ON_ORIN, compute_capability="9.0"), []),
        (replace(ORIN, hardware="ampere_plus"), replace(ON_ORIN, compute_capability="7.5"), ["compute capability"]),
        (ADA, replace(HERE, cuda="12.8"), ["CUDA"]),
        (replace(ORIN, dla_core=1), ON_ORIN, []),
        (replace(ORIN, dla_core=1), replace(ON_ORIN, dla_cores=0), ["DLA"]),
        (ADA, PlanHost("rtx", "1.6.0", "7.5", None, "11.4"), ["TensorRT version", "compute capability", "CUDA"]),
    ],
)
def test_every_part_is_compared(record, host, expected):
    assert parts(record, host) == expected


def test_a_mismatch_says_recorded_found_and_remedy():
    (version,) = mismatches(ADA, replace(HERE, version="1.6.0.1"))
    assert str(version) == (
        "TensorRT version: built for TensorRT-RTX 1.7.1.116, found TensorRT-RTX 1.6.0.1; install TensorRT-RTX 1.7.1.116, "
        "or build it here: seg-edge build model.int8.onnx --engine rtx"
    )
    (gpu,) = mismatches(ADA, replace(HERE, compute_capability="12.0", gpu="RTX 5090"))
    assert "built for 8.9, found 12.0 (RTX 5090)" in str(gpu)
    assert str(gpu).endswith("seg-edge build model.int8.onnx --engine rtx --compute-capability 120")


def test_records_travel_in_the_spec():
    spec = ModelSpec("m", Labels.numbered(3), (32, 32), provenance={"seed": 1})
    both = with_plan(with_plan(spec, "a.engine", ADA), "b.engine", ORIN)
    assert spec.provenance == {"seed": 1}
    again = ModelSpec.from_json(both.to_json())
    assert {name: PlanRecord.from_dict(row) for name, row in plan_records(again).items()} == {
        "a.engine": ADA, "b.engine": ORIN,
    }  # fmt: skip
    assert plan_records(spec) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [({"version": None}, "key 'version'"), ({"new": 1}, "key 'new'"), ({"flavour": "x"}, "flavour 'x'")],
)
def test_damaged_records(change, message):
    data = ADA.to_dict() | change
    data = {key: value for key, value in data.items() if value is not None or key in ("gpu", "dla_core")}
    with pytest.raises(ModelFileError, match=message):
        PlanRecord.from_dict(data, "model.json")
