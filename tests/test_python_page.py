"""The Python of docs/python.md, in one interpreter, in an empty folder, as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_page_runs(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    # Saved as a file: a training's loader processes import it again where processes are started anew.
    script = tmp_path / "road.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"mIoU \d+\.\d%, \d+ FPS end to end", done.stdout)
    assert "did you mean 'unet-s'" in done.stdout
    assert "49 (64, 96)" in done.stdout  # the last of 2 s at 25 frames per second
    for name in ("runs/street/best.pt", "model/report.md", "bench.json", "overlay.mp4"):
        assert (tmp_path / name).stat().st_size > 0


def test_every_class_of_the_table_exists() -> None:
    import seg_edge.datasets
    import seg_edge.export
    import seg_edge.measure
    import seg_edge.train

    table = re.findall(r"^\| `.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    names = {name for row in table for name in re.findall(r"`([A-Z]\w+)`", row)}
    stages = (seg_edge.datasets, seg_edge.train, seg_edge.measure, seg_edge.export)
    assert len(names) > 8
    assert {name for name in names if not any(name in stage.__all__ for stage in stages)} == set()
