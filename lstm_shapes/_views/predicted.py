"""What is predicted: the shapes of a call, parameters, what is kept for backward, other tools' numbers.

At the end how every table writes a call, a place, a shape and a number of bytes. It loads little, so that a command has
the first table on the screen at once.
"""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Cell, Column, Mark, Page, Sheet, code
from lstm_shapes.language import say
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import DTYPES, Call
from lstm_shapes.theory.counts import Counts, kept_for_backward, other_tools
from lstm_shapes.theory.notes import meaning
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec, headline
from lstm_shapes.theory.symbols import SYMBOLS

_FORMULA = 53
"""Columns that a formula and its numbers may take side by side."""


@view.register(Counts)
def counts_view(counts: Counts) -> Page:
    """Parameters alone; with a call also MACs, memory and the table of other tools."""
    title = say("parameters of", layer=headline(counts.spec))
    about = say("sizes wanted") if counts.call is None else subtitle(counts.spec, counts.call)
    return Page(title, about, (parameters_sheet(counts, full=True), *counts_blocks(counts)))


def parameters_sheet(counts: Counts, *, full: bool = False) -> Sheet:
    """Each layer's parameters with the formula, in symbols and in numbers; `full`: also as others count, and MACs."""
    spec, call = counts.spec, counts.call
    layers = [(say("layer", k=0), counts.first, 1)]
    if counts.upper is not None:
        upper = say({2: "layer", 3: "two layers"}.get(spec.K, "layers"), k=1, last=spec.K - 1)
        layers.append((upper, counts.upper, spec.K - 1))
    formulas = [f"{layer.formula} = {layer.substituted}" for _, layer, _ in layers]
    if max(map(len, formulas)) > _FORMULA:
        formulas = [text.replace(" = ", "\n= ") for text in formulas]
    rows: list[tuple[Cell, ...]] = [
        (name, formula, f"{layer.total:,}" if times == 1 else f"{times:,} × {layer.total:,}")
        for (name, layer, times), formula in zip(layers, formulas, strict=True)
    ]
    told = say(
        "size and share, D costs" if counts.D_costs else "size and share",
        size=number_of_bytes(counts.bytes),
        dtype=counts.dtype,
        share=f"{counts.recurrent_share:.0%}",
    )
    totals: list[tuple[Cell, ...]] = [(Mark(say("total"), "strong"), told, Mark(f"{counts.total:,}", "strong"))]
    if full:
        totals.append((say("of it"), say("recurrent matrices"), f"{counts.recurrent:,}"))
        if spec.bias and spec.kind.keras_biases == 1 and not spec.P:
            fewer = spec.K * spec.R * spec.G * spec.D
            totals.append(("Keras", say("one bias fewer", fewer=fewer), f"{counts.total - fewer:,}"))
        if call is not None:
            told = say("MACs of", T=call.T, each=counts.macs_per_step, formula=call.T_formula)
            totals.append(("MACs", told, f"{counts.macs:,}"))
    columns = (Column(""), Column("", whole=False), Column("", right=True))
    why_two = say(f"two biases {spec.cell.removesuffix('Cell')}") if spec.bias else ""
    return Sheet(say("parameters title"), columns, tuple(rows), tuple(totals), why_two)


def counts_blocks(counts: Counts) -> tuple[Block, ...]:
    """What there is to count of a call besides parameters; nothing without a call."""
    if counts.call is None:
        return ()
    terms = kept_for_backward(counts.spec, counts.call)
    total = sum(term.value for term in terms)
    size = say("size", size=number_of_bytes(total * DTYPES[counts.dtype]), dtype=counts.dtype)
    kept = Sheet(
        say("kept"),
        (Column(say("tensor"), whole=False), Column(say("formula"), whole=False), Column(say("elements"), right=True)),
        tuple((term.name, f"{term.formula} = {term.substituted}", f"{term.value:,}") for term in terms),
        ((Mark(say("total"), "strong"), size, Mark(f"{total:,}", "strong")),),
        say("kept how"),
    )
    return kept, other_tools_sheet(counts.spec, counts.call)


def other_tools_sheet(spec: Spec, call: Call) -> Sheet:
    """One row a tool: its number, its formula and what is different about it."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            f"{one.tool}\n{one.version}",
            say("no number") if one.value is None else f"{one.value:,}\n{one.unit}",
            f"{one.formula}: {one.why}" if one.formula else one.why,
        )
        for one in other_tools(spec, call)
    )
    counts = Counts(spec, call)
    columns = (
        Column(say("tool")),
        Column(say("its number"), right=True),
        Column(say("how it comes about"), whole=False),
    )
    return Sheet(say("tools"), columns, rows, caption=say("here", macs=counts.macs, total=counts.total))


def shapes_view(prediction: Prediction) -> Page:
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), (shapes_sheet(prediction),))


def shapes_sheet(prediction: Prediction) -> Sheet:
    """Every tensor of the call: name, axes, sizes, what it is; hidden and cell state share a row where alike."""
    spec, call = prediction.spec, prediction.call
    tensors = dict(prediction.tensors)
    for h, c in (("h0", "c0"), ("hn", "cn")):
        if c in tensors and tensors[h] == tensors[c]:
            del tensors[c]
            tensors = {f"{h}, {c}" if name == h else name: axes for name, axes in tensors.items()}
    packed = {"X.data": prediction.packed_X, "Y.data": prediction.packed_Y}
    tensors |= {name: axes for name, axes in packed.items() if axes is not None}
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (code(name), Mark(axes.formula, "symbol"), sizes(axes), meaning(spec, call, name))
        for name, axes in tensors.items()
    )
    columns = (Column(say("name")), Column(say("axes")), Column(say("sizes")), Column(say("what it is"), whole=False))
    words = {
        f"K={SYMBOLS['K'].argument}": not spec.kind.step,
        f"R=1+{SYMBOLS['R'].argument}": spec.R == 2,
        f"P={SYMBOLS['P'].argument}": spec.P,
        "Y=output": not spec.kind.step,
        "hn=h_n": not spec.kind.step,
        "cn=c_n": not spec.kind.step and spec.has_c,
    }
    more = "".join(f", {word}" for word, there in words.items() if there)
    return Sheet(say("shapes"), columns, rows, caption=say("torch's words", more=more))


# ---- as every table writes it


def subtitle(spec: Spec, call: Call) -> str:
    """How much data, in which layout."""
    said = {"unbatched": not call.batched, "packed": call.lengths is not None, "cell": spec.kind.step}
    key = " ".join(["call", *(word for word, holds in said.items() if holds)])
    return say(key, N=call.N or 0, L=call.L, T=call.T, batch_first=str(spec.batch_first))


def place(spec: Spec, layer: int, direction: int) -> str:
    """`layer 2`, of two directions `layer 2 reverse`."""
    key = "layer" if spec.R == 1 else "layer reverse" if direction else "layer forward"
    return say(key, k=layer)


def sizes(axes: Axes) -> str:
    """The sizes as torch prints a shape."""
    return str(tuple(axes.sizes))


def number_of_bytes(number: int) -> str:
    """Bytes in the largest binary unit that leaves at least 1.

    >>> number_of_bytes(5382144)
    '5.13 MiB'
    """
    value, units = float(number), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return say("bytes", number=number) if units[0] == "bytes" else f"{value:,.2f} {units[0]}"
