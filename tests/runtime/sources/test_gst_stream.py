"""Packets and caps of a GStreamer stream: what is read, and what is refused instead of being shown."""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import pytest

from seg_edge.runtime.sources.feed import FeedLost, Wake
from seg_edge.runtime.sources.gst import GstFeed
from seg_edge.runtime.sources.gst_stream import HEADER, Caps, NotFrames, Packet

CAPS = "video/x-raw, format=(string)BGR, width=(int)2, height=(int)2, framerate=(fraction)30/1\0"
PICTURE = bytes(range(16))  # rows of 6 bytes, and 2 that fill them up


def packet(payload: bytes, *, offset=0, last=True, caps=False, event=0, version=2):
    marker, flags = 0x80 * last, 0x80 * caps
    return HEADER.pack(HEADER.size - 2 + len(payload), version << 6, marker, flags, event, offset) + payload


def first(data: bytes, caps: str = CAPS, **options):
    return packet(bytes([0x80 | len(caps) >> 7, len(caps) & 0x7F]) + caps.encode() + data, caps=True, **options)


START = len(CAPS) + 2


@pytest.fixture
def read(tmp_path, monkeypatch):
    """A function: these bytes as the process would write them → what comes of them, frame by frame."""
    wake = Wake()

    def read(data: bytes, count: int):
        (tmp_path / "stream").write_bytes(data)
        tool = tmp_path / "gst-launch-1.0"
        code = f"open(int(sys.argv[-1][3:]), 'wb').write(open({str(tmp_path / 'stream')!r}, 'rb').read())"
        tool.write_text(f"#!{sys.executable} -S\nimport sys\n{code}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        feed = GstFeed("test", "fake", wake)
        try:
            until_s = time.perf_counter() + 20
            about = feed.opened(until_s)
            return about, [feed.next(until_s) for _ in range(count)]
        finally:
            feed.close()

    yield read
    wake.close()


def test_frames_in_pieces_and_events_between(read):
    event = packet(b"\x05event", event=4)
    data = event + first(PICTURE[:5], last=False) + packet(PICTURE[5:], offset=START + 5)
    data += (
        event + packet(PICTURE[:1], last=False) + packet(PICTURE[1:9], offset=1, last=False) + packet(PICTURE[9:], offset=9)
    )
    about, frames = read(data, 2)
    assert (about.size_wh, about.fps) == ((2, 2), 30)
    for picture in frames:
        assert picture.image.tolist() == [[[0, 1, 2], [3, 4, 5]], [[8, 9, 10], [11, 12, 13]]]
        assert picture.pixel_format == "bgr"


def test_caps_may_change_at_any_frame(read):
    small = CAPS.replace("BGR", "NV12").replace("30/1", "0/1")
    nv12 = bytes([1, 2, 0, 0, 3, 4, 0, 0, 5, 6, 0, 0])
    _, frames = read(first(PICTURE) + first(nv12, small) + packet(nv12) + first(PICTURE), 4)
    assert [picture.pixel_format for picture in frames] == ["bgr", "nv12", "nv12", "bgr"]
    assert frames[1].image.tolist() == frames[2].image.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert frames[3].image.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (first(PICTURE[:5], last=False) + packet(PICTURE[6:], offset=START + 6), "a piece missing"),
        (first(PICTURE[:5], last=False) + packet(PICTURE, offset=START + 5), "more bytes than its caps say"),
        (first(PICTURE[:9]), "a frame of 9 bytes, where 2x2 bgr has 16"),
        (first(PICTURE[:5], last=False) + packet(b"x", event=3), "a piece missing"),
        (packet(PICTURE), "begin without their caps"),
        (first(PICTURE, version=1), "something else than frames"),
        (b"hello, this is no stream of frames at all", "something else than frames"),
        (first(PICTURE, CAPS.replace("BGR", "RGBA")), "another kind than was asked for: video/x-raw"),
        (first(PICTURE, CAPS.replace("(int)2,", "(int)99999,")), "frames of 99999x99999; sides may be 1 to 16384"),
        (packet(b"\xff\xff\xff\x7f", caps=True), "something else than frames"),
        (first(PICTURE[:5], last=False), "its process ended"),
    ],
    ids=["gap", "too long", "too short", "event inside", "no caps", "version", "text", "format", "size", "length", "end"],
)
def test_what_is_no_frame_is_never_shown(read, data, message):
    with pytest.raises(FeedLost, match=message):
        read(data, 1)


def test_a_frame_is_read_into_its_own_memory():
    for text, size, shape in (("BGR", 8, (2, 2, 3)), ("NV12", 4, (3, 2)), ("YUY2", 4, (2, 2, 2))):
        caps = Caps.parse(CAPS.replace("BGR", text))
        data = np.zeros(caps.size, np.uint8)
        picture = caps.image(data)
        assert np.shares_memory(picture, data)
        assert (caps.planes[0][2], picture.shape) == (size, shape)


def test_headers():
    found = Packet.parse(packet(b"abc", offset=7, last=False)[: HEADER.size])
    assert (found.length, found.last, found.has_caps, found.is_event, found.offset) == (3, False, False, False, 7)
    with pytest.raises(NotFrames):
        Packet.parse(bytes(HEADER.size))
