"""Another view of the same scene: different light, weather and camera, the same geometry."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def other_view(images: Tensor, strength: float = 1.0) -> Tensor:
    """Each image as if another camera had taken it in other light and weather; its mask stays right.

    Exposure and white balance, response (gamma), saturation, a veil of haze that thickens towards the horizon, vignette,
    blur and sensor noise, in the order in which they happen; each is drawn for every image and left out
    with probability 0.4. Random numbers are torch's own, so that a resumed training draws the same.

    Args:
        images: uint8 (N, 3, H, W) RGB.
        strength: 0 changes nothing, 1 reaches from day to dusk or dense fog.

    Returns:
        uint8 (N, 3, H, W), new.
    """
    count, _, height, width = images.shape
    device = images.device
    x = images.float() / 255

    def uniform(low: float, high: float, neutral: float, channels: int = 1) -> Tensor:
        """One value for each image (and channel), (N, channels, 1, 1): uniform, or neutral where this step is left out."""
        drawn = low + (high - low) * torch.rand(count, channels, 1, 1)
        on = torch.rand(count, 1, 1, 1) >= 0.4
        return torch.where(on, neutral + strength * (drawn - neutral), torch.tensor(neutral)).to(device)

    # The veil: all of one colour, from a tenth of its density at the lower edge to all of it at the horizon and above.
    row = torch.linspace(-1, 1, height, device=device).view(1, 1, -1, 1)
    density = uniform(0.0, 0.75, 0.0) * (1 - 0.9 * row.clamp(0, 1))
    colour = (0.45 + 0.45 * torch.rand(count, 1, 1, 1) + 0.08 * torch.randn(count, 3, 1, 1)).to(device)
    x = x + density * (colour - x)
    grey = (x * torch.tensor([0.299, 0.587, 0.114], device=device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    x = grey + uniform(0.3, 1.5, 1.0) * (x - grey)
    x = x * uniform(-0.9, 0.35, 0.0).exp() * uniform(-0.18, 0.18, 0.0, channels=3).exp()
    x = x.clamp(1e-4, 1) ** uniform(-0.5, 0.5, 0.0).exp()
    column = torch.linspace(-1, 1, width, device=device).view(1, 1, 1, -1)
    x = x * (1 - uniform(0.0, 0.6, 0.0) * (row**2 + column**2) / 2)
    x = x + uniform(0.0, 1.0, 0.0) * (_blurred(x) - x)
    x = x + uniform(0.0, 0.05, 0.0) * torch.randn(x.shape).to(device)
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def _blurred(x: Tensor) -> Tensor:
    """A 5×5 binomial filter (standard deviation 1 pixel)."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=x.device, dtype=x.dtype) / 16
    kernel = (taps[:, None] * taps).expand(3, 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)
