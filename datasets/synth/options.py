"""Options of generated data. Needs neither NumPy nor OpenCV: the command reads them before it loads these."""

from __future__ import annotations

from ...core.errors import InputError
from ...core.options import Options, check_name, configuration, option, parse_size, show_size
from .domains import DOMAINS

#: File formats of the images.
IMAGE_SUFFIXES = (".png", ".jpg")

_MOST_IMAGES = 100_000
_LONGEST_S = 36_000
_HIGHEST_SEED = 2**31 - 1


@configuration
class SynthOptions(Options):
    """What :func:`seg_edge.datasets.synthesize` generates.

    Scenes take turns through ``domains``; six frames, about two seconds apart, come from each scene.
    With more than one worker, a script needs the usual ``if __name__ == "__main__"``.
    """

    train: int = option(240, help="Images for training.")
    val: int = option(60, help="Images for validation, from other streets.")
    test: int = option(0, help="Images for a test split, from other streets again.")
    size_hw: tuple[int, int] = option(
        (360, 480), help="HEIGHTxWIDTH in pixels.", flag="--size", parse=parse_size, show=show_size
    )
    seed: int = option(0, help="Same seed, same images.")
    domains: tuple[str, ...] = option(
        (DOMAINS[0],),
        help=f"Light, weather and camera: {', '.join(DOMAINS)}. May be repeated or a comma list.",
        flag="--domain",
    )
    video_s: float = option(0.0, help="Also a video of this many seconds, with a mask for every frame.", flag="--video")
    fps: float = option(25.0, help="Frames per second of the video.", low=1, high=240)
    image_suffix: str = option(".png", help="File format of the images; JPEG has quality 92", choices=lambda: IMAGE_SUFFIXES)
    workers: int | None = option(
        1,
        help="Processes that render; the files are the same with any number. Not given to the command, or None: one a core.",
        low=1,
    )
    force: bool = option(False, help="Write into a folder that is not empty; foreign files stay.")

    def check(self) -> None:
        """Refuses counts, sizes, seeds and lengths out of range, and unknown domains.

        Raises:
            InputError: a value out of range, or no domain.
            UnknownNameError: no such domain.
        """
        counts = (self.train, self.val, self.test)
        if min(counts) < 0 or max(counts) > _MOST_IMAGES or sum(counts) == 0:
            raise InputError(
                f"`train`, `val` and `test` must be 0 to {_MOST_IMAGES} images and not all 0, got {self.train}, {self.val} "
                f"and {self.test}"
            )
        if not self.domains:
            raise InputError(f"`domains`: expected at least one domain of {', '.join(DOMAINS)}, got none")
        for name in self.domains:
            check_name("domain", name, DOMAINS)
        if not 0 <= self.video_s <= _LONGEST_S:
            raise InputError(f"`video_s`: expected 0 to {_LONGEST_S} seconds, got {self.video_s:g}")
        if len(self.size_hw) != 2 or not 32 <= min(self.size_hw) <= max(self.size_hw) <= 4096:
            shown = "x".join(map(str, self.size_hw))
            raise InputError(f"`size_hw`: expected height and width, each 32 to 4096 pixels, got {shown}")
        if not 0 <= self.seed <= _HIGHEST_SEED:
            raise InputError(f"`seed`: expected 0 to {_HIGHEST_SEED}, got {self.seed}")
