"""JPEGs: libjpeg-turbo's own decoder gives what OpenCV's gives, and damaged files are OpenCV's to judge."""

from __future__ import annotations

import io
import itertools

import cv2
import numpy as np
import pytest

from seg_edge.datasets.imagefiles import decoding
from seg_edge.datasets.imagefiles.decoding import decode, sharpened
from seg_edge.datasets.imagefiles.header import HeaderError, read_header

pytest.importorskip("simplejpeg")
FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}


@pytest.fixture
def frame():
    small = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
    return cv2.resize(small, (131, 93), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(autouse=True)
def by_opencv(monkeypatch):
    """Counts the images that OpenCV decodes."""
    calls = []
    whole = cv2.imdecode

    def counted(*args):
        calls.append(args)
        return whole(*args)

    monkeypatch.setattr(decoding.cv2, "imdecode", counted)
    return calls


def jpeg(frame, orientation=0, *settings):
    data = cv2.imencode(".jpg", frame, settings)[1].tobytes()
    if not orientation:
        return data
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + b"\0\0\0\0\0\0"
    return data[:2] + b"\xff\xe1" + (8 + len(tiff)).to_bytes(2, "big") + b"Exif\0\0" + tiff + data[2:]


def test_the_same_pixels_in_every_orientation_and_scale(frame, by_opencv):
    for orientation, scale in itertools.product(range(10), FLAGS):
        data = jpeg(frame, orientation)
        header = read_header(data)
        image = decode(data, header, scale)
        assert not by_opencv
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS[scale])
        by_opencv.clear()
        assert (image == expected).all()
        assert image.shape[:2] == tuple(-(-side // scale) for side in header.shown_hw)


def test_grey_and_progressive_files(frame, by_opencv):
    for data in (jpeg(frame[:, :, 0]), jpeg(frame, 0, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)):
        image = decode(bytearray(data), read_header(data))
        assert not by_opencv
        assert (image == cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).all()
        by_opencv.clear()


def test_files_for_printing_are_left_to_opencv(frame, by_opencv):
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.fromarray(np.dstack((frame, frame[:, :, 0])), "CMYK").save(file, "JPEG")
    data = file.getvalue()
    assert decode(data, read_header(data)).shape == (93, 131, 3)
    assert len(by_opencv) == 1


def test_damaged_files_are_judged_by_opencv(frame, by_opencv):
    data = jpeg(frame)
    header = read_header(data)
    cut = data[: len(data) // 2]
    expected = cv2.imdecode(np.frombuffer(cut, np.uint8), cv2.IMREAD_COLOR)
    by_opencv.clear()
    if expected is None:
        with pytest.raises(HeaderError, match="can't be decoded"):
            decode(cut, header)
    else:
        assert (decode(cut, header) == expected).all()
    assert len(by_opencv) == 1


def test_without_simplejpeg(frame, monkeypatch, by_opencv):
    data = jpeg(frame, 6)
    image = decode(data, read_header(data), 2)
    monkeypatch.setattr(decoding, "decode_jpeg", None)
    assert (decode(data, read_header(data), 2) == image).all()
    assert len(by_opencv) == 1


def test_a_scaled_image_gets_back_what_averaging_twice_blurs():
    x = np.linspace(0, 200 * np.pi, 1300)
    whole = np.broadcast_to(128 + 100 * np.sin(x)[None, :, None], (704, 1300, 3)).astype(np.uint8)
    half = cv2.resize(whole, (650, 352), interpolation=cv2.INTER_AREA)

    def error(frame):
        sides = [cv2.resize(image, (480, 352), interpolation=cv2.INTER_AREA).astype(float) for image in (frame, whole)]
        return np.abs(sides[0] - sides[1])[:, 4:-4].mean()

    made = sharpened(half, (352, 480))
    assert error(made) < 0.75 * error(half)
    assert sharpened(half, (176, 325)) is half
    # Only along the side that the input does not divide.
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 240
    assert sharpened(edge, (3, 8)) is not edge
    np.testing.assert_array_equal(sharpened(edge, (3, 8)), edge)
    np.testing.assert_array_equal(sharpened(edge, (8, 3))[0, 3:6, 0], [0, 250, 240])
