from __future__ import annotations

import threading
import time

from seg_edge.runtime.pipeline.channel import Channel


def test_order_and_close():
    channel: Channel[int] = Channel(4)
    for i in range(3):
        assert channel.put(i)
    channel.close()
    assert list(channel) == [0, 1, 2]
    assert channel.dropped == 0


def test_full_channel_drops_the_oldest():
    channel: Channel[int] = Channel(2, drop_oldest=True)
    for i in range(5):
        assert channel.put(i)
    channel.close()
    assert list(channel) == [3, 4]
    assert channel.dropped == 3


def test_each_key_has_its_own_places():
    channel: Channel[str] = Channel(1, drop_oldest=True, key=lambda item: int(item[0]))
    for item in ("1a", "2a", "1b", "1c"):
        channel.put(item)
    assert channel.dropped == 2
    assert channel.more(5) == ["2a", "1c"]
    channel.put("1d")
    channel.close()
    assert list(channel) == ["1d"]
    assert channel.more(1) == []


def test_full_channel_blocks_until_one_is_taken():
    channel: Channel[int] = Channel(1)
    channel.put(0)
    writer = threading.Thread(target=channel.put, args=(1,))
    writer.start()
    writer.join(0.05)
    assert writer.is_alive()
    items = iter(channel)
    assert next(items) == 0
    writer.join(2)
    assert not writer.is_alive()
    assert next(items) == 1


def test_late_is_said_once_and_only_to_who_waits():
    channel: Channel[int] = Channel(2)
    channel.put(1)
    said: list[float] = []
    items = channel.each(time.perf_counter() + 0.05, lambda: said.append(time.perf_counter()))
    assert next(items) == 1
    assert said == []
    threading.Timer(0.15, channel.put, (2,)).start()
    asked = time.perf_counter()
    assert next(items) == 2
    assert len(said) == 1
    assert 0.02 < said[0] - asked < 0.12


def test_abort_wakes_a_blocked_writer():
    channel: Channel[int] = Channel(1)
    channel.put(0)
    answers: list[bool] = []
    writer = threading.Thread(target=lambda: answers.append(channel.put(1)))
    writer.start()
    channel.abort()
    writer.join(2)
    assert answers == [False]
    assert channel.dropped == 2  # the one that waited and the one that was refused
    assert list(channel) == []


def test_abort_wakes_a_blocked_reader():
    channel: Channel[int] = Channel(1)
    taken: list[list[int]] = []
    reader = threading.Thread(target=lambda: taken.append(list(channel)))
    reader.start()
    channel.abort()
    reader.join(2)
    assert taken == [[]]
