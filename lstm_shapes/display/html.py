"""Pages as HTML: self-contained, no script, no network, every text escaped, the reader's own colours."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import partial
from html import escape

from .page import Block, Branch, Cell, Column, Drawing, Lines, Mark, Page, Sheet, Tree

# Colours are inherited, so that a dark notebook stays dark; rules are the text's colour. A notebook has a theme of its
# own, which need not be the system's: it decides `color-scheme`, and that decides the rest, pictures included.
_STYLE = """
.lstm-shapes{font:14px/1.5 system-ui,sans-serif;color:inherit;max-width:60rem;overflow-x:auto;color-scheme:light dark}
[data-jp-theme-light=true] .lstm-shapes,[data-theme=light] .lstm-shapes,[theme=light] .lstm-shapes,
.vscode-light .lstm-shapes,.vscode-high-contrast-light .lstm-shapes{color-scheme:light}
[data-jp-theme-light=false] .lstm-shapes,[data-theme=dark] .lstm-shapes,[theme=dark] .lstm-shapes,
.vscode-dark .lstm-shapes,.vscode-high-contrast:not(.vscode-high-contrast-light) .lstm-shapes{color-scheme:dark}
.lstm-shapes h2{font-size:1.2em;font-weight:600;margin:.2em 0}
.lstm-shapes h3,.lstm-shapes summary{font-size:1em;font-weight:600;margin:1.2em 0 .3em}
.lstm-shapes :is(details,summary){margin:.3em 0}
.lstm-shapes summary{display:list-item;cursor:pointer}
.lstm-shapes ul{list-style:disc;margin:0;padding-left:1.3em}
.lstm-shapes table{border-collapse:collapse;margin:.3em 0;font-size:1em;color:inherit}
.lstm-shapes tr:is(tr,tr:hover){background:none}
.lstm-shapes :is(th,td){vertical-align:top;padding:.15em 1.2em .15em 0;background:none;border:0}
.lstm-shapes thead th{font-weight:normal;font-style:italic;border-bottom:1px solid currentColor}
.lstm-shapes tbody.totals tr:first-child td{border-top:1px solid currentColor}
.lstm-shapes .right{font-variant-numeric:tabular-nums}
.lstm-shapes :is(code,samp,pre){font-family:ui-monospace,monospace;font-size:.95em;background:none;color:inherit;
padding:0}
.lstm-shapes samp{white-space:inherit}
.lstm-shapes :is(.code,.strong){font-weight:600}
.lstm-shapes .good{color:#1a7f37;color:light-dark(#1a7f37,#3fb950);font-weight:700}
.lstm-shapes .bad{color:#cf222e;color:light-dark(#cf222e,#ff7b72);font-weight:700}
.lstm-shapes :is(.quiet,.caption){opacity:.8}
.lstm-shapes .row{display:inline-block;overflow-wrap:anywhere;padding-left:6em;text-indent:-6em}
.lstm-shapes :is(summary,div):has(>.row){margin:0 0 0 1.2em;font-weight:inherit;list-style-position:outside}
.lstm-shapes details:not([open])>summary>.row:first-child:after{content:" …"}
.lstm-shapes .drawing{overflow-x:auto}
.lstm-shapes .drawing :is(svg,img){max-width:max(100%,760px)!important;height:auto}
""".replace("\n", "")


def to_html(page: Page, *, inline: bool = False) -> str:
    """A page as a fragment for a notebook's cell: its picture, its tables, and folded what a reader may open.

    A picture is an image, with its description as text beside it: a notebook that is not trusted takes a drawing apart
    and leaves the words of it. `inline` keeps it a drawing, whose cells say what they are under a pointer.
    """
    parts = [f"<h2>{escape(page.title)}</h2>" if page.title else "", _paragraph(page.subtitle)]
    parts += [_drawing(page.picture(), inline) if page.picture else ""]
    for block in page.blocks:
        drawn = isinstance(block, Drawing) and block.svg  # it has its title in it
        parts += [f"<h3>{escape(block.title)}</h3>" if block.title and not drawn else "", _block(block, inline)]
    parts += [
        f"<details><summary>{escape(block.title)}</summary>{_block(block, inline)}</details>" for block in page.folded
    ]
    lang = "" if page.lang == "en" else f' lang="{page.lang}"'
    return f'<div class="lstm-shapes"{lang}><style>{_STYLE}</style>{"".join(parts)}</div>'


def document(page: Page) -> str:
    """A page as a whole HTML file, light or dark as the reader's system is."""
    return (
        f'<!doctype html><html lang="{page.lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(page.title)}</title>"
        "<style>:root{color-scheme:light dark}body{margin:2rem;background:Canvas;color:CanvasText}</style>"
        f"</head><body>{to_html(page, inline=True)}</body></html>\n"
    )


def _block(block: Block, inline: bool) -> str:
    if isinstance(block, Tree):
        return "".join(_branch(branch, block.open) for branch in block.branches)
    if isinstance(block, Sheet):
        return _sheet(block)
    if isinstance(block, Lines):
        return f"<ul>{''.join(f'<li>{_written(item)}</li>' for item in block.items)}</ul>"
    return _drawing(block.svg, inline) or f"<pre>{escape(block.at(80))}</pre>"


def _drawing(svg: str, inline: bool) -> str:
    """A picture that is scrolled where the page is narrow: made as small as a phone, nobody could read it."""
    if not svg:
        return ""
    if not inline:
        about = ": ".join(re.findall("<(?:title|desc)>(.*?)</", svg, re.DOTALL)[:2])
        svg = f'<img src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}" alt="{about}">'
    return f'<div class="drawing">{svg}</div>'


def _sheet(sheet: Sheet) -> str:
    heads = (_aligned("th", column, escape(column.name)) for column in sheet.columns)
    head = f"<thead><tr>{''.join(heads)}</tr></thead>" if any(column.name for column in sheet.columns) else ""
    totals = f'<tbody class="totals">{_rows(sheet, sheet.totals)}</tbody>' if sheet.totals else ""
    return f"<table>{head}<tbody>{_rows(sheet, sheet.rows)}</tbody>{totals}</table>{_paragraph(sheet.caption)}"


def _rows(sheet: Sheet, rows: tuple[tuple[Cell, ...], ...]) -> str:
    cells = (map(partial(_aligned, "td"), sheet.columns, map(_cell, row)) for row in rows)
    return "".join(f"<tr>{''.join(row)}</tr>" for row in cells)


def _aligned(tag: str, column: Column, content: str) -> str:
    """A cell with its side written into it: JupyterLab sets all to the right, by a rule stronger than a class of ours.

    Lines and indentation are written with characters: where a notebook is not trusted, a style sheet keeps none.
    """
    side = ' class="right" style="text-align:right' if column.right else ' style="text-align:left'
    wrap = "" if not column.whole or column.fold else ";white-space:nowrap"
    return f'<{tag}{side}{wrap}">{content}</{tag}>'


def _branch(branch: Branch, levels: int) -> str:
    """Rows, and folded below them what is inside; their first cells are numbers, in a column of characters."""
    rows = "<br>".join(
        f'<span class="row"><samp>{str(first).rjust(4).replace(" ", chr(0xA0))}</samp>'
        f"{chr(0x2002).join(map(_cell, ('', *rest)))}</span>"
        for first, *rest in branch.rows
    )
    if not branch.inner:
        return f'<div style="text-align:left">{rows}</div>'
    inner = "".join(_branch(one, levels - 1) for one in branch.inner)
    return f"<details{' open' if levels > 0 else ''}><summary>{rows}</summary>{inner}</details>"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Mark):
        tag = "samp" if cell.role in ("code", "number") else "span"
        markup = f'<{tag} class="{cell.role}">{escape(cell.text)}</{tag}>'
    else:
        markup = _written(cell)
    return re.sub("  +|(?<=\n) ", lambda blanks: "\u00a0" * len(blanks[0]), markup).replace("\n", "<br>")


def _written(sentence: str) -> str:
    """A sentence, with what stands in backticks as code."""
    parts = re.split(r"`([^`]*)`", sentence)
    return "".join(f"<code>{escape(p)}</code>" if number % 2 else escape(p) for number, p in enumerate(parts))


def _paragraph(sentence: str) -> str:
    return f'<p class="caption">{_written(sentence)}</p>' if sentence else ""
