"""Options of the stages that check, convert and split datasets, and the names that they take.

Needs neither NumPy nor OpenCV: the command reads the options before it loads them.
"""

from __future__ import annotations

from pathlib import Path

from ..core.labels import PRESETS
from ..core.options import Options, configuration, option
from .imagefiles.ranges import parse_value_range, show_value_range

#: Formats that :func:`seg_edge.datasets.convert` reads, and the word for "whichever it is".
FORMATS = (
    "coco", "coco-panoptic", "cvat", "datumaro", "geojson", "huggingface", "label-studio", "labelme", "supervisely", "via",
    "yolo",
)  # fmt: skip
AUTO = "auto"
#: Ways to lie on disk; a test holds them equal to :data:`seg_edge.datasets.layouts.LAYOUTS`.
LAYOUT_KEYS = (
    "cityscapes", "voc", "ade20k", "camvid", "camvid-original", "carvana", "ultralytics", "split-first", "flat", "folders",
    "side-by-side", "beside",
)  # fmt: skip
#: Which pixels annotations of an image with EXIF orientation are for.
EXIF = ("upright", "stored")
#: What becomes of a source's classes that ``classes`` doesn't list.
OTHERS = ("error", "void", "background")
#: What pixels are that no annotation covers.
UNLABELLED = ("void", "background")


def parse_names(text: str) -> tuple[str, ...]:
    """``"road, car"`` → ("road", "car"); empty entries are left out.

    >>> parse_names("road, car,")
    ('road', 'car')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


@configuration
class ReadOptions(Options):
    """How a dataset's files are read where they don't say it themselves. ``reading.json`` beside the data keeps them."""

    layout: str | None = option(
        None, help="How the dataset lies on disk. Default: what its folders show", choices=lambda: LAYOUT_KEYS
    )
    value_range: tuple[float, float] | None = option(
        None,
        help="Of images deeper than 8 bits: the values that become 0 and 255, such as 7000:8000.",
        flag="--range",
        metavar="LOW:HIGH",
        parse=parse_value_range,
        show=show_value_range,
    )
    void: int | None = option(None, help="A value of the label files that counts nowhere, besides 255.", low=0, high=255)
    snap: bool = option(
        False, help="Set each pixel of labels with smoothed borders or in JPEG to a class; borders are then a guess."
    )
    exif: str = option(
        "upright",
        help="What labels of images with EXIF orientation were drawn on: the image as viewers show it, or as stored by "
        "tools that ignore EXIF",
        choices=lambda: EXIF,
    )


@configuration
class CheckOptions(ReadOptions):
    """What :func:`seg_edge.datasets.check` reads, and what it does beside."""

    save: bool = option(
        False, help="Keep how files are read in reading.json beside the data: every verb then reads them so."
    )

    classes: str | Path | None = option(
        None,
        help="The dataset's classes: a text file with a name a line, a classes.json, or the list of a known dataset: "
        f"{', '.join(PRESETS)}. Default: what the dataset says.",
    )
    sheet: Path | None = option(None, help="Write an image here: samples of every split under their labels.")


@configuration
class ConvertOptions(Options):
    """How :func:`seg_edge.datasets.convert` reads annotations of other tools."""

    format: str = option(AUTO, help="Format of the annotations", choices=lambda: (AUTO, *FORMATS))
    classes: str | Path | None = option(
        None,
        help="Classes of the result, in order: a text file with a name a line, a classes.json, or the list of a known "
        f"dataset: {', '.join(PRESETS)}. Default: the source's.",
    )
    others: str = option(
        "error",
        help="With `classes`: what becomes of the source's other classes",
        choices=lambda: OTHERS,
        kind="`others`",
    )
    unlabelled: str | None = option(
        None,
        help="What pixels are that nothing covers (left out: background; void in panoptic data)",
        choices=lambda: UNLABELLED,
        kind="`unlabelled`",
    )
    clip: bool = option(False, help="Cut shapes off at the image's border instead of refusing them.")
    skip_shapes: bool = option(
        False, help="Leave out shapes without an area (points, lines, boxes beside outlines) and count them."
    )
    exif: str = option(
        "upright",
        help="What annotations of images with EXIF orientation were drawn on: the image as viewers show it, or as stored by "
        "tools that ignore EXIF",
        choices=lambda: EXIF,
    )
    link: bool = option(False, help="Symbolic links to the images instead of copies.")


@configuration
class SplitOptions(Options):
    """How :func:`seg_edge.datasets.split_classes` takes a dataset apart."""

    classes: tuple[str, ...] | None = option(
        None, help="Comma list of names. Default: every class.", parse=parse_names, show=",".join
    )
    seed: int = option(0, help="Same seed, same shares.", low=0)
