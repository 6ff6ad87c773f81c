#!/bin/sh
# The whole road on generated street scenes: data -> train -> evaluate -> export -> verify -> video -> frames per second.
# Usage: SEG=path/to/seg-edge sh benchmarks/demo.sh FOLDER
set -eu
out=${1:?usage: demo.sh FOLDER}
seg=${SEG:-seg-edge}
rm -rf "$out"
began=$(date +%s)

step() {
    printf '\n\033[1m$ seg-edge %s\033[0m\n' "$*"
    "$seg" "$@"
}

step data synth --out "$out/data" --train 480 --val 48 --size 192x256 --video 10 --seed 7
step train --data "$out/data" --model unet-n --epochs 14 --batch 4 --lr 0.005 --scale 1 --jitter 0.1 --out "$out/train"
step export "$out/train/best.pt" --int8 --data "$out/data" --out "$out/model" --max-drop 1.0
step val "$out/model/model.int8.onnx" --data "$out/data" --json "$out/val.json"
step verify "$out/model"
step run "$out/model/model.int8.onnx" --source "$out/data/video.mp4" --sink "$out/overlay.mp4" --json "$out/run.json"
step bench "$out/model" --data "$out/data" --json "$out/bench.json" --markdown "$out/bench.md"

printf '\nDone in %s s. Look at:\n' "$(($(date +%s) - began))"
for file in overlay.mp4 train/curves.png model/report.md bench.md; do
    test -s "$out/$file" || { echo "missing: $out/$file" >&2; exit 1; }
    printf '  %s\n' "$out/$file"
done
