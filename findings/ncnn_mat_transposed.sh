#!/usr/bin/env bash
# ncnn.Mat of a numpy image whose axes were moved from rows x columns x channels to channels first.
# guess: ncnn copies by strides or refuses such an array; seen: it takes the memory as it lies, so the channels stay
# interleaved under the right shape: a scrambled image, without a message.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q ncnn==1.0.20261020 numpy==2.4.6

"$dir/venv/bin/python" <<'PY'
import sys

import ncnn
import numpy as np

image = np.zeros((4, 4, 3), np.float32)
image[...] = (1, 2, 3)  # one colour
channels_first = image.transpose(2, 0, 1)
direct = np.array(ncnn.Mat(channels_first))
copied = np.array(ncnn.Mat(np.ascontiguousarray(channels_first)))
print("ncnn", ncnn.__version__, "numpy", np.__version__)
print("shape", direct.shape, "first channel:", direct[0, 0].tolist(), "of a contiguous copy:", copied[0, 0].tolist())
same = direct.shape == copied.shape == (3, 4, 4)
scrambled = direct[0, 0].tolist() == [1, 2, 3, 1] and copied[0, 0].tolist() == [1, 1, 1, 1]
sys.exit(0 if same and scrambled else "the behaviour changed")
PY
