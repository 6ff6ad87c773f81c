"""The spool: on disk, bounded, for one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime.events import Spool


def test_messages_wait_in_order_and_outlive_the_process(tmp_path):
    path = tmp_path / "a.sqlite"
    code = f"""
from seg_edge.runtime.events import Spool
import os, signal
spool = Spool({str(path)!r})
for name in "abc":
    spool.put({{"id": name}}, ["one", "two"])
spool.delivered("two", "a")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -signal.SIGKILL
    with Spool(path) as spool:
        assert spool.waiting() == 5
        assert spool.oldest("two")[1] == {"id": "b"}
        for name in "abc":
            assert spool.oldest("one")[1] == {"id": name}
            spool.delivered("one", name)
        assert spool.oldest("one") is None


def test_a_message_is_queued_once(tmp_path):
    with Spool(tmp_path / "a.sqlite") as spool:
        spool.put({"id": "a", "n": 1}, ["one"])
        spool.put({"id": "a", "n": 2}, ["one"])
        assert spool.waiting() == 1


def test_it_is_bounded_and_says_what_it_drops(tmp_path, caplog):
    with Spool(tmp_path / "a.sqlite", most=3) as spool:
        for number in range(5):
            spool.put({"id": str(number)}, ["one"])
        assert (spool.waiting(), spool.dropped, spool.oldest("one")[1]["id"]) == (3, 2, "2")
    assert "is full (3 messages): the oldest are dropped" in caplog.text


def test_open_events(tmp_path):
    with Spool(tmp_path / "a.sqlite") as spool:
        spool.put({"id": "x-start"}, ["one"], opened="x")
        spool.put({"id": "y-start"}, ["one"], opened="y")
        spool.put({"id": "x-end"}, ["one"], ended="x")
    with Spool(tmp_path / "a.sqlite") as spool:
        assert spool.left_open() == [{"id": "y-start"}]


def test_one_process_at_a_time(tmp_path):
    with Spool(tmp_path / "a.sqlite"), pytest.raises(InputError, match="`spool`: .*a.sqlite is used by another run"):
        Spool(tmp_path / "a.sqlite")
    Spool(tmp_path / "a.sqlite").close()


def test_facts_are_decided_once(tmp_path):
    with Spool(tmp_path / "a.sqlite") as spool:
        assert [spool.fact("name", "a"), spool.fact("name", "b")] == ["a", "a"]


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"something else, longer than a header of SQLite" * 40)
    with pytest.raises(InputError, match="is no spool"):
        Spool(path)
    assert os.path.getsize(path) == 46 * 40
