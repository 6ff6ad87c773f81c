"""Journals of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seg_edge.batch import store


def written(path: Path, rows: list[tuple[str, int]]) -> Path:
    path.write_text("".join(json.dumps({"input": name, "number": number}) + "\n" for name, number in rows))
    return path


def order(path: Path) -> list[tuple[str, int]]:
    data = path.read_bytes()
    rows = [json.loads(data[offset:].split(b"\n")[0]) for offset in store.sorted_offsets(path)]
    return [(row["input"], row["number"]) for row in rows]


@pytest.mark.parametrize("equal_hashes", [False, True])
def test_lines_by_number_the_last_of_each_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, equal_hashes: bool) -> None:
    if equal_hashes:
        monkeypatch.setattr(store, "hash", lambda _name: 7, raising=False)
    rows = [("c", 2), ("a", 0), ("b", 1), ("c", 2), ("a", 5), ("d", 1)]
    assert order(written(tmp_path / "manifest.jsonl", rows)) == [("b", 1), ("d", 1), ("c", 2), ("a", 5)]


def test_an_empty_manifest(tmp_path: Path) -> None:
    assert order(written(tmp_path / "manifest.jsonl", [])) == []


def test_a_line_that_a_kill_cut_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "manifest.jsonl", [("a", 1), ("b", 0)])
    with path.open("a") as file:
        file.write('{"input":"c","num')
    assert order(path) == [("b", 0), ("a", 1)]
