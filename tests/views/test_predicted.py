"""Tables of shapes, parameters, memory and other tools' numbers; titles, sizes and bytes as in every table."""

from __future__ import annotations

import re
from math import prod
from typing import Any

import pytest
from hypothesis import given

import lstm_shapes as ls
from lstm_shapes import Spec
from lstm_shapes._views.predicted import number_of_bytes, parameters_sheet, shapes_sheet, shapes_view, sizes, subtitle
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Page
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import headline
from tests.snapshot import Snapshot
from tests.strategies import cases

NUMBER = re.compile(r"^(layer \d+|layers \d+, \d+|layers \d+ to [\d,]+|total)  .*?((?:[\d,]+ × )?[\d,]+)$")


def rows_of(text: str) -> dict[str, int]:
    """The numbers at the right of a parameter table."""
    found = (NUMBER.match(line) for line in text.splitlines())
    rows: dict[str, int] = {}
    for match in found:
        if match:
            number = prod(int(factor.replace(",", "")) for factor in match[2].split(" × "))
            rows.setdefault(match[1], number)  # a later table has a total of its own
    return rows


@pytest.mark.parametrize("K", [1, 3, 4, 5, 1_000])
def test_parameter_rows_add_up(snapshot: Snapshot, K: int) -> None:
    """The layers printed, with those that share a row, sum to the total printed."""
    rows = rows_of(snapshot(f"28_256_{K}", as_text(ls.count(28, 256, K, N=2, L=20), width=80)))
    total = rows.pop("total")
    assert total == ls.count(28, 256, K).total
    assert sum(rows.values()) == total
    assert len(rows) == min(K, 2)


def test_without_a_call_there_are_parameters_only() -> None:
    """The page says what to give for the rest."""
    text = as_text(ls.count(28, 64, 2), width=80)
    assert "give N and L, or lengths, for MACs" in text
    assert "Kept for backward" not in text


def test_with_a_call_memory_and_other_tools_follow() -> None:
    """The rows of what is kept add up to the total; every tool of the table is named."""
    counts = ls.count(28, 64, 2, N=3, L=5)
    text = as_text(counts, width=80)
    kept = text[text.index("Kept for backward") : text.index("What autograd saves")]
    *rows, total = [int(number.replace(",", "")) for number in re.findall(r" ([\d,]+)$", kept, re.MULTILINE)]
    assert counts.activation_bytes == 4 * total
    assert sum(rows) == total
    for tool in ("torchinfo", "FlopCounterMode", "thop", "ptflops", "Keras"):
        assert tool in text
    assert max(map(len, text.splitlines())) <= 80


def parameters(Q: int, D: int, K: int = 1, **options: Any) -> str:
    """The parameter table alone, as it is printed."""
    return as_text(Page("", "", (parameters_sheet(ls.count(Q, D, K, **options), full=True),)), width=80)


def test_D_costs_where_it_does() -> None:
    """The sentence is not said of a layer that is all input."""
    assert "a smaller D" in parameters(28, 256)
    assert "a smaller D" not in parameters(65_536, 8)


def test_a_formula_and_its_numbers_share_a_line_where_they_fit() -> None:
    """Else the numbers stand below, beginning with the equals sign."""
    assert "4·(Q·D + D·D + 2D) = 4·(28·256 + 256·256 + 2·256)" in parameters(28, 256)
    assert re.search(r"\+ P·D\) +51,200\n += 2·\(4·\(", parameters(28, 128, 1, bidirectional=True, proj_size=16))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "an LSTM only adds them"),
        ({"cell": "GRUCell"}, "b_hn stands under the reset gate"),
        ({"cell": "RNN"}, "2D: two biases, because cuDNN has two; an RNN only adds them."),
    ],
    ids=str,
)
def test_why_there_are_two_biases(options: dict[str, Any], said: str) -> None:
    """Said of each cell as it is true of it, and not of a layer without bias."""
    assert said in " ".join(parameters(28, 64, **options).split())
    assert "cuDNN" not in parameters(28, 64, bias=False, **options)


def test_keras_has_a_row_where_it_differs() -> None:
    """One bias fewer a gate, and the number it prints."""
    assert re.search(r"Keras.*minus 3,072 +1,342,464", parameters(28, 256, 3))


@pytest.mark.parametrize("options", [{"cell": "GRU"}, {"bias": False}, {"proj_size": 64}])
def test_keras_has_no_row_where_it_is_alike_or_has_no_such_layer(options: dict[str, Any]) -> None:
    """A GRU has two biases there too; without bias there is none to miss; it has no projection."""
    assert "Keras" not in parameters(28, 256, 3, **options)


@given(cases())
def test_every_tensor_has_a_row(case: tuple[Spec, Call]) -> None:
    """Names, symbols and sizes of all tensors and of packed data; hidden and cell state share a row where alike."""
    prediction = Prediction(*case)
    rows = [[cell if isinstance(cell, str) else cell.text for cell in row] for row in shapes_sheet(prediction).rows]
    seen = {name: row[1:3] for row in rows for name in row[0].split(", ")}
    packed = {"X.data": prediction.packed_X, "Y.data": prediction.packed_Y}
    expected = prediction.tensors | {name: axes for name, axes in packed.items() if axes is not None}
    assert seen == {name: [axes.formula, str(axes.sizes)] for name, axes in expected.items()}
    assert len(rows) == len(expected) - 2 * (prediction.c0 is not None and prediction.c0 == prediction.h0)


@given(cases())
def test_torchs_names_stand_below(case: tuple[Spec, Call]) -> None:
    """Those of the arguments that this layer has, of its results, and Keras' word for D."""
    spec = case[0]
    caption = shapes_sheet(Prediction(*case)).caption
    assert all(word in caption for word in ("Q=input_size", "embedding_dim", "D=hidden_size (Keras: units)"))
    assert ("K=num_layers" in caption) == ("Y=output" in caption) == ("hn=h_n" in caption) == (not spec.kind.step)
    assert ("R=1+bidirectional" in caption, "P=proj_size" in caption) == (spec.R == 2, spec.P > 0)
    assert ("cn=c_n" in caption) == (spec.has_c and not spec.kind.step)


def test_the_first_page_is_the_shapes_alone() -> None:
    """Which layer, how much data, and that one table: nothing else has to load before it is on the screen."""
    prediction = Prediction(Spec(7, 5, 2), Call(3, 4))
    page = shapes_view(prediction)
    assert (page.title, page.subtitle) == (headline(prediction.spec), subtitle(prediction.spec, prediction.call))
    assert page.blocks == (shapes_sheet(prediction),)


@given(cases())
def test_titles_name_the_layer_and_the_call(case: tuple[Spec, Call]) -> None:
    """What differs from a plain layer is in the headline; how much data below it."""
    spec, call = case
    title, below = headline(spec), subtitle(spec, call)
    assert title.startswith(f"{spec.cell}(Q={spec.Q}, D={spec.D}")
    assert ("bidirectional" in title, "bias=False" in title, "relu" in title) == (
        spec.bidirectional,
        not spec.bias,
        spec.nonlinearity == "relu",
    )
    assert (f"P={spec.P}" in title) == (spec.P > 0)
    assert ("unbatched" in below) == (not call.batched)
    assert ("packed" in below) == (call.lengths is not None)
    assert ("batch_first" in below) == (not spec.kind.step)


def test_dropout_is_in_the_headline() -> None:
    """As it was given."""
    assert headline(Spec(7, 5, 2, dropout=0.5)) == "LSTM(Q=7, D=5, K=2, dropout=0.5)"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1.00 KiB"), (5_382_144, "5.13 MiB"), (2**60, "1,024.00 PiB")],
)
def test_bytes(number: int, text: str) -> None:
    """In the largest unit that leaves at least 1."""
    assert number_of_bytes(number) == text


def test_sizes_are_written_as_torch_prints_a_shape() -> None:
    """A tuple, also of one axis."""
    assert sizes(Axes.of("N L D", (3, 4, 5))) == "(3, 4, 5)"
    assert sizes(Axes.of("D", (5,))) == "(5,)"
