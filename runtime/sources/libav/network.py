"""Network streams: options of FFmpeg's protocols, playlists (HLS, DASH), and the pace of what comes in bursts."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithDefaultRealm, Request, build_opener

#: Demuxers whose servers publish a segment at once: frames are delivered by their time stamps.
SEGMENTED = ("hls", "dash")
#: OpenCV's variable for options of FFmpeg, which users know: ``key;value|key;value``.
VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
#: Assumed length of a segment if the playlist can't be read, seconds.
_SEGMENT_S = 10.0
#: A frame that is later by more seconds moves the clock: the segment came late.
_LATE_S = 0.1
#: While the delay is above a segment, time runs so much faster.
_HURRY = 1.05
_PLAYLIST_BYTES = 1 << 20


def options_for(address: str) -> dict[str, str]:
    """Options of FFmpeg for opening an address."""
    options: dict[str, str] = {}
    scheme = address.partition("://")[0].lower()
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"
    if scheme in ("http", "https"):
        options["live_start_index"] = "-1"  # the newest segment of a live playlist, not the third but last
    for pair in filter(None, os.environ.get(VARIABLE, "").split("|")):
        name, _, value = pair.partition(";")
        options[name] = value
    return options


def segment_s(address: str) -> float:
    """The target duration of an HLS playlist, seconds."""
    try:
        text = _load(address)
        variant = re.search(r"^#EXT-X-STREAM-INF.*\n+\s*([^#\s].*)$", text, re.MULTILINE)
        if variant:
            text = _load(urljoin(address, variant[1].strip()))
    except (OSError, ValueError, URLError):
        return _SEGMENT_S
    found = re.search(r"^#EXT-X-TARGETDURATION:(\d+(?:\.\d+)?)", text, re.MULTILINE)
    return float(found[1]) if found else _SEGMENT_S


def _load(address: str) -> str:
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    plain = urlunsplit(parts._replace(netloc=host))
    handlers = []
    if user:
        name, _, password = user.partition(":")
        known = HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, plain, unquote(name), unquote(password))
        handlers.append(HTTPBasicAuthHandler(known))
    with build_opener(*handlers).open(Request(plain, headers={"User-Agent": "seg-edge"}), timeout=2) as answer:
        return str(answer.read(_PLAYLIST_BYTES).decode(errors="replace"))


class Pace:
    """Delivers frames by their time stamps.

    Args:
        segment: Length of a segment in seconds: the delay behind the first frame that is accepted.
        wait: Waits so many seconds, or less where the process is asked to leave.
        clock: Seconds; for tests.
    """

    def __init__(
        self, segment: float, wait: Callable[[float], object], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._segment_s, self._sleep, self._clock = segment, wait, clock
        self._zero_s: float | None = None  # time on the clock at which the stream's second 0 is due
        self._delay_s = 0.0
        self._last_s = 0.0
        self._hurry = False

    def wait(self, time_s: float) -> None:
        """Waits until a frame is due."""
        now = self._clock()
        if self._zero_s is None:
            self._zero_s, self._last_s = now - time_s, time_s
        if self._hurry:
            gained_s = min(max(time_s - self._last_s, 0.0) * (1 - 1 / _HURRY), self._delay_s)
            self._zero_s -= gained_s
            self._delay_s -= gained_s
            self._hurry = self._delay_s > self._segment_s / 2
        self._last_s = time_s
        late_s = now - (self._zero_s + time_s)
        if late_s > _LATE_S:
            self._zero_s += late_s
            self._delay_s += late_s
            self._hurry = self._delay_s > self._segment_s
        elif late_s < -2 * self._segment_s - 1:
            self._zero_s += late_s  # the time stamps have leapt ahead
        elif late_s < 0:
            self._sleep(-late_s)
