"""Pictures: well-formed, accessible, escaped, and lit where the expression reads; the staircase of packed rows."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

import lstm_shapes as ls
from lstm_shapes._views.canvas import ends
from lstm_shapes._views.pictures import packing_blocks, staircase
from lstm_shapes.display import as_text, drawing
from lstm_shapes.display.page import Page
from lstm_shapes.pictures import KINDS, Picture
from lstm_shapes.testing import lengths
from lstm_shapes.theory.call import Call
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
    "inside": {"kind": "cell", "proj_size": 64, "k": 1},
    "inside GRU": {"kind": "cell", "cell": "GRU", "bidirectional": True, "k": 2, "bias": False},
    "inside RNN": {"kind": "cell", "cell": "RNN", "nonlinearity": "relu"},
    "packed": {"kind": "packed", "lengths": (5, 3, 8, 1)},
    "packed, many": {"kind": "packed", "lengths": tuple(range(1, 40))},
    "packed, large": {"kind": "packed", "lengths": (120_000, 7)},
    "step of a GRUCell": {"K": 1, "cell": "GRUCell", "N": None, "kind": "cell"},
}


def drawn(name: str) -> Picture:
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
    inside_the_frame(drawn(name).svg)


@pytest.mark.parametrize("kind", ["grid", "cell"])
def test_huge_sizes_stay_inside_the_frame(kind: str) -> None:
    """Numbers of sixteen digits, with a projection above the first layer."""
    inside_the_frame(ls.picture(2**40, 2**50, 3, proj_size=2**49, k=1, kind=kind).svg)


def test_long_expressions_are_wrapped() -> None:
    """A legal expression of 300 characters does not widen the picture, nor is it cut."""
    svg = ls.picture(28, 256, 3, highlight="torch.cat([" + ", ".join(["Y[:, -1, :H]"] * 18) + "], dim=1)").svg
    inside_the_frame(svg)
    assert float((parsed(svg).get("viewBox") or "").split()[2]) < 1200


def inside_the_frame(svg: str) -> None:
    root = parsed(svg)
    width, height = (float(number) for number in (root.get("viewBox") or "").split()[2:])
    for node in root.iter(f"{SVG}rect"):
        x, y = float(node.get("x", 0)), float(node.get("y", 0))
        assert 0 <= x <= x + float(node.get("width", 0)) <= width
        assert 0 <= y <= y + float(node.get("height", 0)) <= height
    for node in root.iter(f"{SVG}text"):
        mono = "l-code" in (node.get("class") or "")
        wide = len(node.text or "") * (7.3 if mono else 6.2)
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
    assert "[0]" in next(line for line in picture.text.splitlines() if line.startswith("X"))
    assert any("reads X at t=0; h0 of layer 1." in word for word in words(picture.svg))


def test_short_rows_have_padding_and_a_warning() -> None:
    """A row that ends early shows padding, its own last step, and that Y[:, -1] reads nothing there."""
    picture = ls.picture(3, 5, lengths=(2, 4), highlight="Y[:, -1]")
    assert with_class(picture.svg, "l-pad") == 3  # X at the two steps that row 0 lacks, Y at the one that is not read
    assert with_class(picture.svg, "l-zero") == 1
    assert any("row 0 holds zeros" in word for word in words(picture.svg))
    assert "reads padding" in repr(picture)
    assert picture.reads(0, 0, 3, n=0) == ()
    assert picture.reads(0, 0, 3, n=1) == ("h",)
    own = ls.picture(3, 5, lengths=(2, 4), highlight="Y[torch.arange(N), lengths - 1]")
    assert "padding" not in repr(own)


def test_what_is_left_out_is_said() -> None:
    """A cell in the elided middle is read: the picture says so."""
    hidden = ls.picture(3, 5, 9, L=100, highlight="Y[:, 50]")
    assert not any("left out" in word for word in words(hidden.svg))  # the step that is read is shown
    hidden = ls.picture(3, 5, 9, L=100, highlight="Y[:, 10:50]")
    assert any("It also reads cells left out here: other steps." in word for word in words(hidden.svg))
    assert "It also reads cells left out here: other steps." in hidden.text
    assert any("7 more layers" in word or "more layers" in word for word in words(hidden.svg))
    shown = ls.picture(3, 5, 2, L=100, highlight="Y[:, -1]")
    assert not any("left out" in word for word in words(shown.svg))


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "hn[-1]  # <script>&\"'", "Y # \x1b[31m", "Y\x0c[0]"])
def test_hostile_expression_is_refused(hostile: str) -> None:
    """Nothing but the grammar's own characters reaches a picture: Python's own comment is an error with the grammar."""
    with pytest.raises(ls.ShapeError, match="of this grammar"):
        ls.picture(3, 5, 2, highlight=hostile)


_ROWS = ("rows 0:D", "rows D:2D", "rows 2D:3D", "rows 3D:4D")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("Y[:, -1]", "at t=19 it has made 1 step of 20."),
        ("hn[-1]", "at t=0 it has made 20 steps of 20."),
        ("Y", "at t=19 it has made 1 step and at t=0 it has made 20 steps of 20."),
        ("hn[-2]", ""),
        ("X", ""),
    ],
)
def test_the_backward_half_says_how_far_it_is(expression: str, told: str) -> None:
    """Where it is read; its first step is the last of the sequence."""
    picture = ls.picture(3, 5, 2, bidirectional=True, L=20, highlight=expression)
    sentence = f"The backward half starts at the last step: {told}"
    if told:
        assert sentence in picture.svg
        assert sentence in " ".join(picture.text.split())
    else:
        assert "backward half" not in picture.svg + picture.text


def test_inside_a_cell_every_shape_is_the_layers_own() -> None:
    """Blocks in torch's order with the sizes of torch's parameters."""
    spec = ls.Spec(28, 256, 2, bidirectional=True)
    drawn_words = words(ls.picture(spec, kind="cell", k=1).svg)
    assert [w for w in drawn_words if w.startswith("W_i")] == ["W_ii", "W_if", "W_ig", "W_io"]
    assert [w for w in drawn_words if w.startswith("rows ")] == [w for w in _ROWS for _ in range(2)]
    assert "The bias of the forget gate is bias_ih_l1[D:2D] + bias_hh_l1[D:2D]." in drawn_words
    assert "(4D=1,024, R·D=512)" in drawn_words
    assert "(4D=1,024, D=256)" in drawn_words
    assert ls.predict(spec).weights["weight_ih_l1"].sizes == (1024, 512)


def test_wrong_requests_say_what_is_right() -> None:
    """An unknown kind, row, layer, file, or packed rows without lengths."""
    with pytest.raises(ls.SpecError, match="kind must be one of grid, cell, packed"):
        ls.picture(3, 5, kind="photo")
    with pytest.raises(ls.ShapeError, match="lengths must be given"):
        ls.picture(3, 5, kind="packed")
    with pytest.raises(ls.ShapeError, match="a row of the batch, 0 to 1"):
        ls.picture(3, 5, n=2)
    with pytest.raises(ls.ShapeError, match="one of the K = 1 layers"):
        ls.picture(3, 5, k=1)
    with pytest.raises(ls.SpecError, match=r"ends in \.svg or \.txt"):
        ls.picture(3, 5).save("picture.png")


def test_save_writes_what_is_shown(tmp_path: Path) -> None:
    """.svg and .txt; the notebook gets the same SVG, JSON a plain dict."""
    picture = ls.picture(3, 5, 2, highlight="Y[:, -1]")
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg
    assert picture.save(str(tmp_path / "a.txt")).read_text(encoding="utf-8") == picture.text + "\n"
    assert b64encode(picture.svg.encode()).decode() in picture._repr_html_()
    assert picture.to_dict()["highlight"] == "Y[:, -1]"
    assert ls.picture(3, 5).to_dict()["highlight"] == ""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_itself(kind: str) -> None:
    """As a page in the terminal."""
    assert repr(ls.picture(3, 5, 2, kind=kind, lengths=(4, 2))).startswith("LSTM(Q=3, D=5, K=2)")


def test_size_does_not_grow_with_the_sequence() -> None:
    """A billion steps and a thousand layers take no more room than fifty and ten."""
    small, large = (ls.picture(3, 5, K, L=L, highlight="Y").svg for K, L in ((10, 50), (1000, 10**9)))
    assert abs(len(large) - len(small)) < 4000  # longer numbers in each box


def test_ends_leave_out_the_middle() -> None:
    """The first and the last remain, None between; nothing is left out where all fit."""
    assert ends(3, 5) == (0, 1, 2)
    assert ends(100, 4) == (0, 1, None, 99)


def boxes(svg: str) -> list[tuple[float, float, float, float, str]]:
    """Left, top, width, height and class of every box."""
    found = []
    for node in parsed(svg).iter(f"{SVG}rect"):
        x, y, width, height = (float(node.get(name, 0)) for name in ("x", "y", "width", "height"))
        found.append((x, y, width, height, node.get("class") or ""))
    return found


def test_inputs_and_initial_states_of_some_rows_are_outlined() -> None:
    """One row of X or h0 is not all of it; the key says what the outline means."""
    for expression, count in (("X[0]", 5), ("h0[:, 0]", 2)):
        svg = ls.picture(28, 256, 2, N=3, L=5, highlight=expression).svg
        assert (with_class(svg, "l-some"), with_class(svg, "l-lit")) == (count, 0)
        assert any("Outlined in orange: read for some rows only." in word for word in words(svg))
    assert not any("Outlined" in word for word in words(ls.picture(28, 256, highlight="X").svg))


@pytest.mark.parametrize(
    ("options", "expression", "says"),
    [
        ({"N": 3, "batch_first": False}, "Y[:, -1]", "reads h of layer 1 at every step, of row n=2 only."),
        ({"N": 3}, "hn[:, 1:2]", "reads h of every layer at t=19, of row n=1 only."),
        ({"N": 3}, "Y[0]", "reads h of layer 1 at every step, of row n=0 only."),
        ({"N": 9}, "Y[::2, 3:9]", "reads h of layer 1 at t=3 to 8, of rows n=0, 2, …, 8 only."),
        ({"N": 9}, "Y[1:3, 3]", "reads h of layer 1 at t=3, of rows n=1 and 2 only."),
        ({}, "torch.cat([hn, cn])", "reads h+c of every layer at t=19."),
        ({"bidirectional": True}, "hn[1::2]", "reads h of every layer reverse at t=0."),
        ({"bidirectional": True}, "hn", "reads h of every layer in both directions at t=19 (forward) and t=0 (rev"),
        ({"bidirectional": True}, "hn[1:3]", "reads h of layer 1 forward at t=19; h of layer 0 reverse at t=0."),
        ({"bidirectional": True}, "hn.view(K, R, N, H)[1, 0]", "reads h of layer 1 forward at t=19."),
        ({"lengths": (3, 2)}, "Y[torch.arange(N), lengths - 1]", "reads h of layer 1 at each row's last step."),
        ({"lengths": (3, 2), "L": 5}, "Y[:, -1]", "reads no cell, no input and no initial state."),
        ({}, "Y[2:2]", "reads no cell, no input and no initial state."),
        ({"cell": "LSTMCell", "K": 1}, "X.sum() + hn", "reads X; h after the step."),
        ({}, "+".join(f"Y[:, {t}]" for t in range(6)), "reads h of layer 1 at t=0 to 5."),
        ({}, "+".join(f"Y[:, {t}]" for t in (0, 1, 2, 4, 7, 9)), "h of layer 1 at t=4; and 2 more."),
    ],
)  # fmt: skip
def test_sentence_says_what_is_read(options: dict[str, Any], expression: str, says: str) -> None:
    """Layers, steps and rows, exactly, whatever the drawing leaves out."""
    assert says in " ".join(repr(ls.picture(28, 256, **{"K": 2, **options}, highlight=expression)).split())


def test_row_that_is_not_read_is_told() -> None:
    """The one row drawn is another than the one read."""
    picture = ls.picture(28, 256, lengths=(4, 5), n=0, highlight="Y[1, 2]")
    assert "Nothing of it is in row n=0, which is drawn." in picture.svg
    assert "It also reads cells left out here: other rows." in picture.svg


def test_panels_share_their_steps_and_no_wire_crosses_padding() -> None:
    """Columns stand below each other, and h, c leave a row where it ends."""
    svg = ls.picture(28, 256, 2, lengths=(5, 4, 3, 9), highlight="hn[-1]").svg
    inputs = [box for box in boxes(svg) if box[3] == 26]
    columns = {left for left, *_ in inputs}
    assert all(len([1 for box in inputs if box[0] == left]) == 2 * 3 for left in columns)
    text = ls.picture(28, 256, 1, lengths=(2, 4)).text
    assert next(line for line in text.splitlines() if "layer 0" in line).endswith("→ ( ) → hn[0],cn[0]")


def test_padding_that_is_read_is_marked() -> None:
    """The zero of a short row that Y[:, -1] reads, in SVG with a key, and in characters."""
    picture = ls.picture(3, 5, lengths=(2, 4), highlight="Y[:, -1]")
    assert with_class(picture.svg, "l-zero") == 1
    assert any("Dashed orange: padding that is read." in word for word in words(picture.svg))
    assert "[0] zeros of padding that are read" in " ".join(picture.text.split())


def test_key_names_the_states_there_are() -> None:
    """A GRU has no cn."""
    svg = ls.picture(3, 5, cell="GRU").svg
    assert any("Purple frame: the cell whose state hn holds." in word for word in words(svg))
    assert "( ) its state is what hn holds." in ls.picture(3, 5, cell="GRU").text


def test_cell_has_its_own_names_and_shapes() -> None:
    """A …Cell's weights have no suffix, one sequence has no N, and a projection has its block."""
    alone = words(ls.picture(28, 256, cell="LSTMCell", N=None, kind="cell").svg)
    assert {"weight_ih", "weight_hh", "(Q=28,)", "(D,)"} <= set(alone)
    assert not any("_l0" in word or "N," in word for word in alone)
    projected = words(ls.picture(28, 256, 2, proj_size=64, kind="cell").svg)
    assert {"W_hr", "P × D", "weight_hr_l0", "(P=64, D=256)", "(N, P)"} <= set(projected)
    assert "weight_hr_l0 (64, 256)" in ls.picture(28, 256, 2, proj_size=64, kind="cell").text


def test_one_step_of_a_cell_is_no_sequence() -> None:
    """No "unrolled over time", and no empty band where a layer has its Y."""
    svg = ls.picture(28, 256, cell="LSTMCell", highlight="hn").svg
    assert "LSTMCell(Q=28, D=256), one step" in words(svg)
    assert not any("t=0" in word for word in words(svg))
    assert float((parsed(svg).get("viewBox") or "").split()[3]) < 265


@pytest.mark.parametrize("kind", KINDS)
def test_description_describes_the_drawing(kind: str) -> None:
    """desc is no copy of the title; its sentences end in full stops."""
    root = parsed(ls.picture(28, 256, 2, kind=kind, lengths=(5, 3)).svg)
    told = root.findtext(f"{SVG}desc") or ""
    assert told != root.findtext(f"{SVG}title")
    assert told.endswith(".")


def test_highlight_belongs_to_the_grid() -> None:
    """Another kind has no cells to light, and says which has."""
    with pytest.raises(ls.SpecError, match=r"highlight must be left out of kind='cell'.*Only kind='grid'"):
        ls.picture(3, 5, kind="cell", highlight="hn")


@pytest.mark.parametrize("width", [60, 40])
@pytest.mark.parametrize("kind", ["grid", "cell", "packed"])
def test_console_drawings_are_laid_out_for_the_width(kind: str, width: int) -> None:
    """Nothing is cut, at 40 columns too."""
    picture = ls.picture(28, 256, 3, kind=kind, lengths=(20, 15, 7))
    assert "…" not in " ".join(line for line in as_text(picture, width=width).splitlines() if kind == "cell")
    assert max(map(len, as_text(picture, width=width).splitlines())) <= width
    assert max(map(len, drawing(picture).at(width).splitlines())) <= width


def test_numbers_are_grouped_and_one_is_no_plural() -> None:
    """1,000,000 sequences of 1 step."""
    assert "N=1,000,000 sequences of L=1 step," in ls.picture(3, 5, N=1_000_000, L=1).svg
    assert "N=1 sequence of L=20 steps" in ls.picture(3, 5, N=1).svg


def test_packed_labels_do_not_overlap() -> None:
    """A cell is wider than its number, with 1,500 rows of 2,000 steps."""
    svg = ls.picture(3, 5, kind="packed", lengths=tuple(1000 + i * 7919 % 1000 for i in range(1500))).svg
    cells = {width for _, _, width, _, cls in boxes(svg) if cls == "l-in"}
    assert min(cells) >= 7.8 * len("2,249,749")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("3", "row n=3 only"),
        ("2:5:2", "rows n=2 and 4 only"),
        ("2:6", "rows n=2 to 5 only"),
        ("1:9:3", "rows n=1, 4, 7 only"),
        ("::2", "rows n=0, 2, …, 8 only"),
    ],
)
def test_rows_that_are_read_are_listed_shortly(rows: str, said: str) -> None:
    """One, two, a range, a few with a step, many with a step."""
    assert said in " ".join(str(ls.picture(4, 8, N=9, L=3, highlight=f"Y[{rows}]")).split())


def numbers(text: str) -> list[int]:
    return sorted(int(word) for line in text.splitlines()[1:-1] for word in line.split(")")[1].split() if word != "·")


@given(lengths(most=8))
def test_every_place_of_data_is_drawn_once(drawn: tuple[int, ...]) -> None:
    """Small staircases hold each index of data once, and the padding as often as it is there."""
    packing = Call.of_lengths(drawn)
    text = staircase(packing, width=200)
    assert numbers(text) == list(range(packing.T))
    assert text.count("·") == packing.saved


@given(lengths(most=8))
def test_a_cell_is_the_place_of_that_step(drawn: tuple[int, ...]) -> None:
    """Row r, step s shows where (r, s) stands in data: step by step, longest row first."""
    packing = Call.of_lengths(drawn)
    entries = [(row, step) for step, n in enumerate(packing.batch_sizes) for row in packing.sorted_indices[:n]]
    places = {entry: place for place, entry in enumerate(entries)}
    for line in staircase(packing, width=200).splitlines()[1:-1]:
        head, _, cells = line.partition(")")
        row = int(head.split()[1])
        found = [int(word) for word in cells.split() if word != "·"]
        assert found == [places[row, step] for step in range(drawn[row])]


def test_last_line_is_batch_sizes() -> None:
    """The bottom line is batch_sizes, and steps of pure padding have none."""
    assert staircase(Call.of_lengths((3, 5, 2), L=7)).splitlines()[-1].split()[1:] == ["3", "3", "2", "1", "1"]


@pytest.mark.parametrize(
    ("drawn", "L"), [((4,) * 3, 4), ((10**9, 1), None), (tuple(range(1, 500)), 2_000), ((7,), 10**12)]
)
def test_large_ones_are_elided(drawn: tuple[int, ...], L: int | None) -> None:
    """However large, it has a screen's size, without making an entry for each step."""
    text = as_text(Page("", "", packing_blocks(Call.of_lengths(drawn, L))), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert len(text.splitlines()) <= 40


def test_elided_steps_and_rows_are_marked() -> None:
    """What is left out is marked in its row and its column."""
    text = staircase(Call.of_lengths(tuple(range(1, 41))), width=60, rows=5)
    assert "⋮" in text.splitlines()
    assert all("…" in line for line in text.splitlines() if line != "⋮")
    assert len(text.splitlines()) == 7


def test_page(snapshot: Snapshot) -> None:
    """What a person sees for a small batch, ties mentioned."""
    text = snapshot("small", Page("", "", packing_blocks(Call.of_lengths((3, 5, 2, 3), L=6))))
    assert "torch may put equally long rows in another order" in " ".join(text.split())
    assert numbers("\n".join(text.split("data\n")[1].split("\n\n")[0].splitlines())) == list(range(13))
