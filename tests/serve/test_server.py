"""How the door is shut."""

from __future__ import annotations

import socket
import sys

import pytest

from seg_edge.serve.server import _drop_newcomers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the packet filter is Linux's")


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.settimeout(5)
        yield found


def test_newcomers_are_not_answered(listener):
    with socket.create_connection(listener.getsockname(), timeout=5) as early:
        _drop_newcomers(listener)
        with socket.socket() as late:
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())
        link, _ = listener.accept()
        with link:
            link.sendall(b"welcome")
            assert early.recv(16) == b"welcome"


def test_data_of_a_connection_that_inherits_the_filter_arrives(listener):
    # The kernel copies the listener's filter to a connection whose handshake ends at that moment.
    with socket.create_connection(listener.getsockname(), timeout=5) as client:
        link, _ = listener.accept()
        with link:
            _drop_newcomers(link)
            client.sendall(b"request")
            link.settimeout(5)
            assert link.recv(16) == b"request"
            link.sendall(b"answer")
            assert client.recv(16) == b"answer"
            client.shutdown(socket.SHUT_WR)
            assert link.recv(16) == b""
