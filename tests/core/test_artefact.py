from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from seg_edge.core.artefact import atomic_path, check_writable, onnx_name, remove_leftovers, sha256, write_json, write_text
from seg_edge.core.errors import InputError


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "report.tar.png"


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("before", [None, "old"])
def test_written_whole(target, before):
    if before:
        target.write_text(before)
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert (target.read_text() if target.exists() else None) == before
    assert target.read_text() == "new"
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, FileNotFoundError])
@pytest.mark.parametrize("before", [None, "old"])
def test_a_raise_leaves_the_old_file_and_nothing_else(target, error, before):
    if before:
        target.write_text(before)

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert names(target.parent) == [target.name] * bool(before)
    if before:
        assert target.read_text() == before


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_mode_is_what_open_would_give(target, umask, mode):
    previous = os.umask(umask)
    try:
        write_text(target, "text")
        assert stat.S_IMODE(target.stat().st_mode) == mode
        assert os.umask(umask) == umask  # and the umask is as it was
    finally:
        os.umask(previous)


def test_temporary_has_the_suffix_and_lies_in_the_same_folder(target):
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")  # hidden from whoever lists the folder meanwhile


def test_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "text")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "text"


def test_a_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "kept").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "kept").read_text() == "old"
    assert (tmp_path / "link").read_text() == "new"


def test_a_file_as_folder_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError) as caught, atomic_path(tmp_path / "file" / "report.json"):
        pytest.fail("the block must not run")
    assert str(caught.value) == f"{tmp_path}/file/report.json: can't be written (File exists); choose another folder"
    assert names(tmp_path) == ["file"]


def test_a_folder_as_file_is_an_input_error(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(InputError, match="runs: is a folder; expected a file's name"), atomic_path(tmp_path / "runs"):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["runs"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder_is_an_input_error(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            write_text(tmp_path / "a.txt", "text")
    finally:
        tmp_path.chmod(0o700)


def test_full_disk_is_an_input_error(target):
    target.write_text("old")
    with pytest.raises(InputError, match=r"report\.tar\.png: can't be written \(No space left on device\); free some space"):
        with atomic_path(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old"
    assert names(target.parent) == [target.name]


def test_a_writer_that_removes_its_file_is_an_input_error(target):
    with pytest.raises(InputError, match="No such file"), atomic_path(target) as temporary:
        temporary.unlink()


def test_write_text_is_utf8(target):
    write_text(target, "mIoU ≥ 70 %\n")
    assert target.read_bytes() == "mIoU ≥ 70 %\n".encode()


def test_write_json(target):
    write_json(target, {"miou": None, "per_class": [1, 2]})
    assert json.loads(target.read_text()) == {"miou": None, "per_class": [1, 2]}
    assert target.read_text().endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_write_json_refuses_what_json_lacks(target, value):
    target.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(target, {"miou": value})
    assert target.read_text() == "old"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_sha256(target, size):
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    target.write_bytes(data)
    assert sha256(target) == hashlib.sha256(data).hexdigest()


def test_onnx_name():
    assert onnx_name("int8") == "model.int8.onnx"


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: is a device or pipe; expected a file's name"):
        write_text(tmp_path / "pipe", "text")
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("before", [None, "old"])
def test_asking_whether_a_file_can_be_written_changes_nothing(target, before):
    if before:
        target.write_text(before)
    check_writable(target)
    assert names(target.parent) == [target.name] * bool(before)
    if before:
        assert target.read_text() == before


def test_what_can_not_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"can't be written \(.*\); choose another folder"):
        check_writable(tmp_path / "file" / "report.json")
    with pytest.raises(InputError, match="is a folder; expected a file's name"):
        check_writable(tmp_path)


def test_leftovers_of_a_killed_process(tmp_path):
    """What mkstemp named for these files goes; everything else stays, temporaries of other files too."""
    killed = "import os, signal, sys\nfrom seg_edge.core.artefact import atomic_path\n"
    killed += "with atomic_path(sys.argv[1]):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    for name in ("last.pt", "other.pt", "plain"):
        subprocess.run([sys.executable, "-c", killed, str(tmp_path / name)], check=False)
    (tmp_path / "last.pt").write_text("whole")
    (tmp_path / ".last.notes.tmp.pt").write_text("mine")
    left = names(tmp_path)
    assert len(left) == 5
    gone = remove_leftovers(tmp_path, ["last.pt", "plain"])
    assert sorted(path.name.split(".")[1] for path in gone) == ["last", "plain"]
    assert set(left) - set(names(tmp_path)) == {path.name for path in gone}
    assert {"last.pt", ".last.notes.tmp.pt"} < set(names(tmp_path))
    assert remove_leftovers(tmp_path, ["last.pt"]) == remove_leftovers(tmp_path / "absent", ["last.pt"]) == []
