"""The frame every picture shares: title, description, colours for light and dark, and the few shapes they draw."""

from __future__ import annotations

from html import escape

from lstm_shapes.language import language, say

from .columns import columns, wrapped

__all__ = ["GATE_COLOURS", "arrow", "box", "frame", "key", "line", "paragraph", "text", "wide"]

# Classes are prefixed, and rules scoped to .lstm-picture: several pictures may share one page.
_STYLE = """
.lstm-picture{background:#fff;font-family:system-ui,-apple-system,"Segoe UI",sans-serif}
.lstm-picture text{fill:#1f2328;font-size:13px}
.lstm-picture .l-quiet{fill:#59636e;font-size:12px}
.lstm-picture .l-title{font-size:16px;font-weight:600}
.lstm-picture .l-code{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.lstm-picture .l-strong{font-weight:600}
.lstm-picture .l-back{fill:#fff}
.lstm-picture .l-cell{fill:#f6f8fa;stroke:#8c959f}
.lstm-picture .l-group{fill:none;stroke:#d1d9e0}
.lstm-picture .l-in{fill:#ddf4ff;stroke:#0969da}
.lstm-picture .l-out{fill:#dafbe1;stroke:#1a7f37}
.lstm-picture .l-end{fill:#fbefff;stroke:#8250df}
.lstm-picture .l-last{fill:none;stroke:#8250df;stroke-width:2}
.lstm-picture .l-pad{fill:none;stroke:#8c959f;stroke-dasharray:3 3}
.lstm-picture .l-zero{fill:none;stroke:#e36209;stroke-width:2.5;stroke-dasharray:4 3}
.lstm-picture .l-lit{fill:#ff9f1c;stroke:#b35900;stroke-width:2}
.lstm-picture .l-some{fill:#fff;stroke:#e36209;stroke-width:3.5}
.lstm-picture .l-on{fill:#1f2328;font-weight:600}
.lstm-picture .l-wire{stroke:#6e7781;fill:none;stroke-width:1.4}
.lstm-picture .l-tip{fill:#6e7781}
.lstm-picture .l-g0{fill:#9ecbff;stroke:#0969da}
.lstm-picture .l-g1{fill:#ffd8a8;stroke:#bc4c00}
.lstm-picture .l-g2{fill:#b4f1c0;stroke:#1a7f37}
.lstm-picture .l-g3{fill:#e2c5ff;stroke:#8250df}
.lstm-picture .l-ink{fill:#1f2328}
@media (prefers-color-scheme:dark){
.lstm-picture{background:#0d1117}
.lstm-picture text{fill:#e6edf3}
.lstm-picture .l-quiet{fill:#9198a1}
.lstm-picture .l-back{fill:#0d1117}
.lstm-picture .l-cell{fill:#212830;stroke:#656c76}
.lstm-picture .l-group{stroke:#3d444d}
.lstm-picture .l-in{fill:#0c2d6b;stroke:#4493f8}
.lstm-picture .l-out{fill:#04260f;stroke:#3fb950}
.lstm-picture .l-end{fill:#271052;stroke:#ab7df8}
.lstm-picture .l-last{stroke:#ab7df8}
.lstm-picture .l-pad{stroke:#656c76}
.lstm-picture .l-zero{stroke:#ffa733}
.lstm-picture .l-lit{fill:#ffa733;stroke:#ffd8a8}
.lstm-picture .l-some{fill:#0d1117;stroke:#ffa733}
.lstm-picture .l-lit+.l-on{fill:#1f2328}
.lstm-picture .l-on{fill:#e6edf3}
.lstm-picture .l-wire{stroke:#9198a1}
.lstm-picture .l-tip{fill:#9198a1}
.lstm-picture .l-g0{fill:#0c3d82;stroke:#4493f8}
.lstm-picture .l-g1{fill:#762c00;stroke:#f0883e}
.lstm-picture .l-g2{fill:#0f5323;stroke:#3fb950}
.lstm-picture .l-g3{fill:#512a97;stroke:#ab7df8}
.lstm-picture .l-ink{fill:#e6edf3}
}
""".replace("\n", "")

_MEASURE = 860  # pixels of a line of text
GATE_COLOURS = ("l-g0", "l-g1", "l-g2", "l-g3")


def frame(title: str, description: str, width: float, height: float, body: str) -> str:
    """A whole SVG document. No ids, so that pictures can stand beside each other in one page."""
    lang = "" if language() == "en" else f' lang="{language()}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lstm-picture"{lang} role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}" '
        # A narrow notebook column shrinks the picture in place of cutting it off.
        'style="max-width:100%;height:auto">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc><style>{_STYLE}</style>"
        f'<rect class="l-back" width="{_n(width)}" height="{_n(height)}"/>{body}</svg>\n'
    )


def text(x: float, y: float, content: str, cls: str = "", anchor: str = "start") -> str:
    """A line of text; `y` is its baseline."""
    return f'<text x="{_n(x)}" y="{_n(y)}" class="{cls}" text-anchor="{anchor}">{escape(content)}</text>'


def wide(content: str, cls: str = "") -> float:
    """About how wide a text is, rather too wide than too narrow."""
    if "l-title" in cls:
        return 9.0 * columns(content)
    if "l-code" in cls:
        return (7.4 if "l-quiet" in cls else 8.0) * columns(content)
    return (6.6 if "l-quiet" in cls else 7.6) * columns(content)


def paragraph(x: float, y: float, content: str, cls: str = "", line: float = 19) -> tuple[str, float, float]:
    """A text in as many lines as it needs: itself, how wide the picture must be for it, and the next baseline."""
    lines = wrapped(content, int(_MEASURE / wide("x", cls)))
    body = "".join(text(x, y + line * place, part, cls) for place, part in enumerate(lines))
    return body, x + max(wide(part, cls) for part in lines) + 20, y + line * len(lines)


def key(drawn: str, states: tuple[str, ...], y: float) -> tuple[str, float, float]:
    """A line for the marks that a grid has: itself, the width it needs and where it ends."""
    told = [say(f"key last {' '.join(states)}")]
    told += [say(f"key {mark}") for mark in ("lit", "some", "zero") if f'class="l-{mark}"' in drawn]
    body, width, y = paragraph(20, y, " ".join(told), "l-quiet")
    return body, width, y - 5


def box(x: float, y: float, width: float, height: float, cls: str, radius: float = 5, tip: str = "") -> str:
    """A rectangle by its top left corner; `tip` is what it says under a pointer."""
    start = f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}" class="{cls}"'
    return f"{start}><title>{escape(tip)}</title></rect>" if tip else f"{start}/>"


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A wire without a tip."""
    return f'<path class="l-wire" d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"/>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A horizontal or vertical wire with a tip at its end."""
    dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
    back_x, back_y = x2 - 6 * dx, y2 - 6 * dy
    tip = f"{_n(x2)},{_n(y2)} {_n(back_x - 4 * dy)},{_n(back_y - 4 * dx)} {_n(back_x + 4 * dy)},{_n(back_y + 4 * dx)}"
    return line(x1, y1, back_x, back_y) + f'<polygon class="l-tip" points="{tip}"/>'


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
