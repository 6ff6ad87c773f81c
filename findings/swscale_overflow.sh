#!/usr/bin/env bash
# FFmpeg's scaler (swscale) on 4:4:4 video brighter than the nominal range, as over-exposed or saturated pictures are.
# guess: luma 255, u 240, v 128 of BT.709, limited range, is a bright blue, clamped to 255; seen: blue is 0, the pixel is
# yellow: the sum overflows 32 bits before it is clamped (FFmpeg 8.1.2; the ffmpeg program 5.1.9 too). 4:2:0 takes another way and is right, but
# with the flag full_chroma_int it takes this one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import av
import numpy as np

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)
seen = {}
for name in ("yuv444p", "yuv420p"):
    frame = av.VideoFrame(64, 2, name)
    for plane, value in zip(frame.planes, (255, 240, 128)):
        np.ndarray((plane.height, plane.line_size), np.uint8, buffer=plane)[:] = value
    graph = av.filter.Graph()
    nodes = [graph.add("buffer", f"video_size=64x2:pix_fmt={name}:time_base=1/25"),
             graph.add("scale", "in_color_matrix=bt709:in_range=limited"), graph.add("format", "bgr24")]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    graph.vpush(frame)
    shown = graph.vpull()
    seen[name] = np.ndarray((2, 64, 3), np.uint8, buffer=shown.planes[0], strides=(shown.planes[0].line_size, 3, 1))[0, 0].tolist()
    print(name, "blue, green, red:", seen[name])
assert seen["yuv420p"][0] == 255, seen
assert seen["yuv444p"][0] == 0, seen
PY
echo "seen: blue overflows to 0"
