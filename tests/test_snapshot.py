"""Snapshots are plain text at a fixed width, one folder a test module, written only when asked."""

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
    compare = Snapshot(module.TESTS / "test_thing.py", update=False)
    write = Snapshot(module.TESTS / "test_thing.py", update=True)
    with pytest.raises(AssertionError, match=r"no snapshot thing.a\.txt yet"):
        compare("a", "1")
    assert write("a", "1") == "1\n"
    assert (tmp_path / "thing" / "a.txt").read_text() == "1\n"
    assert compare("a", "1") == "1\n"
    with pytest.raises(AssertionError, match=r"thing.a\.txt differs"):
        compare("a", "2")


def test_modules_of_one_name_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/views/test_counts.py and tests/theory/test_counts.py never write the same file."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    for folder in ("views", "theory"):
        Snapshot(module.TESTS / folder / "test_counts.py", update=True)("a", folder)
    assert (tmp_path / "views" / "counts" / "a.txt").read_text() == "views\n"
    assert (tmp_path / "theory" / "counts" / "a.txt").read_text() == "theory\n"


def test_every_snapshot_has_its_module() -> None:
    """A test module that is renamed takes its snapshots along: none is left behind unread."""
    folders = {file.parent.relative_to(module.FOLDER) for file in module.FOLDER.rglob("*.txt")}
    assert folders
    for folder in folders:
        assert (module.TESTS / folder.parent / f"test_{folder.name}.py").exists()
