"""benchmarks/startup.py: its cases end as they should, and its limits hold on planted seconds."""

from __future__ import annotations

import json

import pytest

from seg_edge.cli.main import main


@pytest.fixture(scope="module")
def script(load_module):
    return load_module("../benchmarks/startup.py")


def test_every_case_ends_with_its_status(script, tmp_path, monkeypatch, capsys):
    """In this process: what they take is measured by the benchmark."""
    script.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = {case: main(script.words_of(case)) for group in script.CASES.values() for case in group}
    capsys.readouterr()
    assert found == {case: script.KINDS[kind].status for kind, group in script.CASES.items() for case in group}


def planted(script, monkeypatch, slow=""):
    """Imports take a second, cases as much as their limit allows, and those with ``slow`` in them a tenth more."""
    ran = []

    def seconds_of(command, _folder, status):
        ran.append((tuple(command), status))
        text = " ".join(command)
        if "-c" in command:
            return 1.0
        kind = next(kind for kind, group in script.CASES.items() for case in group if command[3:] == script.words_of(case))
        return script.KINDS[kind].limit * (1.1 if slow and slow in text else 0.9)

    monkeypatch.setattr(script, "seconds_of", seconds_of)
    monkeypatch.setattr(script.Neighbours, "busiest", lambda self, least: [])
    return ran


def test_medians_are_divided_by_the_imports_and_written(script, tmp_path, monkeypatch, capsys):
    ran = planted(script, monkeypatch)
    assert script.main(["--rounds", "2", "--json", str(tmp_path / "s.json")]) == 0
    report = json.loads((tmp_path / "s.json").read_text())
    cases = [case for group in script.CASES.values() for case in group]
    assert [row["case"] for row in report["rows"]] == [f"seg-edge {case}" for case in cases]
    assert all(row["ratio"] == pytest.approx(0.45) for row in report["rows"] if row["kind"] == "missing")
    assert len(ran) == 3 * (len(cases) + 3)
    assert ran[0] == ran[2 * len(ran) // 3 - 1] != ran[len(ran) // 3]  # every other round in reverse order
    assert "BROKEN" not in capsys.readouterr().out


def test_a_broken_limit_ends_with_3_after_writing(script, tmp_path, monkeypatch, capsys):
    planted(script, monkeypatch, slow="bench nothing.onnx")
    assert script.main(["--rounds", "1", "--json", str(tmp_path / "s.json")]) == 3
    assert capsys.readouterr().out.count("BROKEN") == 1
    assert [row["case"] for row in json.loads((tmp_path / "s.json").read_text())["rows"] if not row["passed"]] == [
        "seg-edge bench nothing.onnx"
    ]


def test_a_case_that_ends_otherwise_is_no_measurement(script, tmp_path):
    with pytest.raises(SystemExit, match="expected status 1, got 2: seg-edge: error: No such command"):
        script.seconds_of([*script.COMMAND, "nope"], tmp_path, 1)
