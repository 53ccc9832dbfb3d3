"""Progress is drawn on a terminal, and nowhere else."""

import io

import numpy as np
import pytest

from datarax import progress
from datarax.progress import Progress
from datarax.sources import MemorySource, MemorySourceConfig


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "PERIOD_SECONDS", 0.0)


def test_a_bar_is_drawn_on_a_terminal_and_wiped_at_the_end():
    terminal = Terminal()
    with Progress("loading x", 10, stream=terminal) as bar:
        bar.advance(5)
        assert "loading x" in terminal.getvalue()
        assert "50%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_nothing_is_drawn_where_there_is_no_terminal():
    stream = io.StringIO()
    with Progress("loading x", 10, stream=stream) as bar:
        bar.advance(5)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("word", ["0", "false", "no", "off", ""])
def test_one_switch_turns_it_off(monkeypatch, word):
    monkeypatch.setenv("DATARAX_PROGRESS", word)
    terminal = Terminal()
    with Progress("loading x", 10, stream=terminal) as bar:
        bar.advance(5)
    assert terminal.getvalue() == ""


def test_eager_loading_draws_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    MemorySource(MemorySourceConfig(mode="eager"), {"x": np.arange(5)})
    assert "loading memory:" in terminal.getvalue()
