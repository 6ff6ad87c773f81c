from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import InputError, SourceError
from seg_edge.runtime import CameraOptions, open_source
from seg_edge.runtime.sources import names_camera, names_files


def test_a_drive_through_a_street():
    with open_source("camera:200", CameraOptions(size_wh=(96, 64))) as source:
        assert source.live
        assert source.fps == 200
        frames = [frame for frame, _ in zip(source, range(23), strict=False)]
    assert [frame.index for frame in frames] == list(range(23))
    assert frames[0].image_bgr.shape == (64, 96, 3)
    assert not np.array_equal(frames[0].image_bgr, frames[5].image_bgr)
    assert np.array_equal(frames[0].image_bgr, frames[22].image_bgr)  # forwards and back again
    assert frames[0].image is not frames[22].image
    times = [frame.captured_s for frame in frames]
    assert times[22] - times[0] >= 21 / 200


def test_a_simulated_camera_is_a_camera():
    assert names_camera("camera:30")
    assert not names_files("camera:30")


@pytest.mark.parametrize("text", ["camera:", "camera:0", "camera:fast", "camera:-5", "camera:nan"])
def test_rates_that_are_none(text):
    with pytest.raises(SourceError, match="expected camera:FPS"):
        open_source(text)


def test_it_states_its_own_rate():
    with pytest.raises(InputError, match="camera:30 states its own rate"):
        open_source("camera:30", CameraOptions(fps=60))
