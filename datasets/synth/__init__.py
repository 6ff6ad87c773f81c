"""Generated street scenes with ground truth: a ride through CamVid's eleven classes, by seed, in several domains."""

from .domains import DOMAINS
from .scene import StreetScene
from .writer import write_dataset, write_video

__all__ = ["DOMAINS", "StreetScene", "write_dataset", "write_video"]
