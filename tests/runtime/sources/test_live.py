"""Live sources against real servers: silence, death, return, another size; nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from seg_edge.core.errors import InputError, SourceError
from seg_edge.runtime.sources import LiveOptions, open_source

pytestmark = pytest.mark.usefixtures("nothing_left")
FAST = LiveOptions(stall_s=0.6)


def take(frames, count):
    return [next(frames) for _ in range(count)]


def test_server_stopped_and_continued(rtsp_server, free_port, caplog):
    server = rtsp_server(free_port)
    with open_source(f"rtsp://127.0.0.1:{free_port}/test", live=FAST) as source:
        assert source.live
        assert source.fps == pytest.approx(30)
        frames = iter(source)
        assert [frame.index for frame in take(frames, 5)] == [0, 1, 2, 3, 4]
        assert source.health()[0]["state"] == "live"
        server.send_signal(signal.SIGSTOP)
        states = []

        def watch():
            time.sleep(1)
            states.append(source.health()[0]["state"])
            time.sleep(2)
            states.append(source.health()[0]["state"])
            server.send_signal(signal.SIGCONT)
            states.append(time.perf_counter())

        watcher = threading.Thread(target=watch)
        watcher.start()
        after = next(frames)
        while len(states) < 3 or after.captured_s < states[2]:  # what was under way when the server stopped
            after = next(frames)
        watcher.join()
        assert states[:2] == ["stalled", "reconnecting"]
        assert time.perf_counter() - states[2] < 5
        assert time.perf_counter() - after.captured_s < 0.5  # a new frame, none from before the silence
        (health,) = source.health()
        assert (health["state"], health["stalls"], health["reconnects"], source.reconnects) == ("live", 1, 1, 1)
        assert 2.5 < health["lost_s"] < 8
        assert health["size"] == [48, 64]
    assert source.health()[0]["state"] == "ended"
    assert "no frame for 0.6 s; connecting again" in caplog.text
    assert "back after" in caplog.text


def test_server_killed_and_back_with_another_size(rtsp_server, free_port):
    server = rtsp_server(free_port)
    with open_source(f"rtsp://127.0.0.1:{free_port}/test", live=FAST) as source:
        frames = iter(source)
        take(frames, 3)
        server.kill()
        server.wait()
        back = []

        def restart():
            time.sleep(1)
            rtsp_server(free_port, 80, 64)
            back.append(time.perf_counter())

        thread = threading.Thread(target=restart)
        thread.start()
        while (frame := next(frames)).image_bgr.shape == (48, 64, 3):
            pass
        assert frame.image_bgr.shape == (64, 80, 3)
        thread.join()
        assert time.perf_counter() - back[0] < 5
        (health,) = source.health()
        assert (health["reconnects"], health["stalls"], health["size"]) == (1, 0, [64, 80])


def test_first_connection_is_waited_for(rtsp_server, free_port):
    threading.Timer(0.5, rtsp_server, (free_port,)).start()
    with open_source(f"rtsp://127.0.0.1:{free_port}/test", live=LiveOptions(start_s=15)) as source:
        assert next(iter(source)).image_bgr.shape == (48, 64, 3)


def test_nobody_there_and_no_password_in_the_error(free_port):
    started = time.perf_counter()
    with pytest.raises(
        SourceError, match=rf"rtsp://me:\*\*\*@127.0.0.1:{free_port}/x: no video .* Connection refused"
    ) as caught:
        open_source(f"rtsp://me:secret@127.0.0.1:{free_port}/x", live=LiveOptions(start_s=0.5))
    assert time.perf_counter() - started < 1.5
    assert "secret" not in str(caught.value)


def test_no_such_path(rtsp_server, free_port):
    rtsp_server(free_port)
    # The reason is that of the last attempt that ended: long enough for one, however busy the machine is.
    with pytest.raises(SourceError, match="404"):
        open_source(f"rtsp://127.0.0.1:{free_port}/absent", live=LiveOptions(start_s=8))


@pytest.mark.parametrize("silent", [False, True])
def test_cancel_ends_every_wait(rtsp_server, free_port, silent):
    server = rtsp_server(free_port)
    with open_source(f"rtsp://127.0.0.1:{free_port}/test", live=LiveOptions(stall_s=60 if silent else 0.3)) as source:
        frames = iter(source)
        take(frames, 2)
        server.send_signal(signal.SIGSTOP)
        asked = []
        threading.Timer(1, lambda: (asked.append(time.perf_counter()), source.cancel())).start()
        for _ in frames:
            pass
        assert time.perf_counter() - asked[0] < 0.5
        assert next(iter(source), None) is None


def test_the_grabber_does_not_outlive_a_killed_parent(rtsp_server, free_port):
    """Not even while it waits in a read, where it would never notice that nobody takes its frames."""
    server = rtsp_server(free_port)
    code = """
import sys, time
from seg_edge.runtime import open_source
source = open_source(sys.argv[1])
print(source._feed._process.pid, flush=True)
time.sleep(60)
"""
    words = [sys.executable, "-c", code, f"rtsp://127.0.0.1:{free_port}/test"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        grabber = int(parent.stdout.readline())
        server.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        assert running(grabber)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 3
    while running(grabber):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # nobody reaps orphans in some containers
    except OSError:
        return False


def test_patience_is_checked():
    with pytest.raises(InputError, match="`stall_s`: expected seconds above 0, got 0"):
        LiveOptions(stall_s=0)
