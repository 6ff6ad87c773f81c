"""Images with a shape: trees, hedges, fences, signs, the skyline and the sky."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .canvas import F32, U8, Texture
from .textures import BGR, LEAVES, WALLS, Light, Rng, dye, fractal, jitter, masonry, paint, shade, to_u8

SKY, BUILDING, POLE, TREE, SIGN, FENCE = 0, 1, 2, 5, 6, 7


def tree(rng: Rng, light: Light) -> tuple[Texture, float, float]:
    """A tree that stands on the lower edge of its image; returns texture, width and height in metres."""
    height_m, px = rng.uniform(5.0, 10.5), 22
    width_m = height_m * rng.uniform(0.55, 0.85)
    size = (round(height_m * px), round(width_m * px))
    bgr, alpha = np.zeros((*size, 3), np.float32), np.zeros(size, np.uint8)
    h, w = size
    leaf = np.array(jitter(rng, LEAVES[int(rng.integers(len(LEAVES)))]), np.float32)
    bark = jitter(rng, (58, 68, 80))
    bgr[:] = leaf * 0.6
    clear = rng.uniform(0.2, 0.34)
    trunk = max(3, round(0.022 * h))
    foot, fork = (w // 2, h), (w // 2 + int(rng.integers(-4, 5)), round(h * (1 - clear - 0.12)))
    stem = np.array(
        [[foot[0] - trunk, h], [foot[0] + trunk, h], [fork[0] + trunk // 2, fork[1]], [fork[0] - trunk // 2, fork[1]]]
    )
    branches = [(fork, (round(w * rng.uniform(0.15, 0.85)), round(h * rng.uniform(0.15, 0.5)))) for _ in range(6)]
    for image, value in ((bgr, bark), (alpha, 255.0)):
        cv2.fillConvexPoly(image, stem, value)
        for a, b in branches:
            cv2.line(image, a, b, value, max(2, trunk // 2))
    # Crown: leaf clumps from the back to the front, lit from above and from the sun's side.
    side = math.sin(light.azimuth) * light.sun
    centre, radius = np.array((w / 2, h * (1 - clear) / 2)), np.array((w / 2, h * (1 - clear) / 2)) * 0.94
    count = 210
    direction = rng.normal(size=(count, 3))
    direction *= (rng.uniform(0.15, 1, (count, 1)) ** 0.45) / np.linalg.norm(direction, axis=1, keepdims=True)
    direction = direction[np.argsort(-direction[:, 2])]
    sparse = rng.uniform(0.7, 1.0)
    for dx, dy, dz in direction:
        size_px = max(3, round(w * rng.uniform(0.045, 0.10) * sparse))
        lit = 0.72 - 0.33 * dy + 0.30 * side * dx - 0.20 * dz + rng.normal(0, 0.07)
        at = (round(centre[0] + dx * (radius[0] - size_px)), round(centre[1] + dy * (radius[1] - size_px)))
        axes = (size_px, round(size_px * rng.uniform(0.6, 0.9)))
        angle = rng.uniform(0, 180)
        value = leaf * max(0.25, lit)
        cv2.ellipse(bgr, at, axes, angle, 0, 360, (float(value[0]), float(value[1]), float(value[2])), -1)
        cv2.ellipse(alpha, at, axes, angle, 0, 360, 255.0, -1)
    leaves = fractal(rng, size, 5, 2, 0.8)
    crown = np.arange(h) < h * (1 - clear + 0.06)
    bgr[crown] *= (1 + 0.22 * leaves)[crown][..., None]
    ragged = fractal(rng, size, 7, 2, 0.8)
    soft = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 2.0), np.float32) + 26 * ragged
    cut = np.where(soft > 127, np.uint8(255), np.uint8(0))
    alpha[crown] = cut[crown]
    bgr *= 0.75 + 0.45 * light.on(0, 0.5, -0.5)
    return Texture(to_u8(bgr), TREE, alpha), width_m, height_m


def hedge(rng: Rng, light: Light, length_m: float, height_m: float, brightness: float) -> Texture:
    """A hedge: leaf noise with a ragged upper edge."""
    px = 22
    size = (round(height_m * px), round(length_m * px))
    leaf = np.array(jitter(rng, LEAVES[int(rng.integers(len(LEAVES)))]), np.float32)
    value = 1 + 0.24 * fractal(rng, size, 9, 3, 0.8)
    value *= np.linspace(1.15, 0.6, size[0], dtype=np.float32)[:, None]
    top = (3 + 2.2 * (fractal(rng, (8, size[1]), 14, 3)[0] + 1)).clip(0, size[0] / 3)
    alpha = np.where(np.arange(size[0])[:, None] >= top[None, :], np.uint8(255), np.uint8(0))
    return Texture(to_u8(value[..., None] * leaf * brightness), TREE, alpha)


FENCES = ("railing", "planks", "mesh", "guard")


def fence(rng: Rng, kind: str, length_m: float, height_m: float, brightness: float) -> Texture:
    """A fence: railing and mesh let the background through (and are labelled as a whole), planks and guard rails hide it."""
    px = 26
    h, w = round(height_m * px), round(length_m * px)
    colour = paint(rng) if rng.random() < 0.6 else jitter(rng, LEAVES[int(rng.integers(len(LEAVES)))])
    bgr = np.empty((h, w, 3), np.float32)
    bgr[:] = colour
    if kind == "planks":
        step = int(rng.integers(4, 8))
        tone = rng.normal(1, 0.10, w // step + 1).astype(np.float32)[np.arange(w) // step]
        bgr *= tone[None, :, None]
        dye(bgr, 1 + 0.05 * fractal(rng, (h, w), 24))
        bgr[:, np.arange(w) % step == 0] *= 0.55
        bgr[h // 5 : h // 5 + 3] *= 0.8
        bgr[-h // 4 : -h // 4 + 3] *= 0.8
        return Texture(to_u8(bgr * brightness), FENCE)
    alpha = np.zeros((h, w), np.uint8)
    if kind == "railing":
        step = int(rng.integers(4, 7))
        alpha[:, np.arange(w) % step < 2] = 255
        alpha[1:4] = alpha[-5:-2] = 255
        alpha[:, np.arange(w) % (2 * px) < 4] = 255
        bgr[:, np.arange(w) % step == 0] *= 1.3
    elif kind == "mesh":
        y, x = np.mgrid[:h, :w]
        alpha[((x + y) % 6 < 1) | ((x - y) % 6 < 1)] = 235
        alpha[:3] = alpha[-3:] = 255
        alpha[:, np.arange(w) % (2 * px) < 4] = 255
    else:
        alpha[: h // 2] = 255
        alpha[:, np.arange(w) % (2 * px) < 5] = 255
        rows = np.arange(h // 2)
        bgr[: h // 2] *= (0.8 + 0.45 * np.abs(np.sin(rows / max(1, h // 2) * 2 * np.pi)))[:, None, None]
    return Texture(to_u8(bgr * brightness), FENCE, alpha, mode="blend")


SIGNS = ("prohibit", "order", "warn", "stop", "board", "diamond", "lights", "plate")


def sign(rng: Rng, kind: str) -> tuple[Texture, float, float]:
    """A traffic sign; returns texture, width and height in metres."""
    n = 96
    bgr, alpha = np.zeros((n, n, 3), np.uint8), np.zeros((n, n), np.uint8)
    width_m = height_m = rng.uniform(0.75, 1.0)
    white, black, red = jitter(rng, (225, 226, 228)), jitter(rng, (40, 38, 38)), jitter(rng, (45, 40, 170))
    blue, c = jitter(rng, (150, 85, 40)), n // 2
    if kind in ("prohibit", "order"):
        cv2.circle(alpha, (c, c), c - 1, 255, -1)
        cv2.circle(bgr, (c, c), c, red if kind == "prohibit" else white, -1)
        cv2.circle(bgr, (c, c), c - (13 if kind == "prohibit" else 4), white if kind == "prohibit" else blue, -1)
        ink = black if kind == "prohibit" else white
        if rng.random() < 0.5:
            cv2.arrowedLine(bgr, (c, n - 24), (c, 22), ink, 10, tipLength=0.4)
        else:
            cv2.putText(bgr, str(int(rng.choice([20, 30, 50]))), (20, 64), cv2.FONT_HERSHEY_SIMPLEX, 1.5, ink, 7)
    elif kind in ("warn", "diamond", "stop"):
        if kind == "warn":
            shape = np.array([[c, 2], [n - 3, n - 10], [2, n - 10]])
            rim, fill = red, white if rng.random() < 0.7 else jitter(rng, (60, 180, 215))
        elif kind == "diamond":
            shape = np.array([[c, 1], [n - 2, c], [c, n - 2], [1, c]])
            rim, fill = white, jitter(rng, (50, 175, 215))
        else:
            angles = (np.arange(8) + 0.5) * math.pi / 4
            shape = np.round(c + (c - 2) * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(int)
            rim, fill = white, red
        cv2.fillConvexPoly(alpha, shape.astype(np.int32), 255)
        cv2.fillConvexPoly(bgr, shape.astype(np.int32), rim)
        middle = shape.mean(0)
        inner = np.round(middle + (shape - middle) * (0.68 if kind == "warn" else 0.86)).astype(np.int32)
        cv2.fillConvexPoly(bgr, inner, fill)
        if kind == "stop":
            cv2.putText(bgr, "STOP", (12, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.95, white, 6)
        elif kind == "warn":
            cv2.line(bgr, (c, 40), (c, 64), black, 8)
            cv2.circle(bgr, (c, 76), 4, black, -1)
    elif kind == "lights":
        width_m, height_m = 0.42, 1.15
        alpha[:] = 255
        bgr[:] = jitter(rng, (38, 38, 40))
        on = int(rng.integers(3))
        for i, lamp in enumerate(((40, 40, 230), (40, 170, 240), (110, 220, 60))):
            colour = lamp if i == on else tuple(0.25 * v for v in lamp)
            cv2.ellipse(bgr, (c, 17 + 31 * i), (30, 12), 0, 0, 360, colour, -1)
    else:
        width_m, height_m = (rng.uniform(1.3, 2.4), rng.uniform(0.8, 1.3)) if kind == "board" else (0.6, 0.85)
        alpha[:] = 255
        fill = paint(rng)
        ink = white if sum(fill) < 360 else black
        bgr[:] = ink
        cv2.rectangle(bgr, (4, 5), (n - 5, n - 6), fill, -1)
        for y in range(16, n - 20, 22):
            x = 10
            while x < n - 18:
                step = int(rng.integers(4, 14))
                cv2.rectangle(bgr, (x, y), (min(x + step, n - 12), y + 10), ink, -1)
                x += step + int(rng.integers(3, 8))
    dirt = 1 + 0.04 * fractal(rng, (n, n), 24, 3)
    return Texture(to_u8(bgr.astype(np.float32) * dirt[..., None]), SIGN, alpha), width_m, height_m


def sign_back(rng: Rng, front: Texture) -> Texture:
    """The grey back of a sign."""
    bgra = front.level((0, 0))
    value = np.full((*bgra.shape[:2], 3), jitter(rng, (125, 125, 125)), np.float32)
    value *= (1 + 0.05 * fractal(rng, (bgra.shape[0], bgra.shape[1]), 20, 3))[..., None]
    alpha = np.full(bgra.shape[:2], 255, np.uint8) if front.opaque else bgra[..., 3].copy()
    return Texture(to_u8(value), SIGN, alpha)


def soft_shadow() -> Texture:
    """What lies under a car or a person: a dark rectangle with wide soft edges."""
    n = 64
    alpha = np.zeros((n, n), np.float32)
    alpha[14:50, 14:50] = 165
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 6), np.float32)
    return Texture(np.zeros((n, n, 3), np.uint8), 0, to_u8(alpha), mode="shade")


def skyline(rng: Rng, light: Light, size_wh: tuple[int, int]) -> list[Texture]:
    """Two layers at the end of the street, far to near: roofs, then treetops."""
    w, h = size_wh
    bgr, alpha = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8)
    x = 0
    while x < w:
        step = int(rng.integers(14, 46))
        top = round(h * rng.uniform(0.25, 0.8))
        colour = jitter(rng, WALLS[int(rng.integers(len(WALLS)))])
        block = masonry(rng, (h, step), shade(colour, 0.85 * light.on(0, 0, -1)), (7, 6), 0.16)
        bgr[:, x : x + step] = block[:, : max(0, w - x)]
        alpha[top:, x : x + step] = 255
        x += step
    roofs = Texture(to_u8(bgr), BUILDING, alpha)
    edge = h * (0.62 + 0.10 * fractal(rng, (8, w), 60, 5, 0.7)[0])
    leaf = np.array(jitter(rng, LEAVES[int(rng.integers(len(LEAVES)))]), np.float32)
    value = (1 + 0.25 * fractal(rng, (h, w), 9, 3, 0.8))[..., None] * leaf * light.on(0, 0.5, -0.5)
    cover = np.where(np.arange(h)[:, None] >= edge[None, :], np.uint8(255), np.uint8(0))
    return [roofs, Texture(to_u8(value), TREE, cover)]


def sky(rng: Rng, size_hw: tuple[int, int], zenith: BGR, haze: BGR, clouds: float, veil: float) -> U8:
    """Sky from the zenith (first row) to the horizon (last row): uint8 (h, w, 4), B, G, R, class.

    ``clouds`` is their cover, ``veil`` the share of haze in front of them, both 0 to 1.
    """
    h, w = size_hw
    ramp = np.linspace(0, 1, h, dtype=np.float32)[:, None, None] ** 1.4
    image = np.asarray((1 - ramp) * np.array(zenith, np.float32) + ramp * np.array(haze, np.float32), np.float32)
    image = np.broadcast_to(image, (h, w, 3)).copy()
    noise: F32 = fractal(rng, (2 * h, w), max(24.0, w / 4), 6, 0.55)
    noise = np.asarray(cv2.resize(noise, (w, h), interpolation=cv2.INTER_AREA), np.float32)  # clouds are wider than high
    cover = np.clip(noise * 0.55 + 1.6 * clouds - 0.75, 0, 1)[..., None]
    lit = np.clip(0.92 + 0.10 * noise, 0.65, 1.1)[..., None]
    white = np.array((232, 230, 228), np.float32) * (1 - 0.30 * max(0.0, clouds - 0.55))
    image = image * (1 - 0.85 * cover) + 0.85 * cover * lit * white
    image = (1 - veil) * image + veil * np.array(haze, np.float32)
    return np.dstack([to_u8(image), np.full((h, w), SKY, np.uint8)])
