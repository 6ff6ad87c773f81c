"""seg-edge predict --tile: peak memory on an image of 20,000 x 20,000 pixels, and what the seams leave.

    python benchmarks/tiles.py [--side 20000] [--only memory|seams] [--images FOLDER] [--every 10] [--json FILE]

memory: a PNG and a tiled TIFF of street scenes are made, and predict's peak resident memory on each is taken. seams: images
of CamVid at twice the network's input, once in tiles and once through the same network at the image's own size (OpenVINO
reshapes it): agreement of the masks where tiles overlap and everywhere, and how often the class changes across the lines
where tiles begin and end, in both. Exits with 3 if a limit is broken. Needs the extras tiles, openvino and export.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_edge.core.artefact import GOLDEN_DIR, write_json
from seg_edge.core.shipped import DEFAULT, shipped
from seg_edge.runtime import Segmenter
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.machine.system import machine
from seg_edge.runtime.tiled import TiledSegmenter

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "tiles.json"
#: Most peak memory, MiB; least agreement in the overlap.
LIMITS = {"peak_mib": 1536.0, "overlap_agreement": 0.995}
OVERLAPS: tuple[int | None, ...] = (None, 0, 32, 64, 128, 160, 192)
Mask = npt.NDArray[np.uint8]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--only", choices=("memory", "seams"))
    parser.add_argument("--images", type=Path, default=HERE.parents[1] / "shared/data/camvid/images/val")
    parser.add_argument("--every", type=int, default=10, help="take every n-th image")
    parser.add_argument("--json", type=Path, default=RESULTS)
    words = parser.parse_args()
    found: dict[str, Any] = {"machine": machine()}
    broken = []
    if words.only in (None, "seams"):
        found["seams"] = seams(words.images, words.every)
        broken += ["seams"] * (found["seams"]["default"]["overlap"] < LIMITS["overlap_agreement"])
    if words.only in (None, "memory"):
        with tempfile.TemporaryDirectory() as folder:
            found["memory"] = memory(Path(folder), words.side)
        broken += ["memory"] * any(row["peak_mib"] > LIMITS["peak_mib"] for row in found["memory"].values())
    found["broken"] = broken
    write_json(words.json, found)
    print({key: value for key, value in found.items() if key != "machine"})
    return 3 if broken else 0


def frames() -> list[Mask]:
    golden = sorted((shipped(DEFAULT) / GOLDEN_DIR).glob("frame*.png"))
    return [cv2.imread(str(path)) for path in golden if path.name.count(".") == 1]


def memory(root: Path, side: int) -> dict[str, Any]:
    """Peak resident memory, and seconds, for each kind of file."""
    import pyvips

    scenes = [cv2.resize(frame, (960, 720))[..., ::-1] for frame in frames()]
    images = [pyvips.Image.new_from_array(np.ascontiguousarray(scene)) for scene in scenes]
    block = pyvips.Image.arrayjoin(images, across=2)
    image = block.replicate(side // block.width + 1, side // block.height + 1).crop(0, 0, side, side)
    found = {}
    for name, options in (("large.png", {"compression": 1}), ("large.tif", {"tile": True, "compression": "deflate"})):
        file = root / name
        image.write_to_file(str(file), **options)
        words = ["predict", str(file), "--out", str(root / name[-3:]), "--format", "mask,csv", "--tile", "352x480"]
        begun = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "seg_edge.cli", *words], stdout=subprocess.DEVNULL)
        _pid, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"memory: {name}: status {status}")
        mask = pyvips.Image.new_from_file(str(root / name[-3:] / "masks" / "large.png"), access="sequential")
        if (mask.width, mask.height) != (side, side):
            sys.exit(f"memory: {name}: the mask has {mask.width} x {mask.height} pixels")
        found[name] = {
            "file_mib": round(file.stat().st_size / 2**20, 1),
            "peak_mib": round(usage.ru_maxrss / 1024, 1),
            "seconds": round(time.perf_counter() - begun, 1),
        }
        print(f"memory: {name}: {found[name]}", flush=True)
        file.unlink()
    return found


def seams(folder: Path, every: int) -> dict[str, Any]:
    """Shares of equal pixels of tiled and untiled masks, and of class changes across the lines where tiles begin and end."""
    model = shipped(DEFAULT)
    found: dict[str, dict[str, list[float]]] = {}
    with Segmenter(DEFAULT, "openvino") as segmenter:
        height, width = segmenter.spec.input_hw
        network = whole_network(model / "model.int8.onnx", (2 * height, 2 * width))
        for path in sorted(folder.iterdir())[::every]:
            image = cv2.resize(cv2.imread(str(path)), (2 * width, 2 * height))
            untiled = kernels.upsample_argmax(network(image), image.shape[:2])
            for overlap in OVERLAPS:
                tiled = TiledSegmenter(segmenter, (height, width), overlap)
                mask = tiled.segment(image).mask
                row = found.setdefault("default" if overlap is None else f"overlap_{overlap}", {})
                shared, lines = overlapped(tiled, image.shape[:2])
                if shared.any():
                    row.setdefault("overlap", []).append(float((mask == untiled)[shared].mean()))
                row.setdefault("all", []).append(float((mask == untiled).mean()))
                for name, one in (("changes", mask), ("untiled_changes", untiled)):
                    row.setdefault(name, []).append(float(np.mean([changed(one, axis, at) for axis, at in lines])))
    return {name: {part: round(float(np.mean(v)), 5) for part, v in row.items()} for name, row in found.items()}


def overlapped(tiled: TiledSegmenter, size_hw: tuple[int, int]) -> tuple[npt.NDArray[np.bool_], list[tuple[int, int]]]:
    """bool (H, W): where tiles overlap; and the borders of tiles: (axis, pixel)."""
    sides, lines = [], []
    for number, (axis, length) in enumerate(zip(tiled.tiles.axes(size_hw), size_hw, strict=True)):
        covered = np.zeros(axis.cells * axis.cell, np.uint8)
        for start in axis.starts:
            covered[start * axis.cell : (start + axis.tile) * axis.cell] += 1
            edges = (start * axis.cell, (start + axis.tile) * axis.cell)
            lines += [(number, edge) for edge in edges if 0 < edge < length]
        sides.append((covered > 1)[:length])
    return sides[0][:, None] | sides[1][None, :], lines


def changed(mask: Mask, axis: int, at: int) -> float:
    """Share of the pixels along a line whose class differs on its other side."""
    before, after = np.take(mask, at - 1, axis), np.take(mask, at, axis)
    return float((before != after).mean())


def whole_network(model: Path, size_hw: tuple[int, int]) -> Any:
    """The network for images of another size: uint8 (H, W, 3) → float32 (C, h, w)."""
    import onnx
    import openvino
    from onnx import numpy_helper

    proto = onnx.load(str(model))
    width = proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    for constant in proto.graph.initializer:
        value = numpy_helper.to_array(constant)
        # Means and scales of the input are as wide as it: one column says the same.
        if value.ndim == 4 and value.shape[2] == width and (value == value[:, :, :1]).all():
            constant.CopyFrom(numpy_helper.from_array(value[:, :, :1].copy(), constant.name))
    core = openvino.Core()
    graph = core.read_model(proto.SerializeToString())
    graph.reshape([1, *size_hw, 3])
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda image: np.ascontiguousarray(compiled(image[None])[0][0])


if __name__ == "__main__":
    sys.exit(main())
