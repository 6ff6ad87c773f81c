"""Which GStreamer elements are there, asked of a stand-in for ``gst-inspect-1.0``."""

from __future__ import annotations

import json
import re

import pytest

from seg_edge.cli.main import main
from seg_edge.runtime.doctor import no_gstreamer
from seg_edge.runtime.machine import gstreamer
from seg_edge.runtime.machine.video import video
from seg_edge.runtime.sources.gst import TAIL


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function (elements): GStreamer's tools are there, and these elements only."""

    def make(*elements: str) -> None:
        scripts = {
            "gst-launch-1.0": "echo gst-launch-1.0 version 1.22.0",
            "gst-inspect-1.0": f'case "$2" in {"|".join(elements) or "none"}) exit 0;; *) exit 1;; esac',
        }
        for name, text in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


def test_what_every_pipeline_needs_is_listed():
    """The elements of the pipeline's tail; caps between them are no elements."""
    parts = [part.split()[0] for part in TAIL.split("!") if part.strip()]
    assert {part for part in parts if re.fullmatch(r"[a-z0-9]+", part)} == set(gstreamer.ELEMENTS)


def test_all_there(install, tmp_path):
    install(*gstreamer.ELEMENTS)
    found = video(tmp_path)
    assert (found["gst_launch"], found["gst_missing"], no_gstreamer(found)) == ("1.22.0", [], None)


def test_tools_without_plugins(install, tmp_path, capsys):
    """What Debian has after ``apt-get install gstreamer1.0-tools``."""
    install("fdsink")
    found = video(tmp_path)
    assert found["gst_missing"] == [
        {"element": "videoconvert", "package": "gstreamer1.0-plugins-base"},
        {"element": "rtpgstpay", "package": "gstreamer1.0-plugins-good"},
        {"element": "rtpstreampay", "package": "gstreamer1.0-plugins-good"},
    ]
    assert no_gstreamer(found) == (
        "GStreamer elements are missing: videoconvert, rtpgstpay, rtpstreampay "
        "(Debian: apt-get install gstreamer1.0-plugins-base gstreamer1.0-plugins-good)"
    )
    assert main(["doctor"]) == 0
    assert "no element rtpgstpay; gstreamer1.0-plugins-good brings it" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["video"]["gst_missing"] == found["gst_missing"]
    assert not next(row for row in report["abilities"] if row["name"] == "csi:// and gst:// sources")["available"]


def test_no_tools(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = video(tmp_path)
    assert found["gst_missing"] is None
    assert no_gstreamer(found) == "gst-launch-1.0 is not installed (Debian: apt-get install gstreamer1.0-tools)"


def test_the_need_of_an_element_skips(install, need_element):
    install(*gstreamer.ELEMENTS, "videotestsrc")
    need_element("videotestsrc")
    with pytest.raises(pytest.skip.Exception, match="GStreamer has no element pngdec"):
        need_element("videotestsrc", "pngdec")
