"""The whole report as one self-contained HTML page with tables, images and the JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .tables import (
    REFERENCE_COLUMNS,
    TEXT_COLUMNS,
    has_reference,
    legend,
    others,
    reference_rows,
    reference_title,
    table,
    title,
)

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;max-width:1500px;margin:2em auto;padding:0 1.5em}
h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:.35em .6em;border-bottom:1px solid #ddd;text-align:right;vertical-align:top;white-space:nowrap}
th{background:#f4f4f4;position:sticky;top:0;white-space:normal}.t{text-align:left}tr:hover td{background:#f8fbff}
img{max-width:100%;height:auto;border:1px solid #eee}ol{font-size:13px;color:#444}
.warning{background:#fff3cd;border-left:4px solid #e0a800;padding:.6em 1em}p.small{font-size:13px;color:#444}
"""
_CAPTIONS = {"pareto": "Accuracy against speed", "breakdown": "Where the time of a frame goes"}


def page(
    report: Mapping[str, Any], images: Mapping[str, bytes], remarks: Sequence[str] = (), warning: str | None = None
) -> str:
    """The page's text.

    Args:
        report: The result of :func:`seg_edge.measure.bench`.
        images: PNG files by name.
        remarks: Reasons for missing images.
        warning: The result of :func:`seg_edge.measure.benchmark.outcome.load_warning`.
    """
    speed = table(report)
    parts = [f"<h1>Benchmark</h1><p>{escape(title(report))}</p>"]
    if warning:
        parts.append(f'<p class="warning">{escape(warning)}</p>')
    parts += [_table(speed.columns, speed.rows), "<ol>", *(f"<li>{escape(text)}</li>" for text in speed.notes), "</ol>"]
    parts += [f'<p class="small">All rows: {escape(text)}</p>' for text in speed.shared]
    parts += [f'<p class="small">{escape(text)}</p>' for text in (*legend(report), *remarks)]
    for name, data in images.items():
        caption = _CAPTIONS.get(name, name)
        source = base64.b64encode(data).decode("ascii")
        parts.append(f'<h2>{escape(caption)}</h2><img alt="{escape(caption)}" src="data:image/png;base64,{source}">')
    for heading, more in others(report):
        parts += [f"<h2>{escape(heading)}</h2>", _table(more.columns, more.rows)]
    if has_reference(report):
        parts += ["<h2>Reference</h2>", f"<p>{escape(reference_title(report))}.</p>"]
        parts.append(_table(REFERENCE_COLUMNS, reference_rows(report)))
    # "<" is escaped, because "</script>" in a file's name would end the script.
    data_text = json.dumps(dict(report), allow_nan=False).replace("<", "\\u003c")
    parts.append(f'<script type="application/json" id="report">{data_text}</script>')
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Benchmark</title>'
    head += f"<style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kinds = [' class="t"' if column in TEXT_COLUMNS else "" for column in columns]
    head = "".join(f"<th{kind}>{escape(column)}</th>" for kind, column in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'
