from __future__ import annotations

from seg_edge.runtime import engines
from seg_edge.runtime.engines.table import AUTO, ENGINES, PLAN_ENGINES
from seg_edge.runtime.modelfile.plan import FLAVOURS


def test_the_names_are_those_of_the_table():
    assert set(ENGINES) == set(engines.TABLE)
    assert engines.AUTO == AUTO
    assert set(PLAN_ENGINES) == set(FLAVOURS)
