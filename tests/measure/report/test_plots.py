"""Pictures, page and CSV of planted reports."""

from __future__ import annotations

import base64
import copy
import csv
import io
import json
import re
import sys

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.core.errors import InputError
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.options import BenchOptions
from seg_edge.measure.report.html import page
from seg_edge.measure.report.plots import _front, breakdown, images, pareto
from seg_edge.measure.report.tables import csv_text

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def measured(tiny_model):
    return bench([tiny_model], BenchOptions(engines=["onnxruntime"], threads=[1, 2], frame_hw=(60, 80), runs=6))


@pytest.fixture
def report(measured):
    """Four rows of known speed and accuracy."""
    made = copy.deepcopy(measured.to_dict())
    made["rows"] = [copy.deepcopy(measured["rows"][0]) for _ in range(4)]
    for row, (name, fps, miou) in zip(
        made["rows"], [("slow", 5.0, 0.7), ("beaten", 4.0, 0.6), ("fast", 50.0, 0.5), ("none", 20.0, None)], strict=True
    ):
        row.update(model=name, fps_e2e=fps, miou=miou, stages_ms={"pre": 1.0, "engine": 1000 / fps - 3, "post": 2.0})
    return made


def test_the_front_is_what_nobody_beats(report):
    assert [row["model"] for row in _front([row for row in report["rows"] if row["miou"]])] == ["fast", "slow"]


def test_pareto_shows_every_row_where_it_belongs(report):
    (axes,) = pareto(report).axes
    shown = {line.get_label().split()[1]: line.get_xydata()[0] for line in axes.lines if line.get_label()[0].isdigit()}
    assert list(shown) == ["slow", "beaten", "fast", "none"]
    assert shown["slow"] == pytest.approx((5.0, 70.0))
    assert shown["none"][0] == 20.0
    assert shown["none"][1] < 50
    assert axes.get_xscale() == "log"
    assert all(50 - 3 < tick for tick in axes.get_yticks())  # no percentage beside the rows that have none


def test_without_miou_there_is_no_pareto_plot_and_a_line_why(measured):
    made, reasons = images(measured)
    assert list(made) == ["breakdown"]
    assert reasons == ["no pareto plot: no row has a mIoU; pass `data` with models that were trained for it"]


def test_breakdown_has_a_bar_of_each_stage(report):
    absolute, share = breakdown(report).axes
    widths = [[bar.get_width() for bar in group] for group in absolute.containers]
    assert widths[0] == [1.0] * 4
    assert widths[1] == pytest.approx([197.0, 247.0, 17.0, 47.0])
    assert widths[2] == [2.0] * 4
    assert sum(group[2].get_width() for group in share.containers) == pytest.approx(100)


def test_capture_and_sink_are_shown_where_they_were_measured(report):
    stages = {
        name: {"p50": value} for name, value in zip(("capture", "pre", "engine", "post", "sink"), range(1, 6), strict=True)
    }
    report["rows"][0]["camera"] = {"stages_ms": stages}
    absolute, _ = breakdown(report).axes
    assert [group[0].get_width() for group in absolute.containers] == [1, 2, 3, 4, 5]
    assert [group[1].get_width() for group in absolute.containers] == [0, 1.0, 247.0, 2.0, 0]


def test_nothing_measured(measured):
    failed = copy.deepcopy(measured.to_dict())
    for row in failed["rows"]:
        row["stages_ms"] = dict.fromkeys(row["stages_ms"])
    with pytest.raises(InputError, match="no row was measured"):
        breakdown(failed)


def test_the_page_needs_nothing_else(report):
    report["rows"][0]["model"] = "<b>&</script>"
    drawn, _ = images(report)
    text = page(report, drawn, ["no third plot"], "loaded")
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "http" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert text.count("<script") == text.count("</script>") == 1
    assert "&lt;b&gt;&amp;&lt;/script&gt;" in text
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(embedded) == 2
    for data in embedded:
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR).shape[1] > 800
    inside = re.search(r'id="report">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(inside) == report
    for part in ("no third plot", "loaded", "DeepLabV3+", "fed 8 generated street scenes"):
        assert part in text


def test_csv_has_every_value_in_a_column_of_its_own(measured):
    rows = list(csv.DictReader(io.StringIO(csv_text(measured))))
    assert len(rows) == 2
    first = measured["rows"][0]
    assert (rows[0]["model"], rows[0]["threads"], rows[0]["imgsz"], rows[0]["frame"]) == ("tiny", "1", "32x40", "60x80")
    assert float(rows[0]["e2e_ms.p99"]) == first["e2e_ms"]["p99"]
    assert float(rows[0]["interval.fps_e2e.low"]) == first["interval"]["fps_e2e"][0]
    assert rows[0]["miou"] == ""
    known = measured["rows"][0] | {"clocks_mhz.cpu": measured["rows"][0]["clocks_mhz"]["cpu"]}
    for key in ("watts", "joules_per_frame", "temperature_c", "throttled", "clocks_mhz.cpu"):
        if known[key] is None:
            assert rows[0][key] == "not measurable here"
        else:
            assert rows[0].get(key, rows[0].get(f"{key}.low")) not in ("", "0", "not measurable here")
    assert rows[0]["note"] == first["note"]
    assert not any(key.startswith("turns") for key in rows[0])


def test_the_command_writes_them(tiny_model, tmp_path, capsys):
    words = ["--engine", "onnxruntime", "--runs", "6", "--frame", "60x80", "--threads", "1"]
    files = ["--html", str(tmp_path / "a.html"), "--plots", str(tmp_path / "plots"), "--csv", str(tmp_path / "a.csv")]
    assert main(["bench", str(tiny_model), *words, *files]) == 0
    assert "no pareto plot: no row has a mIoU" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "plots/breakdown.png")) is not None
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "a.csv").read_text().startswith("model,")


def test_without_matplotlib_the_rest_is_written_and_a_line_says_why(tiny_model, tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["--engine", "onnxruntime", "--runs", "6", "--frame", "60x80", "--threads", "1"]
    files = ["--html", str(tmp_path / "a.html"), "--plots", str(tmp_path / "plots"), "--markdown", str(tmp_path / "a.md")]
    assert main(["bench", str(tiny_model), *words, *files]) == 0
    assert "no breakdown plot: matplotlib can't be imported" in " ".join(capsys.readouterr().out.split())
    text = (tmp_path / "a.html").read_text()
    assert "pip install &#x27;seg-edge[report]&#x27;" in text
    assert "<img" not in text
    assert not (tmp_path / "plots").exists()
    assert (tmp_path / "a.md").is_file()
