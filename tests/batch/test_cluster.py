"""A real Ray cluster of two nodes on the loopback, whose workers are killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import cv2
import pytest

from seg_edge.batch import PredictOptions, predict
from seg_edge.core.errors import InputError

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made.address
    ray.shutdown()
    made.shutdown()


def _actors():
    """Process numbers of the cluster's actors."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{entry}/cmdline").read_bytes()
        except OSError:
            continue
        if words.startswith(b"ray::") and b"MapBatches" in words:
            found.append(int(entry))
    return found


@pytest.mark.timeout(600)
def test_every_mask_once_though_workers_are_killed(cluster, tiny_model, colour_frame, tmp_path):
    folder = tmp_path / "in" / "sub"
    folder.mkdir(parents=True)
    for number in range(160):
        cv2.imwrite(str(folder / f"{number:03}.png"), colour_frame(40 + number % 7, 50))
    (folder / "bad.png").write_bytes(b"x")
    options = PredictOptions(formats=("mask", "coco"))
    killed = []

    def kill():
        out = tmp_path / "r" / "masks"
        while len(killed) < 2 and not done.is_set():
            if out.exists() and len(list(out.rglob("*.png"))) > 20 * (len(killed) + 1) and (actors := _actors()):
                os.kill(actors[0], signal.SIGKILL)
                killed.append(actors[0])
            time.sleep(0.02)

    done = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        report = predict(tmp_path / "in", tmp_path / "r", tiny_model, options.with_(ray=cluster))
    finally:
        done.set()
        thread.join()
    assert killed
    assert (report.images, report.failed) == (160, 1)
    predict(tmp_path / "in", tmp_path / "o", tiny_model, options)
    for file in sorted((tmp_path / "o").rglob("*.png")):
        assert (tmp_path / "r" / file.relative_to(tmp_path / "o")).read_bytes() == file.read_bytes()
    assert (tmp_path / "r" / "coco.json").read_bytes() == (tmp_path / "o" / "coco.json").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "r" / "manifest.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == [f"sub/{number:03}" for number in range(160)] + ["sub/bad"]
    again = predict(tmp_path / "in", tmp_path / "r", tiny_model, options.with_(ray=cluster, resume=True))
    assert (again.images, again.skipped, again.failed) == (0, 160, 1)


def test_no_cluster_there(tiny_model, colour_frame, tmp_path, free_port):
    cv2.imwrite(str(tmp_path / "a.png"), colour_frame(40, 50))
    with pytest.raises(InputError, match="no cluster at"):
        predict(tmp_path / "a.png", tmp_path / "o", tiny_model, PredictOptions(ray=f"127.0.0.1:{free_port}"))
