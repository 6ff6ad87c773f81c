"""Valid sizes and batches of the networks' input."""

from __future__ import annotations

from ...core.errors import InputError

#: The deepest stride of the networks. Skip connections only line up for sizes that are a multiple of this stride.
SIZE_STEP = 32
#: Name of a batch of any size on the command line; in code it is None, as in :attr:`seg_edge.runtime.Engine.batch`.
FREE = "free"


def check_size(input_hw: tuple[int, int]) -> None:
    """Raises InputError if a side of the input is not a multiple of 32; the text names the nearest valid size."""
    if any(side < SIZE_STEP or side % SIZE_STEP for side in input_hw):
        near = [max(SIZE_STEP, round(side / SIZE_STEP) * SIZE_STEP) for side in input_hw]
        raise InputError(
            f"`input_hw='{input_hw[0]}x{input_hw[1]}'`: height and width must be multiples of {SIZE_STEP}; "
            f"nearest: {near[0]}x{near[1]}"
        )
