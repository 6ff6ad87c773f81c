"""Reports: JSON, terminal, notebook."""

from __future__ import annotations

import json

from seg_edge.core.report import MappingReport, text_table


class Sample(MappingReport):
    def title(self):
        return f"{self['name']} & co"

    def table(self):
        return ["class", "IoU %"], [["road", "94.1"], ["<sky>", "9.0"]]


REPORT = Sample({"name": "net", "miou": 0.5})


def test_it_writes_what_it_is(tmp_path):
    REPORT.write(tmp_path / "a" / "report.json")
    assert json.loads((tmp_path / "a" / "report.json").read_text()) == REPORT.to_dict() == {"name": "net", "miou": 0.5}


def test_it_reads_like_a_mapping():
    assert (REPORT["miou"], list(REPORT), len(REPORT), "nope" in REPORT) == (0.5, ["name", "miou"], 2, False)


def test_a_terminal_sees_aligned_columns():
    assert repr(REPORT) == "net & co\nclass  IoU %\nroad    94.1\n<sky>    9.0"


def test_a_notebook_sees_an_escaped_table():
    html = REPORT._repr_html_()
    assert html.startswith("<p>net &amp; co</p><table><thead><tr><th>class</th><th>IoU %</th></tr></thead>")
    assert "<td>&lt;sky&gt;</td><td>9.0</td>" in html


def test_dashes_count_as_numbers():
    assert text_table(["a"], [["–"], ["10"]]) == " a\n –\n10"
