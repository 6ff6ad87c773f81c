from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from seg_edge.calib import trt_cache
from seg_edge.calib.graph import get_spec, load
from seg_edge.core.artefact import sha256
from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.core.spec import ModelSpec
from seg_edge.export.chain import export_network
from seg_edge.export.checks.replay import check_files, replay
from seg_edge.export.deliver.options import DeliverOptions
from seg_edge.export.options import ExportOptions
from seg_edge.export.trt import BuildOptions
from seg_edge.export.trt.artefact import build_engine, changes, graph_of
from seg_edge.runtime.engines.nvinfer import module_available
from seg_edge.runtime.modelfile.plan import PlanRecord

RTX = module_available("rtx")
pytestmark = pytest.mark.skipif(not RTX.ok, reason=RTX.reason)
SM89 = BuildOptions(compute_capabilities=("89",))


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    """An artefact with INT8, an engine file and scales for DLA."""
    folder = tmp_path_factory.mktemp("art")
    data = nets.write_dataset(folder / "data", nets.tiny(), train=3, val=2)
    options = ExportOptions(
        int8=True, data=data, threads=1, engine="onnxruntime", deliver=DeliverOptions(plan=SM89), dla_cache=True
    )
    return folder / "art", export_network(nets.tiny(), nets.SPEC, folder / "art", options)


@pytest.fixture
def art(exported, tmp_path):
    return shutil.copytree(exported[0], tmp_path / "art")


def engine_of(folder):
    (path,) = folder.glob("*.engine")
    return path


def record_of(folder):
    spec = ModelSpec.from_json((folder / "model.json").read_text())
    return PlanRecord.from_dict(spec.provenance["plans"][engine_of(folder).name])


def test_an_export_builds_the_smallest_model_and_records_it(exported):
    folder, report = exported
    path = engine_of(folder)
    assert path.name.startswith("model.int8.sm89.rtx1.")
    record = record_of(folder)
    assert record.sha256 == sha256(path)
    assert (record.onnx, record.onnx_sha256) == ("model.int8.onnx", sha256(folder / "model.int8.onnx"))
    step = report.steps[-1]
    assert (step.step, step.file, step.precision, step.sha256) == ("engine", path.name, "int8", record.sha256)
    # Either it ran here, or the report says why not.
    assert step.latency_ms or "not run here: engine rtx: not available: no NVIDIA GPU" in step.to_dict()["note"]
    assert (step.agreement is None) == (not step.latency_ms)
    assert json.loads((folder / "report.json").read_text())["spec"]["provenance"]["plans"] == {path.name: record.to_dict()}


def test_scales_for_dla_are_written_too(exported):
    folder, _ = exported
    scales = trt_cache.read(folder / "calib.tensorrt.cache")
    made = {name for node in load(folder / "model.fp32.onnx").graph.node for name in node.output}
    assert set(scales) <= made
    assert "logits" in scales


def test_an_artefact_with_an_engine_still_verifies(art):
    assert all(row.passed for row in replay(art, "onnxruntime", 1))
    assert set(check_files(art)) == {"fp32", "int8"}
    engine_of(art).write_bytes(b"other")
    with pytest.raises(ModelFileError, match=r"\.engine: damaged or replaced"):
        check_files(art)


def test_the_same_engine_is_not_built_twice(nets, art):
    lines, before = nets.Lines(), engine_of(art).stat().st_mtime_ns
    built = build_engine(art, SM89, progress=lines)
    assert built.reused
    assert lines.lines == [f"engine: reusing {engine_of(art).name}"]
    assert engine_of(art).stat().st_mtime_ns == before


def test_a_rebuild_says_why(nets, art):
    lines = nets.Lines()
    assert not build_engine(art, replace(SM89, workspace_mib=3000), progress=lines).reused
    assert lines.lines[0].endswith("workspace changed (None → 3000)")
    build_engine(art, SM89, precision="fp32", progress=lines)
    assert lines.lines[1].endswith("no such engine yet")
    (art / "model.int8.onnx").write_bytes((art / "model.int8.onnx").read_bytes() + b"")
    next(art.glob("*.int8.*.engine")).write_bytes(b"damaged")
    build_engine(art, replace(SM89, workspace_mib=3000), progress=lines)
    assert "is not the file that was built" in lines.lines[2]
    spec = ModelSpec.from_json((art / "model.json").read_text())
    assert len(spec.provenance["plans"]) == 2
    check_files(art)
    report = json.loads((art / "report.json").read_text())
    assert [step["precision"] for step in report["steps"] if step["step"] == "engine"] == ["fp32", "int8"]
    assert "model.fp32.sm89" in (art / "report.md").read_text()


def test_a_build_keeps_what_the_export_found_out(art):
    before = json.loads((art / "report.json").read_text())
    assert before["engines"]
    assert before["sensitivity"]
    assert before["gates"]
    build_engine(art, SM89, precision="fp32")
    after = json.loads((art / "report.json").read_text())
    assert after["steps"][-1]["step"] == "engine"
    changed = {key for key in before if after[key] != before[key]}
    assert changed == {"steps", "spec"}
    assert "## Sensitivity" in (art / "report.md").read_text()


def test_an_export_takes_the_engine_of_the_one_before_or_says_why_not(nets, exported, art):
    options = ExportOptions(int8=True, data=exported[0].parent / "data", threads=1, engine="onnxruntime")

    def engine_lines(**more):
        lines = nets.Lines()
        deliver = DeliverOptions(plan=replace(SM89, **more))
        export_network(nets.tiny(), nets.SPEC, art, replace(options, deliver=deliver), lines)
        return [line for line in lines.lines if line.startswith("engine: ")]

    before = record_of(art)
    assert engine_lines() == [f"engine: reusing {engine_of(art).name}"]
    assert record_of(art) == before
    assert sha256(engine_of(art)) == before.sha256
    (line,) = engine_lines(workspace_mib=3000)
    assert line.endswith("workspace changed (None → 3000)")
    engine_of(art).write_bytes(b"damaged")
    (line,) = engine_lines(workspace_mib=3000)
    assert line.endswith("is not the file that was built")
    options = replace(options, quant=replace(options.quant, observer="percentile"))
    (line,) = engine_lines(workspace_mib=3000)
    assert line.endswith("the graph model.int8.onnx changed")
    check_files(art)


def test_changes_name_every_part(art):
    old = record_of(art)
    new = replace(
        old, version="9.9", cuda="14", gpu="H200", compute_capabilities=["9.0"], precision="fp16", onnx_sha256="0",
        version_compatible=True, hardware="ampere_plus", dla_core=1,
        options={"calibration_cache_sha256": "1", "seg_edge": "9"},
    )  # fmt: skip
    assert [text.split(" changed")[0] for text in changes(old, new)] == [
        "TensorRT", "CUDA", "GPU", "compute capability", "precision", "version compatibility", "hardware compatibility",
        "DLA core", "seg-edge", "the graph model.int8.onnx", "the calibration cache",
    ]  # fmt: skip
    assert changes(old, old) == []


def test_a_bare_onnx_file_gets_a_model_json(art, tmp_path):
    out = tmp_path / "elsewhere" / "x.engine"
    build_engine(art / "model.fp32.onnx", SM89, out)
    spec = ModelSpec.from_json((out.parent / "model.json").read_text())
    assert spec.with_(provenance={}) == get_spec(load(art / "model.fp32.onnx")).with_(provenance={})
    assert spec.provenance["plans"]["x.engine"]["sha256"] == sha256(out)


def test_another_models_folder_is_refused(art, tmp_path, tiny_onnx):
    tiny_onnx(tmp_path / "other.onnx")
    with pytest.raises(ModelFileError, match="describes another model"):
        build_engine(tmp_path / "other.onnx", SM89, art / "x.engine")
    assert not (art / "x.engine").exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("model.fp32.onnx", r"ends in '\.onnx'; expected an engine file, \*\.engine or \*\.plan, such as .*fp32\.engine"),
        ("plain", "has no suffix; expected an engine file"),
        ("golden", "is a folder; expected an engine file, .*golden/model.engine"),
    ],
)
def test_an_engine_file_has_a_name_that_engines_open(art, name, problem):
    before = sha256(art / "model.fp32.onnx")
    with pytest.raises(InputError, match=problem):
        build_engine(art / "model.fp32.onnx", SM89, art / name)
    assert sha256(art / "model.fp32.onnx") == before


def test_an_engine_never_takes_the_place_of_its_graph(art):
    link = art / "model.plan"
    link.symlink_to("model.fp32.onnx")
    before = sha256(link)
    with pytest.raises(InputError, match=r"model\.plan'`: is the model that the engine is built from"):
        build_engine(art / "model.fp32.onnx", SM89, link)
    assert sha256(link) == before


def test_which_graph_is_built(art):
    assert graph_of(art, None, dla=False).name == "model.int8.onnx"
    assert graph_of(art, "fp32", dla=False).name == "model.fp32.onnx"
    assert graph_of(art, "int8", dla=True).name == "model.fp32.onnx"
    assert graph_of(art / "model.fp32.onnx", None, dla=False).name == "model.fp32.onnx"
    with pytest.raises(InputError, match=r"no model\.fp16\.onnx here \(it has: model\.int8\.onnx, model\.fp32\.onnx\)"):
        graph_of(art, "fp16", dla=False)
    with pytest.raises(InputError, match="`precision`: expected one of"):
        graph_of(art, "int4", dla=False)
    with pytest.raises(InputError, match="no such file"):
        graph_of(art / "no.onnx", None, dla=False)
