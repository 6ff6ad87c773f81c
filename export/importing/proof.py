"""The proof of an import: the artefact's masks against the original's, and what differs where they don't agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, SegEdgeError
from ...core.metrics import agreement
from ...core.spec import RESIZE_RULES
from ...datasets.dataset import read_image, read_mask
from ...runtime.engines import open_engine
from ...runtime.frame import kernels
from ...runtime.frame.fit import Window, letterbox
from ..checks.frames import Frame
from ..foreign.preprocessing import IMAGENET, ONE, ZERO, Preprocessing
from .original import Mask, Original, chw, two_or_more

#: Suffixes of images in a folder of frames.
_IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
#: Frames that alternatives are tried on.
_MOST_FRAMES = 8


@dataclass(frozen=True)
class Compared:
    """One engine's masks against the original's. Fractions 0..1; None is not measured.

    Attributes:
        engine, version: The engine.
        agreement: Share of pixels with the original's class, over all frames.
        worst: The same for the worst frame.
        max_abs_error: Largest difference of a score at the cut.
        passed: Whether the engine may be used.
        note: Why it can't be used.
    """

    engine: str
    version: str | None
    agreement: float | None
    worst: float | None
    max_abs_error: float | None
    passed: bool
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        keys = ("engine", "version", "agreement", "worst", "max_abs_error", "passed", "note")
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class Expected:
    """The original's answers for frames of the input's size: masks, and scores at the cut (None for labels)."""

    frames: list[Frame]
    masks: list[Mask]
    scores: list[npt.NDArray[np.float32] | None]


def expected_answers(original: Original, frames: Sequence[Frame], preprocessing: Preprocessing) -> Expected:
    """Runs the original.

    Args:
        frames: uint8 (1, H, W, 3) each, at the input's size.
    """
    masks, scores = [], []
    for frame in frames:
        output, cut = original.run(frame, preprocessing)
        masks.append(original.mask(output))
        scores.append(None if original.tail.is_labels else chw(cut, original.tail.form))
    return Expected(list(frames), masks, scores)


def compare_engine(
    model: Path, engine: str, version: str | None, expected: Expected, least: float, threshold: float, threads: int | None
) -> Compared:
    """The artefact's model on one engine against the original.

    Args:
        least: Least share of equal pixels.
        threshold: Of a network with one class, see :class:`.tail.Tail`.
    """
    shares, errors = [], []
    try:
        with open_engine(model, engine, threads) as opened:
            for frame, mask, scores in zip(expected.frames, expected.masks, expected.scores, strict=True):
                output = opened.infer(frame)[0].copy()
                shares.append(agreement(mask, engine_mask(output, mask.shape)))
                if scores is not None:
                    ours = output if len(scores) > 1 else output[1:] - output[:1] + np.float32(threshold)
                    with np.errstate(invalid="ignore"):  # inf - inf is reported as not finite
                        errors.append(float(np.max(np.abs(ours - scores))))
    except SegEdgeError as error:
        return Compared(engine, version, None, None, None, False, f"fails: {error}")
    share = float(np.mean(shares))
    note = "" if share >= least else f"below {100 * least:g} %: don't use this engine"
    largest = max(errors) if errors and np.isfinite(max(errors)) else None
    if errors and largest is None:
        note = "scores are not finite"
    return Compared(engine, version, share, min(shares), largest, not note, note)


def engine_mask(output: npt.NDArray[Any], size_hw: tuple[int, ...]) -> Mask:
    """The mask of an engine's output for one frame, at the input's size."""
    if output.dtype == np.uint8:
        return output
    return kernels.upsample_argmax(np.ascontiguousarray(output), (size_hw[0], size_hw[1]))


# --- what differs


@dataclass(frozen=True)
class Alternative:
    """A preprocessing that explains masks better than the stated one."""

    changes: tuple[str, ...]
    agreement: float
    preprocessing: Preprocessing
    align_corners: bool = False

    def __str__(self) -> str:
        return f"with {' and '.join(self.changes)} {100 * self.agreement:.2f} % agree"


def best_alternative(
    original: Original, frames_bgr: Sequence[Frame], wanted: Sequence[Mask], stated: Preprocessing, now: float,
    ignore: int | None = None,
) -> Alternative | None:  # fmt: skip
    """The alternative under which the original gives the wanted masks best; None if none is clearly better.

    Single changes are tried first; pairs and triples only where no single one reaches 99 %.

    Args:
        frames_bgr: Frames of any size.
        wanted: Masks at the frames' sizes, or at the input's size.
        now: The agreement under the stated preprocessing.
        ignore: Value of pixels that don't count.
    """
    frames, wanted = frames_bgr[:_MOST_FRAMES], wanted[:_MOST_FRAMES]
    best: Alternative | None = None
    for count, group in _alternatives(stated, original).items():
        if count > 1 and best is not None and best.agreement >= 0.99:
            break
        for changes, preprocessing, corners in group:
            share = agreement_with(original, frames, wanted, preprocessing, align_corners=corners, ignore=ignore)
            each = Alternative(changes, share, preprocessing, corners)
            if best is None or _explains_more(each, best):
                best = each
    # Half of the missing agreement is a clear gain; less may be chance.
    return best if best is not None and best.agreement > now + 0.5 * (1 - now) else None


def _explains_more(each: Alternative, best: Alternative) -> bool:
    """Whether an alternative is better; with more changes, it must leave a fifth less unexplained."""
    more = len(each.changes) > len(best.changes)
    return 1 - each.agreement < (1 - best.agreement) * (0.8 if more else 1)


def agreement_with(
    original: Original, frames_bgr: Sequence[Frame], wanted: Sequence[Mask], preprocessing: Preprocessing, *,
    align_corners: bool = False, ignore: int | None = None,
) -> float:  # fmt: skip
    """Share of the pixels of wanted masks that the original gives under a preprocessing, 0..1; mean over the frames."""
    shares = []
    for frame, mask in zip(frames_bgr, wanted, strict=True):
        resized = resized_to(frame, original.source.size_hw, preprocessing.resize)
        output, cut = original.run(resized, preprocessing)
        rule = preprocessing.resize
        window = letterbox(_hw(frame.shape), original.source.size_hw) if rule == "letterbox" else None
        if mask.shape == original.source.size_hw or align_corners or original.tail.is_labels:
            found = _at_size(original.mask(output, align_corners=align_corners), _hw(mask.shape), window)
        else:  # straight to the frame's size, as the runtime does
            scores = two_or_more(chw(cut, original.tail.form), original.tail.threshold)
            found = kernels.upsample_argmax(scores, _hw(mask.shape), window=window)
        equal = (found == mask)[mask != ignore] if ignore is not None else found == mask
        shares.append(float(equal.mean()) if equal.size else 1.0)
    return float(np.mean(shares))


def _alternatives(
    stated: Preprocessing, original: Original
) -> dict[int, list[tuple[tuple[str, ...], Preprocessing, bool]]]:  # fmt: skip
    """Number of changes → the alternatives: names of the changes, preprocessing, align-corners."""
    orders = [(f"the channel order {'BGR' if stated.rgb else 'RGB'}", {"rgb": not stated.rgb})]
    norms = []
    if original.source.dtype != "uint8":
        for name, (mean, std, scale) in _NORMALIZATIONS.items():
            if not _same(stated, mean, std, scale):
                norms.append((name, {"mean": mean, "std": std, "scale": scale}))
    rules = [(f"the resize {rule}", {"resize": rule}) for rule in RESIZE_RULES if rule != stated.resize]
    result: dict[int, list[tuple[tuple[str, ...], Preprocessing, bool]]] = {1: [], 2: [], 3: []}
    if original.tail.stride > 1:
        result[1].append((("align-corners in the upsampling",), stated, True))
    nothing: tuple[str, dict[str, Any]] = ("", {})
    for chosen in product([nothing, *orders], [nothing, *norms], [nothing, *rules]):
        names = tuple(name for name, _ in chosen if name)
        words = {key: value for _, change in chosen for key, value in change.items()}
        if names:
            result[len(names)].append((names, replace(stated, **words), False))
    return result


_NORMALIZATIONS = {
    "ImageNet's mean and std": IMAGENET,
    "pixels 0 to 1, no mean": (ZERO, ONE, 1 / 255),
    "pixels 0 to 255, no mean": (ZERO, ONE, 1.0),
    "pixels -1 to 1 (mean and std 0.5)": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1 / 255),
    "ImageNet's mean in BGR order, no std": ((103.939, 116.779, 123.68), ONE, 1.0),
}


def _same(stated: Preprocessing, mean: Any, std: Any, scale: float) -> bool:
    other = replace(stated, mean=mean, std=std, scale=scale)
    return np.allclose(other.mean_rgb, stated.mean_rgb, atol=0.5) and np.allclose(other.std_rgb, stated.std_rgb, rtol=0.01)


def resized_to(frame_bgr: Frame, size_hw: tuple[int, int], rule: str) -> Frame:
    """A frame at the input's size, uint8 (1, H, W, 3)."""
    if frame_bgr.shape[:2] == size_hw:
        return frame_bgr[None]
    return kernels.resize(frame_bgr, size_hw, rule)[None]


def _at_size(mask: Mask, wanted_hw: tuple[int, int], window: Window | None) -> Mask:
    """A mask of the input's size at the size of the wanted mask."""
    if mask.shape == wanted_hw:
        return mask
    shown = mask if window is None else mask[window.slices]
    return np.asarray(cv2.resize(shown, wanted_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def _hw(shape: tuple[int, ...]) -> tuple[int, int]:
    return int(shape[0]), int(shape[1])


# --- frames


def read_frames(path: Path, most: int, value_range: tuple[float, float] | None = None) -> list[tuple[str, Frame]]:
    """Images of a file or folder, by name, evenly spaced.

    Args:
        path: The file or folder.
        most: Images at most.
        value_range: Of images deeper than 8 bits: the values that become 0 and 255.

    Raises:
        DataError: no such path, or no image in it; an image deeper than 8 bits and no range.
    """
    if not path.exists():
        raise DataError(f"`frames` {path}: no such file or folder; expected an image or a folder of images")
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix.lower() in _IMAGES)
    if not files:
        raise DataError(f"`frames` {path}: no image in this folder; expected {', '.join(sorted(_IMAGES))}")
    count = min(most, len(files))
    return [(file.stem, read_image(file, value_range)) for file in (files[i * len(files) // count] for i in range(count))]


def read_masks(folder: Path, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> list[Mask]:
    """The masks of frames, by their names.

    Raises:
        DataError: one is missing, or has neither the size of its frame nor that of the input.
    """
    return [_read_mask(folder / f"{name}.png", shape) for name, shape in zip(names, shapes, strict=True)]


def _read_mask(file: Path, frame_shape: tuple[int, ...]) -> Mask:
    if not file.is_file():
        raise DataError(f"`masks` {file}: no such file; expected a PNG of class numbers with the name of each frame")
    mask = np.asarray(read_mask(file))
    if mask.shape != tuple(frame_shape[:2]):
        height, width = frame_shape[:2]
        raise DataError(
            f"`masks` {file}: is {mask.shape[0]}x{mask.shape[1]}, its frame {height}x{width}; write the masks at the size "
            "of the frames"
        )
    return mask
