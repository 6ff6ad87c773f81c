#!/usr/bin/env bash
# Text drawn twice with cv2.putText, thick and dark below, thin and bright above: the usual way to an edge around letters.
# guess: thickness changes the strokes and not where letters stand, as in OpenCV 4; seen: OpenCV 5 takes thickness for the
# font's weight, heavier letters are wider, and the two texts drift apart.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for version in 4.12.0.88 5.0.0.93; do
  python3 -m venv "$dir/$version"
  "$dir/$version/bin/pip" install -q "opencv-python-headless==$version"
done

widths() {
  "$dir/$1/bin/python" -c '
import cv2

text = "latency 112.7 ms  age 238 ms"
print(*(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, thick)[0][0] for thick in (1, 2, 3)))'
}
old=$(widths 4.12.0.88) new=$(widths 5.0.0.93)
echo "width at thickness 1, 2, 3: OpenCV 4.12 $old, OpenCV 5.0 $new"
python3 - "$old" "$new" <<'PY'
import sys

old, new = ([int(n) for n in text.split()] for text in sys.argv[1:])
sys.exit(0 if max(old) - min(old) <= 2 and new[2] > 1.04 * new[0] else "the behaviour changed")
PY
