"""``reading.json``."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import DataError, InputError, UnknownNameError
from seg_edge.datasets import ReadOptions
from seg_edge.datasets.saved import effective, save


def test_given_options_win_over_saved_ones(tmp_path):
    saved = ReadOptions(layout="voc", value_range=(7000, 8000.5), void=0, snap=True, exif="stored")
    save(tmp_path, saved)
    assert effective(tmp_path) == effective(tmp_path, ReadOptions()) == saved
    assert effective(tmp_path, ReadOptions(void=9)) == saved.with_(void=9)
    assert effective(tmp_path / "none") == ReadOptions()


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("{", DataError, "not readable as JSON"),
        ("[]", DataError, "expected a JSON object with layout, range, void, snap, exif"),
        ('{"rang": [1, 2]}', UnknownNameError, "did you mean 'range'"),
        ('{"range": [2, 1]}', DataError, "two rising numbers"),
        ('{"range": "1:2"}', DataError, "two rising numbers"),
        ('{"void": "0"}', DataError, "`void`"),
        ('{"exif": "storred"}', DataError, "reading.json: unknown exif 'storred': did you mean 'stored'"),
    ],
)
def test_files_that_are_wrong(tmp_path, text, error, said):
    (tmp_path / "reading.json").write_text(text)
    with pytest.raises(error, match=said):
        effective(tmp_path)


def test_nowhere_to_save(tmp_path):
    with pytest.raises(InputError, match="`save`"):
        save(tmp_path / "street.yaml", ReadOptions(void=1))
