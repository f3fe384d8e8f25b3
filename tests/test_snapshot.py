from __future__ import annotations

from pathlib import Path

import pytest
from rich.text import Text

from tests import snapshot as module
from tests.snapshot import Snapshot, as_text


def test_text_has_no_colour_and_no_trailing_blanks() -> None:
    """A snapshot reads the same on every terminal."""
    assert as_text(Text("four   ", style="bold red")) == "four\n"
    assert as_text("one  \ntwo") == "one\ntwo\n"


def test_text_wraps_at_the_width() -> None:
    """The width is fixed, whatever terminal runs the tests."""
    assert as_text(Text("aaaa bbbb"), width=5) == "aaaa\nbbbb\n"


def test_snapshot_is_written_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or differing file fails the test; only --update-snapshots writes."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    compare = Snapshot(Path("test_thing.py"), update=False)
    write = Snapshot(Path("test_thing.py"), update=True)
    with pytest.raises(AssertionError, match="no snapshot"):
        compare("a", "1")
    assert write("a", "1") == "1\n"
    assert (tmp_path / "thing" / "a.txt").read_text() == "1\n"
    assert compare("a", "1") == "1\n"
    with pytest.raises(AssertionError, match="differs"):
        compare("a", "2")
