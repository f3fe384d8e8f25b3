"""README's pictures are what `make pictures` draws now."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from docs.pictures import FOLDER, pictures

DRAWN = pictures()


@pytest.mark.parametrize("name", DRAWN)
def test_picture_is_up_to_date(name: str) -> None:
    """The file holds what the code draws; if the change is meant: `make pictures`."""
    ET.fromstring(DRAWN[name])
    assert (FOLDER / name).read_text(encoding="utf-8") == DRAWN[name], f"docs/{name} differs: run `make pictures`"


def test_readme_shows_pictures_that_exist() -> None:
    """Every picture in README is drawn here, and has words for who cannot see it."""
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[(.+)\]\(docs/([^)]+)\)", readme)
    assert len(shown) >= 2
    for words, name in shown:
        assert len(words) > 20
        assert name in DRAWN
