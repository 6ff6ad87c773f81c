"""Events through a real broker (Mosquitto): stopped and started at random, and from senders that are killed. Writes JSON.

    python benchmarks/events.py [--events 1000] [--stops 20] [--kills 200] [--seed 0] [--json FILE]

Counts what a subscriber in a lasting session gets: every event, in order, once. It exits with 3 if one is missing, twice, or
out of order. Needs paho-mqtt (the extra `mqtt`) and the program `mosquitto`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from seg_edge.core.artefact import write_json
from seg_edge.runtime.events import Spool
from seg_edge.runtime.events.outbox import Outbox
from seg_edge.runtime.machine.system import machine

TOPIC = "seg-edge/test"
#: Spools events named TURN.NUMBER, and prints each number when its event is on disk.
SENDER = """
import sys
from seg_edge.runtime.events import Spool
from seg_edge.runtime.events.mqtt import Mqtt
from seg_edge.runtime.events.outbox import Outbox
path, address, turn, count = sys.argv[1:]
spool = Spool(path)
sending = Outbox(spool, [Mqtt(spool, address)])
for number in range(int(count)):
    spool.put({"id": f"{turn}.{number}"}, sending.names)
    print(number, flush=True)
sending.flush(60)
sending.close()
"""


def mosquitto() -> str | None:
    """The broker's program; None if it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Broker:
    """Mosquitto on a free port, with persistence."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folder.mkdir()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            "max_queued_messages 0\nlog_type error\n" + ("user root\n" if os.geteuid() == 0 else "")
        )
        self.address = f"mqtt://127.0.0.1:{self.port}/{TOPIC}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = mosquitto()
        assert program is not None
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise TimeoutError("mosquitto doesn't start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


class Reader:
    """A subscriber in a lasting session, as an alarm system is."""

    def __init__(self, broker: Broker) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.ids: list[str] = []
        #: Messages that the broker repeated by itself, and marked so, as QoS 1 allows it after a restart.
        self.repeated = 0
        self._ready = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2, "reader", clean_session=False)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda client, *_: client.subscribe(TOPIC, qos=1)
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._take
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        if not self._ready.wait(10):
            raise TimeoutError("the reader can't subscribe")
        self._client = client

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        name = json.loads(message.payload)["id"]
        if message.dup and name in self.ids:
            self.repeated += 1
        else:
            self.ids.append(name)

    def wait(self, count: int) -> list[str]:
        """The ids that came, once there are so many, or after half a minute."""
        deadline = time.monotonic() + 30
        while len(self.ids) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        return self.ids

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def outages(folder: Path, broker: Broker, reader: Reader, events: int, stops: int, seed: int) -> dict[str, Any]:
    """Sends events while the broker is stopped and started."""
    from seg_edge.runtime.events.mqtt import Mqtt

    chance = random.Random(seed)
    stopped = sorted(chance.sample(range(1, events), stops))
    names = [f"e.{number}" for number in range(events)]
    back = -1
    with Spool(folder / "outages.sqlite") as spool:
        sending = Outbox(spool, [Mqtt(spool, broker.address)])
        for number, name in enumerate(names):
            if number == back:
                broker.start()
                back = -1
            if number in stopped and back < 0:
                broker.stop()
                back = min(number + chance.randint(1, 5), events - 1)
            spool.put({"id": name}, sending.names)
            time.sleep(chance.uniform(0, 0.01))
        if back >= 0:
            broker.start()
        sending.flush(60)
        sending.close()
        waiting = spool.waiting()
    came = reader.wait(events)
    return {"events": events, "stops": stops, "waiting": waiting, **_judged(came, names)}


def kills(folder: Path, broker: Broker, reader: Reader, turns: int, seed: int) -> dict[str, Any]:
    """Sends events from programs that are killed, each after a random number of them."""
    chance = random.Random(seed)
    path, spooled = folder / "kills.sqlite", []
    words = [sys.executable, "-c", SENDER, str(path), broker.address]
    for turn in range(turns):
        limit = chance.randint(0, 40)
        with subprocess.Popen([*words, str(turn), "1000"], stdout=subprocess.PIPE, text=True) as sender:
            assert sender.stdout is not None
            line = "-1"
            for line in sender.stdout:
                if int(line) >= limit:
                    time.sleep(chance.uniform(0, 0.005))
                    sender.send_signal(signal.SIGKILL)
                    break
            last = int([line, *sender.stdout.read().split()][-1])
            spooled += [f"{turn}.{number}" for number in range(last + 1)]
    subprocess.run([*words, str(turns), "0"], timeout=120, check=True)
    with Spool(path) as spool:
        waiting = spool.waiting()
    came = reader.wait(len(spooled))
    # One that was spooled but not printed before the kill may have come too.
    return {"kills": turns, "events": len(spooled), "waiting": waiting, **_judged(came, spooled)}


def _judged(came: list[str], sent: list[str]) -> dict[str, int]:
    numbers = [tuple(map(int, name.replace("e.", "0.").split("."))) for name in came]
    return {
        "missing": len(set(sent) - set(came)),
        "twice": len(came) - len(set(came)),
        "out_of_order": sum(a > b for a, b in zip(numbers, numbers[1:], strict=False)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "events.json")
    words = parser.parse_args()
    if mosquitto() is None:
        print("events.py: mosquitto is not installed (Debian: apt-get install mosquitto)", file=sys.stderr)
        return 1
    report: dict[str, Any] = {"machine": machine(), "seed": words.seed}
    for name in ("outages", "kills"):
        with tempfile.TemporaryDirectory() as folder:
            broker = Broker(Path(folder) / "broker")
            broker.start()
            reader = Reader(broker)
            try:
                if name == "outages":
                    report[name] = outages(Path(folder), broker, reader, words.events, words.stops, words.seed)
                else:
                    report[name] = kills(Path(folder), broker, reader, words.kills, words.seed)
                report[name]["repeated_by_the_broker"] = reader.repeated
            finally:
                reader.close()
                broker.stop()
        print(name, report[name], flush=True)
    write_json(words.json, report)
    faults = [report[name][key] for name in ("outages", "kills") for key in ("waiting", "missing", "twice", "out_of_order")]
    return 3 if any(faults) else 0


if __name__ == "__main__":
    sys.exit(main())
