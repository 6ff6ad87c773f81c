"""The spec is read from real ONNX files without onnx, and damage is always one clear error."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import ModelFileError
from seg_edge.core.spec import METADATA_KEY
from seg_edge.runtime.modelfile.modelfile import read_metadata, read_spec, resolve_model


def test_spec_round_trip(tmp_path, tiny_onnx):
    spec = tiny_onnx(tmp_path / "model.onnx", classes=5, input_hw=(48, 64), precision="int8")
    assert read_spec(tmp_path / "model.onnx") == spec


def test_metadata_keeps_other_entries(tmp_path, tiny_onnx):
    import onnx

    tiny_onnx(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.helper.set_model_props(model, {"author": "Ünal", "empty": ""})
    onnx.save(model, tmp_path / "model.onnx")
    assert read_metadata(tmp_path / "model.onnx") == {"author": "Ünal", "empty": ""}


@pytest.mark.parametrize(
    ("precisions", "taken"), [(("fp32", "int8"), "int8"), (("fp32", "fp16"), "fp32"), (("fp16",), "fp16")]
)
def test_folder_takes_the_best(tmp_path, tiny_onnx, precisions, taken):
    for precision in precisions:
        tiny_onnx(tmp_path / f"model.{precision}.onnx", precision=precision)
    assert resolve_model(tmp_path).name == f"model.{taken}.onnx"
    assert read_spec(tmp_path).precision == taken


def test_folder_without_model(tmp_path):
    with pytest.raises(ModelFileError, match=r"holds no model; expected one of model\.int8\.onnx"):
        read_spec(tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileError, match=r"absent\.onnx: no such file"):
        read_spec(tmp_path / "absent.onnx")


def test_not_exported_by_us(tmp_path, tiny_onnx):
    tiny_onnx(tmp_path / "model.onnx", with_spec=False)
    with pytest.raises(ModelFileError, match=r"model\.onnx: not exported by seg-edge"):
        read_spec(tmp_path / "model.onnx")


def test_broken_spec_names_the_file(tmp_path, tiny_onnx):
    import onnx

    tiny_onnx(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.helper.set_model_props(model, {METADATA_KEY: '{"format": 99}'})
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match=r"model\.onnx: model spec: this version reads format 1, got 99"):
        read_spec(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"import torch\n" * 50, bytes(64), b"\xff" * 64, b"\x08\x07"],
    ids=["empty", "png", "text", "zeros", "ones", "only a version"],
)
def test_not_onnx(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"model\.onnx: (not an ONNX file, or damaged|the file is empty)"):
        read_metadata(path)


def test_every_truncation_is_noticed(tmp_path, tiny_onnx):
    path = tmp_path / "model.onnx"
    tiny_onnx(path)
    whole = path.read_bytes()
    for size in range(1, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            read_spec(path)


def test_flipped_bytes_raise_nothing_else(tmp_path, tiny_onnx):
    path = tmp_path / "model.onnx"
    tiny_onnx(path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    failed = 0
    for _ in range(300):
        data = whole.copy()
        data[generator.integers(0, len(data), 3)] = generator.integers(0, 256, 3)
        path.write_bytes(data.tobytes())
        try:
            read_spec(path)
        except ModelFileError:
            failed += 1
    assert failed  # damage within the weights' bytes goes unseen here, by design
