"""A simulated camera: frames at a fixed rate, as a driver delivers them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from time import perf_counter

import cv2
import numpy as np
import numpy.typing as npt

from ....core.errors import InputError
from ..base import Source, SourceFrame
from ..options import CameraOptions

Frame = npt.NDArray[np.uint8]

#: Width and height of drawn streets where no other is asked for, and how many are drawn; then they are shown backwards.
SIZE_WH = 1280, 720
_DRAWN = 12
# The streets are drawn small, which takes a quarter of the time, and enlarged.
_DRAWN_HW = 360, 640


class SimulatedCamera(Source):
    """Delivers frames at a fixed rate, each in new memory as from a driver; frames that are not read in time are lost.

    Args:
        frames: uint8 (H, W, 3) each, delivered in a cycle.
        fps: Frames per second.
    """

    live = True

    def __init__(self, frames: Sequence[Frame], fps: float) -> None:
        super().__init__(f"camera:{fps:g}", fps=fps)
        self._frames, self._period_s = frames, 1 / fps
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[SourceFrame]:
        began, due, index = perf_counter(), 0.0, 0
        while not self._cancelled.wait(max(due - perf_counter(), 0)):
            # The next tick of the camera's clock: frames that were not read in time are lost, without a burst
            # afterwards.
            due = began + (int((perf_counter() - began) / self._period_s) + 1) * self._period_s
            image = self._frames[index % len(self._frames)].copy()
            yield SourceFrame(image, index, f"camera_{index:06d}", perf_counter())
            index += 1

    def cancel(self) -> None:
        self._cancelled.set()


def open_simulated(fps: float, camera: CameraOptions) -> SimulatedCamera:
    """Opens a simulated camera that drives through a generated street, forwards and backwards.

    Raises:
        InputError: the options state a rate or a pixel format.
    """
    if camera.fps is not None or camera.pixel_format is not None:
        raise InputError(f"`fps` and `pixel_format` are for real cameras; camera:{fps:g} states its own rate")
    from ....datasets.synth import StreetScene

    scene = StreetScene(0, _DRAWN_HW, fps=fps)
    size_wh = camera.size_wh or SIZE_WH
    drawn = [np.asarray(cv2.resize(scene.frame(number)[0], size_wh), np.uint8) for number in range(_DRAWN)]
    return SimulatedCamera([*drawn, *drawn[-2:0:-1]], fps)
