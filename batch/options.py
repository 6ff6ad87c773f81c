"""Options of ``seg-edge predict``. Imports the standard library and ``core`` only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..core.errors import InputError
from ..core.labels import VOID
from ..core.options import Options, configuration, option, parse_names, parse_size, show_size
from ..core.spec import CONFIDENCE_MEASURES, TTA_VIEWS

#: Output formats → what they write below the output folder, for help texts and pages.
FORMATS: Mapping[str, str] = {
    "mask": "masks/NAME.png: class numbers, one 8-bit channel",
    "palette": "palette/NAME.png: class numbers as indices of the classes' colours",
    "overlay": "overlays/NAME.jpg: the image with the classes' colours",
    "coco": "coco.json: an annotation in run lengths for each connected part",
    "coco-polygons": "coco-polygons.json: the same as polygons",
    "yolo": "yolo/labels/NAME.txt and yolo/data.yaml: a polygon for each connected part",
    "labelme": "labelme/NAME.json: a bitmap for each connected part",
    "geojson": "geojson/NAME.geojson: a MultiPolygon for each class, in pixels",
    "csv": "shares.csv: a line for each image with the share of each class",
    "parquet": "masks.parquet: a row for each image with its mask (PNG) and shares",
}
DECODING = ("full", "scaled")


def parse_shard(text: str) -> tuple[int, int]:
    """``"2/8"``: the second of eight parts → (2, 8).

    Raises:
        InputError: the text has another form, or the part is none of them.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"expected PART/PARTS such as 2/8, with PART from 1 to PARTS, got {text!r}")
    return int(match[1]), int(match[2])


def show_shard(shard: tuple[int, int]) -> str:
    """(2, 8) → ``"2/8"``."""
    return f"{shard[0]}/{shard[1]}"


@configuration
class PredictOptions(Options):
    """What is written for each image, and which images are taken."""

    formats: tuple[str, ...] = option(
        ("mask", "overlay"),
        help="What to write; several, with commas between them",
        flag="--format",
        metavar="NAME,…",
        choices=lambda: FORMATS,
        kind="format",
        parse=parse_names,
        show=",".join,
    )
    resume: bool = option(
        False, help="Go on where an earlier run into the same folder ended: images that are done are left alone."
    )
    shard: tuple[int, int] | None = option(
        None,
        help="Take one part of the images, such as 2/8, the second of eight. Machines that share an output folder each take "
        "one: parts never overlap.",
        metavar="I/N",
        parse=parse_shard,
        show=show_shard,
    )
    max_frames: int | None = option(None, help="Stop after this many images.", low=1)
    max_errors: int | None = option(
        None, help="Give up when more images than this can't be read. Default: go on to the end, whatever fails.", low=0
    )
    decode: str = option(
        "full",
        help="Decode JPEGs in full, or at half or a quarter of their size where that is no less than the network's input: "
        "faster, and few pixels at borders differ; masks keep the image's size",
        choices=lambda: DECODING,
    )
    workers: int | None = option(
        None,
        help="Threads that decode and encode beside the network. Default: one more than the CPU cores.",
        low=1,
        high=256,
    )
    ray: str | None = option(
        None,
        help="Spread the work over a Ray cluster: auto, HOST:PORT, or local to start Ray here. Every machine must see "
        "sources, model and output folder under the same path or address. Needs the extra ray.",
        metavar="ADDRESS",
    )
    alpha: float = option(0.5, help="Opacity of the classes in overlays, 0 to 1.", low=0, high=1)
    tile: tuple[int, int] | None = option(
        None,
        help="Cut images into tiles of this size, pixels, and blend their logits: for images much larger than the network's "
        "input. PNG and TIFF files of more than 64 Mi pixels are read and written in strips (extra tiles).",
        metavar="HxW",
        parse=parse_size,
        show=show_size,
    )
    overlap: int | None = option(
        None, help="Pixels that neighbouring tiles share at least. Default: nearly half a tile's shorter side.", low=0
    )
    tta: tuple[str, ...] = option(
        (),
        help="See each image several times and average the probabilities: flip adds mirror images, scale the image at one "
        "and a half times the size. Several with commas between them",
        choices=lambda: TTA_VIEWS,
        metavar="NAME,…",
        parse=parse_names,
        show=",".join,
    )
    confidence: str | None = option(
        None,
        help="Write confidence/NAME.png, how sure the network is of each pixel's class: 255 times the class's softmax "
        "probability, or times the margin between it and the second class's",
        choices=lambda: CONFIDENCE_MEASURES,
    )
    min_confidence: float | None = option(
        None,
        help="Least confidence, 0 to 1, of a pixel that keeps its class; probability unless --confidence says margin.",
        low=0,
        high=1,
    )
    below: str = option(VOID, help="What pixels below it become: void, or a class.", metavar="void|CLASS")

    @property
    def segmenting(self) -> dict[str, Any]:
        """The arguments of :class:`seg_edge.runtime.Segmenter`."""
        names = ("alpha", "confidence", "min_confidence", "below")
        return {name: getattr(self, name) for name in names}

    def check(self) -> None:
        if not self.formats:
            raise InputError("`formats`: nothing to write is named; name at least one of " + ", ".join(FORMATS))
        part = self.shard
        if part is not None and not (len(part) == 2 and 1 <= part[0] <= part[1]):
            raise InputError(f"`shard`: expected (part, parts) with part from 1 to parts, got {part}")
        if self.overlap is not None and self.tile is None:
            raise InputError("`overlap`: is that of tiles; give their size as `tile` too")
        if self.tile is not None and self.tta:
            raise InputError("`tta`: views are of whole images; drop it, or `tile`")
        if self.tile is not None and self.decode == "scaled":
            raise InputError("`decode='scaled'`: tiles are cut from the image in full; drop it, or `tile`")
        if self.below != VOID and self.min_confidence is None:
            raise InputError("`below`: says what pixels below `min_confidence` become; give that too")
