from __future__ import annotations

import inspect
import re

import pytest

from seg_edge.core import errors
from seg_edge.core.errors import InputError, SegEdgeError, UnknownNameError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SegEdgeError)]


def test_the_tree_in_the_docstring_is_the_tree():
    """Every line of the drawing names a class, and its indentation names the class's base."""
    drawn = {}
    bases: list[str] = []
    for lead, name in re.findall(r"^([ │├└─]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        depth = len(lead) // 4
        drawn[name] = bases[depth - 1] if depth else "Exception"
        bases[depth:] = [name]
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in KINDS}


def test_exit_codes():
    codes = {kind.__name__: kind.exit_code for kind in KINDS}
    assert codes.pop("GateError") == 3
    assert set(codes.values()) == {1}


def test_bad_input_is_also_a_value_error():
    """For callers who know nothing of this package."""
    assert {kind.__name__ for kind in KINDS if issubclass(kind, ValueError)} == {
        "InputError", "UnknownNameError", "DataError", "ModelFileError",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "onnxruntme",
            "unknown engine 'onnxruntme': did you mean 'onnxruntime'? valid names: onnxruntime, openvino, tensorrt",
        ),
        ("OpenVino", "unknown engine 'OpenVino': did you mean 'openvino'? valid names: onnxruntime, openvino, tensorrt"),
        ("zzz", "unknown engine 'zzz': valid names: onnxruntime, openvino, tensorrt"),
        ("", "unknown engine '': valid names: onnxruntime, openvino, tensorrt"),
    ],
)
def test_unknown_name_answers_with_the_nearest_one(name, text):
    error = UnknownNameError("engine", name, {"tensorrt", "openvino", "onnxruntime"})
    assert str(error) == text
    assert isinstance(error, InputError)
