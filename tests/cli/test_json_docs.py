"""docs/json.md shows what is written: its examples of bench and doctor have the keys of real reports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from seg_edge.cli.main import main

DOCS = Path(__file__).parents[2] / "docs" / "json.md"


def example(verb: str) -> Any:
    section = re.search(rf"^## {verb}\n(.*?)(?=^## |\Z)", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert section, f"docs/json.md has no section {verb}"
    code = re.search(r"```json\n(.*?)```", section[1], re.DOTALL)
    assert code, f"section {verb} has no example"
    return json.loads(code[1])


def shape(value: Any, free: tuple[str, ...] = ()) -> Any:
    """Keys, level by level; of a list only its first element. Below the keys in ``free`` anything may stand."""
    if isinstance(value, dict):
        return {key: "free" if key in free else shape(inner, free) for key, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [shape(value[0], free)]
    return "value"


VERBS = ["data check", "models", "val", "compare", "domains", "prune", "export", "build", "verify", "run", "bench", "doctor"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_that_is_json(verb):
    assert example(verb)


def test_bench(tiny_model, tmp_path):
    target = tmp_path / "bench.json"
    words = ["--engine", "onnxruntime", "--runs", "5", "--frame", "60x80", "--json", str(target)]
    assert main(["bench", str(tiny_model), *words]) == 0
    free = ("packages", "jetson", "processes")
    assert shape(json.loads(target.read_text()), free) == shape(example("bench"), free)
    compared = tmp_path / "compared.json"
    assert main(["bench", "compare", str(target), str(target), "--json", str(compared)]) == 0
    assert shape(json.loads(compared.read_text())) == shape(example("bench compare"))


def test_doctor(capsys):
    assert main(["doctor", "--json"]) == 0
    free = ("packages", "jetson", "gpu", "torch", "cameras", "disagreements")
    assert shape(json.loads(capsys.readouterr().out), free) == shape(example("doctor"), free)


def test_data_check(street, tmp_path):
    target = tmp_path / "check.json"
    # The same street in both splits, so that there is a duplicate to describe.
    for kind in ("images", "labels"):
        one, other = (min((street / kind / split).iterdir()) for split in ("train", "val"))
        other.write_bytes(one.read_bytes())
    assert main(["data", "check", str(street), "--json", str(target)]) == 0
    free = ("sizes",)
    assert shape(json.loads(target.read_text()), free) == shape(example("data check"), free)


def test_build(tiny_model, tmp_path):
    from seg_edge.runtime.engines.nvinfer import module_available

    state = module_available("rtx")
    if not state.ok:
        pytest.skip(state.reason)
    target = tmp_path / "build.json"
    words = ["--compute-capability", "89", "--out", str(tmp_path / "x.engine"), "--json", str(target)]
    assert main(["build", str(tiny_model), *words]) == 0
    assert shape(json.loads(target.read_text())) == shape(example("build"))
