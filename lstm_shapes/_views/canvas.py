"""What every picture is made with: a canvas for SVG, colours in light and dark, and which of many steps are shown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len

from lstm_shapes.language import language

# What is drawn, by class: in light, and what is another in dark.
_COLOURS = {
    ".l-back": ("fill:#fff", "fill:#0d1117"),
    "text": ("fill:#1f2328;font-size:13px", "fill:#e6edf3"),
    ".l-quiet": ("fill:#59636e;font-size:12px", "fill:#9198a1"),
    ".l-title": ("font-size:16px;font-weight:600", ""),
    ".l-code": ('font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace', ""),
    ".l-strong": ("font-weight:600", ""),
    ".l-cell": ("fill:#f6f8fa;stroke:#8c959f", "fill:#212830;stroke:#656c76"),
    ".l-group": ("fill:none;stroke:#d1d9e0", "stroke:#3d444d"),
    ".l-in": ("fill:#ddf4ff;stroke:#0969da", "fill:#0c2d6b;stroke:#4493f8"),
    ".l-out": ("fill:#dafbe1;stroke:#1a7f37", "fill:#04260f;stroke:#3fb950"),
    ".l-end": ("fill:#fbefff;stroke:#8250df", "fill:#271052;stroke:#ab7df8"),
    ".l-last": ("fill:none;stroke:#8250df;stroke-width:2", "stroke:#ab7df8"),
    ".l-pad": ("fill:none;stroke:#8c959f;stroke-dasharray:3 3", "stroke:#656c76"),
    ".l-zero": ("fill:none;stroke:#e36209;stroke-width:2.5;stroke-dasharray:4 3", "stroke:#ffa733"),
    ".l-lit": ("fill:#ff9f1c;stroke:#b35900;stroke-width:2", "fill:#ffa733;stroke:#ffd8a8"),
    ".l-some": ("fill:#fff;stroke:#e36209;stroke-width:3.5", "fill:#0d1117;stroke:#ffa733"),
    ".l-on": ("fill:#1f2328;font-weight:600", "fill:#e6edf3"),
    ".l-lit+.l-on": ("", "fill:#1f2328"),
    ".l-wire": ("stroke:#6e7781;fill:none;stroke-width:1.4", "stroke:#9198a1"),
    ".l-tip": ("fill:#6e7781", "fill:#9198a1"),
    ".l-g0": ("fill:#9ecbff;stroke:#0969da", "fill:#0c3d82;stroke:#4493f8"),
    ".l-g1": ("fill:#ffd8a8;stroke:#bc4c00", "fill:#762c00;stroke:#f0883e"),
    ".l-g2": ("fill:#b4f1c0;stroke:#1a7f37", "fill:#0f5323;stroke:#3fb950"),
    ".l-g3": ("fill:#e2c5ff;stroke:#8250df", "fill:#512a97;stroke:#ab7df8"),
    ".l-ink": ("fill:#1f2328", "fill:#e6edf3"),
}


def _rules(scheme: int) -> str:
    # Scoped, and the classes prefixed: several pictures may share one page.
    return "".join(f".lstm-picture {name}{{{rules[scheme]}}}" for name, rules in _COLOURS.items() if rules[scheme])


_STYLE = (
    '.lstm-picture{background:#fff;font-family:system-ui,-apple-system,"Segoe UI",sans-serif}'
    f"{_rules(0)}@media (prefers-color-scheme:dark){{.lstm-picture{{background:#0d1117}}{_rules(1)}}}"
)
GATE_COLOURS = ("l-g0", "l-g1", "l-g2", "l-g3")
_MEASURE = 860  # pixels of a line of text
_LETTERS = (({"l-title"}, 9.0), ({"l-code", "l-quiet"}, 7.4), ({"l-code"}, 8.0), ({"l-quiet"}, 6.6), (set[str](), 7.6))
_MARGIN = 24


@dataclass(frozen=True, slots=True)
class Sketch:
    """A picture of one kind: `said` stands above its SVG, and with `unseen` in the description for a screen reader."""

    title: str
    svg: Callable[[Canvas, float], float]
    """Draws on a canvas, from a height down to the one that it returns."""
    text: Callable[[int], str]
    """The drawing in characters, on so many columns."""
    said: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


class Canvas:
    """An SVG in the making; it becomes as wide as what is drawn on it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.right = 0.0

    def _add(self, part: str, right: float) -> None:
        self.parts.append(part)
        self.right = max(self.right, right)

    def has(self, cls: str) -> bool:
        return any(f'class="{cls}"' in part for part in self.parts)

    def text(self, x: float, y: float, content: str, cls: str = "", anchor: str = "start") -> None:
        """A line of text; `y` is its baseline."""
        if not content:
            return
        written = f'<text x="{_n(x)}" y="{_n(y)}" class="{cls}" text-anchor="{anchor}">{escape(content)}</text>'
        self._add(written, x + wide(content, cls) * {"start": 1, "middle": 0.5, "end": 0}[anchor])

    def paragraph(self, x: float, y: float, content: str, cls: str = "l-quiet", line: float = 19) -> float:
        """A text in as many lines as it needs, and the baseline below them."""
        for part in wrapped(content, int(_MEASURE / wide("x", cls))):
            self.text(x, y, part, cls)
            y += line
        return y

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        cls: str,
        label: str = "",
        ink: str = "l-code l-quiet",
        *,
        radius: float = 5,
        tip: str = "",
        paint: str = "",
    ) -> None:
        """A rectangle by its top left corner, a label in its middle; `tip` is what it says under a pointer."""
        paint = paint or f'class="{cls}"'
        start = f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}" {paint}'
        self._add(f"{start}><title>{escape(tip)}</title></rect>" if tip else f"{start}/>", x + width)
        if label:
            self.text(x + width / 2, y + height / 2 + 5, label, ink, "middle")

    def square(
        self, x: float, y: float, w: float, h: float, value: float, reach: float, label: str = "", ink: str = ""
    ) -> None:
        """A value as a colour: blue, or orange where it is negative, and full where it is as great as `reach`."""
        if value != value:
            self.box(x, y, w, h, "l-pad", radius=0)
            return
        strength = min(1.0, abs(value) / reach) if reach else 0.0
        paint = f'fill="{"#bc4c00" if value < 0 else "#2f81f7"}" fill-opacity="{strength:.3f}"'
        self.box(x, y, w, h, "", label, ink, radius=0, paint=paint)

    def arrow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A horizontal or vertical wire with a tip at its end."""
        dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        a, b = x2 - 6 * dx, y2 - 6 * dy
        tip = f"{_n(x2)},{_n(y2)} {_n(a - 4 * dy)},{_n(b - 4 * dx)} {_n(a + 4 * dy)},{_n(b + 4 * dx)}"
        wire = f'<path class="l-wire" d="M{_n(x1)} {_n(y1)}L{_n(a)} {_n(b)}"/>'
        self._add(f'{wire}<polygon class="l-tip" points="{tip}"/>', max(x1, x2))

    def document(self, title: str, description: str, height: float) -> str:
        """The whole SVG. No ids, so that pictures can stand beside each other in one page."""
        lang = "" if language() == "en" else f' lang="{language()}"'
        w, h = _n(self.right + _MARGIN), _n(height)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="lstm-picture"{lang} role="img" '
            f'aria-label="{escape(title)}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
            # A narrow notebook column shrinks the picture in place of cutting it off.
            'style="max-width:100%;height:auto">'
            f"<title>{escape(title)}</title><desc>{escape(description)}</desc><style>{_STYLE}</style>"
            f'<rect class="l-back" width="{w}" height="{h}"/>{"".join(self.parts)}</svg>\n'
        )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def wide(content: str, cls: str = "") -> float:
    """About how many pixels wide a text is, rather too wide than too narrow."""
    classes = set(cls.split())
    return cell_len(content) * next(pixels for names, pixels in _LETTERS if names <= classes)


def padded(text: str, width: int, side: str = "<") -> str:
    """The text padded with blanks to `width` columns of a terminal; `side` is `<`, `>` or `^` as in a format."""
    return f"{text:{side}{max(0, width - cell_len(text) + len(text))}}"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most so many columns, broken between words; a syllable of Hangul takes two."""
    # A character that has no width stands for the second column of each syllable.
    lines = textwrap.wrap(re.sub("[가-힣]", "\\g<0>\0", text), width)
    return [line.replace("\0", "") for line in lines]


def ends(count: int, most: int) -> tuple[int | None, ...]:
    """0 … count - 1, or the first and the last of them with None for what is left out between.

    >>> ends(20, 5)
    (0, 1, None, 18, 19)
    """
    if count <= most:
        return tuple(range(count))
    first = most // 2
    last = most - 1 - first
    return (*range(first), None, *range(count - last, count))


def chosen(
    count: int, room: int, wanted: Iterable[int] = (), plenty: int | None = None, last: int | None = None
) -> tuple[int | None, ...]:
    """The first, the last and those wanted, as far as there is room; then their neighbours at both ends.

    One that is shown takes 2 of the room, a gap 1. `plenty`: fill no further than this, though there is room;
    `last`: the place from which the upper end is filled downwards, if that is not the last.

    >>> chosen(20, 14, wanted=[9])
    (0, 1, 2, None, 9, None, 18, 19)
    >>> chosen(20, 14), chosen(4, 14)
    ((0, 1, 2, None, 17, 18, 19), (0, 1, 2, 3))
    """
    end = count - 1 if last is None else last
    neighbours = (place for distance in range(1, min(count, room)) for place in (distance, end - distance))
    shown = {0, count - 1}
    for places, limit in ((wanted, room), (neighbours, min(room, plenty or room))):
        for place in places:
            taken = sum(1 if one is None else 2 for one in _with_gaps({*shown, place}))
            if 0 <= place < count and taken <= limit:
                shown.add(place)
    return tuple(_with_gaps(shown))


def _with_gaps(shown: set[int]) -> Iterator[int | None]:
    """The numbers in order, None for a gap of two or more; a gap of one is filled, as its mark takes the same room."""
    before = -1
    for place in sorted(shown):
        if place - before == 2:
            yield place - 1
        elif place - before > 2:
            yield None
        yield place
        before = place
