#!/usr/bin/env bash
# mosquitto's queue for a subscriber that is away: 1,500 QoS 1 messages, MQTT 5. Debian 12, after apt-get update.
# guess: the newest 1,000 are kept, or the publisher hears of a full queue; seen: the oldest 1,000 are kept and the last
# 500 dropped, each of them acknowledged with "Success": a subscriber that returns misses exactly the latest.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download mosquitto=2.0.11-1.2+deb12u2 libwebsockets17=4.1.6-3 \
    libcjson1=1.7.15-1+deb12u4 libdlt2=2.18.8-6 libwrap0=7.6.q-32 libev4=1:4.33-1 libuv1=1.44.2-1+deb12u1
for package in ./*.deb; do dpkg -x "$package" root; done
python3 -m venv venv
venv/bin/pip install -q paho-mqtt==2.2.0

port=$(python3 -c "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])")
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" >mosquitto.conf
LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu:$dir/root/lib/x86_64-linux-gnu \
    root/usr/sbin/mosquitto -c mosquitto.conf 2>log &
for _ in $(seq 50); do
    grep -q running log && break
    sleep 0.2
done
grep running log

venv/bin/python - "$port" <<'PY'
import sys
import threading
import time

import paho.mqtt
from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

session = Properties(PacketTypes.CONNECT)
session.SessionExpiryInterval = 600


def connect(name: str, **options) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    ready = threading.Event()
    client.on_connect = lambda *_: ready.set()
    client.on_message = lambda _client, _data, message: received.append(int(message.payload))
    client.on_publish = lambda _client, _data, _id, code, _properties: answers.append(str(code))
    client.connect("127.0.0.1", int(sys.argv[1]), **options)
    client.loop_start()
    ready.wait(10)
    return client


received, answers = [], []
dashboard = connect("dashboard", clean_start=False, properties=session)
subscribed = threading.Event()
dashboard.on_subscribe = lambda *_: subscribed.set()
dashboard.subscribe("masks", qos=1)
subscribed.wait(10)
dashboard.disconnect()
dashboard.loop_stop()
camera = connect("camera")
for message in [camera.publish("masks", str(number), qos=1) for number in range(1500)]:
    message.wait_for_publish(10)
connect("dashboard", clean_start=False, properties=session)
before = -1
while len(received) != before:  # until nothing has come for three seconds
    before = len(received)
    time.sleep(3)
print(f"{len(answers)} acknowledged {set(answers)}; {len(received)} arrived: {received[0]} to {received[-1]}")
print("paho-mqtt", paho.mqtt.__version__)
sys.exit(0 if answers == ["Success"] * 1500 and received == list(range(1000)) else "the behaviour changed")
PY
