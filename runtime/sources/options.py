"""Options for cameras and streams."""

from __future__ import annotations

import re
from importlib.util import find_spec

from ...core.errors import InputError
from ...core.options import Options, configuration, option

_SIZE = re.compile(r"(\d{1,5})[xX×](\d{1,5})")


def parse_size_wh(text: str) -> tuple[int, int]:
    """``"1280x720"`` → (1280, 720): width x height, the usual order for cameras.

    Raises:
        InputError: the text has another form.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"expected WIDTHxHEIGHT in pixels such as 1280x720, got {text!r}")
    return int(match[1]), int(match[2])


@configuration
class CameraOptions(Options):
    """The requested format of a local camera. The camera uses the nearest values that it supports.

    >>> CameraOptions(size_wh=(1280, 720), pixel_format="MJPG").fps is None
    True

    Raises:
        InputError: a value is out of range.
    """

    size_wh: tuple[int, int] | None = option(
        None, help="Of a camera, WIDTHxHEIGHT, such as 1280x720.", flag="--camera-size", parse=parse_size_wh
    )
    fps: float | None = option(None, help="Frames per second of a camera.", flag="--camera-fps")
    pixel_format: str | None = option(
        None, help="Pixel format of a camera: MJPG, YUYV, NV12, …", flag="--camera-format", parse=str.upper
    )

    def check(self) -> None:
        if self.size_wh is not None and min(self.size_wh) < 1:
            raise InputError(f"`size_wh`: expected WIDTHxHEIGHT in pixels such as 1280x720, got {self.size_wh}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"`fps`: expected frames per second above 0, got {self.fps}")
        if self.pixel_format is not None and not re.fullmatch(r"[A-Z0-9]{3}[A-Z0-9 ]", self.pixel_format):
            raise InputError(
                f"`pixel_format`: expected four letters such as MJPG, YUYV or NV12, got {self.pixel_format!r}; "
                "a camera's are listed by: " + _LISTED_BY
            )

    @classmethod
    def parse(cls, size: str | None = None, fps: float | None = None, pixel_format: str | None = None) -> CameraOptions:
        """Makes options from texts: ``"1280x720"`` (width x height), 30.0, ``"mjpg"``.

        Raises:
            InputError: see the class.
        """
        try:
            size_wh = None if size is None else parse_size_wh(size)
        except InputError as error:
            raise InputError(f"`size_wh`: {error}") from error
        return cls(size_wh=size_wh, fps=fps, pixel_format=pixel_format.upper() if pixel_format else None)


#: Command that prints the sizes, rates and pixel formats of a camera.
_LISTED_BY = "v4l2-ctl --list-formats-ext"


@configuration
class LiveOptions(Options):
    """Time limits for live sources, in seconds.

    >>> LiveOptions(start_s=60).stall_s
    3.0

    Raises:
        InputError: a value is not positive.
    """

    stall_s: float = option(3.0, help="Without a frame for so long, the connection is given up and made anew.")
    start_s: float = option(
        10.0,
        help="Seconds that a camera or stream gets to answer at the start; inf waits for ever.",
        flag="--start-timeout",
        infinite=True,
    )
    attempt_s: float = option(8.0, help="One attempt gets so long from its beginning to its first frame.")
    longest_pause_s: float = option(
        1.5, help="Attempts follow each other after 0.25 s, then twice as long each time up to this, ± a quarter."
    )

    def check(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"`{name}`: expected seconds above 0, got {value}")


def parse_rate(text: str) -> float | str:
    """``"25"`` → 25.0; ``"native"`` as it is.

    Raises:
        InputError: the text has another form.
    """
    try:
        return float(text)
    except ValueError:
        if text == NATIVE:
            return NATIVE
        raise InputError(f"expected frames per second, or {NATIVE} for a video's own times, got {text!r}") from None


#: The rate at which a video was recorded: :class:`PlaybackOptions`.
NATIVE = "native"


@configuration
class PlaybackOptions(Options):
    """How files are played: as fast as their frames are computed, or at a rate; once, or again and again.

    >>> PlaybackOptions(loop=True, play_fps=25).play_fps
    25

    Raises:
        InputError: the rate is not above 0.
    """

    loop: bool = option(False, help="Play files again when they have ended, until Ctrl-C, --max-frames or --duration.")
    play_fps: float | str | None = option(
        None,
        help=f"Play files at this rate: frames per second, or {NATIVE} for a video's own times. No frame is left out. "
        "Default: as fast as they are computed.",
        flag="--source-fps",
        parse=parse_rate,
    )

    def check(self) -> None:
        if isinstance(self.play_fps, str):
            object.__setattr__(self, "play_fps", self._parsed(self.play_fps))
        if isinstance(self.play_fps, (int, float)) and not 0 < self.play_fps <= 1000:
            raise InputError(f"`play_fps`: expected above 0 to 1000 frames per second, got {self.play_fps:g}")

    def _parsed(self, text: str) -> float | str:
        try:
            return parse_rate(text)
        except InputError as error:
            raise InputError(f"`play_fps`: {error}") from error


#: Readers of videos: :class:`VideoOptions`.
READERS = ("auto", "pyav", "opencv")
#: Decoders of videos: :class:`VideoOptions`.
DECODERS = ("software", "cuda", "vaapi", "v4l2m2m")


@configuration
class VideoOptions(Options):
    """How videos and network streams are decoded.

    >>> VideoOptions(weave=True).decoder
    'software'

    Raises:
        UnknownNameError: an unknown decoder or reader.
    """

    decoder: str = option(
        "software",
        help="Decoder of videos and network streams; without the hardware, software decodes, and a line says so.",
        choices=lambda: DECODERS,
    )
    weave: bool = option(False, help="Leave interlaced video as it is: both fields in one frame, not deinterlaced.")
    reader: str = option(
        "auto", help="Reader of videos and network streams; auto takes PyAV where it is installed.", choices=lambda: READERS
    )

    @property
    def with_pyav(self) -> bool:
        """Whether PyAV reads.

        Raises:
            InputError: PyAV was asked for, and is not installed.
        """
        if self.reader == "opencv":
            return False
        found = find_spec("av") is not None
        if not found and self.reader == "pyav":
            raise InputError("`reader`: PyAV is not installed; pip install av, or leave `reader` out")
        if not found and (self.weave or self.decoder != "software"):
            raise InputError("`decoder` and `weave` need PyAV, which is not installed; pip install av")
        return found
