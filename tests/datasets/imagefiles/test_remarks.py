from __future__ import annotations

import os
import sys

import pytest

from seg_edge.datasets.imagefiles.remarks import decoder_warnings


def test_decoders_are_caught_and_python_is_not(capfd, monkeypatch):
    """A progress bar that draws itself meanwhile is no damage, and stays on the screen."""
    with open(os.dup(2), "w", encoding="utf-8") as screen, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", _Stderr(screen))
        with decoder_warnings() as warned:
            os.write(2, b"Corrupt JPEG data\n")
            print("50 %", file=sys.stderr, flush=True)
    assert warned == ["Corrupt JPEG data"]
    assert "50 %" in capfd.readouterr().err


class _Stderr:
    """A stream that says it is the process's stderr, as Python's own is."""

    def __init__(self, stream):
        self._stream = stream

    def fileno(self):
        return 2

    def __getattr__(self, name):
        return getattr(self._stream, name)


def test_the_streams_are_back_after_an_error(capfd):
    before = sys.stderr
    with pytest.raises(ValueError, match="x"), decoder_warnings():
        raise ValueError("x")
    assert sys.stderr is before
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"
