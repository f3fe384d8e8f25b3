"""How many parameters there are, and in which blocks they lie."""

from __future__ import annotations

from lstm_shapes.theory.counts import Counts, LayerCount
from lstm_shapes.theory.quiz.answers import Number, Shape
from lstm_shapes.theory.quiz.draw import Draw, Draws
from lstm_shapes.theory.quiz.question import Question
from lstm_shapes.theory.spec import Weights

__all__ = ["MAKERS"]


def _layer(draws: Draws) -> Question:
    """The first layer reads Q features; those above read what the layer below gives."""
    deep = draws.level > 1
    draw = draws.draw(deep=deep)
    index = 0 if draw.spec.kind.step or not deep else draw.random.randint(0, 1)
    layer = LayerCount(draw.spec, index)
    where = "the cell" if draw.spec.kind.step else f"layer {index}"
    where += ", both directions together" if draw.spec.R == 2 else ""
    own = "" if draw.spec.kind.step else f" if '_l{index}' in name"
    lines = [f"{layer.formula} = {layer.substituted} = {layer.total:,}."]
    each = "In one direction, " if draw.spec.R == 2 else "Of them, "
    lines += [f"{each}{term}." for term in layer.terms]
    if index:
        below = "both halves of the layer below, 2 times its width" if draw.spec.R == 2 else "the layer below, not Q"
        lines.append(f"Layer {index} reads {below}.")
    return Question(
        "parameters",
        draw.spec,
        draw.call,
        f"How many parameters are in {where}?",
        Number(layer.total, draw.symbols, _mistakes(draw, layer)),
        tuple(lines),
        f"sum(p.numel() for name, p in layer.named_parameters(){own})",
    )


def _mistakes(draw: Draw, layer: LayerCount) -> tuple[tuple[int, str], ...]:
    spec = draw.spec
    terms = {term.name: term.value for term in layer.terms}
    found = [
        (layer.total - spec.R * terms["bias"], "Those are the weights without the biases."),
        (layer.total - spec.R * terms["bias"] // 2, "torch keeps two bias vectors, b_ih and b_hh; you counted one."),
    ]
    if spec.G > 1 and not spec.P:
        found.append((layer.total // spec.G, f"That is one gate; {spec.kind.layer} has {spec.G}."))
    if spec.R == 2:
        found.append((layer.direction, "That is one direction; there are two."))
    if layer.index:
        found.append((LayerCount(spec, 0).total, "That is layer 0, which reads Q features."))
    return tuple((value, remark) for value, remark in found if value != layer.total)


def _total(draws: Draws) -> Question:
    draw = draws.draw(deep=True)
    counts = Counts(draw.spec)
    mistakes = ((counts.first.total, "That is layer 0 alone."),) if draw.spec.K > 1 else ()
    lines = [f"layer {one.index}: {one.substituted} = {one.total:,}" for one in counts.layers]
    return Question(
        "parameters",
        draw.spec,
        draw.call,
        "How many parameters are there in all?",
        Number(counts.total, draw.symbols, mistakes),
        (f"{counts.formula} = {counts.total:,}.", *lines),
        "sum(p.numel() for p in layer.parameters())",
    )


def _weight(draws: Draws) -> Question:
    draw = draws.draw()
    weights = Weights(draw.spec)
    name = draw.random.choice([name for name in weights if name.startswith("weight")])
    axes = weights[name]
    answer = Shape(axes, draw.symbols, tuple((o, weights[o]) for o in weights if weights[o].sizes != axes.sizes))
    lines = [f"`{name}` is {axes.formula} = {axes.sizes}: torch writes (out, in), for `x @ weight.T`."]
    if draw.spec.G > 1 and not name.startswith("weight_hr"):
        gates = ", ".join(draw.spec.kind.gates)
        lines.append(f"The {draw.spec.G} gates {gates} are stacked in the first axis, D rows each.")
    text = f"What is the shape of `layer.{name}`?"
    return Question("parameters", draw.spec, draw.call, text, answer, tuple(lines), f"tuple(layer.{name}.shape)")


MAKERS = ((1, _layer), (2, _weight), (3, _total))
