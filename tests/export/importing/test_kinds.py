"""Networks of every kind of input, output and tail: the artefact's masks are those of the original."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from seg_edge.export import ImportOptions, import_network, verify
from seg_edge.runtime import Segmenter, read_spec

SIZE = (32, 48)
OPTIONS = ImportOptions(engine="onnxruntime", threads=1)


def imported(path, out, **words):
    """The report; its first row must agree."""
    report = import_network(path, out, OPTIONS.with_(**words))
    assert report.compared[0].passed
    assert report.compared[0].agreement >= 0.999
    onnx.checker.check_model(onnx.load(out / f"model.{report.spec.precision}.onnx"), full_check=True)
    return report


def own_answer(path, frame_bgr, output=0):
    """The file's answer in ONNX Runtime, fed as a user of ImageNet's statistics would."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    if source.type == "tensor(uint8)":
        image = frame_bgr[..., ::-1]
    else:
        image = (frame_bgr[..., ::-1] / np.float32(255) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        image = image.astype(np.float16 if "float16" in source.type else np.float32)
    image = image[None] if source.shape[3] == 3 else image.transpose(2, 0, 1)[None]
    return session.run(None, {source.name: np.ascontiguousarray(image)})[output]


@pytest.fixture
def frame():
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
def test_inputs(write, tmp_path, frame, dtype, layout, free):
    path = write(["resize", "argmax"], dtype=dtype, layout=layout, free=free)
    report = imported(path, tmp_path / "out", **({"input_hw": SIZE} if free else {}))
    spec = report.spec
    assert (spec.input_hw, spec.output, spec.output_stride, len(spec.labels)) == (SIZE, "logits", 4, 4)
    assert report.removed == ["upsampling by 4", "argmax"]
    with Segmenter(tmp_path / "out", "onnxruntime", threads=1) as segmenter:
        equal = segmenter(frame) == own_answer(path, frame)[0]
    assert equal.mean() >= (0.99 if dtype == "float16" else 0.999)


@pytest.mark.parametrize(
    ("tail", "removed", "stride"),
    [
        ([], [], 4),
        (["resize"], ["upsampling by 4"], 4),
        (["resize", "softmax"], ["upsampling by 4", "softmax"], 4),
        (["softmax", "resize"], ["upsampling by 4"], 4),
        (["nhwc"], ["transpose"], 4),
        (["resize", "softmax", "argmax"], ["upsampling by 4", "softmax", "argmax"], 4),
        (["resize", "nhwc", "argmax"], ["upsampling by 4", "transpose", "argmax"], 4),
        (["resize", "keepdims"], ["upsampling by 4", "argmax"], 4),
        (["resize", "keepdims", "squeeze"], ["upsampling by 4", "argmax", "Squeeze"], 4),
        (["resize", "argmax", "cast_float"], ["upsampling by 4", "argmax", "Cast"], 4),
        (["resize", "argmax", "onehot"], ["upsampling by 4", "argmax", "one-hot"], 4),
        (["align"], [], 1),
        (["align", "argmax"], ["argmax"], 1),
        (["nearest", "argmax"], ["argmax"], 1),
    ],
)
def test_tails(write, tmp_path, frame, tail, removed, stride):
    path = write(tail)
    report = imported(path, tmp_path / "out")
    assert (report.removed, report.spec.output_stride, report.spec.output) == (removed, stride, "logits")
    answer = own_answer(path, frame)
    if "argmax" not in tail and "keepdims" not in tail and answer.shape[-2:] != SIZE:
        return  # scores at a lower resolution: the comparison of the report enlarged them
    expected = answer.reshape(-1, *SIZE)
    expected = expected.argmax(0) if len(expected) > 1 else expected[0]
    with Segmenter(tmp_path / "out", "onnxruntime", threads=1) as segmenter:
        assert (segmenter(frame) == expected).mean() >= 0.999


def test_upsampling_that_is_not_the_kernels_is_said(write, tmp_path):
    report = imported(write(["align"]), tmp_path / "out")
    assert report.notes == ["upsampling by 4x4 (linear, align_corners) is not the kernel's, and stays in the graph"]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("tail", "limit"),
    [
        (["resize"], 0),
        (["resize", "sigmoid"], 0.5),
        (["sigmoid", "resize"], 0.5),
        (["resize", "sigmoid", "squeeze"], 0.5),
        (["resize", "sigmoid", "threshold"], None),
        (["resize", "sigmoid", "threshold", "cast_float"], None),
        (["resize", "sigmoid", "threshold", "cast_uint8"], None),
    ],
)
def test_one_class_becomes_two(write, tmp_path, frame, tail, limit, layout):
    path = write(tail, classes=1, layout=layout)
    report = imported(path, tmp_path / "out", classes=None)
    assert report.spec.labels.names == ("background", "foreground")
    assert report.spec.output == "logits"
    answer = own_answer(path, frame).reshape(SIZE)
    expected = answer > (0 if limit is None else limit)
    assert 0.05 < expected.mean() < 0.95
    with Segmenter(tmp_path / "out", "onnxruntime", threads=1) as segmenter:
        assert (segmenter(frame) == expected).mean() >= 0.999


def test_the_output_that_most_nodes_compute_is_taken(write, tmp_path):
    path = write(["resize", "softmax"], outputs=("aux", "scores"))
    report = imported(path, tmp_path / "out")
    guess = next(guess for guess in report.guesses if guess.what == "output")
    assert (guess.value, guess.reason) == ("scores", "most nodes compute it (3); others: second (1)")
    assert imported(path, tmp_path / "aux", output="second").spec.output_stride == 4


def test_external_data(write, tmp_path, frame):
    path = write(["resize"], external=True)
    assert (tmp_path / "theirs.bin").is_file()
    imported(path, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.bin"))


def test_an_old_opset(write, tmp_path):
    report = imported(write(["nhwc"], opset=9), tmp_path / "out")
    assert report.removed == ["transpose"]
    assert onnx.load(tmp_path / "out" / "model.fp32.onnx").opset_import[0].version == 17


def test_names_of_ours_in_their_graph(write, tmp_path):
    imported(write(names=("frames", "logits")), tmp_path / "out")


def test_the_artefact_is_one_of_ours(write, tmp_path):
    imported(write(["resize"]), tmp_path / "out")
    spec = read_spec(tmp_path / "out")
    about = spec.provenance["imported"]
    assert (about["source"], about["preprocessing"]["color_order"]) == ("theirs.onnx", "RGB")
    np.testing.assert_allclose(spec.mean, (123.675, 116.28, 103.53), rtol=1e-5)
    assert (spec.provenance["params"], spec.provenance["macs"]) == (196, 4 * 48 * 8 * 12)
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["steps"][0]["agreement"] >= 0.999
    assert data["import"]["engines"][0]["engine"] == "onnxruntime"
    assert verify(tmp_path / "out", engine="onnxruntime").passed


def test_the_first_row_says_agreement_and_the_largest_difference(write, tmp_path):
    report = imported(write(["resize"]), tmp_path / "out")
    titles, rows = report.table()
    assert titles[2:] == ["agreement %", "worst frame %", "score error", "may be used"]
    assert rows[0][2] == "100.000"
    assert float(rows[0][4]) < 1e-4
    assert rows[0][5] == "yes"
