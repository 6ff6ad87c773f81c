"""``seg-edge bench`` from the command line."""

from __future__ import annotations

import json

import pytest

from seg_edge.cli.main import main
from seg_edge.core.shipped import DEFAULT, FOLDER
from seg_edge.measure.benchmark import configuration

SHORT = ["--engine", "onnxruntime", "--runs", "5", "--frame", "60x80"]


def test_tables_json_and_markdown(tiny_model, tmp_path, capsys):
    target, text = tmp_path / "out/bench.json", tmp_path / "out/bench.md"
    status = main(
        [
            "bench",
            str(tiny_model),
            *SHORT,
            "--threads",
            "1,2",
            "--threads",
            "1",
            "--json",
            str(target),
            "--markdown",
            str(text),
        ]
    )
    assert status == 0
    report = json.loads(target.read_text())
    assert [(row["engine"], row["threads"]) for row in report["rows"]] == [("onnxruntime", 1), ("onnxruntime", 2)]
    assert report["rows"][0]["frame"] == [60, 80]
    shown = capsys.readouterr().out
    for part in (
        "80x60 frames",
        "onnxruntime",
        "all rows: fed 8 generated street scenes",
    ):
        assert part in shown
    # Published figures follow where their networks were measured.
    assert "DeepLabV3+" not in shown + text.read_text()


def test_a_broken_gate_exits_with_3_after_writing(tiny_model, tmp_path, capsys):
    target = tmp_path / "bench.json"
    assert main(["bench", str(tiny_model), *SHORT, "--min-fps", "1e9", "--json", str(target)]) == 3
    assert "rows miss --min-fps 1e+09" in capsys.readouterr().err
    assert json.loads(target.read_text())["rows"][0]["fps_e2e"] > 0
    assert main(["bench", str(tiny_model), *SHORT, "--min-fps", "0.01"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["away.onnx"], "away.onnx: no such file or folder"),
        (["MODEL", "--threads", "two"], "--threads: expected whole numbers such as 2 or 1,2, got 'two'"),
        (["MODEL", "--threads", "1,"], "--threads"),
        (["MODEL", "--frame", "big"], "--frame: expected HEIGHTxWIDTH"),
        (["MODEL", "--engine", "openvin"], "did you mean 'openvino'"),
        (["MODEL", "--duration", "1", "--runs", "3"], "not both"),
        (["MODEL", "--source", "nosuch.mp4"], "source nosuch.mp4: no such file or folder"),
        (["MODEL", "--source", "camera:30", "--sink", "windo"], "did you mean window?"),
    ],
)
def test_wrong_words_are_one_line(tiny_model, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *(str(tiny_model) if word == "MODEL" else word for word in words)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_nothing_measured_is_an_error_and_the_report_is_there(tmp_path, capsys):
    (tmp_path / "bad.onnx").write_bytes(b"\x00")
    target = tmp_path / "bench.json"
    assert main(["bench", str(tmp_path / "bad.onnx"), *SHORT, "--json", str(target)]) == 1
    said = capsys.readouterr()
    assert "no configuration could be measured" in said.err
    assert (said.err.count("\n"), said.out) == (1, "")  # and no empty tables
    assert json.loads(target.read_text())["rows"][0]["fps_e2e"] is None


def test_without_a_model_the_shipped_one_is_measured_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--engine", "onnxruntime", "--runs", "1", "--frame", "60x80"]
    assert main(["bench", *words, "--json", "b.json"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{FOLDER / DEFAULT / 'model.int8.onnx'}: unet-s, int8 (shipped: 11 classes, sky, building, ")
    assert [row["model"] for row in json.loads((tmp_path / "b.json").read_text())["rows"]] == ["unet-s"]


def test_compare(tiny_model, tmp_path, capsys):
    a, b, target = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "out/c.json"
    assert main(["bench", str(tiny_model), *SHORT[:2], "--runs", "12", "--frame", "60x80", "--json", str(a)]) == 0
    report = json.loads(a.read_text())
    # Times of a quiet machine in the place of those of this one.
    for path, times in ((a, 1), (b, 3)):
        for row in report["rows"]:
            row["turns"]["e2e_ms"] = [times * (10 + 0.01 * i) for i in range(len(row["turns"]["e2e_ms"]))]
            row["interval"]["e2e_ms"] = [times * 10, times * 10.1]
        path.write_text(json.dumps(report))
    capsys.readouterr()
    words = ["--json", str(target), "--markdown", str(tmp_path / "c.md")]
    assert main(["bench", "compare", str(a), str(b), "--max-regression", "50", *words]) == 3
    said = capsys.readouterr()
    assert "66.7 % slower (end to end)" in said.err
    assert "no difference shown" in said.out
    assert json.loads(target.read_text())["rows"][0]["verdict"] == "slower"
    assert "| slower |" in (tmp_path / "c.md").read_text()
    assert main(["bench", "compare", str(a), str(b), "--max-regression", "70"]) == 0
    assert main(["bench", "compare", str(a), str(a), "--max-regression", "0"]) == 0
    assert main(["bench", "compare", str(a)]) == 2
    assert main(["bench", "compare", str(a), str(tmp_path / "away.json")]) == 1


def test_a_busy_machine_is_said_under_the_table_and_in_the_files(tiny_model, tmp_path, capsys, monkeypatch):
    words = ["--html", str(tmp_path / "a.html"), "--json", str(tmp_path / "a.json"), "--threads", "1"]
    for cores, said in ((0.02, False), (1.7, True)):
        monkeypatch.setattr(configuration.OtherLoad, "cores", property(lambda self, cores=cores: cores))
        assert main(["bench", str(tiny_model), *SHORT, *words]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert ("warning: 1 of 1 rows were measured while other processes used more than 0.1 cores" in shown) is said
        assert ('class="warning"' in (tmp_path / "a.html").read_text()) is said
        row = json.loads((tmp_path / "a.json").read_text())["rows"][0]
        assert ("other processes kept 1.7 cores busy" in row["note"]) is said


def test_batches_from_the_command_line(tiny_model, tmp_path, capsys):
    target = tmp_path / "a.json"
    assert main(["bench", str(tiny_model), *SHORT, "--threads", "1", "--batch", "1,3", "--json", str(target)]) == 0
    assert [row["batch"] for row in json.loads(target.read_text())["rows"]] == [1, 3]
    assert "batch 1, 3" in capsys.readouterr().out
    assert main(["bench", str(tiny_model), *SHORT, "--batch", "0"]) == 1
    assert "--batch must be 1 to 256 frames, got 0" in capsys.readouterr().err
    assert main(["bench", str(tiny_model), *SHORT, "--batch", "four"]) == 1
    assert "--batch: expected whole numbers" in capsys.readouterr().err
