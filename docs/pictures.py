"""Draws the pictures that README shows: `make pictures`. A test holds the files against what this draws."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

import lstm_shapes as ls

__all__ = ["FOLDER", "pictures"]

FOLDER = Path(__file__).parent

# rich's own frame loads a font over the network; this one takes the reader's monospace, on light and on dark.
_FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" viewBox="0 0 {width} {height}">
<title id="title">What lstm-shapes prints</title>
<desc id="desc">Tables of shapes, parameters and slices of nn.LSTM(28, 256, 3), as on a terminal.</desc>
<style>
svg {{ background: #ffffff }}
text {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre }}
.{unique_id}-matrix {{ fill: #1f2328 }}
{styles}
@media (prefers-color-scheme: dark) {{
  svg {{ background: #0d1117 }}
  .{unique_id}-matrix text {{ fill: #e6edf3 }}
}}
</style>
<g class="{unique_id}-matrix" transform="translate(12, 24)">
{matrix}
</g>
</svg>
"""


def pictures() -> dict[str, str]:
    """File name -> its text."""
    last_step = ls.picture(28, 256, 3, N=2, L=20, highlight="Y[:, -1]")
    backward = ls.picture(28, 256, 2, N=2, L=5, bidirectional=True, highlight="torch.cat([hn[-2], hn[-1]], dim=1)")
    return {
        "explain.svg": _terminal(ls.predict(28, 256, 3, N=2, L=20)),
        "last_step.svg": last_step.svg,
        "directions.svg": backward.svg,
        "cell.svg": ls.picture(28, 256, 3, kind="cell").svg,
    }


def _terminal(value: object) -> str:
    """A result as a terminal shows it; black on white, which the frame turns round for dark screens."""
    screen = Console(record=True, width=80, file=StringIO(), force_terminal=True, highlight=False)
    screen.print(value)
    return screen.export_svg(title="", code_format=_FRAME, unique_id="screen", theme=DEFAULT_TERMINAL_THEME)


def main() -> None:
    for name, text in pictures().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"wrote docs/{name}")  # noqa: T201


if __name__ == "__main__":
    main()
