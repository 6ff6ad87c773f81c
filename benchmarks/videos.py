"""Makes videos of all kinds and compares every frame and its time with what the ffmpeg program decodes.

    python benchmarks/videos.py [NAME …] [--json FILE]

Exit status 1 if one differs by more than its limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

CLIPS = Path(__file__).parents[1] / "tests" / "runtime" / "sources" / "clips.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="clips, such as h264.mp4; default: all")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    spec = spec_from_file_location("clips", CLIPS)
    assert spec is not None
    assert spec.loader is not None
    clips = module_from_spec(spec)
    sys.modules["clips"] = clips
    spec.loader.exec_module(clips)
    rows, wrong = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips.CLIPS:
            if options.names and clip.name not in options.names:
                continue
            try:
                row = clips.compare(clip, clips.make(clip, Path(folder)))
            except Exception as error:  # one that can't be made or read is a row, too
                row = {"clip": clip.name, "error": str(error)}
            fine = "error" not in row and clips.agrees(row, clip)
            wrong += not fine
            rows.append(row | {"agrees": fine})
            shown = row.get("error") or f"frames {row['frames']}, {row['time_ms']} ms, {row['levels']} levels, {row['size']}"
            print(f"{'ok ' if fine else 'NO '} {clip.name:24} {shown}", flush=True)
    print(f"{len(rows) - wrong} of {len(rows)} agree")
    if options.json:
        version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
        options.json.write_text(json.dumps({"ffmpeg": version, "clips": rows}, indent=1) + "\n", encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
