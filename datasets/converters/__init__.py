"""Annotations of other tools, converted once into ``images/<split>`` and ``labels/<split>``."""

from .writer import FORMATS, Converted, convert

__all__ = ["FORMATS", "Converted", "convert"]
