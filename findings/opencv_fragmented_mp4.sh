#!/usr/bin/env bash
# OpenCV on fragmented MP4 of 100 frames, as recorders write it (movflags frag_keyframe, with and without empty_moov).
# guess: both give CAP_PROP_FRAME_COUNT 100 or 0 for "unknown", and seeking works; seen: without empty_moov the count is
# 1, what lies before the first fragment, and a seek to frame 60 returns frame 1 as a success. Reading on gives all 100.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --no-compile opencv-python-headless==4.14.0.94 av==18.1.0 numpy==2.4.6

"$dir/venv/bin/python" - "$dir/video.mp4" <<'PY'
import sys

import av
import cv2
import numpy as np

path = sys.argv[1]


def write(flags: str) -> None:
    """100 grey frames; the brightness of frame n is 2 n."""
    with av.open(path, "w", options={"movflags": flags} if flags else {}) as video:
        stream = video.add_stream("mpeg4", rate=25, width=64, height=64, pix_fmt="yuv420p", gop_size=25)
        stream.bit_rate = 2_000_000
        for number in range(100):
            grey = np.full((64, 64, 3), 2 * number, np.uint8)
            video.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        video.mux(stream.encode())


seen = {}
for flags in ("", "frag_keyframe", "frag_keyframe+empty_moov"):
    write(flags)
    video, frames = cv2.VideoCapture(path), 0
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    while video.read()[0]:
        frames += 1
    video = cv2.VideoCapture(path)
    video.set(cv2.CAP_PROP_POS_FRAMES, 60)
    success, image = video.read()
    seen[flags] = count, frames, success, abs(image.mean() / 2 - 60) < 2
    print(f"movflags {flags or '(none)'}: count {count}, read {frames}, frame 60 is frame {image.mean() / 2:.0f}")
print("opencv", cv2.__version__, "av", av.__version__)
whole, part = (100, 100, True, True), (1, 100, True, False)
sys.exit(0 if list(seen.values()) == [whole, part, whole] else "the behaviour changed")
PY
