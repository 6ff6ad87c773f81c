#!/usr/bin/env bash
# paho-mqtt: publish() of a client that isn't connected yet. The broker, amqtt, runs on loopback.
# guess: rc 4, "The client is not currently connected", means that the message was not taken; seen: with QoS 1 it was
# queued and is sent on connection, so a caller who tries again publishes it twice. With QoS 0 the same rc means lost.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q paho-mqtt==2.2.0 amqtt==0.11.3

"$dir/venv/bin/python" 2>"$dir/log" <<'PY'
import asyncio
import importlib.metadata
import socket
import sys
import threading

from amqtt.broker import Broker
from paho.mqtt import client as mqtt

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


async def start() -> None:
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    await Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": plugins}).start()


asyncio.run_coroutine_threadsafe(start(), loop).result(20)
received, subscribed, connected = [], threading.Event(), threading.Event()
reader = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
reader.on_message = lambda _client, _data, message: received.append(message.payload.decode())
reader.on_subscribe = lambda *_: subscribed.set()
reader.connect("127.0.0.1", port)
reader.loop_start()
reader.subscribe("masks", qos=1)
subscribed.wait(10)

camera = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
camera.on_connect = lambda *_: connected.set()
codes = [camera.publish("masks", f"alarm with QoS {qos}", qos=qos).rc for qos in (0, 1)]
camera.connect("127.0.0.1", port)
camera.loop_start()
connected.wait(10)
if codes[1] != mqtt.MQTT_ERR_SUCCESS:
    camera.publish("masks", "alarm with QoS 1", qos=1).wait_for_publish(10)  # the retry
threading.Event().wait(2)
print(f"publish() said {codes}: {mqtt.error_string(codes[1])}")
print("arrived:", received)
print("paho-mqtt", importlib.metadata.version("paho-mqtt"), "amqtt", importlib.metadata.version("amqtt"))
sys.exit(0 if codes == [4, 4] and received == ["alarm with QoS 1"] * 2 else "the behaviour changed")
PY
