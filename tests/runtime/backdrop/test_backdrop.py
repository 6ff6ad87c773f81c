"""Which classes stay, and what is painted behind them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError, InputError, UnknownNameError
from seg_edge.core.labels import Labels
from seg_edge.runtime import Segmenter
from seg_edge.runtime.backdrop.backdrop import Backdrop
from seg_edge.runtime.frame.colours import BT601
from seg_edge.runtime.frame.style import Style
from seg_edge.runtime.sources.base import SourceFrame

LABELS = Labels(("wall", "person", "dog"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))


@pytest.fixture
def halves():
    """A frame whose left half the tiny network takes for red, and whose right half for blue: a class a channel."""
    frame = np.zeros((64, 80, 3), np.uint8)
    frame[:, :40, 2], frame[:, 40:, 0] = 250, 250
    return frame


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "room.png"
    cv2.imwrite(str(path), np.full((90, 60, 3), (10, 200, 30), np.uint8))
    return path


def names_of(model):
    with Segmenter(model) as seg:
        return seg.labels.names


def test_what_stays_is_untouched_and_the_rest_is_the_image(tiny_model, halves, image):
    names = names_of(tiny_model)
    with Segmenter(tiny_model, background=image, classes=[names[0]]) as seg:
        result = seg.process(halves)
    assert (result.mask[:, 44:] == 0).all()
    np.testing.assert_array_equal(result.overlay_bgr[:, 46:], halves[:, 46:])
    assert (result.overlay_bgr[:, :34] == (10, 200, 30)).all()


def test_blur_keeps_colours_of_what_stays_out_of_the_background(tiny_model, halves):
    names = names_of(tiny_model)
    with Segmenter(tiny_model, background="blur", classes=[names[0]]) as seg:
        overlay = seg.overlay(halves)
    np.testing.assert_array_equal(overlay[:, 46:], halves[:, 46:])
    assert np.abs(overlay[:, :30].astype(int) - halves[:, :30]).max() <= 2  # red still: no blue shines into it


def test_blur_blurs(tiny_model):
    frame = np.zeros((64, 80, 3), np.uint8)
    frame[..., 2] = 60
    frame[20:44:2, :, 2] = 250  # stripes
    with Segmenter(tiny_model, background="blur", classes=[names_of(tiny_model)[0]]) as seg:
        overlay = seg.overlay(frame)
    assert np.ptp(overlay[28:36, :, 2].astype(int)) < 60


def test_default_is_all_classes_but_the_first():
    backdrop = Backdrop.make(LABELS, "blur")
    assert backdrop is not None
    assert backdrop.kept == (1, 2)
    assert Backdrop.make(LABELS, "none") is None
    assert Backdrop.make(LABELS, None) is None


@pytest.mark.parametrize(
    ("background", "classes", "error", "text"),
    [
        ("blur", ["wall", "person", "dog"], InputError, "all classes stay"),
        ("blur", ["cat"], UnknownNameError, "unknown class 'cat'"),
        ("beach.jpg", None, InputError, "beach.jpg: no such file; expected an image file, 'blur' or 'none'"),
    ],
)
def test_what_can_not_be_painted_is_refused(background, classes, error, text):
    with pytest.raises(error, match=text):
        Backdrop.make(LABELS, background, classes)


def test_no_image_and_contours_are_refused(tmp_path):
    (tmp_path / "room.jpg").write_text("no image")
    with pytest.raises(DataError):
        Backdrop.make(LABELS, tmp_path / "room.jpg")
    with pytest.raises(InputError, match="`contours` are drawn between colours"):
        Style.make(LABELS, backdrop=Backdrop((1,)), contours=True)


def test_lead_of_what_stays_is_what_counts(tiny_model):
    with Segmenter(tiny_model) as seg:
        spec = seg.spec
    logits = np.array([[[0.0, 9.0, 1.0, np.nan]], [[1.0, 0.0, 1.0, 0.0]], [[9.0, 0.0, 1.0, 0.0]]], np.float32)
    front, steep = Backdrop.make(LABELS, "blur").front(logits, spec, (10, 10))
    assert front.dtype == np.uint8
    assert front[0].tolist() == [255, 0, 128, 0]
    assert steep == 8


def test_image_keeps_its_proportions():
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 255  # the middle third
    backdrop = Backdrop((1,), image)
    frame = np.zeros((50, 50, 3), np.uint8)
    about = {"pixel_format": "bgr", "colours": BT601}
    painted = backdrop.paint(frame, (np.zeros((2, 2), np.uint8), 2), about, None, 1)
    assert (painted == 255).all()


def test_gate_repeats_what_stayed(tiny_model, halves, image):
    with Segmenter(tiny_model, background=image, classes=[names_of(tiny_model)[0]], gate=60) as seg:
        results = [
            seg.finish(seg.start([SourceFrame(halves, number, "", number / 25)]), [(None, None)], mask=True, overlay=True)[0]
            for number in range(24)
        ]
    assert not all(result.computed for result in results)
    for result in results:
        np.testing.assert_array_equal(result.overlay_bgr, results[0].overlay_bgr)


def test_masks_alone_are_as_without_a_background(tiny_model, halves, image):
    with Segmenter(tiny_model) as plain, Segmenter(tiny_model, background=image) as seg:
        np.testing.assert_array_equal(seg(halves), plain(halves))
        assert seg.process(halves, overlay=False).overlay_bgr is None
