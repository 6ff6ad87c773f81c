#!/usr/bin/env bash
# GStreamer's videoconvert on I420 video without colour tags, against FFmpeg (PyAV). Debian 12, after apt-get update.
# guess: untagged video is converted by one matrix (BT.601) whatever its size, as FFmpeg does; seen: GStreamer takes
# BT.709 above 576 rows: the same bytes give another colour at 720 rows than at 576, and than the file through FFmpeg.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download \
    gstreamer1.0-tools=1.22.0-2+deb12u1 libgstreamer1.0-0=1.22.0-2+deb12u1 \
    gstreamer1.0-plugins-base=1.22.0-3+deb12u7 libgstreamer-plugins-base1.0-0=1.22.0-3+deb12u7 \
    liborc-0.4-0=1:0.4.33-2 libglib2.0-0=2.74.6-2+deb12u9 libunwind8=1.6.2-3 libdw1=0.188-2.1 libelf1=0.188-2.1 \
    libcap2=1:2.66-4+deb12u3+b1 libpcre2-8-0=10.42-1+deb12u2 libffi8=3.4.4-1
for package in ./*.deb; do dpkg -x "$package" root; done
python3 -m venv venv
venv/bin/pip install -q av==18.1.0 numpy==2.4.6

libraries=$dir/root/usr/lib/x86_64-linux-gnu
export GST_PLUGIN_SYSTEM_PATH_1_0=$libraries/gstreamer-1.0 GST_REGISTRY_1_0=$dir/registry
export GST_PLUGIN_SCANNER_1_0=$libraries/gstreamer1.0/gstreamer-1.0/gst-plugin-scanner
gst() { LD_LIBRARY_PATH=$libraries:$dir/root/lib/x86_64-linux-gnu root/usr/bin/gst-launch-1.0 "$@"; }
gst --version | tail -n 3 | head -n 1
for rows in 576 720; do
    venv/bin/python - "$rows" <<'PY'
import pathlib
import sys

rows = int(sys.argv[1])
luma, blue, red = bytes([100]) * 16 * rows, bytes([90]) * 4 * rows, bytes([200]) * 4 * rows
pathlib.Path(f"{rows}.yuv").write_bytes(luma + blue + red)
PY
    gst -q filesrc location=$rows.yuv ! rawvideoparse format=i420 width=16 height=$rows \
        ! videoconvert ! video/x-raw,format=RGB ! filesink location=$rows.rgb
done

venv/bin/python - <<'PY'
import pathlib
import sys

import av
import numpy as np

seen = {}
for rows in (576, 720):
    planes = np.frombuffer(pathlib.Path(f"{rows}.yuv").read_bytes(), np.uint8).reshape(rows * 3 // 2, 16)
    ffmpeg = av.VideoFrame.from_ndarray(planes, format="yuv420p").to_ndarray(format="rgb24")[0, 0].tolist()
    seen[rows] = list(pathlib.Path(f"{rows}.rgb").read_bytes()[:3]), ffmpeg
    print(f"{rows} rows: GStreamer {seen[rows][0]}, FFmpeg {ffmpeg}")
print("av", av.__version__)
near = np.ptp([seen[576][0], seen[576][1], seen[720][1]], axis=0).max() <= 2
far = max(abs(a - b) for a, b in zip(*seen[720])) >= 10
sys.exit(0 if near and far else "the behaviour changed")
PY
