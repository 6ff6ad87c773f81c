"""Commands of tests draw as little as they can: what they check is what a command says and writes."""

from __future__ import annotations

import pytest


@pytest.fixture
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these trainings do; tests of train/ draw real curves."""
    from seg_edge.train import callbacks

    monkeypatch.setattr(callbacks, "plot", lambda _rows, path: path.write_bytes(b"curves"))
