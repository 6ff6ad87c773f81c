"""Names of sinks. Imports the standard library only."""

from __future__ import annotations

#: Suffixes of recordings.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov")
#: Scheme of an address → (module of this package, function or class that opens it, given the text and the frame rate).
SCHEMES = {
    "mjpeg": (".mjpeg", "open_mjpeg"),
    "rtmp": (".push", "PushSink"),
    "rtmps": (".push", "PushSink"),
    "rtsp": (".push", "PushSink"),
    "rtsps": (".push", "PushSink"),
}
#: Names that are not an address, file or folder.
NAMES = ("window", "none", "pipe:")
#: Placeholder for the number of a source in a sink's name.
PLACEHOLDER = "{source}"
#: Forms of a sink, for help texts.
FORMS = "window, FILE.mp4, FOLDER/, mjpeg://HOST:PORT, rtsp://…, rtmp://…, pipe: (raw masks), none"
#: Forms of a sink, for errors.
EXPECTED = (
    f"window, none, pipe:, a file name ending in {', '.join(VIDEO_SUFFIXES)}, a folder ending in /, or "
    f"{', '.join(name + '://' for name in SCHEMES)}"
)
