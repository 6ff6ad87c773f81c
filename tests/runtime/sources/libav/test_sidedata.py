"""Reading the data beside frames: frames are freed at once, and kinds that PyAV doesn't know are no obstacle."""

from __future__ import annotations

import gc
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av")

from seg_edge.runtime.sources import open_source  # noqa: E402
from seg_edge.runtime.sources.libav.reader import Reader  # noqa: E402


def write(path: Path, frames: int) -> Path:
    with av.open(str(path), "w") as video:
        stream = video.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        for number in range(frames):
            grey = np.full((48, 64, 3), 4 * number, np.uint8)
            video.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        video.mux(stream.encode())
    return path


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    tiff = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def test_frames_are_freed_when_nobody_holds_them(tmp_path):
    """Not when Python's collector runs: a hundred frames of 1080p are 300 MB."""
    path = write(tmp_path / "grey.mp4", 40)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(each) is av.VideoFrame for each in gc.get_objects())
        reader, most, count = Reader(str(path)), 0, 0
        for _ in reader:
            count += 1
            most = max(most, sum(type(each) is av.VideoFrame for each in gc.get_objects()) - before)
        reader.close()
    finally:
        gc.enable()
    assert count == 40
    assert most < 12  # the decoder's threads hand out a few at once


@pytest.mark.parametrize(("orientation", "turned"), [(6, cv2.ROTATE_90_CLOCKWISE), (3, cv2.ROTATE_180), (1, None)])
def test_motion_jpeg_with_exif_data(tmp_path, orientation, turned):
    """FFmpeg 8.1 hands EXIF data out as a kind that PyAV 18.1 has no name for."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = (40, 90, 200)
    jpeg = with_exif(cv2.imencode(".jpg", image)[1].tobytes(), orientation)
    (tmp_path / "phone.mjpeg").write_bytes(3 * jpeg)
    shown = image if turned is None else cv2.rotate(image, turned)
    with open_source(tmp_path / "phone.mjpeg") as source:
        frames = [frame.image_bgr.copy() for frame in source]
    assert len(frames) == 3
    for frame in frames:
        assert frame.shape == shown.shape
        assert np.abs(frame.astype(int) - shown).mean() < 4
