"""``seg-edge run --gate``"""

from __future__ import annotations

import json

import cv2
import numpy as np

from seg_edge.cli.main import main


def test_frames_that_do_not_change_are_not_computed(tiny_model, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(60):
        colour = (0, 0, 255) if number >= 40 else (255, 0, 0)
        cv2.imwrite(str(folder / f"{number:02d}.png"), np.full((48, 64, 3), colour, np.uint8))
    words = ["--gate", "--gate-every", "1h", "--when", "class2 > 50%", "--events", str(tmp_path / "e.jsonl")]
    sinks = ["--sink", f"{tmp_path}/out/", "--json", str(tmp_path / "s.json")]
    assert main(["run", str(tiny_model), "--source", str(folder), *sinks, *words]) == 0
    stats = json.loads((tmp_path / "s.json").read_text())
    # Nine to begin with, one that has changed, and eight at rest after each.
    assert (stats["frames_out"], stats["computed"]) == (60, 9 + 8 + 1 + 8)
    assert "26 frames were computed; the others changed too little" in capsys.readouterr().out
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((tmp_path / "out").rglob("*.png"))]
    assert len(masks) == 60
    (start, _end) = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert start["frame"] == 40
