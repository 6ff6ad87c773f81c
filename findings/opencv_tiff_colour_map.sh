#!/usr/bin/env bash
# A TIFF of class numbers with a colour map, 1 bit a pixel, read with IMREAD_UNCHANGED.
# guess: the numbers 0 and 1, or the colours of the map; seen: OpenCV 5.0.0 gives the grey value of the colour (38 for
# dark red), and refuses the same image with 2 bits a pixel.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q opencv-python-headless==5.0.0.93

"$dir/venv/bin/python" - "$dir" <<'PY'
import struct
import sys

import cv2

print("opencv", cv2.__version__)


def tiff(bits: int, row: bytes, colours: list[tuple[int, int, int]]) -> bytes:
    """8 pixels in one row, little endian, photometric 3 (palette)."""
    table = [c * 257 for channel in range(3) for c in (colour[channel] for colour in colours)]
    count, at = 10, 8
    body = at + 2 + 12 * count + 4
    entries = [(256, 3, 1, 8), (257, 3, 1, 1), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 3),
               (273, 4, 1, body + 2 * len(table)), (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, len(row)),
               (320, 3, len(table), body)]
    data = b"II*\0" + struct.pack("<I", at) + struct.pack("<H", count)
    for tag, kind, number, value in entries:
        data += struct.pack("<HHI", tag, kind, number) + struct.pack("<I", value)
    return data + struct.pack("<I", 0) + struct.pack(f"<{len(table)}H", *table) + row


black, red = (0, 0, 0), (128, 0, 0)
found = {}
for bits, row in ((1, b"\x0f"), (2, b"\x00\x55")):
    path = f"{sys.argv[1]}/{bits}.tif"
    with open(path, "wb") as file:
        file.write(tiff(bits, row, [black, red, (0, 128, 0), (0, 0, 128)][: 2**bits]))
    image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    found[bits] = None if image is None else image.reshape(1, 8, -1)[0, :, 0].tolist()
    print(f"{bits} bit: indices 0 0 0 0 1 1 1 1 come as {found[bits]}")
sys.exit(0 if found == {1: [0] * 4 + [38] * 4, 2: None} else "the behaviour changed")
PY
