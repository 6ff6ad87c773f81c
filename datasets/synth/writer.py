"""Generated scenes on disk: a folder dataset with disjoint scenes per split, and a video with ground truth per frame."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from ...core.artefact import atomic_path, write_json
from ...core.errors import DataError, InputError, SinkError
from ...core.labels import CAMVID
from ..dataset import write_labels
from .domains import domain as find_domain
from .draw.canvas import U8
from .scene import StreetScene

#: What a generated folder was made from, and which files belong to it. It is written last: a folder without it is not whole.
MANIFEST = "synth.json"
#: Called with the number of pictures done and the number of all.
Progress = Callable[[int, int], None]

FRAMES_PER_SCENE = 6
# Frames of one scene lie about two seconds apart, 12 to 22 metres of street.
_SPACING_S = 2.1
# Scene seeds of a dataset with seed s start at s * _SEEDS; each split has its own range, so no street is in two splits.
_SEEDS = 1_000_000
_RANGES = {"train": 0, "val": 400_000, "test": 600_000, "video": 900_000}


def scene_seed(seed: int, split: str, number: int) -> int:
    """Seed of one scene of a split (``train``, ``val``, ``test`` or ``video``)."""
    return seed * _SEEDS + _RANGES[split] + number


def write_dataset(
    out: str | Path,
    *,
    train: int = 240,
    val: int = 60,
    test: int = 0,
    size_hw: tuple[int, int] = (360, 480),
    seed: int = 0,
    domains: Sequence[str] = ("day",),
    video_s: float = 0.0,
    fps: float = 25.0,
    image_suffix: str = ".png",
    force: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Writes ``images/<split>/NAME.png``, ``labels/<split>/NAME.png``, ``classes.json`` and ``synth.json``.

    Scenes take turns through ``domains``; six frames, about two seconds apart, come from each. The folder is built beside
    ``out`` and renamed when it is whole.

    Args:
        out: Folder to make.
        train, val, test: Pictures per split.
        size_hw: Height and width, pixels.
        seed: Same seed, same arguments: same files.
        domains: Names from :data:`DOMAINS`.
        video_s: With more than 0, ``video.mp4`` of that many seconds of a scene of its own, and ``video_labels/*.png``.
        fps: Frames per second of the video.
        image_suffix: ``".png"``, or ``".jpg"`` (quality 92).
        force: Write into a folder that is not empty. Files of an earlier generation are replaced; others stay.
        workers: Processes that render; the files are the same with any number. With more than one, a script needs the usual
            ``if __name__ == "__main__"``.
        progress: Called after each scene and each frame of the video.

    Raises:
        InputError: ``out`` is not empty (without ``force``), is a file, or can't be written; counts or sizes out of range.
        UnknownNameError: no such domain.
    """
    out = Path(out)
    counts = {"train": train, "val": val, "test": test}
    if min(counts.values()) < 0 or sum(counts.values()) == 0 or max(counts.values()) > 100_000:
        raise InputError(
            f"synth: pictures per split must be 0 to 100000 and not all 0, got train {train}, val {val}, test {test}"
        )
    if image_suffix not in (".png", ".jpg"):
        raise InputError(f"synth: image_suffix must be .png or .jpg, got {image_suffix!r}")
    if not domains:
        raise InputError("synth: expected at least one domain, got none")
    _check(size_hw, seed, fps)
    for name in domains:
        find_domain(name)
    _check_target(out, force)
    frames = round(video_s * fps)
    total, done = sum(counts.values()) + frames, 0

    def tick(pictures: int) -> None:
        nonlocal done
        done += pictures
        if progress is not None:
            progress(done, total)

    with _temporary_folder(out) as folder:
        jobs = list(_jobs(folder, counts, size_hw, seed, domains, image_suffix))
        for pictures in _each(_write_scene, jobs, workers):
            tick(pictures)
        if frames:
            write_video(folder / "video.mp4", seconds=video_s, size_hw=size_hw, seed=seed, domain=domains[0], fps=fps,
                        progress=lambda *_: tick(1))  # fmt: skip
        write_labels(folder, CAMVID)
        files = sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())
        manifest = {
            "seed": seed,
            "size_hw": list(size_hw),
            "domains": list(domains),
            **counts,
            "video_s": video_s,
            "fps": fps,
            "files": files,
        }
        write_json(folder / MANIFEST, manifest)
        _move_into_place(folder, out)
    return out


def write_video(
    path: str | Path, *, seconds: float, size_hw: tuple[int, int] = (360, 480), seed: int = 0, domain: str = "day",
    fps: float = 25.0, progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Writes an mp4 of one ride, and the mask of every frame as ``<stem>_labels/000000.png`` beside it.

    The ride's scene is in no split of :func:`write_dataset` with any seed. The film is lossy; the masks are exact.

    Raises:
        InputError: a length, size or rate out of range, or the masks' folder exists and is not empty.
        SinkError: OpenCV can't write mp4 on this machine.
    """
    path = Path(path)
    _check(size_hw, seed, fps)
    frames = round(seconds * fps)
    if frames < 1:
        raise InputError(f"synth video: expected at least one frame, got {seconds} s at {fps} frames/s")
    labels = path.with_name(f"{path.stem}_labels")
    _check_target(labels, force=False)
    scene = StreetScene(scene_seed(seed, "video", 0), size_hw, domain, fps)
    with _temporary_folder(labels) as folder, atomic_path(path) as temporary:
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(temporary), fourcc, fps, (size_hw[1], size_hw[0]))
        try:
            if not writer.isOpened():
                raise SinkError(f"{path}: OpenCV can't write mp4 (mp4v) here; install an opencv-python built with FFmpeg")
            for index in range(frames):
                frame, mask = scene.frame(index)
                writer.write(frame)
                _write(folder / f"{index:06d}.png", mask)
                if progress is not None:
                    progress(index + 1, frames)
        finally:
            writer.release()
        if temporary.stat().st_size == 0:
            raise SinkError(f"{path}: OpenCV wrote no video data; install an opencv-python built with FFmpeg")
        _move_into_place(folder, labels)
    return path


@dataclass(frozen=True)
class _Job:
    """One scene's pictures; a process of its own may write them."""

    folder: Path
    split: str
    number: int
    pictures: int
    size_hw: tuple[int, int]
    seed: int
    domain: str
    suffix: str


def _jobs(
    folder: Path, counts: dict[str, int], size_hw: tuple[int, int], seed: int, domains: Sequence[str], suffix: str
) -> Iterator[_Job]:
    for split, count in counts.items():
        for number in range(-(-count // FRAMES_PER_SCENE)):
            pictures = min(FRAMES_PER_SCENE, count - number * FRAMES_PER_SCENE)
            yield _Job(folder, split, number, pictures, size_hw, seed, domains[number % len(domains)], suffix)


def _write_scene(job: _Job) -> int:
    scene = StreetScene(scene_seed(job.seed, job.split, job.number), job.size_hw, job.domain, fps=1 / _SPACING_S)
    for index in range(job.pictures):
        frame, mask = scene.frame(index)
        name = f"synth_{job.domain}_{job.number:05d}_{index}"
        _write(job.folder / "images" / job.split / f"{name}{job.suffix}", frame)
        _write(job.folder / "labels" / job.split / f"{name}.png", mask)
    return job.pictures


def _each(function: Callable[[_Job], int], jobs: Sequence[_Job], workers: int) -> Iterator[int]:
    """``map(function, jobs)`` over processes; in this one where a second would only cost its start."""
    workers = min(len(jobs) // 4, workers)
    if workers < 2:
        yield from map(function, jobs)
        return
    # Not forked: OpenCV's threads, and torch's where it is loaded, do not survive that.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        try:
            # Ctrl-C goes to the whole group: the processes, started here, inherit that it is blocked; this one answers it.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                results = pool.map(function, jobs)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            yield from results
        except BrokenProcessPool as error:
            raise InputError("synth: a rendering process was killed (out of memory?); ask for fewer pixels") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _check(size_hw: tuple[int, int], seed: int, fps: float) -> None:
    if len(size_hw) != 2 or not 32 <= min(size_hw) <= max(size_hw) <= 4096:
        raise InputError(
            f"synth: size must be height x width, each 32 to 4096 pixels, got {'x'.join(str(v) for v in size_hw)}"
        )
    if not 0 <= seed < 2**31:
        raise InputError(f"synth: seed must be 0 to 2147483647, got {seed}")
    if not 1 <= fps <= 240:
        raise InputError(f"synth: fps must be 1 to 240, got {fps}")


def _check_target(out: Path, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; choose a folder for the generated data")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise InputError(f"{out}: the folder is not empty; choose another one, or pass --force to write into it")


def _write(path: Path, image: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    good, data = cv2.imencode(path.suffix, image, options)
    if not good:
        raise DataError(f"{path}: OpenCV can't encode {path.suffix} images")
    np.asarray(data).tofile(path)


@contextmanager
def _temporary_folder(out: Path) -> Iterator[Path]:
    """A new folder beside ``out``, removed with what is in it if it has not been moved away by the end."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.absolute().parent))
    except OSError as error:
        raise InputError(f"{out}: can't be written ({error.strerror}); choose another folder") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_into_place(folder: Path, out: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)  # mkdtemp makes folders private
    if not out.exists() or not any(out.iterdir()):
        if out.exists():
            out.rmdir()
        os.rename(folder, out)
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
