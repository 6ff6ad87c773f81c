from __future__ import annotations

import json

import pytest

from seg_edge.core.errors import ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec

# No value is the default, so that one which gets lost on the way shows.
SPEC = ModelSpec(
    name="net",
    labels=Labels(("road", "car"), ((1, 2, 3), (4, 5, 6)), 9),
    input_hw=(352, 480),
    resize="bilinear",
    mean=(1.5, 2.5, 3.5),
    std=(4.5, 5.5, 6.5),
    output="labels",
    output_stride=8,
    precision="int8",
    provenance={"dataset": "streets", "metrics": {"miou": 0.5}, "seed": None},
)


def test_round_trip():
    again = ModelSpec.from_json(SPEC.to_json())
    assert again == SPEC
    assert isinstance(again.input_hw, tuple)
    assert isinstance(again.mean, tuple)


def test_every_field_is_written():
    data = SPEC.to_dict()
    assert data.pop("format") == 1
    assert {*data, "input_range"} == set(ModelSpec.__dataclass_fields__)  # which is written where there is one
    assert json.loads(SPEC.to_json()) == {"format": 1, **data}


def test_text_is_stable():
    """It is hashed into cache keys."""
    assert list(json.loads(SPEC.to_json())) == sorted(SPEC.to_dict())
    other_order = SPEC.with_(provenance=dict(reversed(SPEC.provenance.items())))
    assert other_order.to_json() == SPEC.to_json()


@pytest.mark.parametrize(
    ("output", "stride", "hw"),
    [("labels", 4, (353, 481)), ("logits", 4, (89, 121)), ("logits", 1, (353, 481)), ("logits", 32, (12, 16))],
)
def test_output_size(output, stride, hw):
    assert SPEC.with_(input_hw=(353, 481), output=output, output_stride=stride).output_hw == hw


def test_with_changes_a_copy():
    assert SPEC.with_(name="other").name == "other"
    assert SPEC.name == "net"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": 2}, "this version reads format 1, got 2; export the model again"),
        ({"format": None}, "this version reads format 1, got None"),
        ({"stride": 4}, "key 'stride' is unknown"),
        ({"resize": "nearest"}, "resize must be one of area, bilinear, letterbox, got 'nearest'"),
        ({"resize": ["area"]}, "resize must be one of"),
        ({"color_order": "RGB"}, "color_order must be one of BGR, got 'RGB'"),
        ({"output": "mask"}, "output must be one of logits, labels, got 'mask'"),
        ({"precision": "int4"}, "precision must be one of fp32, fp16, int8, got 'int4'"),
        ({"input_hw": [352]}, "not enough values"),
        ({"input_hw": [0, 480]}, "must be positive"),
        ({"input_hw": "352x480"}, "model spec: "),
        ({"input_hw": None}, "model spec: "),
        ({"output_stride": 0}, "must be positive"),
        ({"output_stride": float("inf")}, "model spec: "),
        ({"mean": [1, 2]}, "three finite values"),
        ({"mean": [1, 2, float("nan")]}, "three finite values"),
        ({"std": [1, 0, 1]}, "std > 0"),
        ({"std": [1, float("nan"), 1]}, "three finite values"),
        ({"std": "abc"}, "model spec: "),
        ({"labels": {"names": []}}, "model spec: classes: expected 1 to 255 names, got 0"),
        ({"labels": None}, "model spec: "),
        ({"provenance": 3}, "model spec: "),
    ],
)
def test_bad_dict(change, text):
    with pytest.raises(ModelFileError, match=text):
        ModelSpec.from_dict(SPEC.to_dict() | change)


@pytest.mark.parametrize("key", sorted(SPEC.to_dict()))
def test_missing_key(key):
    data = SPEC.to_dict()
    del data[key]
    with pytest.raises(ModelFileError, match="got None" if key == "format" else f"key '{key}' is missing"):
        ModelSpec.from_dict(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a/model.json: not JSON"),
        ("[1]", "a/model.json: expected a JSON object, got list"),
        ("{}", "a/model.json: model spec: this version reads format 1"),
    ],
)
def test_errors_name_the_file(text, message):
    with pytest.raises(ModelFileError) as caught:
        ModelSpec.from_json(text, "a/model.json")
    assert str(caught.value).startswith(message)


def test_errors_without_a_file():
    with pytest.raises(ModelFileError) as caught:
        ModelSpec.from_json("{}")
    assert str(caught.value).startswith("model spec: this version")


def test_range_of_deep_images():
    spec = ModelSpec("n", Labels.numbered(2), (32, 32), input_range=(7000.0, 8000.0))
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert "input_range" not in ModelSpec("n", Labels.numbered(2), (32, 32)).to_dict()
    with pytest.raises(ModelFileError, match="input_range must be two rising numbers"):
        ModelSpec("n", Labels.numbered(2), (32, 32), input_range=(1.0, 1.0))
