#!/usr/bin/env bash
# cv2.VideoCapture on an interlaced H.264 file (fields of different times, as broadcasts and camcorders write it).
# guess: the frames with both fields, or read() returns False; seen (from 4.13 on): read() returns True for every frame, and
# all of them are one image that is not in the video. FFmpeg's scaler refuses, which only its log says.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --no-compile av==18.1.0 opencv-python-headless==4.14.0.94 numpy==2.4.6

DIR="$dir" OPENCV_FFMPEG_LOGLEVEL=-8 "$dir/venv/bin/python" <<'PY'
import os
import sys

import av
import cv2
import numpy as np

path = os.path.join(os.environ["DIR"], "fields.mp4")
with av.open(path, "w") as file:
    stream = file.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.options = {"flags": "+ilme+ildct", "x264-params": "tff=1"}
    for i in range(10):
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * i + 20, np.uint8), "rgb24")))
    file.mux(stream.encode(None))
with av.open(path) as file:
    true = [round(float(frame.to_ndarray(format="gray").mean())) for frame in file.decode(video=0)]
capture = cv2.VideoCapture(path)
seen = []
while True:
    more, image = capture.read()
    if not more:
        break
    seen.append(image.copy())
different = len({image.tobytes() for image in seen})
print("OpenCV", cv2.__version__, "-", len(true), "frames of brightness", true)
print("read() says yes", len(seen), "times; different images:", different, "of brightness", round(float(seen[0].mean())))
sys.exit(0 if len(seen) == len(true) == 10 and different == 1 else "the behaviour changed")
PY
