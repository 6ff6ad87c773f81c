"""One logger for a process, and who hears it."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest

from seg_edge.runtime.engines.trt_log import Log, listen


def test_everyone_who_is_kept_hears_errors_and_warnings():
    severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0, WARNING=2, INFO=3)

    class ILogger:
        Severity = severity

    trt = SimpleNamespace(ILogger=ILogger)
    first, second = Log(), Log()
    logger = listen(trt, first)
    assert listen(trt, second) is logger
    logger.log(severity.ERROR, "no\n  memory")
    logger.log(severity.INTERNAL_ERROR, "broken")
    del first
    gc.collect()
    logger.log(severity.WARNING, "slow")
    logger.log(severity.INFO, "hello")
    assert (second.errors, second.warnings) == (["no memory", "broken"], ["slow"])


def test_tensorrt_tells_the_second_as_it_told_the_first():
    trt = pytest.importorskip("tensorrt_rtx")
    for _ in range(2):
        log = Log()
        assert trt.Runtime(listen(trt, log)).deserialize_cuda_engine(b"no plan at all" * 100) is None
        assert log.errors
        assert not [line for line in log.warnings if "logger" in line]
