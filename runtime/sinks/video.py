"""Sinks for recordings: MP4 files."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import cv2

from ...core.artefact import atomic_path
from ...core.errors import InputError, SinkError
from ..sources.base import quiet_opencv
from .base import DEFAULT_FPS, Frame, Sink, fitted
from .ffmpeg import Encoder, codec_options, encoder
from .table import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from ..frame.result import Result
    from .libav.recorder import Recorder

#: Seconds of video per fragment of the file: the most that a kill or a power failure may lose.
_FRAGMENT_S = 0.5
#: Seconds without accepting a frame after which the encoder counts as hung.
_PATIENCE_S = 10.0
#: Seconds that the encoder gets to finish the file; a run must end within two seconds of Ctrl-C.
_FINISH_S = 1.2


def open_video(path: str | Path, fps: float | None = None, live: bool = False, sound: str | None = None) -> Sink:
    """Opens a recording: with PyAV, else with the ffmpeg program, else with OpenCV.

    Args:
        path, fps, live: See :class:`AvRecordingSink`.
        sound: A video whose sound is copied; needs PyAV.

    Raises:
        SinkError: see the class; ``sound`` without PyAV.
    """
    if find_spec("av") is not None:
        return AvRecordingSink(path, fps, live, sound)
    if sound is not None:
        raise SinkError(f"sink {path}: `copy_audio` needs PyAV, which is not installed; pip install av")
    return RecordingSink(path, fps, live) if encoder() else OpenCvVideoSink(path, fps, live)


class AvRecordingSink(Sink):
    """An MP4 file in fragments of half a second, in which every frame has the time of its source.

    The file has its final name from the first frame on, when it replaces an existing file. The data on disk is playable
    at any time: a killed process or a power failure costs at most the last second.

    Args:
        path: The file.
        fps: Frame rate that the source states; for frames without a time.
        live: Frames without a time get their arrival times; frames of another size than the first are scaled.
        sound: A video whose sound is copied.

    Raises:
        SinkError: the folder can't be written.
    """

    def __init__(self, path: str | Path, fps: float | None = None, live: bool = False, sound: str | None = None) -> None:
        super().__init__(str(path))
        self.about = f"H.264 in pieces of {_FRAGMENT_S:g} s by PyAV: playable even after a kill"
        self._path, self._fps, self._live, self._sound = Path(path), fps or DEFAULT_FPS, live, sound
        self._recorder: Recorder | None = None
        self._size_hw = (0, 0)
        self._count = 0
        self._time_s: float | None = None
        self._zero_s: float | None = None
        _check_target(path)
        from .libav.recorder import CannotRecord, Sound  # now, not with the first frame, which would wait

        if sound is not None:
            try:
                Sound(sound).close()
            except CannotRecord as error:
                raise SinkError(f"sink {path}: {error}") from error

    def take(self, result: Result) -> None:
        self._time_s = result.time_s
        if self._time_s is None and self._live:
            self._time_s = result.captured_s
        try:
            super().take(result)
        finally:
            self._time_s = None

    def write(self, frame_bgr: Frame) -> None:
        from .libav.recorder import CannotRecord, Recorder

        time_s = self._time_s
        if time_s is None:
            time_s = perf_counter() if self._live else self._count / self._fps
        if self._zero_s is None:
            # Beside its sound, a video that begins late begins late.
            self._zero_s = time_s if self._sound is None else 0.0
        self._count += 1
        try:
            if self._recorder is None:
                self._size_hw = (frame_bgr.shape[0], frame_bgr.shape[1])
                self._recorder = Recorder(self._path, self._size_hw, self._fps, _FRAGMENT_S, self._sound)
            self._recorder.write(fitted(frame_bgr, self._size_hw, self.text, self._live), time_s - self._zero_s)
        except CannotRecord as error:
            remedy = "" if "`copy_audio`" in str(error) else "; free some space, or choose another `sink`"
            raise SinkError(f"sink {self.text}: the recording stopped: {error}{remedy}") from error

    def close(self) -> None:
        if self._recorder is None:
            return
        from .libav.recorder import CannotRecord

        recorder, self._recorder = self._recorder, None
        try:
            recorder.close()
        except CannotRecord as error:
            raise SinkError(
                f"sink {self.text}: the end of the video could not be written: {error}; free some space"
            ) from error


class RecordingSink(Sink):
    """An MP4 file in fragments of half a second, written by ffmpeg. The data on disk is playable at any time.

    The file has its final name from the first frame on, when it replaces an existing file. Thus a killed process or a
    power failure leaves a video, not a hidden temporary file. If this process is killed, ffmpeg finishes the file.

    Args:
        path: The file.
        fps: Frame rate of the file.
        live: Frames get their arrival times, so that dropped frames don't speed up the video; frames of another size
            than the first are scaled.

    Raises:
        SinkError: the folder can't be written.
    """

    def __init__(self, path: str | Path, fps: float | None = None, live: bool = False) -> None:
        super().__init__(str(path))
        codec = encoder()
        if codec is None:
            raise SinkError(f"sink {path}: ffmpeg is not installed; apt-get install ffmpeg")
        self._codec, version = codec
        self.about = f"{self._codec} in pieces of {_FRAGMENT_S:g} s by ffmpeg {version}: playable even after a kill"
        self._path, self._fps, self._live = Path(path), fps or DEFAULT_FPS, live
        self._encoder: Encoder | None = None
        self._size_hw = (0, 0)
        self._failed = False
        _check_target(path)

    def write(self, frame_bgr: Frame) -> None:
        if self._encoder is None:
            self._size_hw = (frame_bgr.shape[0], frame_bgr.shape[1])
            flags = "frag_keyframe+empty_moov+default_base_moof"
            output = codec_options(self._codec, self._fps, gop_s=1)
            output += ["-movflags", flags, "-frag_duration", str(round(1e6 * _FRAGMENT_S)), "-flush_packets", "1"]
            # "file:", because a name may look like a protocol or an option.
            self._encoder = Encoder(self._size_hw, self._fps, self._live, [*output, "-f", "mp4", f"file:{self._path}"])
        frame_bgr = fitted(frame_bgr, self._size_hw, self.text, self._live)
        try:
            if self._encoder.write(frame_bgr, _PATIENCE_S):
                return
            reason = f"ffmpeg took no frame for {_PATIENCE_S:g} s"
        except BrokenPipeError:
            reason = self._encoder.why()
        self._failed = True
        raise SinkError(f"sink {self.text}: the recording stopped: {reason}; free some space, or choose another `sink`")

    def close(self) -> None:
        if self._encoder is None:
            return
        encoder, self._encoder = self._encoder, None
        # A truncated file is playable, but the missing end is reported, unless an error was raised already.
        if not encoder.close(_FINISH_S) and not self._failed:
            raise SinkError(f"sink {self.text}: the end of the video could not be written: {encoder.why()}; free some space")


class OpenCvVideoSink(Sink):
    """An MP4 file (MPEG-4 part 2, which every OpenCV can write), for machines without ffmpeg.

    The file is written under a temporary name in the same folder, and renamed by :meth:`close`, also after an error or
    Ctrl-C. Thus a file with the final name is complete and playable. Without a frame, no file is created.

    Args:
        path: The file; an existing file is replaced at the end.
        fps: Frame rate of the file.
        live: Scale frames of another size to the size of the first frame.

    Raises:
        SinkError: the folder can't be written.
    """

    def __init__(self, path: str | Path, fps: float | None = None, live: bool = False) -> None:
        super().__init__(str(path))
        self.about = "MPEG-4 by OpenCV, playable only after a clean end; with ffmpeg installed it survives a kill"
        self._live = live
        self._fps = fps or DEFAULT_FPS
        self._closed = False
        self._writer: cv2.VideoWriter | None = None
        self._size_hw = (0, 0)
        self._target = ExitStack()
        refuse_folder(path)
        try:
            self._path = self._target.enter_context(atomic_path(path))
        except InputError as error:
            raise SinkError(f"sink {error}") from error

    def write(self, frame_bgr: Frame) -> None:
        if self._writer is None:
            self._size_hw = (frame_bgr.shape[0], frame_bgr.shape[1])
            self._writer = self._create()
        # OpenCV's writer silently drops frames of another size.
        frame_bgr = fitted(frame_bgr, self._size_hw, self.text, self._live)
        self._writer.write(frame_bgr)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.release()
            # The writer reports no errors, not even a full disk. A file without an index can't be opened.
            if not _playable(self._path):
                self._discard()
                raise SinkError(f"sink {self.text}: the video could not be finished (a full disk?); free some space")
            self._target.close()
        else:
            self._discard()

    def _discard(self) -> None:
        # Exiting with an error makes atomic_path discard the file.
        self._target.__exit__(SinkError, SinkError("discarded"), None)

    def _create(self) -> cv2.VideoWriter:
        height, width = self._size_hw
        writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*"mp4v"), self._fps, (width, height))
        if not writer.isOpened():
            writer.release()
            raise SinkError(
                f"sink {self.text}: this OpenCV can't write MP4 video of {width}x{height}; install opencv-python from PyPI"
            )
        return writer


def _check_target(path: str | Path) -> None:
    """Creates the folder and checks the permissions now, not with the first frame.

    Raises:
        SinkError: the file can't be written.
    """
    refuse_folder(path)
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = not target.exists()
        target.open("ab").close()
        if new:
            target.unlink()
    except OSError as error:
        raise SinkError(f"sink {path}: can't be written ({error.strerror}); choose another folder") from error


def _playable(path: Path) -> bool:
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path))
        opened = capture.isOpened()
    capture.release()
    return opened


def refuse_folder(path: str | Path) -> None:
    """Raises SinkError if ``path`` is a folder."""
    if Path(path).is_dir():
        raise SinkError(f"sink {path}: this is a folder; expected a file name ending in {', '.join(VIDEO_SUFFIXES)}")
