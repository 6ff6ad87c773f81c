"""Domains: which camera looks at the street, in what light and weather. Geometry and classes are the same in all."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import UnknownNameError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Domain:
    """One recording condition.

    Attributes:
        name: Its name.
        focal: Focal length as a multiple of the image's width (1.0 is a horizontal field of view of 53 degrees).
        height_m: Height of the camera over the road.
        pitch: Mean pitch in radians, positive looks up.
        gain_bgr: Factor per channel on the rendered image (exposure and white balance).
        gamma: Exponent of the camera's response; above 1 darkens mid-tones.
        sun: 0 (overcast, flat light) to 1 (hard sun and cast shadows); scenes vary below it.
        haze_per_m: Extinction coefficient; contrast falls by exp(-haze_per_m * depth).
        haze_bgr: Colour that haze converges to; None takes it from the scene's sky.
        sky_bgr: Zenith colour; None lets the scene choose among blue and overcast skies.
        noise: Standard deviation of the sensor noise, grey levels.
        blur: Standard deviation of the optics' point spread, pixels at 480 columns.
        vignette: Loss of light in the corners, 0 to 1.
        distortion: First radial coefficient of the lens (negative: barrel), of the radius normalised by focal length.
        saturation: Factor on the colour differences.
        lit: Probability that a window or lamp is lit.
        rain: Rain streaks, a wet road and its reflections.
    """

    name: str
    focal: float = 1.0
    height_m: float = 1.45
    pitch: float = -0.015
    gain_bgr: Triple = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    sun: float = 1.0
    haze_per_m: float = 0.0018
    haze_bgr: Triple | None = None
    sky_bgr: Triple | None = None
    noise: float = 3.0
    blur: float = 0.55
    vignette: float = 0.12
    distortion: float = 0.0
    saturation: float = 1.0
    lit: float = 0.0
    rain: bool = False


_TABLE = (
    Domain("day"),
    Domain(
        "dusk", gain_bgr=(0.72, 0.60, 0.60), gamma=1.15, sun=0.15, haze_per_m=0.004, haze_bgr=(150, 160, 205),
        sky_bgr=(150, 100, 95), noise=6.0, vignette=0.22, saturation=0.85, lit=0.4,
    ),
    Domain(
        "night", gain_bgr=(0.54, 0.48, 0.46), gamma=1.2, sun=0.0, haze_per_m=0.005, haze_bgr=(92, 74, 68),
        sky_bgr=(62, 44, 38), noise=8.0, blur=0.7, vignette=0.3, saturation=0.6, lit=0.75,
    ),
    Domain(
        "fog", gain_bgr=(0.94, 0.93, 0.92), sun=0.0, haze_per_m=0.026, haze_bgr=(196, 194, 192), sky_bgr=(200, 198, 196),
        noise=3.5, blur=0.7, saturation=0.7, lit=0.06,
    ),
    Domain(
        "rain", gain_bgr=(0.98, 0.93, 0.90), gamma=1.0, sun=0.0, haze_per_m=0.010, haze_bgr=(172, 164, 158),
        sky_bgr=(168, 160, 156), noise=4.5, blur=0.8, saturation=0.75, lit=0.15, rain=True,
    ),
    Domain(
        "camera2", focal=0.58, height_m=2.15, pitch=-0.10, gain_bgr=(0.86, 0.98, 1.10), gamma=0.85, noise=5.0, blur=0.75,
        vignette=0.45, distortion=-0.055, saturation=1.25,
    ),
)  # fmt: skip

#: Names of the domains; the first one is the default.
DOMAINS: tuple[str, ...] = tuple(domain.name for domain in _TABLE)


def domain(name: str) -> Domain:
    """The domain of a name.

    Raises:
        UnknownNameError: no such domain.
    """
    for entry in _TABLE:
        if entry.name == name:
            return entry
    raise UnknownNameError("domain", name, DOMAINS)
