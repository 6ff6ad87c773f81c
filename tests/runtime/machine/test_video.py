"""What OpenCV was built with, cameras and displays."""

from __future__ import annotations

import sys

import cv2
import pytest

from seg_edge.runtime.machine.video import (
    cameras,
    display,
    opencv,
    opencv_note,
    parse_build_information,
    tool_version,
    video,
)

QT = """
  GUI:                           QT5
    QT:                          YES (ver 5.15.19 )
    GTK+:                        NO

  Video I/O:
    FFMPEG:                      YES
      avcodec:                   YES (62.28.101)
    GStreamer:                   NO
"""
JETSON = """
  GUI:                           GTK3
    GTK+:                        YES (ver 3.24.33)
  Video I/O:
    FFMPEG:                      NO
    GStreamer:                   YES (1.20.3)
"""
HEADLESS = "  GUI:                           NONE\n    GTK+:   NO\n    FFMPEG:   YES\n    GStreamer: NO\n"
OLD = "  GUI:\n    GTK+:                        YES (ver 2.24.32)\n  Video I/O:\n    FFMPEG: YES\n"


@pytest.mark.parametrize(
    ("text", "gui", "gstreamer", "ffmpeg"),
    [
        (QT, "QT5", False, True),
        (JETSON, "GTK3", True, False),
        (HEADLESS, None, False, True),
        (OLD, "GTK+", False, True),
        ("", None, False, False),
    ],
)
def test_build_information(text, gui, gstreamer, ffmpeg):
    assert parse_build_information(text) == {"gui": gui, "gstreamer": gstreamer, "ffmpeg": ffmpeg}


def test_this_opencv():
    found = opencv()
    assert found["opencv"] == cv2.__version__
    assert found["opencv_reason"] == ""
    assert found["backends"]
    assert len(set(found["backends"])) == len(found["backends"])


def test_opencv_that_does_not_load(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cv2", None)
    found = opencv()
    assert found["opencv"] is None
    assert "opencv-python-headless" in found["opencv_reason"]
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic")
    on_a_board = opencv(tmp_path)["opencv_reason"]
    assert "apt-get install python3-opencv" in on_a_board  # pip's would hide JetPack's
    assert "pip install" not in on_a_board
    assert found.keys() == {"opencv", "opencv_reason", "opencv_note", "backends", "gui", "opencv_gstreamer", "opencv_ffmpeg"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="display servers of Linux")
@pytest.mark.parametrize(
    ("environment", "answer"), [({}, None), ({"DISPLAY": ":0"}, ":0"), ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}, "w")]
)
def test_display(monkeypatch, environment, answer):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert display() == answer


def test_cameras_in_order_with_names(tmp_path):
    for number in (10, 2):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / f"dev/video{number}").touch()
    name = tmp_path / "sys/class/video4linux/video2/name"
    name.parent.mkdir(parents=True)
    name.write_text("HD Webcam\n")
    assert cameras(tmp_path) == [
        {"path": "/dev/video2", "name": "HD Webcam", "readable": True},
        {"path": "/dev/video10", "name": None, "readable": True},
    ]


def test_tools(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool_version("ffmpeg", "-version") is None
    for name, text in (("ffmpeg", "ffmpeg version 5.1.6-0+deb12u1 Copyright"), ("odd", "hello")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (tmp_path / name).chmod(0o755)
    assert tool_version("ffmpeg", "-version") == "5.1.6-0+deb12u1"
    assert tool_version("odd", "-version") == "unknown"


def test_video_on_an_empty_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = video(tmp_path)
    assert (found["cameras"], found["gst_launch"], found["ffmpeg"]) == ([], None, None)


def test_several_packages_of_opencv():
    """Row 16 of the table of data: both install the folder cv2."""
    assert opencv_note({"opencv-python-headless", "numpy"}) == ""
    said = opencv_note({"opencv-python-headless", "opencv-python"})
    assert said.endswith("pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python")


def test_pips_opencv_on_a_jetson():
    said = opencv_note({"opencv-python", "numpy"}, board=True)
    assert said.startswith("opencv-python hides JetPack's OpenCV")
    assert "pip uninstall -y opencv-python" in said
    assert opencv_note({"numpy"}, board=True) == ""
