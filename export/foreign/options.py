"""The options of an import."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.options import Options, configuration, option, parse_size, show_size
from ...core.spec import RESIZE_RULES
from ...datasets.imagefiles.ranges import parse_value_range, show_value_range
from ...runtime.engines.table import AUTO, ENGINES

Triple = tuple[float, float, float]

#: The class lists that ``classes`` names, beside files.
CLASS_LISTS = ("ade20k", "camvid", "cityscapes", "voc")


def parse_triple(text: str) -> Triple:
    """``"0.485,0.456,0.406"`` → three numbers; a single number is used for all three channels.

    Raises:
        InputError: the text has another form.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise InputError(f"expected three numbers such as 0.485,0.456,0.406, or one for all channels, got {text!r}")
    first, second, third = numbers * (3 // len(numbers))
    return first, second, third


@configuration
class ImportOptions(Options):
    """What the file of another tool doesn't say, and how the imported model is checked.

    A network gets ``(pixel * scale - mean) / std`` in each channel, pixels 0 to 255. What is None is guessed from the
    file, and the report gives the reason of each guess.

    >>> ImportOptions(mean="0.485,0.456,0.406", std=(0.229, 0.224, 0.225), rgb=True).mean
    (0.485, 0.456, 0.406)
    """

    classes: str | None = option(
        None,
        help=f"Class names: a text file with a name a line, a classes.json, or {', '.join(CLASS_LISTS)}. "
        "Default: what the file says, else numbers.",
        metavar="FILE|NAME",
    )
    input_hw: tuple[int, int] | None = option(
        None,
        help="Network input HxW, where the file leaves it free. Default: the file's.",
        flag="--imgsz",
        parse=parse_size,
        show=show_size,
    )
    mean: Triple | None = option(
        None, help="Subtracted from each channel after `scale`, in the network's channel order.", parse=parse_triple
    )
    std: Triple | None = option(
        None, help="Divides each channel after `mean`, in the network's channel order.", parse=parse_triple
    )
    scale: float | None = option(
        None, help="Factor of the pixels before `mean`. Default: 1/255 if `mean` is at most 1, else 1.", above=0
    )
    rgb: bool | None = option(None, help="Channel order of the network's input. Default: guessed.", flag="--rgb/--bgr")
    value_range: tuple[float, float] | None = option(
        None,
        help="Of images deeper than 8 bits: the values that become pixels 0 and 255, such as 7000:8000. "
        "Default: as `data` is read.",
        flag="--range",
        metavar="LOW:HIGH",
        parse=parse_value_range,
        show=show_value_range,
    )
    resize: str | None = option(
        None, help="How frames are resized to the input. Default: guessed. Rules", choices=lambda: RESIZE_RULES
    )
    output: str | None = option(None, help="The output to use. Default: the suitable one that most nodes compute.")
    stride: int | None = option(None, help="Input pixels per output pixel, to choose between outputs.", low=1)
    frames: Path | None = option(None, help="Image or folder of images to compare on. Default: frames that come along.")
    masks: Path | None = option(
        None, help="Folder of masks that the other tool made for `frames`: class numbers as PNG, same names."
    )
    data: Path | None = option(None, help="Dataset folder: mIoU of both sides on val.")
    min_agreement: float | None = option(
        None,
        help="Fail (exit 3) if fewer pixels have the original's class, 0 to 1. Default: 0.999; float16 files: 0.995.",
        low=0,
        high=1,
    )
    engine: str = option(
        AUTO, help="Engine to compare: auto is each one available. Names", choices=lambda: (AUTO, *ENGINES), metavar="NAME"
    )
    threads: int | None = option(None, help="CPU threads. Default: every core.", low=1)

    def check(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != 3:
                raise InputError(f"`{name}`: expected three numbers, got {values}")
        if self.std is not None and min(self.std) <= 0:
            raise InputError(f"`std`: expected numbers above 0, got {self.std}")
        if self.masks is not None and self.frames is None:
            raise InputError("`masks`: were made from images; pass those as `frames` too")
