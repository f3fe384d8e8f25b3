"""One cell in characters and in words: each gate's rows of the stacked weights with their shapes, and the equations."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.theory.spec import Spec, suffix

__all__ = ["cell_sentences", "cell_text", "equations"]


def equations(spec: Spec) -> tuple[tuple[str, str, int], ...]:
    """(name, right side, width) of all that one step computes, in its order.

    >>> equations(Spec(28, 256, cell="RNN", nonlinearity="relu"))
    (('h', 'relu(x_h + h_h)', 256),)
    """
    found = []
    for name, right in spec.kind.equations:
        if spec.kind.nonlinearities:
            right = right.replace("tanh", spec.nonlinearity)
        if name == "h" and spec.P:
            right = f"W_hr·({right})"
        found.append((name, right, spec.H if name == "h" else spec.D))
    return tuple(found)


def cell_text(spec: Spec, layer: int, width: int) -> str:
    """The stacked weights gate by gate, then the states; a row that is too wide is broken where it may be."""
    end, reads, D = suffix(spec, layer), spec.input_width(layer), spec.D
    rows = [
        ("", (f"weight_ih{end} ({spec.G * D}, {reads})", f"weight_hh{end} ({spec.G * D}, {spec.H})")),
        *((("", (f"weight_hr{end} ({spec.P}, {D})",)),) if spec.P else ()),
    ]
    for place, (name, right, size) in enumerate(equations(spec)):
        result = f"{name} = {right}   ({size},)"
        if place < spec.G:
            rows.append(("│ ", (f"W_i{name} ({D}, {reads})", f"+ W_h{name} ({D}, {spec.H})", f"→ {result}")))
        else:
            rows.append(("  ", (result,)))
    narrow = any(len(start + "   ".join(parts)) > width for start, parts in rows)
    return "\n".join(line for start, parts in rows for line in _lines(start, parts, narrow))


def _lines(start: str, parts: tuple[str, ...], narrow: bool) -> Iterator[str]:
    if narrow:
        yield from (f"{start}{'' if place == 0 else '  '}{part}" for place, part in enumerate(parts))
    else:
        yield start + "   ".join(parts)


def cell_sentences(spec: Spec, layer: int) -> tuple[str, ...]:
    """The drawing in words.

    >>> cell_sentences(Spec(28, 256, cell="GRUCell"), 0)[0]
    'weight_ih (768, 28) multiplies x and weight_hh (768, 256) the h before: blocks for r, z, n, stacked in this order.'
    """
    end, rows = suffix(spec, layer), spec.G * spec.D
    gates = f"blocks for {', '.join(spec.kind.gates)}, stacked in this order" if spec.G > 1 else "one block each"
    weights = (
        f"weight_ih{end} ({rows}, {spec.input_width(layer)}) multiplies x and "
        f"weight_hh{end} ({rows}, {spec.H}) the h before: {gates}."
    )
    steps = "; ".join(f"{name} = {right} of {size} features" for name, right, size in equations(spec))
    projected = (f"weight_hr{end} ({spec.P}, {spec.D}) makes h narrower than c.",) if spec.P else ()
    return (weights, f"{steps}.", *projected)
