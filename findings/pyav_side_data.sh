#!/usr/bin/env bash
# PyAV's frame.side_data, read for every frame of a video (say, for its display matrix).
# guess: it reads some bytes; seen: it ties each frame into a cycle of references, so that frames stay in memory until
# Python's collector runs, and FFmpeg's decoder takes new memory for each; and it raises ValueError for a JPEG image with
# EXIF data, a kind that FFmpeg 8.1 hands out and PyAV's enumeration does not name.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --no-compile av==18.1.0 numpy==2.4.6

"$dir/venv/bin/python" - "$dir" <<'PY'
import gc
import struct
import sys

import av
import numpy as np


def write(path: str, codec: str, frames: int) -> None:
    with av.open(path, "w") as video:
        stream = video.add_stream(codec, rate=25, width=640, height=480, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p")
        for number in range(frames):
            grey = np.full((480, 640, 3), 2 * number, np.uint8)
            video.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        video.mux(stream.encode())


def held(path: str, read: bool) -> int:
    """The most frames in memory at once while each is dropped as soon as it was looked at."""
    most = 0
    with av.open(path) as video:
        for frame in video.decode(video=0):
            if read:
                frame.side_data.get("DISPLAYMATRIX")
            del frame
            most = max(most, sum(isinstance(each, av.VideoFrame) for each in gc.get_objects()))
    gc.collect()
    return most


folder = sys.argv[1]
write(f"{folder}/video.mp4", "mpeg4", 60)
few, many = (held(f"{folder}/video.mp4", read) for read in (False, True))
print(f"frames in memory: {few}; with side_data {many}")

write(f"{folder}/image.mjpeg", "mjpeg", 1)
with open(f"{folder}/image.mjpeg", "rb") as file:
    jpeg = file.read()
exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)
with open(f"{folder}/image.mjpeg", "wb") as file:
    file.write(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
with av.open(f"{folder}/image.mjpeg") as video:
    frame = next(video.decode(video=0))
    try:
        said = f"{len(frame.side_data)} kinds"
    except ValueError as error:
        said = f"ValueError: {error}"
print("EXIF data:", said)
print("av", av.__version__)
sys.exit(0 if few < 10 < 40 < many and said == "ValueError: 31 is not a valid Type" else "the behaviour changed")
PY
