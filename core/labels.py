"""Classes and palettes."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RGB = tuple[int, int, int]
#: Void pixels, where a class's name is asked for.
VOID = "void"
#: The class of what is none of the others. Overlays don't colour it unless it is asked for.
BACKGROUND = "background"


@dataclass(frozen=True)
class Labels:
    """The classes of a dataset, in the order of their label values.

    Attributes:
        names: One name per class; label value ``i`` is ``names[i]``.
        palette: One RGB colour per class, 0 to 255.
        ignore_index: The label value of void pixels, which metrics and losses ignore. Never a class.
    """

    names: tuple[str, ...]
    palette: tuple[RGB, ...]
    ignore_index: int = 255

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= 255:
            raise DataError(f"classes: expected 1 to 255 names, got {len(self.names)}")
        if len(set(self.names)) != len(self.names):
            raise DataError(f"classes: names must be unique, got {', '.join(self.names)}")
        if len(self.palette) != len(self.names):
            raise DataError(
                f"classes: {len(self.names)} names but {len(self.palette)} colours; give one RGB colour per class"
            )
        if any(len(colour) != 3 or not all(0 <= value <= 255 for value in colour) for colour in self.palette):
            raise DataError(f"classes: colours must be three numbers from 0 to 255, got {self.palette}")
        if not len(self.names) <= self.ignore_index <= 255:
            raise DataError(
                f"classes: ignore_index must lie in {len(self.names)}..255 (above every class), got {self.ignore_index}"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def palette_bgr(self) -> npt.NDArray[np.uint8]:
        """The palette as uint8 (classes, 3), in the channel order of frames."""
        import numpy as np  # late, because reading a spec must be fast

        return np.ascontiguousarray(np.array(self.palette, np.uint8)[:, ::-1])

    def to_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "palette": [list(c) for c in self.palette], "ignore_index": self.ignore_index}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Labels:
        """Reads ``{"names": […], "palette": [[r, g, b], …], "ignore_index": n}``; only the names are required.

        Raises:
            DataError: a key is unknown, or a value is of the wrong kind.
        """
        unknown = set(data) - {"names", "palette", "ignore_index"}
        if unknown:
            raise DataError(f"classes: unknown key {sorted(unknown)[0]!r}; valid keys: names, palette, ignore_index")
        try:
            if isinstance(data["names"], (str, dict)):  # tuple() would split it into letters, or take its keys
                raise DataError(f"classes: names must be a list, got {data['names']!r}")
            names = tuple(str(name) for name in data["names"])
            palette = tuple((int(r), int(g), int(b)) for r, g, b in data.get("palette") or default_palette(len(names)))
            return cls(names, palette, int(data.get("ignore_index", 255)))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"classes: expected names, palette (RGB triples) and ignore_index, got {data!r}") from error

    @classmethod
    def numbered(cls, count: int, ignore_index: int = 255) -> Labels:
        """``count`` classes with generated names: ``class0``, ``class1``, …"""
        return cls(tuple(f"class{i}" for i in range(count)), default_palette(count), ignore_index)


def default_palette(count: int) -> tuple[RGB, ...]:
    """Colours with good contrast between neighbours: hues at the golden angle, lightness in three steps."""
    colours: list[RGB] = []
    for i in range(count):
        r, g, b = colorsys.hls_to_rgb((i * 0.61803398875) % 1.0, (0.45, 0.62, 0.32)[i % 3], 0.75)
        colours.append((round(r * 255), round(g * 255), round(b * 255)))
    return tuple(colours)


#: The 11 classes of CamVid as in SegNet (Badrinarayanan et al., 2017), void = 11.
CAMVID = Labels(
    names=(
        "sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian", "bicyclist",
    ),
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
    ignore_index=11,
)  # fmt: skip

#: The 19 classes that Cityscapes trains and evaluates on (Cordts et al., 2016), in the order of their training ids.
CITYSCAPES = Labels(
    names=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
        "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ),
    palette=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153), (250, 170, 30),
        (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70),
        (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
)  # fmt: skip


def voc_palette(count: int) -> tuple[RGB, ...]:
    """Pascal VOC's colours: bit 3k + c of the class number is bit 7 − k of channel c."""
    return tuple(
        tuple(sum((number >> 3 * k + channel & 1) << 7 - k for k in range(3)) for channel in range(3))  # type: ignore[misc]
        for number in range(count)
    )


#: The 20 classes of Pascal VOC and background (Everingham et al., 2010). Borders of objects are void, in VOC_VOID_RGB.
VOC = Labels(
    names=(
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
        "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ),
    palette=voc_palette(21),
)  # fmt: skip
VOC_VOID_RGB: RGB = (224, 224, 192)

#: The classes of Carvana: background and car.
CARVANA = Labels(("background", "car"), ((0, 0, 0), (255, 255, 255)))

PRESETS: dict[str, Labels] = {"camvid": CAMVID, "carvana": CARVANA, "cityscapes": CITYSCAPES, "voc": VOC}


def preset(name: str) -> Labels:
    """The class list of a known dataset.

    Raises:
        UnknownNameError: the name is unknown.
    """
    if name not in PRESETS:
        raise UnknownNameError("class list", name, PRESETS)
    return PRESETS[name]


def colorize(mask: npt.NDArray[np.integer[Any]], colours: Sequence[RGB]) -> npt.NDArray[np.uint8]:
    """Colours a mask: integer (H, W) → uint8 (H, W, 3), in the channel order of ``colours``; other values are black."""
    import numpy as np

    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    return np.asarray(table[mask])
