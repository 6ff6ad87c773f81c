"""What can't be imported: one line each, and nothing written."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_edge.core.errors import DataError, InputError, SegEdgeError
from seg_edge.export import ImportOptions, import_network

OPTIONS = ImportOptions(engine="onnxruntime", threads=1)


def refused(network, out, text, kind=SegEdgeError, **words):
    with pytest.raises(kind, match=text) as info:
        import_network(network, out, OPTIONS.with_(**words))
    assert "\n" not in str(info.value)
    assert not out.exists()


def shaped(path, shape, *, inputs=1):
    """A network that pools its image and gives an output of a shape."""
    size = int(np.prod(shape[1:]))
    nodes = [
        helper.make_node("GlobalAveragePool", ["image0"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["g"]),
        helper.make_node("Reshape", ["g", "shape"], ["out"]),
    ]
    weights = {"w": np.ones((3, size), np.float32), "shape": np.array(shape, np.int64)}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(f"image{i}", TensorProto.FLOAT, [1, 3, 64, 64]) for i in range(inputs)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_detection_network_and_a_classifier(tmp_path):
    path = shaped(tmp_path / "det.onnx", (1, 84, 8400))
    refused(path, tmp_path / "out", r"det\.onnx: .*out float32 \(1, 84, 8400\).*look like a detection network's; expected")
    path = shaped(tmp_path / "boxes.onnx", (1, 300, 6))
    refused(path, tmp_path / "out", "look like a detection network's")
    path = shaped(tmp_path / "cls.onnx", (1, 1000))
    refused(path, tmp_path / "out", "look like a classifier's")
    path = shaped(tmp_path / "two.onnx", (1, 10), inputs=2)
    refused(path, tmp_path / "out", r"input image0 float \(1, 3, 64, 64\); image1 .*expected one input")


def test_an_input_that_no_frame_is_resized_to(write, tmp_path):
    path = write(["resize"])
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 65536
    onnx.save(model, path)
    refused(path, tmp_path / "out", "expected at most 8192 pixels a side")


def test_custom_operators(write, tmp_path):
    refused(write(domain="acme"), tmp_path / "out", r"operators that ONNX doesn't define \(acme\.Special\)")


def test_files_that_are_damaged_or_something_else(write, tmp_path):
    path = write(["resize"])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, tmp_path / "out", "not an ONNX file, or cut off")
    path.write_bytes(whole.replace(b"head.bias", b"head.\xffias"))
    refused(path, tmp_path / "out", "a name in it is not UTF-8")
    path.write_bytes(b"")
    refused(path, tmp_path / "out", "no nodes")
    path.write_text("<html>")
    refused(path, tmp_path / "out", "not an ONNX")
    (tmp_path / "w.pth").write_bytes(whole)
    refused(tmp_path / "w.pth", tmp_path / "out", "holds weights, not a network")
    refused(tmp_path / "away.onnx", tmp_path / "out", "no such file")
    refused(tmp_path, tmp_path / "out", "is a folder")


def test_external_data_that_is_missing_cut_off_or_elsewhere(write, tmp_path):
    path = write(external=True)
    data = tmp_path / "theirs.bin"
    whole = data.read_bytes()
    data.write_bytes(whole[:10])
    refused(path, tmp_path / "out", r"theirs\.bin has 10 bytes, .* cut off")
    data.unlink()
    refused(path, tmp_path / "out", r"theirs\.bin, which is missing")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../etc/passwd"
    onnx.save(model, path)
    refused(path, tmp_path / "out", "no file beside it")


def test_classes_that_do_not_fit(write, tmp_path):
    path = write(["resize"])
    refused(
        path,
        tmp_path / "out",
        r"`classes` camvid: has 11 names, the network theirs.onnx has 4",
        InputError,
        classes="camvid",
    )
    refused(path, tmp_path / "out", r"`classes` camvids: no such file; .* ade20k", InputError, classes="camvids")
    one = write(["resize", "sigmoid"], classes=1, name="one.onnx")
    refused(one, tmp_path / "out", r"has 2 classes \(one class and the rest\)", InputError, classes="camvid")


def test_options_that_do_not_fit(write, tmp_path):
    path = write(["resize"])
    refused(path, tmp_path / "out", r"fixed at 32x48, got `input_hw='64x64'`", input_hw=(64, 64))
    refused(path, tmp_path / "out", r"unknown output 'scorse': did you mean 'scores'", output="scorse")
    refused(path, tmp_path / "out", r"no output has `stride=8`; the strides are scores: 1", stride=8)
    refused(write(free=True, name="free.onnx"), tmp_path / "out", r"leaves the size free; pass `input_hw`")
    refused(write(dtype="uint8", name="u8.onnx"), tmp_path / "out", "`mean`: the network takes bytes", mean=(1, 2, 3))
    refused(path, tmp_path / "out", "no such file or folder", DataError, frames=tmp_path / "nowhere")


def test_another_task_of_ultralytics(write, tmp_path):
    about = {"author": "Ultralytics", "task": "detect", "names": "{0: 'a'}", "imgsz": "[32, 48]", "stride": "4"}
    path = write(metadata=about)
    refused(path, tmp_path / "out", "an Ultralytics network for the task 'detect'")


def test_options_are_checked_when_they_are_made():
    for words, text in (
        ({"mean": "1,2"}, "`mean`: expected three numbers"),
        ({"std": (1, 0, 1)}, "`std`: expected numbers above 0"),
        ({"scale": 0.0}, "`scale`: expected a number above 0"),
        ({"resize": "cubic"}, "unknown resize 'cubic'"),
        ({"masks": "m"}, "`masks`: .* pass those as `frames`"),
        ({"min_agreement": 99.0}, "`min_agreement`: expected 0 to 1"),
    ):
        with pytest.raises(InputError, match=text):
            ImportOptions(**words)


@pytest.mark.parametrize("where", ["doc", "dimension", "attribute", "node"])
def test_text_that_is_not_utf8_wherever_it_stands(write, tmp_path, where):
    path = write(["resize"])
    model = onnx.load(path)
    if where == "doc":
        model.doc_string = "QQmarkQQ"
    elif where == "dimension":
        model.graph.value_info.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["QQmarkQQ"]))
    elif where == "attribute":
        model.graph.node[0].attribute[0].doc_string = "QQmarkQQ"
    else:
        model.graph.node[0].name = "QQmarkQQ"
    path.write_bytes(model.SerializeToString().replace(b"QQmarkQQ", b"\xff\xfemark\xff\xc3"))
    refused(path, tmp_path / "out", "a name in it is not UTF-8")
