"""StreetScene: any frame of one generated ride, with its ground truth."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import F32, U8, Camera, Canvas
from .domains import Domain
from .domains import domain as find_domain
from .sprites import sky
from .textures import PERIOD, ROAD, ground_bands
from .vehicles import VOID
from .world import REACH, World

# Streams beside the world's, which has its own from 0 on.
_SURFACES, _OPTICS, _SENSOR = 100, 101, 102


class StreetScene:
    """A ride through one street: every frame and its mask are a function of (seed, size, domain, fps, index) alone.

    The classes are those of :data:`seg_edge.core.labels.CAMVID`; void is 11. One scene is not safe to share between
    threads, because it draws into one canvas.

    Args:
        seed: Which street, 0 or more. Two seeds have nothing in common.
        size_hw: Height and width of the frames, pixels, each 32 or more.
        domain: One of :data:`DOMAINS`. The same seed has the same street in every domain.
        fps: Frames per second of scene time.

    Raises:
        ValueError: a seed, size or rate out of range.
        UnknownNameError: no such domain.
    """

    def __init__(self, seed: int, size_hw: tuple[int, int] = (360, 480), domain: str = "day", fps: float = 25.0) -> None:
        if seed < 0:
            raise ValueError(f"StreetScene: seed must be 0 or more, got {seed}")
        if len(size_hw) != 2 or min(size_hw) < 32 or max(size_hw) > 4096:
            raise ValueError(f"StreetScene: size_hw must be (height, width), each 32 to 4096 pixels, got {size_hw}")
        if not 0 < fps < math.inf:
            raise ValueError(f"StreetScene: fps must be above 0, got {fps}")
        self.seed, self.size_hw, self.fps = seed, (int(size_hw[0]), int(size_hw[1])), fps
        self.domain: Domain = find_domain(domain)
        self._world = World(seed, self.domain)
        rng = np.random.default_rng([seed, _OPTICS])
        self._focal = self.domain.focal * self.size_hw[1] * float(rng.uniform(0.95, 1.06))
        self._lens = _Lens(self.size_hw, self._focal, self.domain)
        height, width = self._lens.canvas_hw
        self._canvas = Canvas((height, width))
        self._gain = np.array(self.domain.gain_bgr) * rng.uniform(0.86, 1.12) * rng.uniform(0.95, 1.05, 3)
        self._bonnet = _bonnet(rng, (height, width)) if rng.random() < 0.4 else None
        surfaces = np.random.default_rng([seed, _SURFACES])
        self._bands = ground_bands(surfaces, self._world.street, self._world.light, self.domain.rain)
        self._sky_margin = round(0.08 * self._focal)
        sky_h = height // 2 + round(self._focal * (abs(self.domain.pitch) + 0.05))
        self._sky = sky(
            surfaces, (sky_h, width + 2 * self._sky_margin), self._world.zenith, self._world.haze, self._world.clouds
        )
        self._sensor = _Sensor(self.seed, self.size_hw, self.domain, self._gain)

    def frame(self, index: int) -> tuple[U8, U8]:
        """One frame and its ground truth.

        Args:
            index: Frame number, 0 or more; time is ``index / fps``. Frames may be asked for in any order.

        Returns:
            uint8 (H, W, 3) BGR, and uint8 (H, W) with class numbers 0 to 10 or 11 for void. Both are the caller's.
        """
        if index < 0:
            raise ValueError(f"StreetScene.frame: index must be 0 or more, got {index}")
        time = index / self.fps
        camera = self._world.camera(time, self._canvas.size_hw, self._focal)
        self._draw(camera, time)
        bgr = np.asarray(cv2.cvtColor(self._canvas.bgrl, cv2.COLOR_BGRA2BGR), np.uint8)
        mask = np.ascontiguousarray(self._canvas.bgrl[..., 3])
        if self.domain.rain:
            self._reflect(bgr, mask, camera)
        self._haze(bgr)
        bgr, mask = self._lens.apply(bgr, mask)
        return self._sensor.expose(bgr, index), mask

    def _draw(self, camera: Camera, time: float) -> None:
        canvas, world = self._canvas, self._world
        self._draw_sky(camera)
        canvas.ground(camera, self._bands, PERIOD)
        at = camera.position
        for layer in world.skyline:
            canvas.plane(
                camera, layer, np.array([-190.0, 14.0, at[2] + 185]), np.array([380.0, 0, 0]), np.array([0, -14.4, 0])
            )
        chunks = world.chunks(float(at[2]))
        movers = world.movers(time)
        behind = [(camera.depth_of(item.x, item.z), item) for chunk in chunks for item in chunk.backdrop]
        for depth, item in sorted(behind, key=lambda pair: -pair[0]):
            if -9 < depth < REACH:
                item.draw(canvas, camera, depth)
        self._draw_shadows(camera, [spot for chunk in chunks for spot in chunk.shadows], movers)
        props = [(camera.depth_of(item.x, item.z), item) for item in [p for chunk in chunks for p in chunk.props] + movers]
        for depth, prop in sorted(props, key=lambda pair: -pair[0]):
            if -4 < depth < REACH:
                prop.draw(canvas, camera, depth)
        if self._bonnet is not None:
            bonnet, cover = self._bonnet
            top = canvas.size_hw[0] - bonnet.shape[0]
            cv2.copyTo(bonnet, cover, canvas.bgrl[top:])
            canvas.inverse_depth[top:][cover > 0] = 1.0

    def _draw_sky(self, camera: Camera) -> None:
        canvas = self._canvas
        height, width = canvas.size_hw
        rows = min(height, max(0, math.floor(camera.horizon) + 1))
        if not rows:
            return
        shift = np.array([[1.0, 0.0, self._sky_margin + self._focal * camera.yaw],
                          [0.0, 1.0, self._sky.shape[0] - 1 - camera.horizon]])  # fmt: skip
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        canvas.bgrl[:rows] = cv2.warpAffine(self._sky, shift, (width, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        canvas.inverse_depth[:rows] = 1e3  # the sky's picture holds its haze already

    def _draw_shadows(self, camera: Camera, spots: list[tuple[float, float, float, float]], movers: list) -> None:  # type: ignore[type-arg]
        for item in movers:
            solid = getattr(item, "solid", None)
            if solid is not None:
                spots.append((item.x, item.z, solid.size[0], solid.size[2]))
            else:
                spots.append((item.x, item.z, 0.5, 1.2 if item.rides else 0.5))
        for x, z, width, length in spots:
            if not 1.0 < z - camera.position[2] < 60:
                continue
            wide, long = 1.5 * width, 1.45 * length
            corner = np.array([x - wide / 2, 0.01, z + long / 2])
            self._canvas.plane(camera, self._world.shadow, corner, np.array([wide, 0, 0]), np.array([0, 0, -long]))

    def _reflect(self, bgr: U8, mask: U8, camera: Camera) -> None:
        """A wet road mirrors what stands behind it, smeared along the line of sight."""
        horizon = math.floor(camera.horizon) + 1
        rows = min(bgr.shape[0] - horizon, horizon)
        if rows < 8:
            return
        mirrored = cv2.blur(bgr[horizon - rows : horizon][::-1], (3, max(3, rows // 8) | 1))
        road = cv2.compare(mask[horizon : horizon + rows], ROAD, cv2.CMP_EQ)
        below = bgr[horizon : horizon + rows]
        cv2.copyTo(cv2.addWeighted(below, 0.72, mirrored, 0.30, 0), road, below)

    def _haze(self, bgr: U8) -> None:
        clear = cv2.divide(-self.domain.haze_per_m, self._canvas.inverse_depth)
        cv2.exp(clear, dst=clear)
        weight = cv2.convertScaleAbs(clear, alpha=255.0)
        weights = cv2.merge([weight, weight, weight])
        cv2.multiply(bgr, weights, dst=bgr, scale=1 / 255)
        cv2.add(bgr, cv2.LUT(weights, self._haze_table), dst=bgr)

    @property
    def _haze_table(self) -> U8:
        share = (255 - np.arange(256, dtype=np.float32))[:, None, None] / 255
        return np.asarray(np.round(share * np.array(self._world.haze, np.float32)), np.uint8)


class _Lens:
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
            self._map = (np.asarray(fixed[0]), np.asarray(fixed[1]))  # type: ignore[arg-type]
            self._nearest = (np.round(np.stack([x + cx, y + cy], 2))).astype(np.int16)

    def apply(self, bgr: U8, mask: U8) -> tuple[U8, U8]:
        if self._map is None:
            return bgr, mask
        straight = cv2.remap(bgr, self._map[0], self._map[1], cv2.INTER_LINEAR)
        return np.asarray(straight, np.uint8), np.asarray(cv2.remap(mask, self._nearest, None, cv2.INTER_NEAREST), np.uint8)


class _Sensor:
    """From light to numbers: point spread, exposure, colour, vignette, rain on the way, noise."""

    def __init__(self, seed: int, size_hw: tuple[int, int], domain: Domain, gain: npt.NDArray[np.float64]) -> None:
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
            grain = cv2.flip(grain, flip - 2)
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


def _bonnet(rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[U8, U8]:
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
