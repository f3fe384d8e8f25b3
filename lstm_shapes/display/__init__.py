"""Display: how every result shows itself in a REPL, a notebook, a pipe, or a rich console.

theory and lab know nothing of tables: what they return is a `Shown`. A view turns one type into a `Page`, and registers
when its module loads (`@view.register(Counts)`). Views are loaded when a result is first shown: the package says how
(`load_when_shown`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import singledispatch
from typing import TYPE_CHECKING, Any, TypeVar

from lstm_shapes.errors import SpecError
from lstm_shapes.language import language, speaking

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from .page import Drawing, Page

T = TypeVar("T")

_waiting: list[Callable[[], None]] = []
# One thread at a time loads what is loaded on first use: a package that another thread has half loaded looks whole.
loading = threading.RLock()


@singledispatch
def view(value: Any) -> Page:
    """The page of a result: each view registers the type that it draws."""
    raise TypeError(f"no view draws a {type(value).__name__}")


def load_when_shown(*loads: Callable[[], None]) -> None:
    """What loads the views: called one after the other, until one has registered the type at hand."""
    _waiting.extend(loads)


def load_rich() -> None:
    """Load rich before anything else imports it: it draws a number then, and Python's random is put back here."""
    if "rich.style" not in sys.modules:
        import random

        with loading:
            state = random.getstate()
            from . import page  # noqa: F401

            random.setstate(state)


def page_of(value: Any) -> Page:
    """A result as a page, in the language that it was made in; loads the views that it takes."""
    load_rich()
    for load in _waiting:
        if view.dispatch(type(value)) is not view.dispatch(object):
            break
        with loading:
            load()
    # What has no `lang`, as a report, has its sentences in English only.
    with speaking(getattr(value, "lang", "en")):
        return view(value).glossed()


class Shown:
    """Shows itself: `__rich__` for rich, `__repr__` as text, `_repr_html_` in a notebook."""

    __slots__ = ()

    def __rich__(self) -> Page:
        return page_of(self)

    def __repr__(self) -> str:
        # Colour only where a person looks at a terminal and has not declined it (https://no-color.org).
        declined = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        terminal = sys.stdout is not None and hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
        return encodable(as_text(self, colour=terminal and not declined))

    def _repr_html_(self) -> str:
        page = page_of(self)
        from .html import to_html

        return to_html(page)


class Drawn(Shown):
    """A result that is a drawing: `.svg`, `.text` in characters, `.save(path)`; notebooks show it by themselves."""

    __slots__ = ()

    @property
    def svg(self) -> str:
        """A self-contained, accessible SVG, light or dark as the reader's system is."""
        return drawing(self).svg

    @property
    def text(self) -> str:
        """The same drawing in characters, 80 columns wide."""
        return drawing(self).at(80)

    def save(self, path: str | Path) -> Path:
        """Write the drawing: `.svg`, or `.txt` for the one in characters.

        Raises: SpecError for another suffix.
        """
        from pathlib import Path

        file = Path(path)
        if file.suffix not in (".svg", ".txt"):
            raise SpecError("path", "a file name that ends in .svg or .txt", str(path))
        file.write_text(self.svg if file.suffix == ".svg" else f"{self.text}\n", encoding="utf-8")
        return file


class Several(Shown, tuple[T, ...]):
    """Results of one kind: a tuple that shows itself, in the language that it was made in."""

    lang: str

    def __new__(cls, results: Iterable[T] = ()) -> Self:
        made = super().__new__(cls, results)
        made.lang = language()
        return made


def as_text(value: Any, *, width: int | None = None, colour: bool = False) -> str:
    """A result as text: plain unless colour is asked for, as wide as the terminal, 80 columns without one.

    >>> from lstm_shapes import count
    >>> print(as_text(count(28, 256), width=80).splitlines()[0].strip())
    Parameters of LSTM(Q=28, D=256, K=1)
    """
    import shutil

    load_rich()
    from .page import console

    return console(value, width or shutil.get_terminal_size((80, 24)).columns, colour)


def as_document(value: Shown) -> str:
    """A result as a whole HTML file that needs no network."""
    page = page_of(value)
    from .html import document

    return document(page)


def drawing(value: Drawn) -> Drawing:
    """The picture of a value: `.svg`, and `.at(width)` in characters."""
    blocks = page_of(value).blocks
    from .page import Drawing

    return next(block for block in blocks if isinstance(block, Drawing))


def encodable(text: str) -> str:
    """The text with question marks for symbols that stdout cannot encode, so that printing a result never fails."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def number(value: float) -> str:
    """Four decimals; powers of ten where there is no room for the digits.

    >>> number(-0.12345), number(123456.0), number(-0.00001)
    ('−0.1235', '1.235e+05', '0.0000')
    """
    text = f"{value:.4f}" if abs(value) < 10_000 else f"{value:.3e}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return f"−{text[1:]}" if text.startswith("-") else text


def brief(value: float) -> str:
    """Three significant digits.

    >>> brief(-4.52969), brief(1.0)
    ('−4.53', '1')
    """
    return f"{value:.3g}".replace("-", "−")
