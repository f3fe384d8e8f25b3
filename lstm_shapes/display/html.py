"""Pages as HTML: self-contained, no script, no network, every text escaped, the reader's own colours."""

from __future__ import annotations

import re
from html import escape

from .page import Block, Branch, Cell, Lines, Mark, Page, Sheet, Tree

__all__ = ["document", "to_html"]

# Colours are inherited, so that a dark notebook stays dark; rules are the text's colour, thinned.
_STYLE = """
.lstm-shapes{font:14px/1.5 system-ui,sans-serif;color:inherit;max-width:60rem;overflow-x:auto}
.lstm-shapes h2{font-size:1.2em;font-weight:600;margin:.2em 0}
.lstm-shapes h3{font-size:1em;font-weight:600;margin:1.2em 0 .3em}
.lstm-shapes ul{list-style:disc;margin:0;padding-left:1.3em}
.lstm-shapes table{border-collapse:collapse;margin:0}
.lstm-shapes th,.lstm-shapes td{text-align:left;vertical-align:top;padding:.15em 1.2em .15em 0;white-space:pre-line;
background:none;border:0}
.lstm-shapes thead th{font-weight:normal;font-style:italic;border-bottom:1px solid currentColor}
.lstm-shapes tbody.totals tr:first-child td{border-top:1px solid currentColor}
.lstm-shapes td.right,.lstm-shapes th.right{text-align:right;font-variant-numeric:tabular-nums}
.lstm-shapes td.whole{white-space:pre}
.lstm-shapes code,.lstm-shapes .code,.lstm-shapes pre{font-family:ui-monospace,monospace;font-size:.95em;
background:none;color:inherit}
.lstm-shapes .code,.lstm-shapes .strong{font-weight:600}
.lstm-shapes .good{color:#1a7f37;font-weight:700}.lstm-shapes .bad{color:#cf222e;font-weight:700}
.lstm-shapes .quiet,.lstm-shapes .caption{opacity:.8}
.lstm-shapes .row{display:flex;gap:1em;white-space:pre-wrap;overflow-wrap:anywhere}
.lstm-shapes .row>:first-child{flex:0 0 3em;text-align:right;font-variant-numeric:tabular-nums}
.lstm-shapes summary{cursor:pointer}
.lstm-shapes details:not([open])>summary>.row:first-child>:last-child:after{content:" …"}
.lstm-shapes .drawing{overflow-x:auto}
.lstm-shapes .drawing svg{max-width:max(100%,760px)!important;height:auto}
@media (prefers-color-scheme:dark){.lstm-shapes .good{color:#3fb950}.lstm-shapes .bad{color:#ff7b72}}
""".replace("\n", "")


def to_html(page: Page) -> str:
    """A page as a fragment for a notebook's cell, its picture above the tables."""
    head = f"<h2>{escape(page.title)}</h2>{_paragraph(page.subtitle)}"
    body = f"{head}{_drawing(page.picture() if page.picture else '')}{''.join(map(_block, page.blocks))}"
    return f'<div class="lstm-shapes"><style>{_STYLE}</style>{body}</div>'


def document(page: Page) -> str:
    """A page as a whole HTML file, light or dark as the reader's system is."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(page.title)}</title>"
        "<style>:root{color-scheme:light dark}body{margin:2rem;background:Canvas;color:CanvasText}</style>"
        f"</head><body>{to_html(page)}</body></html>\n"
    )


def _block(block: Block) -> str:
    if isinstance(block, Tree):
        return "".join(_branch(branch, block.open) for branch in block.branches)
    title = f"<h3>{escape(block.title)}</h3>"
    if isinstance(block, Sheet):
        return title + _sheet(block)
    if isinstance(block, Lines):
        return f"{title}<ul>{''.join(f'<li>{_written(item)}</li>' for item in block.items)}</ul>"
    return title + (_drawing(block.svg) or f"<pre>{escape(block.at(80))}</pre>")


def _drawing(svg: str) -> str:
    """A picture that is scrolled where the page is narrow: made as small as a phone, nobody could read it."""
    return f'<div class="drawing">{svg}</div>' if svg else ""


def _sheet(sheet: Sheet) -> str:
    heads = "".join(
        f'<th scope="col"{_classes(column.right, False)}>{escape(column.name)}</th>' for column in sheet.columns
    )
    totals = f'<tbody class="totals">{_rows(sheet, sheet.totals)}</tbody>' if sheet.totals else ""
    head = f"<thead><tr>{heads}</tr></thead>" if any(column.name for column in sheet.columns) else ""
    return f"<table>{head}<tbody>{_rows(sheet, sheet.rows)}</tbody>{totals}</table>{_paragraph(sheet.caption)}"


def _rows(sheet: Sheet, rows: tuple[tuple[Cell, ...], ...]) -> str:
    return "".join(
        "<tr>"
        + "".join(
            f"<td{_classes(column.right, column.whole and not column.fold)}>{_cell(cell)}</td>"
            for column, cell in zip(sheet.columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )


def _branch(branch: Branch, levels: int) -> str:
    """Rows, and folded below them what is inside."""
    rows = "".join(
        f'<span class="row">{"".join(f"<span>{_cell(cell)}</span>" for cell in row)}</span>' for row in branch.rows
    )
    if not branch.inner:
        return rows
    inner = "".join(_branch(one, levels - 1) for one in branch.inner)
    return f"<details{' open' if levels > 0 else ''}><summary>{rows}</summary>{inner}</details>"


def _classes(right: bool, whole: bool) -> str:
    names = " ".join(name for name, has in (("right", right), ("whole", whole)) if has)
    return f' class="{names}"' if names else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, Mark):
        return f'<span class="{cell.role}">{escape(cell.text)}</span>'
    return _written(cell)


def _written(sentence: str) -> str:
    """A sentence, with what stands in backticks as code."""
    parts = re.split(r"`([^`]*)`", sentence)
    return "".join(f"<code>{escape(p)}</code>" if number % 2 else escape(p) for number, p in enumerate(parts))


def _paragraph(sentence: str) -> str:
    return f'<p class="caption">{_written(sentence)}</p>' if sentence else ""
