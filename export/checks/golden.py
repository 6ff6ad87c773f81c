"""Golden frames: frames and masks of the export machine, for comparison on any other machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.artefact import GOLDEN_DIR, sha256, write_json
from ...core.errors import ModelFileError
from ...core.metrics import agreement
from ...datasets.dataset import read_image, read_mask
from ...runtime.engines import Engine, open_engine
from ...runtime.frame import kernels
from ...runtime.frame.fit import frame_window
from .frames import Frame, network_input

MANIFEST = "golden.json"
FORMAT = 1
#: The engine of the expected masks, which every installation has.
REFERENCE = "onnxruntime"
# Least share of equal pixels on another machine or engine. Float engines differ in rounding only. 8-bit engines also
# requantize at different places, which changes pixels on the border between two classes.
MIN_AGREEMENT = {"fp32": 0.999, "fp16": 0.995, "int8": 0.98}
# If the engines of the export machine differ by more, another machine may differ by this multiple of their difference.
_MARGIN = 3.0

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Golden:
    """The golden frames of an artefact, read and checked.

    Attributes:
        frames: Name → uint8 (H, W, 3), BGR.
        masks: Precision → name → uint8 (H, W).
        min_agreement: Precision → least share of equal pixels, 0..1.
    """

    frames: dict[str, Frame]
    masks: dict[str, dict[str, Mask]]
    min_agreement: dict[str, float]


def masks(engine: Engine, frames_bgr: Sequence[Frame]) -> list[Mask]:
    """Masks at the resolution of the frames, as in Segmenter, for frames of any size and models of any batch."""
    results: list[Mask] = []
    for frame in frames_bgr:
        network_frame = network_input(frame, engine.spec)
        # A model of batch 4 gets the frame four times.
        output = engine.infer(np.ascontiguousarray(np.repeat(network_frame, engine.batch or 1, 0)))[0]
        size_hw = frame.shape[:2]
        window = frame_window(engine.spec, size_hw)
        if engine.spec.output == "labels":  # as in Segmenter
            shown = output if window is None else output[window.slices]
            full = cv2.resize(shown, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            results.append(np.array(full, np.uint8))
        else:
            results.append(kernels.upsample_argmax(output, size_hw, window=window))
    return results


def write_golden(
    folder: Path,
    frames_bgr: Sequence[Frame],
    models: Mapping[str, Path],
    engines: Sequence[str],
    threads: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes frames, masks and the manifest into ``folder/golden``.

    Args:
        folder: The artefact.
        frames_bgr: uint8 (H, W, 3) each.
        models: Precision → model file.
        engines: Engines whose difference from the reference is measured.
        progress: Called with (runs done, runs in all); a run is one model on one engine.
    """
    target = folder / GOLDEN_DIR
    target.mkdir()
    names = [f"frame{i}" for i in range(len(frames_bgr))]
    files: dict[str, str] = {}
    for name, frame in zip(names, frames_bgr, strict=True):
        files[f"{name}.png"] = _write_png(target / f"{name}.png", frame)
    precisions: dict[str, Any] = {}
    done, total = 0, len(models) * (1 + len(engines))

    def run(path: Path, engine: str) -> list[Mask]:
        nonlocal done
        results = _masks_of(path, engine, threads, frames_bgr)
        done += 1
        if progress is not None:
            progress(done, total)
        return results

    for precision, path in models.items():
        expected = run(path, REFERENCE)
        for name, mask in zip(names, expected, strict=True):
            files[f"{name}.{precision}.png"] = _write_png(target / f"{name}.{precision}.png", mask)
        measured = {
            engine: min(agreement(a, b) for a, b in zip(run(path, engine), expected, strict=True)) for engine in engines
        }
        least = 1 - _MARGIN * (1 - min(measured.values(), default=1.0))
        precisions[precision] = {"measured": measured, "min_agreement": max(0.0, min(MIN_AGREEMENT[precision], least))}
    manifest = {"format": FORMAT, "reference": REFERENCE, "frames": names, "precisions": precisions, "sha256": files}
    write_json(target / MANIFEST, manifest)


def read_golden(folder: Path) -> Golden:
    """Reads ``folder/golden``.

    Raises:
        ModelFileError: missing, or a file is damaged; the text names it.
    """
    source = folder / GOLDEN_DIR
    manifest = source / MANIFEST
    if not manifest.is_file():
        raise ModelFileError(f"{manifest}: no such file, so there is nothing to compare with; export the model again")
    try:
        data = json.loads(manifest.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ModelFileError(f"{manifest}: expected format {FORMAT}, got {data['format']!r}; export the model again")
        names, files, precisions = list(data["frames"]), dict(data["sha256"]), dict(data["precisions"])
        least = {precision: float(row["min_agreement"]) for precision, row in precisions.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{manifest}: damaged ({type(error).__name__}: {error}); copy the artefact again") from error
    if not names or not precisions:
        # A replay without frames would always pass.
        raise ModelFileError(
            f"{manifest}: lists no {'precisions' if names else 'frames'}, so there is nothing to compare with; "
            "copy the artefact again"
        )
    needed = [f"{name}{ending}.png" for name in names for ending in ("", *(f".{precision}" for precision in precisions))]
    if unlisted := [file for file in needed if file not in files]:
        raise ModelFileError(f"{manifest}: damaged (no sha256 of {unlisted[0]}); copy the artefact again")
    for file, expected in files.items():
        check_hash(source / file, expected, str(manifest))
    return Golden(
        {name: read_image(source / f"{name}.png") for name in names},
        {precision: {name: read_mask(source / f"{name}.{precision}.png") for name in names} for precision in precisions},
        least,
    )


def check_hash(path: Path, expected: str, listed_in: str) -> None:
    """Raises ModelFileError if a file is missing or its hash differs."""
    if not path.is_file():
        raise ModelFileError(f"{path}: missing, but {listed_in} lists it; copy the artefact again")
    if (digest := sha256(path)) != expected:
        raise ModelFileError(
            f"{path}: damaged or replaced: its sha256 is {digest[:12]}…, {listed_in} says {expected[:12]}…; "
            "copy the artefact again"
        )


def _masks_of(path: Path, engine: str, threads: int | None, frames_bgr: Sequence[Frame]) -> list[Mask]:
    with open_engine(path, engine, threads) as opened:
        return masks(opened, frames_bgr)


def _write_png(path: Path, image: npt.NDArray[np.uint8]) -> str:
    ok, data = cv2.imencode(".png", image)
    assert ok, "OpenCV always encodes uint8 as PNG"
    path.write_bytes(data.tobytes())
    return sha256(path)
