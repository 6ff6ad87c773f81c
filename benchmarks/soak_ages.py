"""Ages of frames behind a slow network, for soak.py: do they wait for one inference at most, whatever the machine does?"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np


def fresh(ages_ms: list[float], inferences_ms: list[float], late_ms: float) -> dict[str, Any]:
    """Whether frames wait for one inference at most, and no longer at the end than at the beginning.

    Args:
        ages_ms: Of each frame, at the sink.
        inferences_ms: Of each frame.
        late_ms: How late threads of this machine wake up.
    """
    ages, own = np.array(ages_ms), np.array(inferences_ms)
    before = np.concatenate((own[:1], own[:-1]))
    beyond = int((ages > own + before + 100 + late_ms).sum())
    first, last = (float(np.median(part)) for part in np.array_split(ages - own, 2))
    return {
        "inference_p50_ms": float(np.median(own)), "late_p99_ms": late_ms, "beyond": beyond,
        "waited_first_half_ms": first, "waited_second_half_ms": last,
        "passed": beyond <= max(0.01 * len(ages), 1) and last < first + 50 + late_ms,
    }  # fmt: skip


class Lateness(threading.Thread):
    """How late a thread wakes up that sleeps for 10 ms, over and over."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._late_ms: list[float] = []
        self._done = threading.Event()

    def __enter__(self) -> Lateness:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        while not self._done.is_set():
            began_s = time.perf_counter()
            time.sleep(0.01)
            self._late_ms.append(1e3 * (time.perf_counter() - began_s) - 10)

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(self._late_ms, 99)) if self._late_ms else 0.0
