"""What a camera and its light do to an image: colours, blur, noise, JPEG. Random, drawn from the generator that is given."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
Rng = np.random.Generator


def varied(image: Pixels, rng: Rng, strength: float = 1.0) -> Pixels:
    """uint8 (H, W, 3) in other light: exposure, gamma, white balance and saturation, as one table and one product."""
    gain = np.exp(strength * rng.normal(0, 0.22))
    gamma = np.exp(strength * rng.normal(0, 0.18))
    white = np.exp(strength * rng.normal(0, 0.06, 3))
    levels = (np.arange(256)[:, None] / 255) ** gamma * gain * white * 255
    table = np.clip(levels + 0.5, 0, 255).astype(np.uint8)[:, None, :]
    out = cv2.LUT(image, table)
    saturation = float(np.clip(1 + strength * rng.normal(0, 0.25), 0, 1.8))
    grey = np.full((3, 3), 1 / 3)
    return cv2.transform(out, saturation * np.eye(3) + (1 - saturation) * grey)


def blurred(image: Pixels, sigma: float) -> Pixels:
    """A Gaussian of ``sigma`` pixels; the image itself below a quarter of a pixel."""
    return image if sigma < 0.25 else cv2.GaussianBlur(image, (0, 0), sigma)


def matched(patch: Pixels, weight: Pixels, surroundings: Pixels, strength: float) -> Pixels:
    """A thing's colours moved towards those of where it lies: mean and spread of each channel.

    Args:
        patch: uint8 (h, w, 3).
        weight: float32 (h, w): which of its pixels are the thing.
        surroundings: uint8 (h, w, 3).
        strength: 0 leaves it, 1 gives it their mean and spread.
    """
    weights = weight.reshape(-1)
    total = float(weights.sum())
    if total < 16 or strength <= 0:
        return patch
    own, other = patch.reshape(-1, 3).astype(np.float32), surroundings.reshape(-1, 3).astype(np.float32)
    mean = weights @ own / total
    spread = np.sqrt(weights @ (own - mean) ** 2 / total) + 8
    theirs, width = other.mean(axis=0), other.std(axis=0) + 8
    gain = 1 + strength * (np.clip(width / spread, 0.5, 1.6) - 1)
    shift = strength * np.clip(theirs - mean, -70, 70)
    moved = (patch - mean) * gain + mean + shift
    return np.asarray(np.clip(moved, 0, 255), np.uint8)


def photographed(image: Pixels, rng: Rng) -> Pixels:
    """The whole image through one camera: light, blur of focus or motion, noise, JPEG."""
    out = varied(image, rng, 0.6)
    if rng.random() < 0.3:
        out = blurred(out, rng.uniform(0.3, 1.4))
    if rng.random() < 0.12:
        out = _moved(out, rng)
    if rng.random() < 0.4:
        sigma = rng.uniform(1, 12)
        out = np.clip(out + rng.normal(0, sigma, out.shape).astype(np.float32), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(25, 92))
        stored = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR))
    return out


def _moved(image: Pixels, rng: Rng) -> Pixels:
    """Blurred along a line, as by a camera that moves."""
    length = int(rng.integers(3, 8))
    kernel: Pixels = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1)
    line = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    return cv2.filter2D(image, -1, line / max(float(line.sum()), 1e-6))
