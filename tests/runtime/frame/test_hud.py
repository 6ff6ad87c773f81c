from __future__ import annotations

import numpy as np
import pytest

from seg_edge.runtime import Result
from seg_edge.runtime.frame.hud import Hud, write_lines


def painted(height=120, width=400, lines=("30.0 FPS",)):
    frame = np.full((height, width, 3), 128, np.uint8)
    write_lines(frame, lines)
    return frame


def test_letters_are_drawn_in_place_and_grow_with_the_frame():
    for height, width in ((48, 64), (480, 640), (1080, 1920)):
        frame = painted(height, width)
        ink = np.argwhere((frame != 128).any(axis=2))
        assert len(ink)
        assert ink[:, 0].max() < height / 4
    assert (painted(720, 1280) == 255).any()
    assert (painted(720, 1280) == 0).any()  # the dark edge


def test_the_edge_ends_where_the_letters_end():
    """OpenCV 5 draws thicker text wider: letters drawn twice at two thicknesses drift apart."""
    frame = painted(360, 640, ("latency 112.7 ms  age 238 ms",))
    white, dark = (np.flatnonzero((frame == value).all(axis=(2,)).any(axis=0)) for value in (255, 0))
    assert abs(int(white.max()) - int(dark.max())) <= 4
    assert abs(int(white.min()) - int(dark.min())) <= 4


def test_long_lines_fit_into_narrow_frames():
    line = "0 of 10  openvino, CPU, 2 threads, and more"
    frame = painted(360, 240, (line,))
    assert (frame[:, -3:] == 128).all()


@pytest.mark.parametrize("width", [96, 128, 192, 320])
def test_lines_are_broken_where_the_frame_is_too_narrow_for_the_smallest_letters(width):
    line = "27.3 FPS  latency 12.3 ms  age 45 ms  dropped 12 of 4567"
    frame = painted(160, width, (line,))
    assert (frame[:, -1:] == 128).all()  # nothing is cut off
    # All of it is there: as many white pixels as on a wide frame with letters of the same size.
    white = [int((image == 255).sum()) for image in (frame, painted(160, 4000, (line,)))]
    assert white[0] == pytest.approx(white[1], rel=0.05)


def test_text(monkeypatch):
    texts = []
    monkeypatch.setattr("seg_edge.runtime.frame.hud.write_lines", lambda _frame, lines: texts.append(lines))
    hud = Hud("openvino, CPU, 2 threads")
    for i in range(11):
        now = i / 20
        result = Result(None, None, np.zeros((48, 64, 3), np.uint8), {"pre": 1.0, "engine": 4.0}, captured_s=now - 0.025)
        hud.draw(result, now, frames_in=i + 2, dropped=1, reconnects=0 if i < 10 else 3)
    assert texts[0] == ("openvino, CPU, 2 threads",)
    assert texts[-1] == (
        "20.0 FPS  latency 5.0 ms  age 25 ms",
        "dropped 1 of 12  reconnects 3  openvino, CPU, 2 threads",
    )


@pytest.mark.parametrize("hud", [False, True])
def test_in_the_pipeline(tiny_model, hud):
    from seg_edge.runtime import CallbackSink, Pipeline, Segmenter, Source, SourceFrame

    class Grey(Source):
        def __iter__(self):
            for i in range(5):
                yield SourceFrame(np.full((96, 128, 3), 90, np.uint8), i, f"{i}", 0.0)

    seen = []
    sink = CallbackSink(lambda result: seen.append(result.overlay_bgr.copy()), mask=False, overlay=True)
    with Segmenter(tiny_model, threads=1, alpha=0) as segmenter:
        Pipeline(Grey("grey"), segmenter, [sink], hud=hud).run()
    assert len(seen) == 5
    assert all(bool((frame != 90).any()) == hud for frame in seen)
