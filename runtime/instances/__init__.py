"""Instances of a class: connected parts of a mask, and their identity from frame to frame."""

from __future__ import annotations

from .components import Components, components
from .tracking import ComponentTracker

__all__ = ["ComponentTracker", "Components", "components"]
