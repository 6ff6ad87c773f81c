"""From the canvas to the recorded image: lens, exposure, colour, rain, noise; and the recording car's bonnet."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .domains import Domain
from .draw.canvas import F32, F64, U8
from .vehicles import VOID

# Stream of random numbers beside those of the world.
_SENSOR = 102


class Lens:
    """Radial distortion and vignetting. The canvas is larger than the frame where the lens looks further than a pinhole."""

    def __init__(self, size_hw: tuple[int, int], focal: float, domain: Domain) -> None:
        height, width = size_hw
        self.canvas_hw = size_hw
        self._map: tuple[U8, U8] | None = None
        y, x = np.mgrid[:height, :width].astype(np.float64)
        x, y = (x - (width - 1) / 2) / focal, (y - (height - 1) / 2) / focal
        seen = np.hypot(x, y)
        if domain.distortion:
            ideal = seen.copy()
            for _ in range(12):  # seen = ideal (1 + k ideal²), solved for ideal by Newton's method
                ideal -= (ideal * (1 + domain.distortion * ideal**2) - seen) / (1 + 3 * domain.distortion * ideal**2)
            grow = np.divide(ideal, seen, out=np.ones_like(seen), where=seen > 1e-9)
            x, y = x * grow * focal, y * grow * focal
            self.canvas_hw = (2 * math.ceil(np.abs(y).max()) + 3, 2 * math.ceil(np.abs(x).max()) + 3)
            cx, cy = (self.canvas_hw[1] - 1) / 2, (self.canvas_hw[0] - 1) / 2
            fixed = cv2.convertMaps((x + cx).astype(np.float32), (y + cy).astype(np.float32), cv2.CV_16SC2)
            self._map = (np.asarray(fixed[0]), np.asarray(fixed[1]))
            self._nearest = (np.round(np.stack([x + cx, y + cy], 2))).astype(np.int16)

    def apply(self, bgr: U8, mask: U8) -> tuple[U8, U8]:
        if self._map is None:
            return bgr, mask
        straight = cv2.remap(bgr, self._map[0], self._map[1], cv2.INTER_LINEAR)
        # The image's sample point, rounded: a mask has no values between two classes.
        labels = cv2.remap(mask, self._nearest, None, cv2.INTER_NEAREST)  # type: ignore[call-overload]
        return np.asarray(straight, np.uint8), np.asarray(labels, np.uint8)


class Sensor:
    """From light to numbers: point spread, exposure, colour, vignette, rain on the way, noise."""

    def __init__(self, seed: int, size_hw: tuple[int, int], domain: Domain, gain: F64) -> None:
        self._seed, self._domain = seed, domain
        height, width = size_hw
        self._sigma = max(0.4, domain.blur * width / 480)
        self._window = 3 if self._sigma < 0.8 else 2 * math.ceil(2 * self._sigma) + 1
        level = np.arange(256, dtype=np.float64)[:, None] / 255
        response = 255 * np.clip(level * gain[None, :], 0, None) ** domain.gamma
        # The shoulder keeps highlights from clipping hard.
        response = np.where(response > 215, 215 + 40 * np.tanh((response - 215) / 40), response)
        self._table = np.asarray(np.round(np.clip(response, 0, 255)), np.uint8)[:, None, :]
        rng = np.random.default_rng([seed, _SENSOR])
        grain = rng.standard_normal((height + 64, width + 64, 3), np.float32) * np.float32(domain.noise)
        grain += (rng.standard_normal((height + 64, width + 64, 1), np.float32)) * np.float32(0.5 * domain.noise)
        self._grain = np.asarray(np.clip(np.round(grain + 128), 0, 255), np.uint8)
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        fall = 1 - domain.vignette * ((x * x + y * y) / 2) ** 1.3
        self._vignette = np.repeat(np.asarray(np.round(255 * fall), np.uint8)[..., None], 3, 2)
        weights = np.array([0.114, 0.587, 0.299])
        self._colour = domain.saturation * np.eye(3) + (1 - domain.saturation) * np.repeat(weights[None, :], 3, 0)
        self._streaks = _streaks(rng, (height + 64, width + 64)) if domain.rain else None

    def expose(self, bgr: U8, index: int) -> U8:
        rng = np.random.default_rng([self._seed, _SENSOR, index])
        dx, dy, rx, ry, flip = (int(value) for value in rng.integers(0, (65, 65, 65, 65, 4)))
        height, width = bgr.shape[:2]
        cv2.GaussianBlur(bgr, (self._window, self._window), self._sigma, dst=bgr)
        if self._streaks is not None:
            cv2.add(bgr, self._streaks[ry : ry + height, rx : rx + width], dst=bgr)
        if self._domain.saturation != 1:
            cv2.transform(bgr, self._colour, dst=bgr)
        cv2.LUT(bgr, self._table, dst=bgr)
        cv2.multiply(bgr, self._vignette, dst=bgr, scale=1 / 255)
        grain = self._grain[dy : dy + height, dx : dx + width]
        if flip:
            grain = np.asarray(cv2.flip(grain, flip - 2), np.uint8)
        return np.asarray(cv2.addWeighted(bgr, 1.0, grain, 1.0, -128), np.uint8)


def _streaks(rng: np.random.Generator, size_hw: tuple[int, int]) -> U8:
    height, width = size_hw
    light: F32 = np.zeros(size_hw, np.float32)
    slant = rng.uniform(-0.2, 0.2)
    for _ in range(int(0.0016 * height * width)):
        x, y, length = rng.uniform(0, width), rng.uniform(-20, height), rng.uniform(0.03, 0.09) * height
        ends = (int(x), int(y)), (int(x + slant * length), int(y + length))
        cv2.line(light, *ends, float(rng.uniform(6, 30)), 1, cv2.LINE_AA)
    return np.repeat(np.asarray(light, np.uint8)[..., None], 3, 2)


def bonnet(rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[U8, U8]:
    """The recording car's own bonnet along the lower edge (void): uint8 (h, W, 4) and its coverage (h, W)."""
    height, width = size_hw
    rows = max(4, round(height * rng.uniform(0.04, 0.09)))
    x = np.linspace(-1, 1, width)
    rise = rows * (1 - 0.75 * np.abs(x) ** 2.5)
    y = np.arange(rows)[:, None]
    cover = np.where(y >= rows - rise[None, :], np.uint8(255), np.uint8(0))
    colour = rng.uniform(20, 150) * np.ones(3)
    glow = 0.7 + 0.9 * np.exp(-(((y - (rows - rise[None, :])) / (0.25 * rows)) ** 2))
    bgr = np.clip(glow[..., None] * colour, 0, 255).astype(np.uint8)
    return np.dstack([bgr, np.full((rows, width), VOID, np.uint8)]), cover
