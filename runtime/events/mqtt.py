"""Delivers messages to an MQTT broker, each exactly once as far as the broker remembers.

QoS 1 alone delivers twice: where the connection is lost, or the program killed, between the broker's taking a message and
its answer. So the sender is a subscriber of its own topic, in a session that the broker keeps. Every message that the broker
took comes back, after a kill or an outage too, and counts as delivered then. A connection begins with a fence: a message to
a topic of its own, behind which nothing of the earlier connections can come back. Only then is the oldest message sent,
again if it has not come back. Messages go one by one, so their order stays.

A broker that forgets its sessions (a crash without persistence), or forbids the subscription, may get a message twice; its
id is the same.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from typing import Any
from urllib.parse import unquote, urlsplit

from ...core.errors import InputError
from ..sources.table import redact
from .spool import Spool

logger = logging.getLogger(__name__)

#: Seconds without an answer after which a connection is given up.
_PATIENCE_S = 10.0
_KEEPALIVE_S = 30
_STEP_S = 0.05


def need_paho() -> None:
    """Raises InputError if paho-mqtt is missing."""
    try:
        import paho.mqtt.client  # noqa: F401
    except ImportError as error:
        raise InputError(f"`mqtt`: paho-mqtt can't be imported ({error}); pip install 'seg-edge[mqtt]'") from error


class Mqtt:
    """A target of a spool: a connection to a broker.

    Args:
        spool: Where messages wait; it also keeps the client's name.
        address: mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC; mqtts:// for TLS.

    Raises:
        InputError: paho-mqtt is missing.
    """

    def __init__(self, spool: Spool, address: str) -> None:
        need_paho()
        parts = urlsplit(address)
        self.target = address
        self._spool, self._parts = spool, parts
        self._topic = unquote(parts.path.lstrip("/"))
        self._name = spool.fact(f"client of {redact(address)}", f"seg-edge-{uuid.uuid4().hex[:12]}")
        self._fence = f"{self._topic}/fence/{self._name}"
        self._client: Any = None
        self._state = "closed"
        self._token = ""
        self._echoes = True
        self._acked = False

    def deliver(self) -> bool:
        """Sends what waits, in order. False: try again later."""
        try:
            # Between messages too: the client answers the broker, and notices its end.
            if self._client is not None and (self._client.loop(0.0) != 0 or self._state != "ready"):
                self._drop()
            if self._client is None and not self._connect():
                return False
            while (entry := self._spool.oldest(self.target)) is not None:
                if not self._send(entry[1]):
                    self._drop()
                    return False
            return True
        except OSError:
            self._drop()
            return False

    def _connect(self) -> bool:
        from paho.mqtt.client import Client, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion

        # A new client each time: paho would send again by itself what is in flight.
        client = Client(CallbackAPIVersion.VERSION2, self._name, clean_session=False, protocol=MQTTv311)
        if self._parts.username is not None:
            client.username_pw_set(unquote(self._parts.username), unquote(self._parts.password or ""))
        if self._parts.scheme == "mqtts":
            client.tls_set()
        client.on_connect, client.on_subscribe = self._connected, self._subscribed
        client.on_message, client.on_disconnect = self._received, self._lost
        client.on_publish = self._published
        client.connect_timeout = _PATIENCE_S
        self._client, self._state, self._token = client, "connecting", uuid.uuid4().hex
        secure = self._parts.scheme == "mqtts"
        client.connect(self._parts.hostname or "", self._parts.port or (8883 if secure else 1883), _KEEPALIVE_S)
        if self._until(lambda: self._state in ("ready", "lost")) and self._state == "ready":
            return True
        self._drop()
        return False

    def _send(self, message: dict[str, Any]) -> bool:
        """Publishes the oldest message and waits until it comes back, or is acknowledged if nothing comes back."""
        self._acked = False
        self._client.publish(self._topic, json.dumps(message), qos=1)

        def arrived() -> bool:
            entry = self._spool.oldest(self.target)
            return entry is None or entry[1]["id"] != message["id"]

        def done() -> bool:
            return self._state != "ready" or arrived() or (self._acked and not self._echoes)

        self._until(done)
        if self._acked and not self._echoes:
            self._spool.delivered(self.target, message["id"])
        return arrived()

    def _until(self, done: Any) -> bool:
        """Runs the client until something is so; False after the patience."""
        limit = time.monotonic() + _PATIENCE_S
        while not done():
            if time.monotonic() > limit or self._client.loop(_STEP_S) != 0:
                return bool(done())
        return True

    def _drop(self) -> None:
        client, self._client, self._state = self._client, None, "closed"
        if client is not None:
            client.on_disconnect = None
            client.disconnect()

    # --- what the client says

    def _connected(self, client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            logger.warning("%s: %s", redact(self.target), code)
            self._state = "lost"
            return
        client.subscribe([(self._topic, 1), (self._fence, 1)])

    def _subscribed(self, client: Any, _data: Any, _mid: int, codes: Any, _properties: Any) -> None:
        self._echoes = not any(code.is_failure for code in codes)
        if self._echoes:
            client.publish(self._fence, self._token, qos=1)
        else:
            logger.warning("%s: the broker forbids reading the topic: a message may come twice", redact(self.target))
            self._state = "ready"

    def _received(self, _client: Any, _data: Any, message: Any) -> None:
        if message.topic == self._fence:
            if message.payload.decode(errors="replace") == self._token:
                self._state = "ready"
            return
        try:
            name = json.loads(message.payload)["id"]
        except (ValueError, KeyError, TypeError):
            return  # another sender's
        # On disk before the client acknowledges it, after this returns.
        self._spool.delivered(self.target, str(name))

    def _published(self, *_arguments: Any) -> None:
        self._acked = True

    def _lost(self, *_arguments: Any) -> None:
        self._state = "lost"

    def close(self) -> None:
        """Says goodbye to the broker. May be called twice."""
        self._drop()
