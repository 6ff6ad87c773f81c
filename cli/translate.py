"""Translates errors of the library for the command line: fields in backticks become options."""

from __future__ import annotations

import re

#: Fields of other verbs whose option has another name; ``derive.FLAGS`` has the derived options of the running verb.
_RENAMED = {
    "input_hw": "--imgsz",
    "size_hw": "--imgsz",
    "crop_hw": "--crop",
    "recalibrate": "--force-recalibrate",
    "value_range": "--range",
}
#: Fields on how a dataset is read: only ``data check`` has options for them, and keeps them for all other verbs.
_READING = ("layout", "value_range", "void", "snap", "exif")
_FIELD = re.compile(r"`([a-z][a-z0-9_]*)(?:=('[^'`]*'|\"[^\"`]*\"|[^`]*))?`")


def translated(text: str, arguments: dict[str, str] | None = None) -> str:
    """Translates an error: fields become options, texts lose their quotes, and True becomes a switch.

    Args:
        text: The error, with fields in backticks.
        arguments: Field → metavar of the running verb's positional arguments.

    >>> translated("`max_drop`: expected 0 to 1, got 3")
    '--max-drop: expected 0 to 1, got 3'
    >>> translated("export it again with `head='logits'`, or pass `int8=True`")
    'export it again with --head logits, or pass --int8'
    >>> translated("`model`: no such file", {"model": "MODEL"})
    'MODEL: no such file'
    """
    from .derive import FLAGS

    def option(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name in _READING and name not in FLAGS and value is not None:
            return f"seg-edge data check DATA {flagged(name, value)} --save"
        return flagged(name, value)

    def flagged(name: str, value: str | None) -> str:
        if arguments and name in arguments:
            return arguments[name]
        flag = FLAGS.get(name) or _RENAMED.get(name) or "--" + name.replace("_", "-")
        if value is None or value == "True":
            return flag
        if value == "False":
            return f"--no-{flag[2:]}"
        return f"{flag} {value.strip(chr(39) + chr(34))}"

    return _FIELD.sub(option, text)
