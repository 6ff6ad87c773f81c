"""Sources that the service segments itself: ``seg-edge serve --source``."""

from __future__ import annotations

import http.client
import time

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import InputError, SourceError
from seg_edge.serve import ServeOptions, serving
from seg_edge.serve.work.runs import name_sources


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture
def street(serve, tiny_model):
    """A service with one simulated camera."""
    return serve(tiny_model, sources=("street=camera:20",))


def test_a_run_is_listed_shown_paused_and_resumed(street):
    row = until(lambda: next((row for row in street("/v1/runs").json["runs"] if row["frames"] > 3), None))
    assert (row["name"], row["source"], row["state"], row["error"]) == ("street", "camera:20", "running", None)
    snapshot = cv2.imdecode(np.frombuffer(street("/v1/runs/street/snapshot").body, np.uint8), cv2.IMREAD_COLOR)
    assert snapshot is not None
    assert snapshot.ndim == 3
    stats = street("/v1/runs/street/stats").json
    assert stats["frames_out"] >= row["frames"]
    assert "seg_edge_frames_out_total" in street("/v1/runs/street/metrics").body.decode()
    assert street("/v1/runs/street/pause", b"").json == {"paused": True}
    assert street("/v1/runs").json["runs"][0]["state"] == "paused"
    assert street("/v1/runs/street/resume", b"").json == {"paused": False}
    before = street("/v1/runs/street/stats").json["frames_out"]
    until(lambda: street("/v1/runs/street/stats").json["frames_out"] > before)


def test_the_page_of_a_run_names_its_own_addresses(street):
    lead = street("/v1/runs/street")
    assert (lead.status, lead.headers["Location"]) == (307, "street/")
    page = street("/v1/runs/street/").body.decode()
    assert '<img src="stream"' in page
    assert 'fetch("/' not in page


def test_the_stream_ends_when_the_service_does(tiny_model):
    with serving(tiny_model, ServeOptions(port=0, sources=("camera:20",), drain=20)) as address:
        link = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        link.request("GET", "/v1/runs/0/stream")
        answer = link.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace")
        data = b""
        while data.count(b"Content-Type: image/jpeg") < 3:
            data += answer.read(4096)
        begun = time.monotonic()
    assert time.monotonic() - begun < 15  # not the 20 s of the drain
    answer.read()
    link.close()


def test_requests_are_answered_beside_a_run(street, image):
    assert street.segment(image, kind="image/png", Accept="image/png").status == 200


def test_a_video_is_played_again(serve, tiny_model, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    client = serve(tiny_model, sources=(str(tmp_path / "v.avi"),))
    until(lambda: client("/v1/runs").json["runs"][0]["frames"] > 8)


def test_images_are_played_too(serve, tiny_model, tmp_path):
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    client = serve(tiny_model, sources=(f"pictures={tmp_path}",))
    until(lambda: client("/v1/runs").json["runs"][0]["frames"] > 3)


def test_unknown_runs(street, client):
    answer = street("/v1/runs/road/stats")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert "there are: street" in answer.json["error"]
    assert "start the service with --source" in client("/v1/runs/road/").json["error"]
    assert client("/v1/runs").json == {"runs": []}
    assert street("/v1/runs/street/nothing").status == 404


def test_runs_need_the_token_too(serve, tiny_model, tmp_path):
    (tmp_path / "token").write_text("correct-horse")
    client = serve(tiny_model, sources=("camera:20",), token_file=tmp_path / "token")
    assert client("/v1/runs/0/stats").status == client("/v1/runs").status == 401
    assert client("/v1/runs/0/stats", headers={"Authorization": "Bearer correct-horse"}).status == 200


def test_a_source_that_is_missing_ends_the_start(tiny_model, tmp_path):
    with pytest.raises(SourceError, match="nothing.mp4"):
        with serving(tiny_model, ServeOptions(port=0, sources=(str(tmp_path / "nothing.mp4"),))):
            pass


def test_names():
    assert name_sources(["0", "rtsp://a/b?c=d", "x=1"]) == {"0": "0", "1": "rtsp://a/b?c=d", "x": "1"}
    with pytest.raises(InputError, match="two are called x"):
        name_sources(["x=0", "x=1"])
    with pytest.raises(InputError, match="has no address"):
        name_sources(["x="])
