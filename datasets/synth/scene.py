"""StreetScene: any frame of one generated ride, with its ground truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from . import vehicles
from .chunk import Standing
from .domains import Domain
from .domains import domain as find_domain
from .draw.canvas import SHIFT, U8, Camera, Canvas, Haze
from .draw.ground import PERIOD, ROAD, ground_bands
from .draw.planes import PlaneSet
from .draw.sprites import POLE, sky
from .draw.sticks import Sticks
from .optics import Lens, Sensor, bonnet
from .people import BICYCLIST, PEDESTRIAN, Figure, riding, walking
from .people import project as project_figures
from .world import REACH, Driving, View, Walking, World

# Streams of random numbers beside those of the world.
_SURFACES, _OPTICS = 100, 101
# What is smaller is left out: nobody could name it, and a label of two pixels teaches nothing.
_MIN_SOLID_PX, _MIN_PERSON_PX, _MIN_POST_PX = 8.0, 13.0, 1.7
# From this height on people have hands and shoes.
_FINE_PERSON_PX = 36.0


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
        weather = self._world.setting.weather
        rng = np.random.default_rng([seed, _OPTICS])
        self._focal = self.domain.focal * self.size_hw[1] * float(rng.uniform(0.95, 1.06))
        self._lens = Lens(self.size_hw, self._focal, self.domain)
        height, width = self._lens.canvas_hw
        self._canvas = Canvas((height, width))
        self._gain = np.array(self.domain.gain_bgr) * rng.uniform(0.86, 1.12) * rng.uniform(0.95, 1.05, 3)
        self._bonnet = bonnet(rng, (height, width)) if rng.random() < 0.4 else None
        self._haze = Haze(self.domain.haze_per_m, weather.haze)
        surfaces = np.random.default_rng([seed, _SURFACES])
        self._bands = ground_bands(surfaces, self._world.street, self._world.light, self.domain.rain)
        self._sky_margin = round(0.08 * self._focal)
        sky_h = height // 2 + round(self._focal * (abs(self.domain.pitch) + 0.05))
        # Clouds are veiled like something sixty metres away: hardly by day, almost hidden in fog.
        veil = 1 - self._haze.clear(60.0)
        sky_hw = sky_h, width + 2 * self._sky_margin
        self._sky = sky(surfaces, sky_hw, weather.zenith, weather.haze, weather.clouds, veil)
        self._sensor = Sensor(self.seed, self.size_hw, self.domain, self._gain)

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
        bgr, mask = self._lens.apply(bgr, mask)
        return self._sensor.expose(bgr, index), mask

    def _draw(self, camera: Camera, time: float) -> None:
        canvas, world, haze = self._canvas, self._world, self._haze
        street = world.view(float(camera.position[2]))
        cars, people = world.movers(time)
        self._draw_sky(camera)
        canvas.ground(camera, self._bands, PERIOD)
        houses = street.backdrop.project(camera, REACH)
        for quad in sorted(houses, key=lambda quad: -quad.depth):
            canvas.quad(quad)
        if self.domain.rain:
            self._reflect(camera)
        canvas.apply_haze(haze)
        moving = [world.setting.shadow(car.x, car.z, car.solid.size[0], car.solid.size[2]) for car in cars]
        moving += [world.setting.shadow(who.x, who.z, 0.5, 1.3 if who.rides else 0.5) for who in people]
        for planes in (street.shadows, PlaneSet(moving)):
            for quad in planes.project(camera, REACH):
                canvas.quad(quad, haze)
        self._draw_by_depth(camera, street, cars, people)
        if self._bonnet is not None:
            image, cover = self._bonnet
            cv2.copyTo(image, cover, canvas.bgrl[canvas.size_hw[0] - image.shape[0] :])

    def _draw_by_depth(self, camera: Camera, street: View, cars: list[Driving], people: list[Walking]) -> None:
        canvas, haze, light = self._canvas, self._haze, self._world.light
        jobs = self._posts(camera, street.posts)
        jobs += [(quad.depth, partial(canvas.quad, quad, haze)) for quad in street.props.project(camera, REACH)]
        items = []
        bodies: list[Driving | Standing] = [*cars, *street.solids]
        for body in bodies:
            depth = camera.depth_of(body.x, body.z)
            if 0.5 < depth < REACH and body.solid.size[1] * camera.focal > _MIN_SOLID_PX * depth:
                items.append((body.solid, body.x, body.z, depth))
        figures = []
        for who in people:
            depth = camera.depth_of(who.x, who.z)
            if 1.2 < depth and who.person.height * camera.focal > _MIN_PERSON_PX * depth:
                pose, label = (riding, BICYCLIST) if who.rides else (walking, PEDESTRIAN)
                fine = who.person.height * camera.focal > _FINE_PERSON_PX * depth
                figures.append(Figure(pose(who.person, who.phase, fine), who.x, who.z, who.heading, label))
        shapes = vehicles.project(camera, haze, items) + project_figures(camera, light, haze, figures)
        jobs += [(shape.depth, partial(canvas.polygons, shape.polygons, shape.colours, shape.label)) for shape in shapes]
        jobs.sort(key=lambda job: -job[0])
        for _, draw in jobs:
            draw()

    def _posts(self, camera: Camera, posts: Sticks) -> list[tuple[float, Callable[[], None]]]:
        drawn = posts.project(camera, self._world.light)
        width = camera.size_hw[1]
        keep = (drawn.depth > 0.8) & (drawn.depth < REACH) & (drawn.radius.max(1) > _MIN_POST_PX / 2)
        keep &= (drawn.outline[..., 0].max(1) >= 0) & (drawn.outline[..., 0].min(1) < width << SHIFT)
        clear = np.exp(-self._haze.per_m * drawn.depth)[:, None]
        dark, bright = drawn.paint(self._world.light, clear, self._haze.bgr)
        jobs: list[tuple[float, Callable[[], None]]] = []
        for i in np.flatnonzero(keep).tolist():
            shapes = [drawn.outline[i], drawn.stripe[i]]
            jobs.append((float(drawn.depth[i]), partial(self._canvas.polygons, shapes, [dark[i], bright[i]], POLE)))
        return jobs

    def _draw_sky(self, camera: Camera) -> None:
        canvas = self._canvas
        height, width = canvas.size_hw
        rows = min(height, max(0, math.floor(camera.horizon) + 1))
        if not rows:
            return
        shift = np.array([[1.0, 0.0, self._sky_margin + self._focal * camera.yaw],
                          [0.0, 1.0, self._sky.shape[0] - 1 - camera.horizon]])  # fmt: skip
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(self._sky, shift, (width, rows), canvas.bgrl[:rows], flags, cv2.BORDER_REPLICATE)
        canvas.inverse_depth[:rows] = 1e3  # the sky's image holds its haze already

    def _reflect(self, camera: Camera) -> None:
        """A wet road mirrors what stands behind it, smeared along the line of sight."""
        bgrl, horizon = self._canvas.bgrl, math.floor(camera.horizon) + 1
        rows = min(bgrl.shape[0] - horizon, horizon)
        if rows < 8:
            return
        below = bgrl[horizon : horizon + rows]
        road = cv2.inRange(cv2.extractChannel(below, 3), np.array(ROAD), np.array(ROAD))
        mirrored = cv2.blur(np.ascontiguousarray(bgrl[horizon - rows : horizon][::-1]), (3, max(3, rows // 8) | 1))
        mixed = cv2.addWeighted(below, 0.72, mirrored, 0.30, 0)
        cv2.insertChannel(np.full(mixed.shape[:2], ROAD, np.uint8), mixed, 3)
        cv2.copyTo(mixed, road, below)
