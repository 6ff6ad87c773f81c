"""A real S3 server on the loopback: images in, masks out, resume."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request

import pytest

from seg_edge.batch import PredictOptions, predict
from seg_edge.core.errors import SourceError

pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def bucket(free_port, monkeypatch):
    """The address of an empty bucket, and its store."""
    endpoint = f"http://127.0.0.1:{free_port}"
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    words = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(free_port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(endpoint, timeout=1).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        store = s3fs.S3FileSystem()
        store.mkdir("bucket")
        yield "s3://bucket", store
    finally:
        server.kill()
        server.wait()


def test_from_a_bucket_to_a_bucket(bucket, tiny_model, colour_frame, tmp_path):
    import cv2

    address, store = bucket
    for name in ("a.png", "sub/b.png"):
        store.pipe_file(f"bucket/in/{name}", cv2.imencode(".png", colour_frame(40, 50))[1].tobytes())
    store.pipe_file("bucket/in/notes.txt", b"no image")
    options = PredictOptions(formats=("mask", "csv"))
    report = predict(f"{address}/in", f"{address}/out", tiny_model, options)
    assert (report.images, report.failed) == (2, 0)
    masks = {path for path in store.find("bucket/out") if path.endswith(".png")}
    assert masks == {"bucket/out/masks/a.png", "bucket/out/masks/sub/b.png"}
    predict(f"{address}/in", tmp_path / "o", tiny_model, options)
    assert store.cat_file("bucket/out/masks/sub/b.png") == (tmp_path / "o/masks/sub/b.png").read_bytes()
    store.pipe_file("bucket/in/c.png", b"\x89PNG broken")
    again = predict(f"{address}/in", f"{address}/out", tiny_model, options.with_(resume=True))
    assert (again.images, again.skipped, again.failed) == (0, 2, 1)
    assert b"not a readable image" in store.cat_file("bucket/out/manifest.jsonl")


def test_a_bucket_that_is_not_there(bucket, tiny_model, tmp_path):
    with pytest.raises(SourceError, match="no images|can't be listed"):
        predict("s3://absent/in", tmp_path / "o", tiny_model)
