"""Sections of report.md."""

from __future__ import annotations

from seg_edge.export.report.page import COLUMNS, GLOSSARY, speed_lines
from seg_edge.export.report.rows import StepRow


def row(step, precision, **ms):
    return StepRow(step, f"{step}.onnx", "0" * 64, 10, precision, latency_ms=ms)


def test_speed_is_that_of_each_engine_against_the_first_measured_file():
    steps = [
        row("onnx", "fp32"),
        row("simplify", "fp32", openvino=17.0, onnxruntime=20.0),
        row("int8", "int8", openvino=6.8, onnxruntime=8.0, tensorrt=1.0),
    ]
    assert speed_lines(steps) == [
        "- int8: 2.50 times on openvino, 2.50 times on onnxruntime as fast as simplify (fp32)",
    ]
    assert speed_lines(steps[:2]) == []
    assert speed_lines([]) == []


def test_every_measured_column_is_explained():
    explained = {title for title, _ in GLOSSARY}
    assert {title for title, _ in COLUMNS} - explained == {"step", "file", "precision", "MB"}
