"""What is settled once for a scene: the street's measures, light and weather, and the kinds of things along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .domains import Domain
from .draw import sprites
from .draw.canvas import Texture
from .draw.ground import Street
from .draw.planes import Plane
from .draw.textures import BGR, Light, Rng, jitter, paint
from .facades import FacadeStyle

_SHADOW_M = 0.02  # above the ground


@dataclass(frozen=True)
class Sign:
    """Front and back of one kind of sign, width and height in metres."""

    kind: str
    front: Texture
    back: Texture
    width: float
    height: float

    @classmethod
    def draw(cls, rng: Rng, kind: str) -> Sign:
        front, width, height = sprites.sign(rng, kind)
        return cls(kind, front, sprites.sign_back(rng, front), width, height)


@dataclass(frozen=True)
class Weather:
    """The light of a scene and what its sky looks like.

    Attributes:
        light: Direction and strength of the sun.
        clouds: Share of the sky that is covered, 0 to 1.
        zenith: Colour of the sky overhead, B, G, R.
        haze: Colour that distant things fade to, B, G, R.
    """

    light: Light
    clouds: float
    zenith: BGR
    haze: BGR

    @classmethod
    def draw(cls, rng: Rng, domain: Domain) -> Weather:
        """The weather of one scene in a domain."""
        overcast = rng.random() < 0.4
        sun = float(rng.uniform(0.0, 0.25) if overcast else rng.uniform(0.5, 1.0))
        light = Light(azimuth=float(rng.uniform(-math.pi, math.pi)), sun=domain.sun * sun, lit=domain.lit)
        clouds = float(rng.uniform(0.7, 1.0) if overcast else rng.uniform(0.1, 0.6))
        blue = (float(rng.uniform(160, 215)), float(rng.uniform(110, 160)), float(rng.uniform(60, 115)))
        grey = float(rng.uniform(150, 215))
        zenith = domain.sky_bgr or ((grey, grey, grey) if overcast else blue)
        glow = rng.uniform(0.92, 1.08, 3) * (0.9 if overcast else 1.0)
        milky = np.clip(np.array(domain.haze_bgr or (222, 215, 205)) * glow, 0, 245)
        return cls(light, clouds, zenith, (float(milky[0]), float(milky[1]), float(milky[2])))


@dataclass(frozen=True)
class Setting:
    """The character of one street; lengths in metres.

    Attributes:
        street: Widths of road, lanes and pavement.
        weather: Light and sky.
        parking: Share of the parking places that are taken.
        urban: Tall houses at the pavement instead of low ones behind gardens.
        facades: Styles that its houses are built in.
        storeys: Fewest and most storeys of a house.
        trees: Kinds of trees: image, width, height.
        signs: Kinds of signs.
        green: How likely a row of trees is, 0 to 1.
        post_bgr, post_radius, post_height: Of its lamp posts.
        setback: Distance of the houses from the pavement.
        fences: Kinds of fences.
        soft_shadow: What lies below things that stand on the ground.
    """

    street: Street
    weather: Weather
    parking: float
    urban: bool
    facades: tuple[FacadeStyle, ...]
    storeys: tuple[float, float]
    trees: tuple[tuple[Texture, float, float], ...]
    signs: tuple[Sign, ...]
    green: float
    post_bgr: BGR
    post_radius: float
    post_height: float
    setback: float
    fences: tuple[str, ...]
    soft_shadow: Texture

    @classmethod
    def draw(cls, rng: Rng, domain: Domain) -> Setting:
        """The setting of one scene. The order of the draws settles what a seed looks like: a new one goes to the end."""
        lane, parking = float(rng.uniform(3.0, 3.5)), bool(rng.random() < 0.6)
        street = Street(
            half_road=lane + (2.2 if parking else 0.5),
            pavement=float(rng.uniform(2.2, 3.6)),
            lane=lane,
            driving=1 if rng.random() < 0.5 else -1,
        )
        share = float(rng.uniform(0.15, 0.6))
        urban = bool(rng.random() < 0.6)
        weather = Weather.draw(rng, domain)
        return cls(
            street=street,
            weather=weather,
            parking=share if parking else 0.0,
            urban=urban,
            facades=tuple(FacadeStyle.draw(rng, urban) for _ in range(6)),
            storeys=(3.0, 6.5) if urban else (1.6, 3.2),
            trees=tuple(sprites.tree(rng, weather.light) for _ in range(4)),
            signs=tuple(Sign.draw(rng, str(kind)) for kind in rng.permutation(sprites.SIGNS)[:6]),
            green=float(rng.uniform(0.2, 0.9)),
            post_bgr=paint(rng) if rng.random() < 0.4 else jitter(rng, (120, 122, 122)),
            post_radius=float(rng.uniform(0.09, 0.14)),
            post_height=float(rng.uniform(5.0, 7.5)),
            setback=float(rng.choice([0.0, 0.0, 2.5, 3.5])) if urban else float(rng.uniform(2.5, 4.5)),
            fences=tuple(str(kind) for kind in rng.permutation(sprites.FENCES)[:2]),
            soft_shadow=sprites.soft_shadow(),
        )

    def shadow(self, x: float, z: float, width: float, length: float) -> Plane:
        """The soft shadow below something that stands on a rectangle of the ground."""
        wide, long = 1.5 * width, 1.45 * length
        return Plane(self.soft_shadow, (x - wide / 2, _SHADOW_M, z + long / 2), (wide, 0.0, 0.0), (0.0, 0.0, -long),
                     near_z=z, range_m=(1.0, 45.0))  # fmt: skip
