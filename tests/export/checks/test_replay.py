from __future__ import annotations

import json
import shutil
import subprocess
import sys

import cv2
import onnx
import pytest

from seg_edge.calib.graph import convolutions, load, set_weight, weights
from seg_edge.core.artefact import sha256
from seg_edge.core.errors import EngineError, ModelFileError, UnknownNameError
from seg_edge.export.chain import export_network
from seg_edge.export.checks import replay as verifying
from seg_edge.export.checks.replay import replay
from seg_edge.export.options import ExportOptions
from seg_edge.export.trt import BuildOptions
from seg_edge.export.trt.artefact import build_engine
from seg_edge.runtime.engines import engine_class, open_engine
from seg_edge.runtime.engines.nvinfer import module_available
from seg_edge.runtime.modelfile.plan import PlanHost
from seg_edge.runtime.modelfile.planfile import is_plan


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    root = tmp_path_factory.mktemp("verify")
    data = nets.write_dataset(root / "data", nets.tiny())
    export_network(nets.tiny(), nets.SPEC, root / "art", ExportOptions(int8=True, data=data, threads=1))
    return root / "art"


@pytest.fixture
def art(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "art")


def sign_again(folder, file):
    """Writes a file's new hash into the report, as somebody would who swaps a model."""
    report = json.loads((folder / "report.json").read_text())
    for step in report["steps"]:
        if step["file"] == file:
            step["sha256"] = sha256(folder / file)
    (folder / "report.json").write_text(json.dumps(report))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "auto"])
def test_every_model_and_frame_is_replayed(art, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    rows = replay(art, engine)
    assert [(row.precision, row.frame) for row in rows] == [(p, f"frame{i}") for p in ("fp32", "int8") for i in range(3)]
    assert all(row.passed for row in rows)
    assert min(row.agreement for row in rows) > 0.98
    if engine == "onnxruntime":
        assert {row.agreement for row in rows} == {1.0}


def test_a_flipped_bit_in_the_weights_is_named(art):
    data = bytearray((art / "model.int8.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (art / "model.int8.onnx").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"model.int8.onnx: damaged or replaced: its sha256 is"):
        replay(art)


@pytest.mark.parametrize("change", ["weights", "graph"])
def test_another_network_under_the_same_name_disagrees(art, change):
    path = art / "model.fp32.onnx"
    model = load(path)
    if change == "weights":
        name = convolutions(model)[0].input[1]
        set_weight(model, name, weights(model)[name][:, ::-1])
    else:
        next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Abs"
    onnx.save(model, path)
    sign_again(art, path.name)
    rows = replay(art, "onnxruntime")
    assert not all(row.passed for row in rows if row.precision == "fp32")
    assert all(row.passed for row in rows if row.precision == "int8")


def test_a_changed_golden_frame_or_mask_is_named(art):
    for file in ("frame1.png", "frame2.int8.png"):
        path = art / "golden" / file
        content = path.read_bytes()
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), 255 - image)
        with pytest.raises(ModelFileError, match=f"{file}: damaged or replaced"):
            replay(art)
        path.write_bytes(content)
    (art / "golden" / "frame0.png").unlink()
    with pytest.raises(ModelFileError, match=r"frame0.png: missing"):
        replay(art)


def test_a_changed_spec_is_named(art):
    spec = json.loads((art / "model.json").read_text())
    spec["name"] = "another"
    (art / "model.json").write_text(json.dumps(spec))
    with pytest.raises(ModelFileError, match=r"model.json: damaged or replaced"):
        replay(art)


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("report.json", "{", "report.json: damaged"),
        ("report.json", '{"steps": [{}]}', "report.json: damaged"),
        ("golden/golden.json", "[]", "golden.json: damaged"),
        ("golden/golden.json", '{"format": 9}', "expected format 1, got 9"),
        ("model.json", "{}", "model"),
    ],
)
def test_damaged_texts_are_named(art, file, text, problem):
    (art / file).write_text(text)
    with pytest.raises(ModelFileError, match=problem):
        replay(art)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"frames": []}, r"golden\.json: lists no frames, so there is nothing to compare with"),
        ({"precisions": {}}, r"golden\.json: lists no precisions, so"),
        ({"sha256": {}}, r"golden\.json: damaged \(no sha256 of frame0\.png\)"),
    ],
)
def test_replaying_nothing_does_not_pass(art, change, problem):
    manifest = art / "golden" / "golden.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(ModelFileError, match=problem):
        replay(art, "onnxruntime")


def test_a_model_without_golden_masks_is_not_skipped(art):
    manifest = art / "golden" / "golden.json"
    data = json.loads(manifest.read_text())
    del data["precisions"]["int8"]
    manifest.write_text(json.dumps(data))
    with pytest.raises(ModelFileError, match=r"model\.int8\.onnx: golden/ has no int8 masks"):
        replay(art, "onnxruntime")


def test_folders_that_are_no_artefacts(tmp_path, art):
    with pytest.raises(ModelFileError, match="no such folder"):
        replay(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFileError, match=r"no report.json here"):
        replay(tmp_path / "empty")
    shutil.rmtree(art / "golden")
    with pytest.raises(ModelFileError, match="nothing to compare with"):
        replay(art)


def test_an_unknown_engine(art):
    with pytest.raises(UnknownNameError, match="unknown engine"):
        replay(art, "tensorflow")


def test_a_device_needs_neither_torch_nor_onnx(art):
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxsim', 'seg_edge.train'):\n"
        "    sys.modules[name] = None\n"
        "from seg_edge.export.checks.replay import replay\n"
        f"assert all(row.passed for row in replay({str(art)!r}, 'onnxruntime'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def with_engine(art):
    """The artefact with an engine file of TensorRT-RTX for one GPU, and one for another."""
    pytest.importorskip("tensorrt_rtx")
    for capability in ("89", "120"):
        build_engine(art, BuildOptions(compute_capabilities=(capability,)))
    return art


def test_engine_files_are_replayed_where_they_fit(with_engine, monkeypatch):
    """On a machine with a GPU, for which ONNX Runtime stands in here."""
    opened = []

    def on_gpu(path, engine, threads):
        opened.append((path.name, engine))
        return open_engine(with_engine / "model.int8.onnx" if is_plan(path) else path, "onnxruntime", threads)

    version = module_available("rtx").version
    monkeypatch.setattr(verifying, "open_engine", on_gpu)
    monkeypatch.setattr(verifying, "_host", lambda flavour: PlanHost("rtx", version, "8.9") if flavour == "rtx" else None)
    file = next(path.name for path in with_engine.glob("*sm89*.engine"))
    rows = replay(with_engine, "rtx")
    assert [(row.file, row.precision) for row in rows] == [(file, "int8")] * 3
    assert opened == [(file, "rtx")]
    assert all(row.passed for row in rows)
    opened.clear()
    assert {row.file for row in replay(with_engine)} == {"model.fp32.onnx", "model.int8.onnx", file}
    assert opened == [("model.fp32.onnx", "auto"), ("model.int8.onnx", "auto"), (file, "rtx")]


def test_an_engine_file_that_cannot_run_here_says_why(with_engine):
    if not engine_class("rtx").available().ok:
        with pytest.raises(EngineError, match="engine rtx: "):
            replay(with_engine, "rtx")
    assert {row.file for row in replay(with_engine, "auto")} >= {"model.fp32.onnx", "model.int8.onnx"}


def test_no_engine_file_names_the_remedy(art):
    with pytest.raises(ModelFileError, match="no engine file of TensorRT-RTX; build one: seg-edge build .* `engine='rtx'`"):
        replay(art, "rtx")
