"""Snapshots: what a person sees, kept as a text file at a fixed width and without colour."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Snapshot", "as_text"]

TESTS = Path(__file__).resolve().parent
FOLDER = TESTS / "snapshots"


def as_text(shown: object, width: int = 80) -> str:
    """A string as it is; anything else as rich prints it on a terminal of this width without colour."""
    if not isinstance(shown, str):
        from rich.console import Console

        page = io.StringIO()
        # Not legacy, not a terminal: the same characters on every system and no escape codes.
        Console(
            file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False, emoji=False
        ).print(shown)
        shown = page.getvalue()
    return "\n".join(line.rstrip() for line in shown.splitlines()) + "\n"


@dataclass(frozen=True)
class Snapshot:
    """Compares with the file of that name, or writes it where the run was asked to."""

    module: Path
    update: bool

    def __call__(self, name: str, shown: object, width: int = 80) -> str:
        """Hold `shown` against the file and return its text, so that a test can add up its numbers again."""
        text = as_text(shown, width)
        # The folder as well as the name: two modules of one name would overwrite each other's files.
        module = self.module.resolve().relative_to(TESTS)
        file = FOLDER / module.parent / module.stem.removeprefix("test_") / f"{name}.txt"
        if self.update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        place = file.relative_to(FOLDER)
        assert file.exists(), f"no snapshot {place} yet: run `make snapshots` and read what it wrote"
        assert text == file.read_text(encoding="utf-8"), f"{place} differs; if meant: `make snapshots`"
        return text
