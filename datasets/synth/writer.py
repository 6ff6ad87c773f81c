"""Generated scenes on disk: a folder dataset with disjoint scenes per split, and a video with ground truth per frame."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from ...core.artefact import atomic_path, write_json
from ...core.cpu import usable_count
from ...core.errors import DataError, InputError, SinkError
from ...core.labels import CAMVID
from ...core.progress import Count, Progress, Silent
from ...core.report import Report
from ..dataset import write_labels
from ..generated import check_target, each, move_into_place, temporary_folder, write_image
from .options import SynthOptions
from .scene import StreetScene

#: What a generated folder was made from, and which files belong to it. It is written last: a folder without it is not whole.
MANIFEST = "synth.json"
FRAMES_PER_SCENE = 6
# Frames of one scene lie about two seconds apart, 12 to 22 metres of street.
_SPACING_S = 2.1
# Scene seeds of a dataset with seed s start at s * _SEEDS; each split has its own range, so no street is in two splits.
_SEEDS = 1_000_000
_RANGES = {"train": 0, "val": 400_000, "test": 600_000, "video": 900_000}


def scene_seed(seed: int, split: str, number: int) -> int:
    """Seed of one scene of a split (``train``, ``val``, ``test`` or ``video``)."""
    return seed * _SEEDS + _RANGES[split] + number


@dataclass(frozen=True, repr=False)
class Synthesized(Report):
    """A generated dataset.

    Attributes:
        data: Its folder.
        options: What it was generated from.
        files: Paths of its files relative to the folder, sorted.
    """

    data: Path
    options: SynthOptions
    files: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"data": str(self.data), **_manifest(self.options, self.files)}

    def title(self) -> str:
        options = self.options
        parts = " + ".join(f"{count} {split}" for split, count in _counts(options).items() if count)
        size = f"{options.size_hw[1]}x{options.size_hw[0]}"
        film = f", video.mp4 of {options.video_s:g} s" if options.video_s else ""
        return f"{self.data}: {parts} images, {size}, {', '.join(options.domains)}{film}"


def synthesize(
    out: str | Path,
    options: SynthOptions = SynthOptions(),  # noqa: B008  # frozen
    *,
    progress: Progress | None = None,
) -> Synthesized:
    """Generates street scenes with ground truth in CamVid's 11 classes, deterministic by seed.

    Writes ``images/<split>/NAME.png``, ``labels/<split>/NAME.png``, ``classes.json`` and ``synth.json``; with ``video_s``
    also ``video.mp4`` of a scene of its own and ``video_labels/*.png``. The folder is built beside ``out`` and renamed when
    it is whole.

    >>> report = synthesize("streets", SynthOptions(train=1, val=0, size_hw=(32, 48), seed=7))
    >>> report
    streets: 1 train images, 48x32, day
    >>> report.files[:2]
    ('classes.json', 'images/train/synth_day_00000_0.png')

    Args:
        out: Folder to make.
        options: How many images, of what size, in which domains.
        progress: Told how many images and frames of the video are rendered.

    Raises:
        InputError: ``out`` is not empty (without ``force``), is a file, or can't be written.
        SinkError: OpenCV can't write mp4 on this machine.
    """
    out = Path(out)
    check_target(out, options.force)
    counts = _counts(options)
    frames = round(options.video_s * options.fps)
    total, done = sum(counts.values()) + frames, 0
    count = (progress or Silent()).count("rendering")

    def tick(images: int) -> None:
        nonlocal done
        done += images
        count(done, total)

    with temporary_folder(out) as folder:
        workers = usable_count() if options.workers is None else options.workers
        for images in each(_write_scene, list(_jobs(folder, options)), workers):
            tick(images)
        if frames:
            _write_film(folder / "video.mp4", frames, options, lambda *_: tick(1))
        write_labels(folder, CAMVID)
        files = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
        write_json(folder / MANIFEST, _manifest(options, files))
        _move(folder, out)
    return Synthesized(out, options, files)


def _counts(options: SynthOptions) -> dict[str, int]:
    return {"train": options.train, "val": options.val, "test": options.test}


def _manifest(options: SynthOptions, files: Sequence[str]) -> dict[str, Any]:
    return {
        "seed": options.seed,
        "size_hw": list(options.size_hw),
        "domains": list(options.domains),
        **_counts(options),
        "video_s": options.video_s,
        "fps": options.fps,
        "files": list(files),
    }


def write_video(
    path: str | Path, *, seconds: float, size_hw: tuple[int, int] = (360, 480), seed: int = 0, domain: str = "day",
    fps: float = 25.0, progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Writes an mp4 of one ride, and the mask of every frame as ``<stem>_labels/000000.png`` beside it.

    The ride's scene is in no split of :func:`synthesize` with any seed. The film is lossy; the masks are exact.

    Raises:
        InputError: a length, size or rate out of range, or the masks' folder exists and is not empty.
        UnknownNameError: no such domain.
        SinkError: OpenCV can't write mp4 on this machine.
    """
    options = SynthOptions(size_hw=size_hw, seed=seed, domains=(domain,), video_s=seconds, fps=fps)
    frames = round(seconds * fps)
    if frames < 1:
        raise InputError(f"synth video: expected at least one frame, got {seconds} s at {fps} frames/s")
    _write_film(Path(path), frames, options, (progress or Silent()).count("rendering"))
    return Path(path)


def _write_film(path: Path, frames: int, options: SynthOptions, count: Count) -> None:
    fps, (height, width) = options.fps, options.size_hw
    labels = path.with_name(f"{path.stem}_labels")
    check_target(labels, force=False)
    scene = StreetScene(scene_seed(options.seed, "video", 0), options.size_hw, options.domains[0], fps)
    with temporary_folder(labels) as folder, atomic_path(path) as temporary:
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(temporary), fourcc, fps, (width, height))
        try:
            if not writer.isOpened():
                raise SinkError(f"{path}: OpenCV can't write mp4 (mp4v) here; install an opencv-python built with FFmpeg")
            for index in range(frames):
                frame, mask = scene.frame(index)
                writer.write(frame)
                write_image(folder / f"{index:06d}.png", mask)
                count(index + 1, frames)
        finally:
            writer.release()
        if temporary.stat().st_size == 0:
            raise SinkError(f"{path}: OpenCV wrote no video data; install an opencv-python built with FFmpeg")
        _move(folder, labels)


@dataclass(frozen=True)
class _Job:
    """One scene's images; a process of its own may write them."""

    folder: Path
    split: str
    number: int
    images: int
    size_hw: tuple[int, int]
    seed: int
    domain: str
    suffix: str


def _jobs(folder: Path, options: SynthOptions) -> Iterator[_Job]:
    domains = options.domains
    for split, count in _counts(options).items():
        for number in range(-(-count // FRAMES_PER_SCENE)):
            images = min(FRAMES_PER_SCENE, count - number * FRAMES_PER_SCENE)
            domain = domains[number % len(domains)]
            yield _Job(folder, split, number, images, options.size_hw, options.seed, domain, options.image_suffix)


def _write_scene(job: _Job) -> int:
    scene = StreetScene(scene_seed(job.seed, job.split, job.number), job.size_hw, job.domain, fps=1 / _SPACING_S)
    for index in range(job.images):
        frame, mask = scene.frame(index)
        name = f"synth_{job.domain}_{job.number:05d}_{index}"
        write_image(job.folder / "images" / job.split / f"{name}{job.suffix}", frame)
        write_image(job.folder / "labels" / job.split / f"{name}.png", mask)
    return job.images


def _move(folder: Path, out: Path) -> None:
    if move_into_place(folder, out):
        return
    _remove_earlier(out)
    manifest = folder / MANIFEST
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != manifest):
        target = out / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    os.replace(manifest, out / MANIFEST)


def _remove_earlier(out: Path) -> None:
    """Removes the files that an earlier generation listed; nothing outside ``out``, nothing that it did not list."""
    manifest = out / MANIFEST
    if not manifest.is_file():
        return
    try:
        files = [str(name) for name in json.loads(manifest.read_text(encoding="utf-8"))["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{manifest}: not a manifest of generated data ({error}); remove it or choose another folder"
        ) from error
    manifest.unlink()
    root = out.resolve()
    for name in files:
        path = (out / name).resolve()
        if root in path.parents and path.is_file():
            path.unlink()
