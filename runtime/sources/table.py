"""Names of sources. Imports the standard library and the errors only."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from ...core.errors import SourceError

#: Scheme of an address → (module of this package, function that opens it). The function takes the whole text, the part
#: after ``://``, and the options.
SCHEMES = {
    "csi": (".devices", "open_csi"),
    "file": (".files", "open_file_address"),
    "gst": (".devices", "open_gst"),
    "http": (".streams", "open_stream"),
    "https": (".streams", "open_stream"),
    "rtmp": (".streams", "open_stream"),
    "rtsp": (".streams", "open_stream"),
    "rtsps": (".streams", "open_stream"),
    "udp": (".streams", "open_stream"),
}
#: Forms of a source, for help texts.
FORMS = (
    "Camera (0, /dev/videoN), video, image, folder, rtsp://…, http(s)://…, csi://N (Jetson), gst://PIPELINE, "
    "camera:30 (drawn streets, 30 frames per second)"
)
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)

_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,3})")
_SIMULATED = re.compile(r"camera:(.*)", re.DOTALL)
# Passwords may contain anything but white space and quotation marks: up to the last @, in spite of "/" and "#".
_PASSWORD = re.compile(r"(://[^/\s:@\"']*):[^\s\"']*@")
# Passwords in a query, a path (user=admin_password=…) or a GStreamer element (user-pw=…).
_SECRET = re.compile(
    r"((?<![a-z])(?:pass(?:word|wd)?|pwd|user-pw|pw|token|secret|(?:api_?)?key|auth|sig(?:nature)?)=)"
    r"(?:\"[^\"]*\"|'[^']*'|[^&\s/?#\"';]+)",
    re.IGNORECASE,
)


def camera_number(text: str) -> int | None:
    """Number of a camera (``"0"``, ``"/dev/video0"``, or a link to it as in ``/dev/v4l/by-id``); None for others."""
    if Path(text).is_file():
        return None  # a file with the name "0"
    resolved = str(Path(text).resolve()) if text.startswith("/dev/") else text
    match = _CAMERA.fullmatch(resolved)
    return int(match[1]) if match else None


def simulated_fps(source: str | Path | int) -> float | None:
    """Frames per second of a simulated camera; None for other sources.

    >>> simulated_fps("camera:30"), simulated_fps("street.mp4")
    (30.0, None)

    Raises:
        SourceError: the rate is no number above 0.
    """
    match = _SIMULATED.fullmatch(str(source))
    if match is None or Path(str(source)).exists():
        return None
    try:
        fps = float(match[1])
    except ValueError:
        fps = 0.0
    if not 0 < fps <= 1000:
        raise SourceError(
            f"source {source}: expected camera:FPS, a simulated camera of up to 1000 frames per second, such as camera:30"
        )
    return fps


def names_files(source: str | Path | int) -> bool:
    """Whether a source is a file or a folder of files; cameras and streams deliver in real time.

    The source is not opened, and need not exist.

    >>> names_files("street.mp4"), names_files("rtsp://camera/1"), names_files(0)
    (True, False, False)
    """
    return source_path(source) is not None


def names_camera(source: str | Path | int) -> bool:
    """Whether the source is a local camera, to which :class:`CameraOptions` apply."""
    text = str(source)
    return camera_number(text) is not None or text.lower().startswith("csi://") or simulated_fps(text) is not None


def source_path(source: str | Path | int) -> Path | None:
    """The file or folder of a source, which need not exist; None for a camera or a stream.

    >>> source_path("file:///data/street%20one.mp4")
    PosixPath('/data/street one.mp4')
    """
    text = str(source)
    address = SCHEME.fullmatch(text)
    if address:
        return Path(unquote(address[2])) if address[1].lower() == "file" else None
    return Path(text) if camera_number(text) is None and simulated_fps(text) is None else None


def redact(text: str) -> str:
    """Replaces passwords in an address, or in a text with addresses, for logs, errors and statistics.

    >>> redact("rtsp://me:secret@camera/1")
    'rtsp://me:***@camera/1'
    >>> redact("http://camera/video?user=me&password=secret&channel=1")
    'http://camera/video?user=me&password=***&channel=1'
    """
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def check_address(text: str) -> None:
    """Checks that user and password of an address are written so that its host can be told.

    >>> check_address("rtsp://me:pa%23ss@camera/1")

    Raises:
        SourceError: a character of the password ends the part that names the host.
    """
    _, _, rest = text.partition("://")
    end = re.search(r"[/?#]", rest)
    authority, after = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    host, colon, port = authority.rpartition(":")
    if "@" in authority or "@" not in after or not colon or port.isdigit() or host.endswith("]"):
        return
    letter = after[0]
    raise SourceError(
        f"source {redact(text)}: the password contains {letter!r}, which ends the name of the host; write {letter} as "
        f"%{ord(letter):02X}"
    )
