from __future__ import annotations

import pytest

from seg_edge.core.errors import InputError
from seg_edge.core.folder import check_target, replaced_folder


def artefact(path, text="old"):
    path.mkdir(parents=True)
    for name in ("report.json", "model.json", "stale.engine"):
        (path / name).write_text(text)
    return path


def test_the_folder_appears_when_it_is_whole(tmp_path):
    out = tmp_path / "deep" / "art"
    with replaced_folder(out) as folder:
        (folder / "model.json").write_text("new")
        assert not out.exists()
    assert (out / "model.json").read_text() == "new"
    assert out.stat().st_mode & 0o777 == tmp_path.joinpath("deep").stat().st_mode & 0o777
    assert [path.name for path in out.parent.iterdir()] == ["art"]


def test_an_earlier_artefact_is_replaced_whole(tmp_path):
    out = artefact(tmp_path / "art")
    with replaced_folder(out) as folder:
        (folder / "model.json").write_text("new")
    assert [path.name for path in out.iterdir()] == ["model.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["art"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interruption_leaves_the_earlier_one_as_it_was(tmp_path, error):
    out = artefact(tmp_path / "art")
    with pytest.raises(error), replaced_folder(out) as folder:  # noqa: PT012
        (folder / "model.json").write_text("half")
        raise error
    assert (out / "model.json").read_text() == "old"
    assert len(list(out.iterdir())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["art"]


def test_the_earlier_one_comes_back_if_the_swap_fails(tmp_path, monkeypatch):
    import os

    out, rename = artefact(tmp_path / "art"), os.rename

    def refuse(source, target):
        if str(source).endswith(".tmp") and str(target) == str(out):
            raise OSError("disk full")
        rename(source, target)

    monkeypatch.setattr("seg_edge.core.folder.os.rename", refuse)
    with pytest.raises(OSError, match="disk full"), replaced_folder(out) as folder:
        (folder / "model.json").write_text("new")
    assert (out / "model.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["art"]


def test_a_folder_with_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds other files \(thesis.tex"), replaced_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "art").write_text("")
    with pytest.raises(InputError, match="is a file; choose a folder"):
        check_target(tmp_path / "art")
