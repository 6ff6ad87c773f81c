"""Pictures of events: a snapshot at the start, and a clip around each event, from a bounded ring of JPEGs."""

from __future__ import annotations

import logging
import queue
import re
import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.artefact import atomic_path
from ...core.errors import InputError
from .watching import Event

if TYPE_CHECKING:
    from ..frame.result import Result

logger = logging.getLogger(__name__)

Frame = npt.NDArray[np.uint8]

#: Bytes of JPEGs before an event, for all sources together. At 1280x720 a JPEG has about 0.15 MB.
MOST_BYTES = 256 << 20
#: Longest part of an event that its clip shows, beside what is before and after.
MOST_EVENT_S = 120.0
#: Frames that wait to be encoded; further ones are missing in clips.
_WAITING = 64
_QUALITY = 90
_FPS = 30.0


@dataclass
class _Clip:
    event: Event
    path: Path
    until_s: float
    stack: ExitStack
    temporary: Path
    recorder: Any = None
    first_s: float = 0.0
    size_hw: tuple[int, int] = (0, 0)


class Pictures:
    """Writes snapshots and clips in a thread of its own, so that no frame waits for an encoder.

    Args:
        snapshots, clips: Folders; None writes none.
        before_s, after_s: What a clip shows before and after its event.
        delay_s: So long after its start an event may be announced.
        patient: :meth:`frame` waits for room instead of leaving frames out.

    Raises:
        InputError: a folder can't be written, or clips without PyAV.
    """

    def __init__(
        self,
        snapshots: Path | None,
        clips: Path | None,
        before_s: float,
        after_s: float,
        delay_s: float = 0.0,
        patient: bool = False,
    ) -> None:
        for name, folder in (("snapshots", snapshots), ("clips", clips)):
            _check_folder(name, folder)
        if clips is not None:
            try:
                from ..sinks.libav.recorder import Recorder  # noqa: F401
            except ImportError as error:
                raise InputError(f"`clips`: PyAV can't be imported ({error}); pip install av") from error
        self._snapshots, self._clips, self._patient = snapshots, clips, patient
        self._before_s, self._after_s, self._kept_s = before_s, after_s, before_s + delay_s
        self._rings: dict[int, deque[tuple[float, npt.NDArray[np.uint8]]]] = {}
        self._bytes = 0
        self._open: dict[str, _Clip] = {}
        self._queue: queue.Queue[tuple[str, Any] | None] = queue.Queue(_WAITING)
        self.dropped = 0
        self._thread: threading.Thread | None = None
        if snapshots is not None or clips is not None:
            self._thread = threading.Thread(target=self._work, name="event-pictures", daemon=True)
            self._thread.start()

    def frame(self, result: Result, time_s: float) -> None:
        """Takes a frame for clips."""
        if self._clips is None or self._thread is None:
            return
        if self._queue.full() and not self._patient:
            self.dropped += 1
            return
        self._queue.put(("frame", (result.origin, time_s, _picture(result).copy())))

    def start(self, event: Event, result: Result) -> None:
        """Begins the pictures of an event, and states their names in it."""
        if self._thread is None:
            return
        name = f"{event.time[:23].replace(':', '-')}_{_plain(event.rule)}_{event.event}"
        if self._snapshots is not None:
            path = self._snapshots / f"{name}.jpg"
            event.snapshot = str(path)
            self._queue.put(("snapshot", (path, _picture(result).copy())))
        if self._clips is not None:
            event.clip = str(self._clips / f"{name}.mp4")
            self._queue.put(("start", event))

    def end(self, event: Event) -> None:
        """An event has ended; its clip goes on for what comes after it."""
        if self._clips is not None and self._thread is not None:
            self._queue.put(("end", event))

    def close(self) -> None:
        """Finishes the clips. May be called twice."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    # --- the thread

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            try:
                getattr(self, f"_take_{entry[0]}")(entry[1])
            except Exception as error:  # pictures must not end the run
                logger.warning("no picture of an event: %s", error)
        for clip in list(self._open.values()):
            self._finish(clip)

    def _take_snapshot(self, entry: tuple[Path, Frame]) -> None:
        path, frame = entry
        with atomic_path(path) as temporary:
            temporary.write_bytes(_jpeg(frame).tobytes())

    def _take_frame(self, entry: tuple[int, float, Frame]) -> None:
        origin, time_s, frame = entry
        for clip in list(self._open.values()):
            if clip.event.source == origin:
                if time_s > clip.until_s:
                    self._finish(clip)
                else:
                    self._write(clip, time_s, frame)
        ring = self._rings.setdefault(origin, deque())
        jpeg = _jpeg(frame)
        ring.append((time_s, jpeg))
        self._bytes += jpeg.nbytes
        while ring and (ring[0][0] < time_s - self._kept_s or self._bytes > MOST_BYTES):
            self._bytes -= ring.popleft()[1].nbytes

    def _take_start(self, event: Event) -> None:
        path = Path(event.clip or "")
        stack = ExitStack()
        clip = _Clip(event, path, event.time_s + MOST_EVENT_S, stack, stack.enter_context(atomic_path(path)))
        self._open[event.event] = clip
        for time_s, jpeg in self._rings.get(event.source, ()):
            if time_s >= event.time_s - self._before_s:
                frame = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
                assert frame is not None
                self._write(clip, time_s, np.asarray(frame, np.uint8))

    def _take_end(self, event: Event) -> None:
        clip = self._open.get(event.event)
        if clip is not None:
            clip.until_s = min(clip.until_s, event.time_s) + self._after_s

    def _write(self, clip: _Clip, time_s: float, frame: Frame) -> None:
        from ..sinks.base import fitted
        from ..sinks.libav.recorder import CannotRecord, Recorder

        try:
            if clip.recorder is None:
                clip.first_s, clip.size_hw = time_s, (frame.shape[0], frame.shape[1])
                clip.recorder = Recorder(clip.temporary, clip.size_hw, _FPS, 0.5)
            clip.recorder.write(fitted(frame, clip.size_hw, str(clip.path), True), time_s - clip.first_s)
        except CannotRecord as error:
            self._finish(clip)
            raise RuntimeError(f"{clip.path}: {error}") from error

    def _finish(self, clip: _Clip) -> None:
        from ..sinks.libav.recorder import CannotRecord

        self._open.pop(clip.event.event, None)
        try:
            if clip.recorder is None:
                raise RuntimeError(f"{clip.path}: no frame came")
            with clip.stack:
                clip.recorder.close()
        except (CannotRecord, InputError, RuntimeError, OSError) as error:
            clip.temporary.unlink(missing_ok=True)
            logger.warning("no clip of an event: %s", error)


def _check_folder(name: str, folder: Path | None) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".seg-edge-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"`{name}`: {folder} can't be written ({error.strerror}); choose another folder") from error


def _picture(result: Result) -> Frame:
    """The overlay if there is one, else the frame."""
    return result.frame_bgr if result.overlay_bgr is None else result.overlay_bgr


def _jpeg(frame: Frame) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1], np.uint8)


def _plain(name: str) -> str:
    """A name's letters and digits, for a file's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "event"
