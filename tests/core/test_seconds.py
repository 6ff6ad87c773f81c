from __future__ import annotations

import pytest

from seg_edge.core.errors import InputError
from seg_edge.core.seconds import parse_duration, show_duration


def test_durations():
    assert [parse_duration(text) for text in ("1.5s", "20ms", "3 min", "1h", "7")] == [1.5, 0.02, 180, 3600, 7]
    assert show_duration(2.5) == "2.5s"
    with pytest.raises(InputError, match="expected a duration such as 5s"):
        parse_duration("-1s")
