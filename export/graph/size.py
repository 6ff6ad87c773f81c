"""Sizes and batches that the networks' input may have."""

from __future__ import annotations

from ...core.errors import InputError

#: The deepest stride of the networks: sizes that are no multiple of it would not line up with the skip connections.
SIZE_STEP = 32
#: How the command line calls a batch axis of any size; in code it is None, as in :attr:`seg_edge.runtime.Engine.batch`.
FREE = "free"


def check_size(input_hw: tuple[int, int]) -> None:
    """Raises InputError if a side of the input is not a multiple of 32; the text names the nearest size that is."""
    if any(side < SIZE_STEP or side % SIZE_STEP for side in input_hw):
        near = [max(SIZE_STEP, round(side / SIZE_STEP) * SIZE_STEP) for side in input_hw]
        raise InputError(
            f"`input_hw='{input_hw[0]}x{input_hw[1]}'`: height and width must be multiples of {SIZE_STEP}; "
            f"nearest: {near[0]}x{near[1]}"
        )
