"""What moves on the terminal while a chain works."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from seg_edge.cli import progress


@pytest.fixture
def screen(monkeypatch):
    """What a terminal gets; nothing refreshes by itself."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(progress, "progress_bar", lambda: Progress(console=console, transient=True, auto_refresh=False))
    return console.file


def visible(bars):
    return [task.description for task in bars._bars.tasks if task.visible]


def test_some_bar_is_there_at_all_times(screen):
    with progress.Bars() as bars:
        assert visible(bars) == ["starting"]
        bars.say("simplify: kept as it was")
        assert visible(bars) == ["simplify"]
        assert bars._bars.tasks[0].total is None  # moves without an end
        show = bars.count("mIoU")
        assert visible(bars) == ["mIoU"]
        show(1, 2)
        bars.say("  a remark")
        assert visible(bars) == ["mIoU"]
        show(2, 2)
        assert visible(bars) == ["a remark"]
        bars.say("int8")
        for item in bars.track([1, 2], "sensitivity"):
            assert visible(bars) == ["sensitivity"]
            assert item in (1, 2)
        assert visible(bars) == ["int8"]
    assert "simplify: kept as it was" in screen.getvalue()


def test_a_loop_that_breaks_leaves_no_bar(screen):
    with progress.Bars() as bars:
        bars.say("int8")
        loop = iter(bars.track([1, 2], "calibrate"))
        next(loop)
        loop.close()
        assert visible(bars) == ["int8"]


def test_brackets_are_text(screen):
    with progress.Bars() as bars:
        bars.say("[/red] in a path: x")
        bars.count("[/red]")
        bars._bars.refresh()
    assert "[/red] in a path: x" in screen.getvalue()


def test_something_else_may_draw(screen):
    with progress.Bars() as bars:
        bars.say("fine-tune 1/1: 2 epochs")
        with bars.aside():
            assert not bars._bars.live.is_started
        assert bars._bars.live.is_started


def test_loading_is_seen_and_goes(screen):
    with pytest.raises(ImportError), progress.loading("loading torch"):
        raise ImportError("torch")
    assert "loading torch" in screen.getvalue()
