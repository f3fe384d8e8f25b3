"""Pages as HTML: self-contained, every text escaped, readable on light and on dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
import torch

import lstm_shapes as ls
from lstm_shapes.display import Shown, as_document
from lstm_shapes.display.html import document, to_html
from lstm_shapes.display.page import Cell, Column, Drawing, Lines, Mark, Page, Role, Sheet
from tests.browser import Page as Tab
from tests.browser import browser

HOSTILE = "</td></table></style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"' & `<b>code</b>`"
VOID = {"meta", "br", "img", "link"}


class Tags(HTMLParser):
    """The elements of a page, whether they nest, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        self.text += "\n" * (tag == "br")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def hostile_page() -> Page:
    """Hostile text in every place that a page has for text."""
    cells: tuple[Cell, ...] = (HOSTILE, *(Mark(HOSTILE, role) for role in get_args(Role)))
    columns = tuple(Column(HOSTILE, right=bool(place % 2)) for place in range(len(cells)))
    sheet = Sheet(HOSTILE, columns, (cells,), totals=(cells,), caption=HOSTILE)
    return Page(HOSTILE, HOSTILE, (sheet, Lines(HOSTILE, (HOSTILE, HOSTILE)), Drawing(HOSTILE, HOSTILE)))


@pytest.mark.parametrize("whole", [False, True], ids=["fragment", "document"])
def test_hostile_names_stay_text(whole: bool) -> None:
    """No element and no attribute comes from a name: what was hostile is read as it was written."""
    tags = Tags(document(hostile_page()) if whole else to_html(hostile_page()))
    assert not {"script", "img", "b"} & set(tags.names)
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    # The head; title, columns, cells, totals and caption of the sheet; the lines; the drawing.
    places = 2 + (1 + 3 * 8 + 1) + 3 + 2
    assert tags.text.count("<script>alert(1)</script>") == places + whole


def test_backticks_are_code() -> None:
    """What stands between them is code, and text like the rest."""
    assert "a <code>&lt;b&gt;</code> &amp; c" in document(Page("T", "a `<b>` & c", ()))


@pytest.mark.parametrize(
    "value",
    [
        ls.predict(28, 256, 3),
        ls.count(28, 256, 3),
        ls.explain(28, 256, 3, proof=False),
        ls.explain(3, 5, 2, bidirectional=True, lengths=(4, 2)),
        ls.run(3, 5, N=2, L=4),
        ls.prove(3, 5, N=2, L=4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_result_is_self_contained(value: object) -> None:
    """No script, no address, no handler: nothing is fetched when a notebook is opened; a picture is in the page."""
    fragment = value._repr_html_()  # type: ignore[attr-defined]
    tags = Tags(fragment)
    assert not {"script", "link", "iframe", "object", "embed", "form", "svg"} & set(tags.names)
    assert not [name for name, _ in tags.attributes if name in ("href", "xlink:href") or name.startswith("on")]
    assert all(
        (value or "").startswith("data:image/svg+xml;base64,") for name, value in tags.attributes if name == "src"
    )
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", fragment)


def test_page_says_what_the_console_says() -> None:
    """Every word of the console's table is on the page."""
    explanation = ls.explain(28, 256, 3, proof=False)
    seen = set(Tags(explanation._repr_html_()).text.split())
    page = explanation.__rich__()
    for sheet in (block for block in page.blocks if isinstance(block, Sheet)):
        for row in sheet.rows + sheet.totals:
            for cell in row:
                text = cell.text if isinstance(cell, Mark) else cell
                assert set(text.replace("`", "").split()[1:-1]) <= seen


def test_saved_page(tmp_path: Path) -> None:
    """`.save("….html")` writes a whole document: it nests, has the layer's title, and every tensor's sizes."""
    file = ls.explain(28, 256, 3, proof=False).save(tmp_path / "lstm.html")
    page = file.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>LSTM(Q=28, D=256, K=3)</title>" in page
    text = Tags(page).text
    assert all(str(axes.sizes) in text for axes in ls.predict(28, 256, 3).tensors.values())


@pytest.mark.parametrize(
    ("value", "lit"),
    [
        (ls.explain(3, 5, 2, L=4, proof=False), "Y[:, -1] reads h of layer 1 at t=3."),
        (ls.predict(3, 5, 2, L=4, batch_first=False), "Y[-1] reads h of layer 1 at t=3"),
        (
            ls.run(3, 5, 2, L=4, bidirectional=True),
            "reads h of layer 1 in both directions at t=3 (forward) and t=0 (reverse)",
        ),
        (ls.predict(3, 5, lengths=(4, 2)), "hn[-1] reads h of layer 0 at each row's last step."),
        (ls.predict(3, 5, cell="GRUCell"), "inside one cell"),
    ],
    ids=["explain", "time major", "run", "packed", "cell"],
)
def test_page_has_the_picture(value: object, lit: str) -> None:
    """What describes a call of a layer comes with its picture, lit where a classifier reads; counts come without."""
    attributes = Tags(value._repr_html_()).attributes  # type: ignore[attr-defined]
    assert any(name == "alt" and lit in (text or "") for name, text in attributes)
    assert lit in Tags(as_document(value)).text  # type: ignore[arg-type]
    assert "<img" not in ls.count(3, 5)._repr_html_()


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


_CONTRAST = """
const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
const lum = c => { const [r, g, b] = parse(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
const back = lum(getComputedStyle(document.body).backgroundColor);
let worst = 99;
for (const element of document.querySelectorAll('h2, h3, td, th, li, p, .good, .bad, .symbol, code')) {
    const front = lum(getComputedStyle(element).color);
    worst = Math.min(worst, (Math.max(front, back) + .05) / (Math.min(front, back) + .05));
}
return [worst, back];
"""


def test_readable_in_light_and_dark(tab: Tab, tmp_path: Path) -> None:
    """A reader's dark system gets a dark page; every colour has a contrast of at least 4.5 (WCAG AA) on both."""
    file = ls.explain(3, 5, 2, bidirectional=True, lengths=(4, 2)).save(tmp_path / "lstm.html")
    grounds = []
    for scheme in ("light", "dark"):
        tab.scheme(scheme)
        tab.open(file.as_uri())
        tab.shows("Shapes", "Laws")
        tab.driver.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
        worst, ground = tab.driver.execute_script(_CONTRAST)
        assert worst >= 4.5, (scheme, worst)
        grounds.append(ground)
        assert tab.foreign() == []
        tab.picture(tmp_path / f"{scheme}.png")
    assert grounds[0] > 0.9
    assert grounds[1] < 0.1


def test_hostile_names_run_nothing(tab: Tab, tmp_path: Path) -> None:
    """A browser shows the hostile names and runs none of them."""
    file = tmp_path / "hostile.html"
    file.write_text(document(hostile_page()), encoding="utf-8")
    tab.open(file.as_uri())
    tab.shows("<script>alert(1)</script>")
    assert tab.driver.execute_script("return document.querySelectorAll('script, img').length") == 0
    assert tab.foreign() == []


# ---------------------------------------------------------------- in a notebook

# What the notebooks do to a table and to code, as their own style sheets say it: JupyterLab 4, Notebook 6, VS Code.
_RULES = """
body[data-jp-theme-light=false],body.vscode-dark{background:#111;color:#ddd}
:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon :is(td,th,tr){text-align:right}
.jp-RenderedHTMLCommon :is(td,th,tr){vertical-align:middle;padding:.5em;white-space:normal;max-width:none}
.jp-RenderedHTMLCommon table{table-layout:fixed;margin-left:auto;margin-right:auto}
.jp-RenderedHTMLCommon tbody tr:nth-child(odd){background:#222}
.jp-ThemedContainer .jp-RenderedHTMLCommon :is(pre,code){white-space:pre-wrap}
.rendered_html :is(tr,th,td){text-align:right;vertical-align:middle;white-space:normal}
.vscode-light :is(table,th,tr),.vscode-dark :is(table,th,tr){text-align:right;vertical-align:middle}
"""
_NOTEBOOKS = {
    "JupyterLab": ('data-jp-theme-light="true"', "jp-RenderedHTMLCommon", "light"),
    "JupyterLab dark": ('data-jp-theme-light="false"', "jp-RenderedHTMLCommon", "dark"),
    "VS Code": ('class="vscode-light"', "output", "light"),
    "VS Code dark": ('class="vscode-dark"', "output", "dark"),
    "Notebook 6": ("", "rendered_html", ""),
}
_SIDES = """
return [...document.querySelectorAll('td, th')].map(cell => {
    const range = document.createRange(); range.selectNodeContents(cell);
    const text = range.getBoundingClientRect(), box = cell.getBoundingClientRect(), style = getComputedStyle(cell);
    return [cell.classList.contains('right'), text.left - box.left - parseFloat(style.paddingLeft),
            box.right - text.right - parseFloat(style.paddingRight), text.width];
});
"""


def notebook(kind: str, fragment: str) -> str:
    body, output, _ = _NOTEBOOKS[kind]
    return (
        f'<!doctype html><meta charset="utf-8"><style>{_RULES}</style><body class="jp-ThemedContainer" {body}>'
        f'<div class="jp-ThemedContainer"><div class="{output}">{fragment}</div></div></body>'
    ).replace('<body class="jp-ThemedContainer" class="', '<body class="jp-ThemedContainer ')


def not_trusted(fragment: str) -> str:
    """What JupyterLab leaves of a fragment in a notebook that is not trusted: no style sheet, no drawing."""
    return re.sub(r"</?(?:svg|text|rect|path|title|desc)\b[^>]*>", "", re.sub(r"<style>.*?</style>", "", fragment))


def everything() -> str:
    """Tables, trees, prose and numbers of each kind, all of it opened."""
    model = torch.nn.Sequential(torch.nn.LSTM(7, 5, batch_first=True))
    trace = ls.gates(torch.nn.LSTM(7, 5, 2), torch.ones(4, 3, 7))
    values: tuple[Shown, ...] = (
        ls.explain(7, 5, 2, bidirectional=True, lengths=(4, 2)),
        ls.walk(model, torch.ones(2, 3, 7)),
        ls.check(torch.nn.LSTM(7, 5), torch.ones(4, 3, 7)),
        trace,
        trace.step(t=1),
        ls.count(7, 5, N=2, L=3),
    )
    return "".join(value._repr_html_() for value in values).replace("<details>", "<details open>")


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
@pytest.mark.parametrize("kind", _NOTEBOOKS)
def test_tables_stand_left_and_numbers_right_in_a_notebook(tab: Tab, tmp_path: Path, kind: str, trusted: bool) -> None:
    """By where the words are on the screen, under the notebook's own rules, which set every cell to the right."""
    file = tmp_path / "notebook.html"
    file.write_text(notebook(kind, everything() if trusted else not_trusted(everything())), encoding="utf-8")
    tab.open(file.as_uri())
    tab.shows("Shapes", "Walk through", "Kept for backward")
    cells = tab.driver.execute_script(_SIDES)
    assert len(cells) > 300
    for right, before, behind, width in cells:
        assert width == 0 or abs(behind if right else before) < 1.5, (right, before, behind)
    assert {right for right, *_ in cells} == {True, False}


def test_a_notebook_that_is_not_trusted_reads_well() -> None:
    """Lines of a cell stay lines, a tree keeps its branches, and a picture leaves its description, no loose labels."""
    left = not_trusted(everything())
    assert "W_ii·x + b_ii<br>(D=5, Q=7)·(Q=7,) + (D=5,)" in left
    assert "│ X (N=2, L=3, Q=7)" in left
    assert 'alt="LSTM(Q=7, D=5, K=2, bidirectional), unrolled over time: N=2 sequences of L=4 steps' in left
    assert "t=0</" not in left
    assert left.count("<img ") == 1


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("kind", _NOTEBOOKS)
def test_pictures_follow_the_theme_of_the_notebook(tab: Tab, tmp_path: Path, kind: str, system: str) -> None:
    """Not the system's, where the notebook says which it has; a drawing reads the scheme of the image that holds it."""
    tab.scheme(system)
    file = tmp_path / "notebook.html"
    file.write_text(notebook(kind, ls.picture(3, 5, N=2, L=4)._repr_html_()), encoding="utf-8")
    tab.open(file.as_uri())
    box = tab.wait(lambda: tab.driver.execute_script(_PICTURE), "the picture")
    shot = tab.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": {**box, "scale": 1}})["data"]
    ground = tab.driver.execute_async_script(_GROUND, f"data:image/png;base64,{shot}")
    assert (ground > 128) == ((_NOTEBOOKS[kind][2] or system) == "light"), ground


_PICTURE = """
const box = document.querySelector('img').getBoundingClientRect();
return box.width ? {x: box.x + 5, y: box.y + 5, width: 8, height: 8} : null;
"""
_GROUND = """
const [address, done] = arguments, image = new Image();
image.onload = () => {
    const canvas = document.createElement('canvas').getContext('2d');
    canvas.drawImage(image, 0, 0);
    done(canvas.getImageData(4, 4, 1, 1).data[0]);
};
image.src = address;
"""
