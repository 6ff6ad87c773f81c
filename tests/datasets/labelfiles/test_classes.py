from __future__ import annotations

import json
from pathlib import Path

import pytest

from seg_edge.core.errors import DataError
from seg_edge.core.labels import Labels
from seg_edge.datasets.labelfiles.classes import ClassList, read_class_list


def read(tmp_path: Path, data: object) -> ClassList:
    (tmp_path / "classes.json").write_text(json.dumps(data))
    return read_class_list(tmp_path / "classes.json")


@pytest.mark.parametrize("names", [{"0": "sky", "1": "road", "2": "car"}, {"sky": 0, "road": 1, "car": 2}])
def test_names_as_a_dictionary(tmp_path, names):
    assert read(tmp_path, {"names": names}) == ClassList(Labels.from_dict({"names": ["sky", "road", "car"]}))


def test_the_numbers_of_a_dictionary_give_the_order(tmp_path):
    assert read(tmp_path, {"names": {"10": "car", "2": "road", "0": "sky"}}).labels.names == ("sky", "road", "car")


def test_numbers_with_gaps_are_values(tmp_path):
    found = read(tmp_path, {"names": {"0": "sky", "7": "road"}})
    assert (found.labels.names, found.values) == (("sky", "road"), {0: 0, 7: 1, 255: 255})


def test_values(tmp_path):
    found = read(tmp_path, {"names": ["other", "road"], "values": {"0": "void", "1": "other", "20": "road"}})
    assert found.values == {0: 255, 1: 0, 20: 1, 255: 255}
    own = read(tmp_path, {"names": ["void", "road"], "values": {"0": "void", "20": "road"}})
    assert own.values == {0: 0, 20: 1, 255: 255}  # a class of this name


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"names": {"a": "sky", "b": "road"}}, "names must be a list, or a dictionary"),
        ({"names": {"0": "sky", "00": "road"}}, "numbers from 0 to 255, each once"),
        ({"names": {"0": "sky", "256": "road"}}, "numbers from 0 to 255, each once"),
        ({"names": {"0": "sky", "255": "road"}}, "255 is both a class and ignore_index"),
        ({"names": ["sky"], "values": {"300": "sky"}}, "values: expected numbers from 0 to 255, got '300'"),
        ({"names": ["sky"], "values": {"3": "road"}}, "3 is 'road', which is none of the names and not 'void'"),
        ({"names": ["sky"], "values": [3]}, "values must be a dictionary"),
    ],
)
def test_wrong_ones_are_refused(tmp_path, data, text):
    with pytest.raises(DataError, match=f"classes.json: classes: .*{text}"):
        read(tmp_path, data)


def test_a_spec_takes_lists_alone():
    with pytest.raises(DataError, match="names must be a list"):
        Labels.from_dict({"names": {"0": "sky"}})
