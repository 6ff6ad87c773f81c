"""From an imported artefact on: INT8, fp16, labels, IR; and what needs a torch module."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.export import DeliverOptions, ExportOptions, ImportOptions, export, import_network, verify
from seg_edge.export.pruning.options import PruneOptions
from seg_edge.runtime import Segmenter

OPTIONS = ImportOptions(engine="onnxruntime", threads=1)


@pytest.fixture
def artefact(write, tmp_path):
    import_network(write(["resize", "softmax"]), tmp_path / "theirs", OPTIONS)
    return tmp_path / "theirs"


@pytest.fixture
def dataset(tmp_path, artefact):
    """Frames labelled by the imported network itself, so its fp32 mIoU is 1."""
    import cv2

    rng = np.random.default_rng(0)
    with Segmenter(artefact, "onnxruntime", threads=1) as segmenter:
        for split in ("train", "val"):
            for kind in ("images", "labels"):
                (tmp_path / "data" / kind / split).mkdir(parents=True)
            for i in range(2):
                frame = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (48, 32), interpolation=cv2.INTER_CUBIC)
                cv2.imwrite(str(tmp_path / "data" / "images" / split / f"{i}.png"), frame)
                cv2.imwrite(str(tmp_path / "data" / "labels" / split / f"{i}.png"), segmenter(frame))
    return tmp_path / "data"


def test_int8_fp16_labels_and_ir(artefact, dataset, tmp_path):
    pytest.importorskip("openvino")
    options = ExportOptions(
        int8=True, fp16=True, data=dataset, engine="onnxruntime", threads=1, deliver=DeliverOptions(head="labels", ir=True),
    )  # fmt: skip
    report = export(artefact, tmp_path / "out", options)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8.xml"} <= names
    assert next(row for row in report.steps if row.step == "onnx").miou == 1
    assert next(row for row in report.steps if row.step == "int8").miou > 0.9
    assert report.spec.provenance["imported"]["source"] == "theirs.onnx"
    assert verify(tmp_path / "out", engine="onnxruntime").passed


def test_from_the_file_alone(artefact, tmp_path):
    export(artefact / "model.fp32.onnx", tmp_path / "out", ExportOptions(fp16=True, engine="onnxruntime", threads=1))
    steps = json.loads((tmp_path / "out" / "report.json").read_text())["steps"]
    assert [row["step"] for row in steps] == ["onnx", "simplify", "fp16"]
    assert steps[0]["agreement"] == 1


def test_what_a_graph_cannot_follow(artefact, write, tmp_path):
    with pytest.raises(InputError, match=r"`prune`: needs a torch module"):
        export(artefact, tmp_path / "out", ExportOptions(prune=PruneOptions(ratio=0.5)))
    with pytest.raises(InputError, match=r"`input_hw`: .* is fixed at 32x48"):
        export(artefact, tmp_path / "out", ExportOptions(input_hw=(64, 64)))
    with pytest.raises(ModelFileError, match="seg-edge import"):
        export(write(name="raw.onnx"), tmp_path / "out")
    (artefact / "model.fp32.onnx").rename(artefact / "model.int8.onnx")
    with pytest.raises(ModelFileError, match=r"holds no model\.fp32\.onnx"):
        export(artefact, tmp_path / "out")
    assert not (tmp_path / "out").exists()
