"""What the export of an imported artefact does not do twice."""

from __future__ import annotations

import subprocess
import sys

from seg_edge.calib.graph import load
from seg_edge.export import ExportOptions, ImportOptions, export, import_network
from seg_edge.export.graph import simplify as simplification
from seg_edge.export.graph.simplify import same_graph


def test_a_graph_that_is_simplified_already_is_not_compared_again(write, tmp_path, monkeypatch):
    import_network(write(["resize"]), tmp_path / "in", ImportOptions(engine="onnxruntime", threads=1))
    monkeypatch.setattr(simplification, "_problem", lambda *_: "compared")
    report = export(tmp_path / "in", tmp_path / "out", ExportOptions(engine="onnxruntime", threads=1))
    row = next(row for row in report.steps if row.step == "simplify")
    assert not any("compared" in note for note in row.notes)
    assert (row.agreement, row.max_abs_error) == (1.0, 0.0)
    assert same_graph(load(tmp_path / "in" / "model.fp32.onnx"), load(tmp_path / "out" / "model.fp32.onnx"))


def test_graphs_differ_by_a_weight(write):
    path = write(["resize"])
    first, second = load(path), load(path)
    assert same_graph(first, second)
    second.graph.initializer[0].name += "x"
    assert not same_graph(first, second)


def test_the_chain_of_a_graph_needs_no_torch():
    code = "import sys, seg_edge.export.chain; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
