"""The classes of an imported network."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.labels import PRESETS, Labels
from ...datasets.labelfiles.classes import named_classes
from .families import Family
from .options import CLASS_LISTS
from .preprocessing import Guess

#: The 150 classes of ADE20K's scene parsing benchmark (Zhou et al., 2017), in the benchmark's order.
ADE20K = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass", "cabinet", "sidewalk",
    "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water", "painting", "sofa", "shelf",
    "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub",
    "railing", "cushion", "base", "box", "column", "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper",
    "fireplace", "refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door",
    "stairway", "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel",
    "bus", "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television receiver",
    "airplane", "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster",
    "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool", "stool", "barrel",
    "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food", "step", "tank", "trade name",
    "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen", "blanket", "sculpture", "hood", "sconce",
    "vase", "traffic light", "tray", "ashcan", "fan", "pier", "crt screen", "plate", "monitor", "bulletin board", "shower",
    "radiator", "glass", "clock", "flag",
)  # fmt: skip


def stated_classes(text: str) -> Labels:
    """The classes that the option names.

    Raises:
        InputError: neither a file nor a known list.
    """
    if text == "ade20k":
        return Labels.from_dict({"names": list(ADE20K)})
    if text not in PRESETS and not Path(text).is_file():
        raise InputError(f"`classes` {text}: no such file; expected a list of names, or one of {', '.join(CLASS_LISTS)}")
    return named_classes(text)


def resolve_classes(
    text: str | None, count: int | None, family: Family, where: str, dataset: Labels | None = None
) -> tuple[Labels, list[Guess]]:
    """The classes by the option, the file's metadata or the dataset; else numbers.

    Args:
        text: The option.
        count: Number of classes in the graph; 1 for one class against the rest; None if the graph doesn't say.
        dataset: The classes of the dataset that the network is evaluated on.

    Raises:
        InputError: no such list, a list of another length, or none for a network that doesn't say its number.
    """
    expected = 2 if count == 1 else count
    if text is not None:
        labels = stated_classes(text)
        if count == 1 and len(labels) == 1:
            labels = Labels.from_dict({"names": ["background", labels.names[0]]})
        if expected is not None and len(labels) != expected:
            one = " (one class and the rest)" if count == 1 else ""
            raise InputError(
                f"`classes` {text}: has {len(labels)} names, the network {where} has {expected} classes{one}; name them all"
            )
        return labels, []
    for names, reason in ((family.classes, "in the file's metadata"), (dataset.names if dataset else (), "the dataset's")):
        if names and (expected is None or len(names) == expected):
            labels = dataset if dataset is not None and names == dataset.names else Labels.from_dict({"names": list(names)})
            return labels, [Guess("classes", f"{names[0]}, …, {names[-1]} ({len(names)})", reason)]
    if expected is None:
        raise InputError(f"`classes`: the network {where} gives class numbers and doesn't say how many; name its classes")
    if count == 1:
        return Labels.from_dict({"names": ["background", "foreground"]}), [
            Guess("classes", "background, foreground", "the network scores one class")
        ]
    known = {19: "cityscapes", 21: "voc", 150: "ade20k", 11: "camvid"}.get(expected)
    more = f"; perhaps {known}: pass it as classes" if known else ""
    return Labels.numbered(expected), [Guess("classes", f"class0, …, class{expected - 1}", f"the file names none{more}")]
