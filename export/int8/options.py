"""The options of fine-tuning for INT8, and the precisions of layers that go back to float."""

from __future__ import annotations

from ...core.errors import InputError
from ...core.options import Options, configuration, option

#: Precisions of layers that go back to float.
FLOAT_PRECISIONS = ("fp32", "fp16")


@configuration
class QatOptions(Options):
    """How to fine-tune with fake quantization.

    >>> QatOptions(epochs=4).batch
    8
    """

    epochs: int = option(help="Passes over the training split.")
    batch: int = option(8, help="Images per step.", low=1)
    lr: float = option(
        0.02,
        help="Peak learning rate of Adam, in levels a step: about how far a weight moves. It rises over the first tenth of "
        "the steps and falls to 0 along a cosine. Small: the network is trained, only rounding has to be corrected.",
        above=0,
    )
    seed: int = option(0, help="Of order and augmentation.")

    def check(self) -> None:
        if self.epochs < 1:
            raise InputError(f"`qat`: expected at least 1 epoch, got {self.epochs}")
