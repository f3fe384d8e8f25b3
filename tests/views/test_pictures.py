"""Pictures: well-formed, accessible, escaped, and lit where the expression reads."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import lstm_shapes as ls
from lstm_shapes.pictures import KINDS
from lstm_shapes.views.unrolled import ends
from tests.snapshot import Snapshot

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ET.Element:
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return root


def with_class(svg: str, name: str) -> int:
    return sum(name in (node.get("class") or "").split() for node in parsed(svg).iter())


def words(svg: str) -> list[str]:
    return [node.text or "" for node in parsed(svg).iter(f"{SVG}text")]


EVERY: dict[str, dict[str, Any]] = {
    "lesson": {"highlight": "Y[:, -1]"},
    "directions": {"bidirectional": True, "highlight": "Y[:, -1, D:]", "L": 5},
    "short rows": {"lengths": (3, 5, 2, 1), "highlight": "hn[-1]"},
    "deep and long": {"K": 40, "L": 5000, "highlight": "hn[:, 0]"},
    "one row": {"lengths": (30, 60), "n": 0, "highlight": "Y[torch.arange(N), lengths - 1]"},
    "seq first": {"batch_first": False, "highlight": "X[0]"},
    "unbatched": {"N": None, "L": 3},
    "cell": {"K": 1, "cell": "LSTMCell", "highlight": "hn"},
    "inside": {"kind": "cell", "proj_size": 64, "layer": 1},
    "inside GRU": {"kind": "cell", "cell": "GRU", "bidirectional": True, "layer": 2, "bias": False},
    "inside RNN": {"kind": "cell", "cell": "RNN", "nonlinearity": "relu"},
    "parameters": {"kind": "parameters", "K": 9, "proj_size": 8, "bidirectional": True},
    "packed": {"kind": "packed", "lengths": (5, 3, 8, 1)},
    "packed, many": {"kind": "packed", "lengths": tuple(range(1, 40))},
}


def drawn(name: str) -> ls.Picture:
    options = {"K": 3, **EVERY[name]}
    return ls.picture(28, 256, **options)


@pytest.mark.parametrize("name", EVERY)
def test_every_picture_is_accessible_and_self_contained(name: str) -> None:
    """role, title and description; no script, no address but the namespace's, no id that could clash; both schemes."""
    svg = drawn(name).svg
    root = parsed(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == (root.findtext(f"{SVG}title") or "?")
    assert root.findtext(f"{SVG}desc")
    assert "prefers-color-scheme:dark" in svg
    assert "script" not in svg
    assert svg.count("http") == 1
    assert " id=" not in svg


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_drawn_outside_the_frame(name: str) -> None:
    """Every box, and every word by a generous estimate of its width, is within the viewBox."""
    root = parsed(drawn(name).svg)
    width, height = (float(number) for number in (root.get("viewBox") or "").split()[2:])
    for node in root.iter(f"{SVG}rect"):
        x, y = float(node.get("x", 0)), float(node.get("y", 0))
        assert 0 <= x <= x + float(node.get("width", 0)) <= width
        assert 0 <= y <= y + float(node.get("height", 0)) <= height
    for node in root.iter(f"{SVG}text"):
        wide = len(node.text or "") * 6.2
        x = float(node.get("x", 0)) - {"middle": wide / 2, "end": wide}.get(node.get("text-anchor", ""), 0)
        assert 0 <= x <= x + wide <= width, node.text
        assert 0 <= float(node.get("y", 0)) <= height


@pytest.mark.parametrize("name", EVERY)
def test_console_drawing_fits_and_is_kept(name: str, snapshot: Snapshot) -> None:
    """The drawing in characters is at most 80 columns wide, and as it was when somebody looked at it."""
    text = drawn(name).text
    assert max(map(len, text.splitlines())) <= 80
    snapshot(name.replace(",", "").replace(" ", "_"), text)


def test_corner_cell_is_the_same_for_both_expressions() -> None:
    """Y[:, -1] and hn[-1] light one and the same cell, in SVG and in characters."""
    pictures = [ls.picture(28, 256, 3, highlight=expression) for expression in ("Y[:, -1]", "hn[-1]")]
    for picture in pictures:
        assert with_class(picture.svg, "l-lit") == 1
        assert picture.text.count("[h]") == 1
        assert picture.reads(2, 0, 19) == ("h",)
        assert picture.reads(1, 0, 19) == ()
    assert pictures[0].text == pictures[1].text
    assert ls.picture(28, 256, 3).reads(2, 0, 19) == ()


@pytest.mark.parametrize(
    ("expression", "lit"),
    [("Y", 10), ("Y[:, 0]", 2), ("Y[:, 0, :D]", 1), ("hn", 4), ("hn.view(K, R, N, H)[0]", 2), ("cn[1]", 1)],
)
def test_lit_boxes_are_the_cells_read(expression: str, lit: int) -> None:
    """As many boxes are lit as cells are read, when nothing is left out."""
    picture = ls.picture(3, 5, 2, L=5, N=4, bidirectional=True, highlight=expression)
    assert with_class(picture.svg, "l-lit") == lit
    assert picture.text.count("[h]") + picture.text.count("[c]") == lit
    cells = [(k, r, t) for k in range(2) for r in range(2) for t in range(5) if picture.reads(k, r, t)]
    assert len(cells) == lit


def test_some_rows_are_told_from_all() -> None:
    """hn[:, 0] reads one row of the batch: paler, and starred in characters."""
    picture = ls.picture(3, 5, 2, N=100, L=3, highlight="hn[:, 57]")
    assert with_class(picture.svg, "l-some") == 2
    assert with_class(picture.svg, "l-lit") == 0
    assert picture.text.count("[h*]") == 2


def test_inputs_and_initial_states_light_too() -> None:
    """X and h0 are no cells, and are lit where they enter."""
    picture = ls.picture(3, 5, 2, L=4, highlight="torch.cat([X[:, 0, :1], h0[1, :, :1]], -1)")
    assert with_class(picture.svg, "l-lit") == 2
    assert "[h0[1]]" in picture.text
    assert "[0]" in picture.text.splitlines()[-1]
    assert any("reads X and initial states" in word for word in words(picture.svg))


def test_short_rows_have_padding_and_a_warning() -> None:
    """A row that ends early shows padding, its own last step, and that Y[:, -1] reads nothing there."""
    picture = ls.picture(3, 5, lengths=(2, 4), highlight="Y[:, -1]")
    assert with_class(picture.svg, "l-pad") == 2 * 3  # Y, the cell and X, at the two steps that row 0 lacks
    assert any("row 0 holds zeros" in word for word in words(picture.svg))
    assert "reads padding" in repr(picture)
    assert picture.reads(0, 0, 3, n=0) == ()
    assert picture.reads(0, 0, 3, n=1) == ("h",)
    own = ls.picture(3, 5, lengths=(2, 4), highlight="Y[torch.arange(N), lengths - 1]")
    assert "padding" not in repr(own)


def test_what_is_left_out_is_said() -> None:
    """A cell in the elided middle is read: the picture says so."""
    hidden = ls.picture(3, 5, 9, L=100, highlight="Y[:, 50]")
    assert any("reads cells in the part left out" in word for word in words(hidden.svg))
    assert any("7 more layers" in word or "more layers" in word for word in words(hidden.svg))
    shown = ls.picture(3, 5, 2, L=100, highlight="Y[:, -1]")
    assert not any("left out" in word for word in words(shown.svg))


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "hn[-1]  # <script>&\"'", "Y # \x1b[31m", "Y\x0c[0]"])
def test_hostile_expression_is_refused(hostile: str) -> None:
    """Nothing but the grammar's own characters reaches a picture: Python's own comment is an error with the grammar."""
    with pytest.raises(ls.ShapeError, match="an expression of this grammar"):
        ls.picture(3, 5, 2, highlight=hostile)


def test_inside_a_cell_every_shape_is_the_layers_own() -> None:
    """Blocks in torch's order with the sizes of torch's parameters."""
    spec = ls.Spec(28, 256, 2, bidirectional=True)
    drawn_words = words(ls.picture(spec, kind="cell", layer=1).svg)
    assert [w for w in drawn_words if w.startswith("W_i")] == ["W_ii", "W_if", "W_ig", "W_io"]
    assert "(4D=1,024, R·D=512)" in drawn_words
    assert "(4D=1,024, D=256)" in drawn_words
    assert ls.predict(spec).weights["weight_ih_l1"].sizes == (1024, 512)


def test_wrong_requests_say_what_is_right() -> None:
    """An unknown kind, row, layer, file, or packed rows without lengths."""
    with pytest.raises(ls.SpecError, match="kind must be one of grid, cell, parameters, packed"):
        ls.picture(3, 5, kind="photo")
    with pytest.raises(ls.ShapeError, match="lengths must be given"):
        ls.picture(3, 5, kind="packed")
    with pytest.raises(ls.ShapeError, match="a row of the batch, 0 to 1"):
        ls.picture(3, 5, n=2)
    with pytest.raises(ls.ShapeError, match="one of the K = 1 layers"):
        ls.picture(3, 5, layer=1)
    with pytest.raises(ls.SpecError, match=r"ends in \.svg or \.txt"):
        ls.picture(3, 5).save("picture.png")


def test_save_writes_what_is_shown(tmp_path: Path) -> None:
    """.svg and .txt; the notebook gets the same SVG, JSON a plain dict."""
    picture = ls.picture(3, 5, 2, highlight="Y[:, -1]")
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg
    assert picture.save(str(tmp_path / "a.txt")).read_text(encoding="utf-8") == picture.text + "\n"
    assert picture._repr_svg_() == picture._repr_html_() == picture.svg
    assert picture.to_dict()["highlight"] == "Y[:, -1]"
    assert ls.picture(3, 5).to_dict()["highlight"] == ""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_itself(kind: str) -> None:
    """As a page in the terminal."""
    assert repr(ls.picture(3, 5, 2, kind=kind, lengths=(4, 2))).startswith("LSTM(Q=3, D=5, K=2)")


def test_size_does_not_grow_with_the_sequence() -> None:
    """A billion steps and a thousand layers take no more room than fifty and ten."""
    small, large = (ls.picture(3, 5, K, L=L, highlight="Y").svg for K, L in ((10, 50), (1000, 10**9)))
    assert abs(len(large) - len(small)) < 600


def test_ends_leave_out_the_middle() -> None:
    """The first and the last remain, None between; nothing is left out where all fit."""
    assert ends(3, 5) == (0, 1, 2)
    assert ends(100, 4) == (0, 1, None, 99)
