"""Runs examples/tutorial.ipynb and writes its outputs into it: `make docs`. A test runs it again and compares."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

__all__ = ["FILE", "run"]

ROOT = Path(__file__).parent.parent
FILE = ROOT / "examples" / "tutorial.ipynb"


def run(book: Any) -> Any:
    """The notebook with the outputs that its cells have now, and without what differs from run to run."""
    client = NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    client.record_timing = False
    client.execute()
    for cell in book.cells:
        cell.update({"outputs": _joined(cell.outputs)} if "outputs" in cell else {})
    book.metadata.get("language_info", {}).pop("version", None)
    # A cell is a file with a number of the process and of its text in its name.
    text = re.sub(r"[^\s\"'<>]*ipykernel_\d+/\d+\.py", "a cell", json.dumps(book))
    return nbformat.reads(text, as_version=4)


def _joined(outputs: list[Any]) -> list[Any]:
    """What was printed one after the other arrives in pieces, cut by chance."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream" and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def main() -> None:
    nbformat.write(run(nbformat.read(FILE, as_version=4)), FILE)
    print(f"wrote {FILE.relative_to(ROOT)}")  # noqa: T201


if __name__ == "__main__":
    main()
