"""Options for the work around the network. Imports the standard library and ``core`` only."""

from __future__ import annotations

from ...core.options import Options, configuration, option
from ...core.seconds import parse_duration, show_duration


@configuration
class GateOptions(Options):
    """Which frames the network computes.

    >>> GateOptions(gate=True).seconds
    2.0
    """

    gate: bool = option(False, help="Compute a frame only where the picture has changed; else repeat the last mask.")
    gate_every_s: float = option(
        2.0, help="With --gate, compute at least one frame in this time.", flag="--gate-every", parse=parse_duration,
        show=show_duration, low=0.01, high=3600,
    )  # fmt: skip

    @property
    def seconds(self) -> float | None:
        """For ``Segmenter(gate=…)``."""
        return self.gate_every_s if self.gate else None
