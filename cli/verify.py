"""``seg-edge verify``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import loading, print_table, writable


def verify(
    artefact: Annotated[
        Path, typer.Argument(help="An artefact folder, as seg-edge export writes it, or a shipped model's name.")
    ],
    engine: Annotated[
        str, typer.Option(help="Engine to replay on: auto, openvino, onnxruntime; tensorrt, rtx: their engine files.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the result here.", callback=writable)] = None,
) -> None:
    """Replay the golden frames: does this machine compute what the export machine computed?"""
    from rich.table import Table

    from ..core.artefact import write_json
    from ..core.errors import GateError
    from ..export.checks.replay import verify as replay

    with loading("golden frames"):
        rows = replay(artefact, engine, threads)
    table = Table()
    for title in ("file", "frame", "agreement %", "limit %", ""):
        table.add_column(title, justify="right" if "%" in title else "left")
    for row in rows:
        verdict = "ok" if row.passed else "DIFFERS"
        table.add_row(row.file, row.frame, f"{100 * row.agreement:.3f}", f"{100 * row.limit:.3f}", verdict)
    print_table(f"{artefact}: golden frames on {', '.join(dict.fromkeys(row.engine for row in rows))}", table)
    if json:
        passed = all(row.passed for row in rows)
        write_json(json, {"artefact": str(artefact), "passed": passed, "frames": [row.to_dict() for row in rows]})
    broken = [row for row in rows if not row.passed]
    if broken:
        worst = min(broken, key=lambda row: row.agreement - row.limit)
        raise GateError(
            f"verify: {worst.file} on {worst.engine}: {worst.frame} agrees on {100 * worst.agreement:.3f} % of the pixels, "
            f"expected at least {100 * worst.limit:.3f} % ({len(broken)} of {len(rows)} replays differ); "
            "this machine or engine computes something else: try another --engine, or export on this machine"
        )
