"""A file that ends the process that reads it costs one error line."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import ModelFileError
from seg_edge.export import ImportOptions, import_network
from seg_edge.export.importing import rehearsal

OPTIONS = ImportOptions(engine="onnxruntime", threads=1)

#: The body of a task, in place of reading the file.
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
HANG = "import time; time.sleep(1000)"
HUGE = "bytearray(2**60)"
EXIT = "raise KeyError('x')"


def helper(monkeypatch, body):
    """A helper process of its own, whose forks do something else."""
    command = f"from seg_edge.export.importing.rehearsal import serve\ndef task(question):\n    {body}\nserve(task)"
    monkeypatch.setattr(rehearsal, "_COMMAND", command)
    mine = rehearsal._Helper()
    monkeypatch.setattr(rehearsal, "_HELPER", mine)
    return mine


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (CRASH, r"crashes ONNX Runtime or onnx \(SIGSEGV\); the file is damaged or hostile"),
        (HANG, r"take longer than 0 s"),
        (HUGE, r"needs more than the [\d.]+ GiB of memory"),
    ],
)
def test_a_crash_a_hang_and_a_hunger_are_a_line_and_write_nothing(write, tmp_path, monkeypatch, body, text):
    mine = helper(monkeypatch, body)
    if body is HANG:
        monkeypatch.setattr(rehearsal, "SECONDS", 0.05)
    try:
        for _ in range(2):  # the helper outlives its forks
            with pytest.raises(ModelFileError, match=text) as info:
                import_network(write(["resize"]), tmp_path / "out", OPTIONS)
            assert "\n" not in str(info.value)
        assert mine._process.poll() is None
    finally:
        mine.close()
    assert not (tmp_path / "out").exists()


def test_an_exception_is_left_to_the_import_itself(write, tmp_path, monkeypatch):
    mine = helper(monkeypatch, EXIT)
    try:
        import_network(write(["resize"]), tmp_path / "out", OPTIONS)
    finally:
        mine.close()


def test_a_helper_that_has_ended_is_replaced_and_one_that_never_starts_is_done_without(write, tmp_path, monkeypatch):
    mine = helper(monkeypatch, CRASH)
    try:
        with pytest.raises(ModelFileError, match="SIGSEGV"):
            import_network(write(["resize"]), tmp_path / "out", OPTIONS)
        mine._process.kill()
        mine._process.wait()
        with pytest.raises(ModelFileError, match="SIGSEGV"):
            import_network(write(["resize"]), tmp_path / "out", OPTIONS)
        mine.close()
        monkeypatch.setattr(rehearsal, "_COMMAND", "raise SystemExit(1)")
        import_network(write(["resize"]), tmp_path / "out", OPTIONS)
    finally:
        mine.close()


def test_the_real_helper_reads_a_file_in_its_fork(write):
    assert rehearsal._HELPER.ask({
        "path": str(write(["resize"])), "seconds": 60,
        "options": {"input_hw": None, "output": None, "stride": None, "threads": 1},
    }) == {}  # fmt: skip
