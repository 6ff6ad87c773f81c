"""Figures of docs/batch.md are those of the records."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs" / "batch.md").read_text(encoding="utf-8").split())


def record(name: str) -> dict:
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def test_several_views():
    found = record("tta.json")
    assert found["tta"]["views"] == ["flip", "scale"]
    assert f"{100 * found['miou']:.1f} % mIoU becomes {100 * found['tta']['miou']:.1f} %" in PAGE


def test_tiles():
    found = record("tiles.json")
    equal = [f"{100 * found['seams'][f'overlap_{width}']['overlap']:.1f} %" for width in (32, 64, 128, 160, 192)]
    assert f"| – | {' | '.join(equal)} |" in PAGE
    png, tiff = (found["memory"][f"large.{suffix}"]["peak_mib"] for suffix in ("png", "tif"))
    assert f"took {png:.0f} MiB (PNG) and {tiff:.0f} MiB (TIFF)" in PAGE
