"""Events as POST requests to a real server that fails now and then."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from seg_edge.runtime.events import Spool
from seg_edge.runtime.events.webhook import Webhook


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.got.append((body["id"], self.headers["Idempotency-Key"]))
            self.send_response(self.server.codes.pop(0) if self.server.codes else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.got, made.codes = [], []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_message_is_repeated_until_it_is_taken(tmp_path, server):
    with Spool(tmp_path / "a.sqlite") as spool:
        hook = Webhook(spool, f"http://127.0.0.1:{server.server_port}/x")
        for name in ("a", "b"):
            spool.put({"id": name}, [hook.target])
        server.codes = [503, 200, 429]
        assert [hook.deliver() for _ in range(3)] == [False, False, True]
        assert server.got == [("a", "a"), ("a", "a"), ("b", "b"), ("b", "b")]
        assert spool.waiting() == 0


def test_what_is_refused_for_good_does_not_block_the_rest(tmp_path, server, caplog):
    with Spool(tmp_path / "a.sqlite") as spool:
        hook = Webhook(spool, f"http://127.0.0.1:{server.server_port}/x")
        for name in ("a", "b"):
            spool.put({"id": name}, [hook.target])
        server.codes = [400]
        assert hook.deliver()
        assert [name for name, _ in server.got] == ["a", "b"]
    assert "refused event a: 400" in caplog.text


def test_nobody_there(tmp_path):
    with Spool(tmp_path / "a.sqlite") as spool:
        hook = Webhook(spool, "http://127.0.0.1:9/x")
        spool.put({"id": "a"}, [hook.target])
        assert not hook.deliver()
        assert spool.waiting() == 1
