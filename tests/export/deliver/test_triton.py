"""``config.pbtxt`` is parsed as Triton does: by protobuf's text parser, strictly, against the message's definition."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from seg_edge.core.errors import InputError
from seg_edge.core.labels import Labels
from seg_edge.export.deliver.triton import config_text, write_repository

STRING, INT32, INT64 = 9, 5, 3
OPTIONAL, REPEATED = 1, 3


def model_config():
    """The part of triton-inference-server/common: protobuf/model_config.proto that we write, with its field numbers."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            item = made.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                item.type, item.type_name = (14 if kind in ("DataType", "Kind") else 11), f".inference.{kind}"
            else:
                item.type = kind
        return made

    types = file.enum_type.add(name="DataType")
    names = "INVALID BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 STRING BF16".split()
    for number, name in enumerate(names):
        types.value.add(name=f"TYPE_{name}", number=number)
    kinds = file.enum_type.add(name="Kind")
    for number, name in enumerate(["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"]):
        kinds.value.add(name=name, number=number)
    message(
        "ModelInput", ("name", 1, STRING, OPTIONAL), ("data_type", 2, "DataType", OPTIONAL), ("dims", 4, INT64, REPEATED)
    )
    message(
        "ModelOutput", ("name", 1, STRING, OPTIONAL), ("data_type", 2, "DataType", OPTIONAL), ("dims", 3, INT64, REPEATED)
    )
    message(
        "ModelInstanceGroup", ("name", 1, STRING, OPTIONAL), ("count", 2, INT32, OPTIONAL), ("kind", 4, "Kind", OPTIONAL)
    )
    message("ModelParameter", ("string_value", 1, STRING, OPTIONAL))
    config = message(
        "ModelConfig", ("name", 1, STRING, OPTIONAL), ("platform", 2, STRING, OPTIONAL),
        ("max_batch_size", 4, INT32, OPTIONAL),
        ("input", 5, "ModelInput", REPEATED), ("output", 6, "ModelOutput", REPEATED),
        ("instance_group", 7, "ModelInstanceGroup", REPEATED), ("parameters", 14, "ModelConfig.ParametersEntry", REPEATED),
    )  # fmt: skip
    entry = config.nested_type.add(name="ParametersEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=OPTIONAL, type=STRING)
    entry.field.add(name="value", number=2, label=OPTIONAL, type=11, type_name=".inference.ModelParameter")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))


def parse(text):
    return text_format.Parse(text, model_config()())


def test_the_parser_is_strict():
    with pytest.raises(text_format.ParseError, match="max_batch"):
        parse("max_batch: 3")


def test_logits(nets):
    found = parse(config_text(nets.SPEC, "onnxruntime_onnx"))
    assert (found.name, found.platform, found.max_batch_size) == ("tiny", "onnxruntime_onnx", 0)
    (source,), (target,) = found.input, found.output
    assert (source.name, source.data_type, list(source.dims)) == ("frames", 2, [1, 64, 96, 3])
    assert (target.name, target.data_type, list(target.dims)) == ("logits", 11, [1, 4, 16, 24])
    assert found.instance_group[0].kind == 0
    assert found.parameters["seg_edge.resize"].string_value == "area"


def test_labels_of_a_batch_on_a_gpu_with_odd_names(nets):
    labels = Labels(('a "b"', "Straße\n"), ((1, 2, 3), (4, 5, 6)))
    spec = nets.SPEC.with_(output="labels", name="my net/1", labels=labels)
    found = parse(config_text(spec, "tensorrt_plan", 4))
    assert found.name == "my_net_1"
    assert (found.output[0].name, found.output[0].data_type, list(found.output[0].dims)) == ("labels", 2, [4, 64, 96])
    assert found.instance_group[0].kind == 1
    import json

    assert json.loads(found.parameters["seg_edge.classes"].string_value)["names"] == list(labels.names)


def test_the_repository(nets, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    (tmp_path / "m.engine").write_bytes(b"ftrt and more")
    repository = tmp_path / "repo"
    folder = write_repository(tmp_path / "m.onnx", nets.SPEC, repository)
    assert folder == repository / "tiny"
    assert (folder / "1" / "model.onnx").read_bytes() == b"onnx"
    write_repository(tmp_path / "m.engine", nets.SPEC, repository)
    assert [path.name for path in (folder / "1").iterdir()] == ["model.plan"]
    assert parse((folder / "config.pbtxt").read_text()).platform == "tensorrt_plan"


def test_what_triton_cannot_serve(nets, tmp_path):
    (tmp_path / "m.engine").write_bytes(b"vtrt and more")
    with pytest.raises(InputError, match="an engine of TensorRT-RTX, which Triton can't serve"):
        write_repository(tmp_path / "m.engine", nets.SPEC, tmp_path / "repo")
    (tmp_path / "file").write_text("")
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="can't be written"):
        write_repository(tmp_path / "m.onnx", nets.SPEC, tmp_path / "file")


def test_a_free_batch_is_left_to_each_request(nets):
    found = parse(config_text(nets.SPEC, "onnxruntime_onnx", None))
    assert (found.max_batch_size, list(found.input[0].dims), list(found.output[0].dims)) == (
        0,
        [-1, 64, 96, 3],
        [-1, 4, 16, 24],
    )
    # Its engine file holds one frame.
    assert list(parse(config_text(nets.SPEC, "tensorrt_plan", None)).input[0].dims) == [1, 64, 96, 3]
