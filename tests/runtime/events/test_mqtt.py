"""Events through a real broker that is stopped and started, from senders that are killed: a small benchmarks/events.py."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime.events import Spool
from seg_edge.runtime.events.outbox import Outbox

pytest.importorskip("paho.mqtt.client")


@pytest.fixture(scope="module")
def harness(load_module):
    loaded = load_module("../benchmarks/events.py")
    if loaded.mosquitto() is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    return loaded


@pytest.fixture
def broker(harness, tmp_path):
    made = harness.Broker(tmp_path / "broker")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def reader(harness, broker):
    made = harness.Reader(broker)
    yield made
    made.close()


def test_events_arrive_once_and_in_order_though_the_broker_stops(harness, tmp_path, broker, reader):
    report = harness.outages(tmp_path, broker, reader, events=60, stops=2, seed=3)
    assert report == {"events": 60, "stops": 2, "waiting": 0, "missing": 0, "twice": 0, "out_of_order": 0}


def test_events_of_a_killed_sender_arrive_once(harness, tmp_path, broker, reader):
    report = harness.kills(tmp_path, broker, reader, turns=3, seed=1)
    assert report["events"] > 10
    assert [report[key] for key in ("waiting", "missing", "twice", "out_of_order")] == [0, 0, 0, 0]


def test_a_second_publication_is_seen(harness, tmp_path, broker, reader):
    """The reader can tell: the same event sent by two spools comes twice."""
    from seg_edge.runtime.events.mqtt import Mqtt

    for name in ("a", "b"):
        with Spool(tmp_path / f"{name}.sqlite") as spool:
            sending = Outbox(spool, [Mqtt(spool, broker.address)])
            spool.put({"id": "e.0"}, sending.names)
            assert sending.flush(10)
            sending.close()
    assert reader.wait(2) == ["e.0", "e.0"]


def test_nobody_listens_and_the_spool_waits(tmp_path, broker):
    from seg_edge.runtime.events.mqtt import Mqtt

    broker.stop()
    with Spool(tmp_path / "a.sqlite") as spool:
        sending = Outbox(spool, [Mqtt(spool, broker.address)])
        spool.put({"id": "a"}, sending.names)
        assert not sending.flush(0.3)
        sending.close()
        assert spool.waiting() == 1


def test_without_paho(monkeypatch, tmp_path):
    import sys

    from seg_edge.runtime.events.mqtt import Mqtt

    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with Spool(tmp_path / "a.sqlite") as spool, pytest.raises(InputError, match=r"pip install 'seg-edge\[mqtt\]'"):
        Mqtt(spool, "mqtt://host/x")
