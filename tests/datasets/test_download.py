"""Downloads from a real HTTP server on the loopback interface that misbehaves as asked."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from seg_edge.cli.main import main
from seg_edge.core.errors import DownloadError, InputError, UnknownNameError
from seg_edge.core.progress import Count, Silent
from seg_edge.datasets import download as module
from seg_edge.datasets.download import Fetched, download, fetch, unpack
from seg_edge.datasets.public import TABLE, Public

BODY = bytes(range(256)) * 4000
MD5 = hashlib.md5(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    body = BODY
    #: Bytes after which each of the next answers breaks off; then answers are whole.
    cuts: list[int]
    ranges = True
    status = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts = []
        self.seen: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.seen.append(asked)
        if self.server.status:
            self.send_error(self.server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start >= len(self.server.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.body) - 1}/{len(self.server.body)}")
        rest = self.server.body[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.cuts.pop(0)] if self.server.cuts else rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: None)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_whole_file(server, tmp_path):
    seen = []
    download(server.url, tmp_path / "f", MD5, lambda *step: seen.append(step))
    assert (tmp_path / "f").read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert server.seen == [None]


def test_goes_on_after_broken_connections(server, tmp_path):
    server.cuts = [300_000, 1, 400_000]
    download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == BODY
    assert server.seen == [None, "bytes=300000-", "bytes=300001-", "bytes=700001-"]


def test_goes_on_where_an_earlier_call_stopped(server, tmp_path):
    (tmp_path / "f").write_bytes(BODY[:1000])
    seen = []
    download(server.url, tmp_path / "f", MD5, lambda *step: seen.append(step))
    assert (tmp_path / "f").read_bytes() == BODY
    assert (server.seen, seen[-1]) == (["bytes=1000-"], (len(BODY), len(BODY)))


def test_a_file_that_is_whole_already(server, tmp_path):
    (tmp_path / "f").write_bytes(BODY)
    download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_server_without_ranges_sends_it_again(server, tmp_path):
    server.ranges = False
    (tmp_path / "f").write_bytes(b"x" * 1000)
    download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == BODY


def test_another_checksum_is_not_kept(server, tmp_path):
    with pytest.raises(DownloadError, match=r"another checksum than expected \(md5 [0-9a-f]{32} of 1024000 bytes, not 00\)"):
        download(server.url, tmp_path / "f", "00")
    assert not (tmp_path / "f").exists()


def test_gives_up_and_keeps_what_came(server, tmp_path):
    server.cuts = [5000] + [0] * 20
    with pytest.raises(DownloadError, match=r"can't be reached .*; 5000 bytes are kept in .*: call again to go on"):
        download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == BODY[:5000]
    assert len(server.seen) == 1 + module.ATTEMPTS


@pytest.mark.parametrize(("status", "tries", "text"), [(404, 1, "the server answered 404"), (503, 5, "can't be reached")])
def test_an_answer_that_is_an_error(server, tmp_path, status, tries, text):
    server.status = status
    with pytest.raises(DownloadError, match=text):
        download(server.url, tmp_path / "f", MD5)
    assert len(server.seen) == tries


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: None)
    with pytest.raises(DownloadError, match="can't be reached"):
        download("http://127.0.0.1:1/data", tmp_path / "f", MD5)


# --- archives


def zipped(**files: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def tarred(mode: str, **files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


FILES = {"top/data/images/a.txt": "a", "top/data/b.txt": "b", "top/data2/c.txt": "c", "d.txt": "d"}
ARCHIVES = {"zip": zipped(**FILES), "tar": tarred("w", **FILES), "tar.gz": tarred("w:gz", **FILES)}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_one_folder_of_an_archive(tmp_path, kind):
    (tmp_path / "archive").write_bytes(ARCHIVES[kind])
    unpack(tmp_path / "archive", "top/data", tmp_path / "out")
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.txt")) == ["out/b.txt", "out/images/a.txt"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "out"]


def test_archives_that_are_none_of_ours(tmp_path):
    (tmp_path / "archive").write_bytes(b"<html>busy</html>")
    with pytest.raises(DownloadError, match="can't be unpacked"):
        unpack(tmp_path / "archive", "top", tmp_path / "out")
    (tmp_path / "archive").write_bytes(ARCHIVES["zip"])
    with pytest.raises(DownloadError, match="holds no folder other"):
        unpack(tmp_path / "archive", "other", tmp_path / "out")
    (tmp_path / "archive").write_bytes(tarred("w", **{"top/../../evil.txt": "x"}))
    with pytest.raises(DownloadError, match="can't be unpacked"):
        unpack(tmp_path / "archive", "top", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive"]


# --- the command


@pytest.fixture
def toy(server, monkeypatch):
    """A dataset of one picture, known as ``toy``."""
    server.body = ARCHIVES["zip"]
    known = Public(server.url, hashlib.md5(server.body).hexdigest(), "top/data", "one text; for tests")
    monkeypatch.setitem(TABLE, "toy", known)
    return known


def test_command(toy, server, tmp_path, capsys):
    out = tmp_path / "data" / "toy"
    assert main(["data", "get", "toy", "--out", str(out)]) == 0
    assert (out / "images" / "a.txt").read_text() == "a"
    assert sorted(p.name for p in out.parent.iterdir()) == ["toy"]
    assert f"{out}: one text; for tests" in capsys.readouterr().out
    assert main(["data", "get", "toy", "--out", str(out)]) == 1
    assert "exists and is not empty; choose another folder" in capsys.readouterr().err
    assert server.seen == [None]


def test_interrupted_and_called_again(toy, server, tmp_path):
    class Stop(Silent):
        def count(self, _what: str) -> Count:
            return self.stop

        def stop(self, _done: int, _total: int | None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("toy", tmp_path / "out", progress=Stop())
    assert sorted(p.name for p in tmp_path.iterdir()) == [".toy.part"]
    assert fetch("toy", tmp_path / "out") == Fetched("toy", tmp_path / "out", toy.about)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_what_can_not_be_got(tmp_path, capsys):
    with pytest.raises(UnknownNameError, match="did you mean 'camvid'"):
        fetch("camvidd", tmp_path / "out")
    for name in ("cityscapes", "carvana"):
        with pytest.raises(InputError, match="on registration only; .* pass it as `data`"):
            fetch(name, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        fetch("camvid", tmp_path / "file" / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_the_table_is_in_order():
    for known in TABLE.values():
        if isinstance(known, Public):
            assert len(bytes.fromhex(known.md5)) == 16
            assert known.url.startswith("http")
            assert not known.inside.startswith("/")
