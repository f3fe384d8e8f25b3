"""What a view or reshape keeps apart, and what it mixes."""

from __future__ import annotations

from collections.abc import Sequence

from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.axis_rules.moving import permute
from lstm_shapes.theory.axis_rules.reshaping import scramble_of
from lstm_shapes.theory.quiz.answers import Choice
from lstm_shapes.theory.quiz.draw import Draws
from lstm_shapes.theory.quiz.question import Question

__all__ = ["MAKERS"]

_CLEAN, _MIXED = "numbers of one sequence only", "numbers of different sequences, mixed"


def _rows(draws: Draws) -> Question:
    """Reshaped to N rows: whose numbers are in one row? The rule of named axes is asked, not a list."""
    draw = draws.draw(alone=False, step=False, packed=False, deep=True)
    Y, hn, N = draw.prediction.Y, draw.prediction.hn, draw.call.N
    assert Y is not None
    assert N is not None
    batch = Y.names.index("N")
    expression, axes, sequence = draw.random.choice(
        (
            ("hn.view(N, -1)", hn, "hn[:, n]"),
            ("hn.transpose(0, 1).reshape(N, -1)", permute(hn, (1, 0, 2)), "hn[:, n]"),
            ("Y.reshape(N, -1)", Y, "Y[n]" if batch == 0 else "Y[:, n]"),
        )
    )
    scramble = scramble_of(axes, (N, _size(axes) // N))
    apart = f"torch.equal({expression}, torch.stack([{sequence}.flatten() for n in range(N)]))"
    before = expression.rpartition(".")[0]
    lines = [f"`{before}` is {axes.formula}, and a reshape reads it row by row, last axis fastest."]
    if scramble is None:
        lines.append("N comes first, so each row of the result is one whole sequence.")
    else:
        lines.append(f"N does not come first, so the cut goes through whole axes: {scramble}")
    answer = Choice((_CLEAN, _MIXED), int(scramble is not None), (apart, f"not {apart}"))
    return Question("reshapes", draw.spec, draw.call, f"What does a row of `{expression}` hold?", answer, tuple(lines))


def _states(draws: Draws) -> Question:
    draw = draws.draw(alone=False, step=False, packed=False, deep=True)
    options, right = draw.shuffled("hn.transpose(0, 1).reshape(N, -1)", "hn.view(N, -1)", "hn.reshape(N, -1).flip(1)")
    evidence = tuple(f"torch.equal({one}, torch.stack([hn[:, n].flatten() for n in range(N)]))" for one in options)
    text = "Which of these gives row n all the states of sequence n?"
    hn = draw.prediction.hn
    lines = (
        f"`hn` is {hn.formula}: N is axis 1. Bring it to the front, then join the rest.",
        f"Mixed: {scramble_of(hn, (hn.sizes[1], _size(hn) // hn.sizes[1]))}",
    )
    return Question("reshapes", draw.spec, draw.call, text, Choice(options, right, evidence), lines)


def _other_layout(draws: Draws) -> Question:
    """view(L, N, Q) has the right shape and the wrong numbers."""
    draw = draws.draw(alone=False, step=False, packed=False)
    first, second = draw.prediction.X.names[:2]
    options, right = draw.shuffled("X.transpose(0, 1)", f"X.view({second}, {first}, Q)", "X.permute(2, 1, 0)")
    evidence = tuple(f"torch.equal({one}, torch.stack(X.unbind(0), dim=1))" for one in options)
    text = f"Which of these turns X into ({second}, {first}, Q), every number where it belongs?"
    X = draw.prediction.X
    lines = (
        "`transpose` moves axes; `view` only counts the same numbers in the same order again.",
        f"{scramble_of(X, (X.sizes[1], X.sizes[0], X.sizes[2]))}",
    )
    return Question("reshapes", draw.spec, draw.call, text, Choice(options, right, evidence), lines)


def _unflatten(draws: Draws) -> Question:
    draw = draws.draw(bidirectional=True, alone=False, packed=False, step=False, deep=True)
    width = draw.spec.width
    options, right = draw.shuffled(*(f"hn.view({order}, {width})" for order in ("K, R, N", "R, K, N", "N, K, R")))
    layers = "torch.stack([torch.stack([hn[2 * k], hn[2 * k + 1]]) for k in range(K)])"
    evidence = tuple(f"torch.equal({one}, {layers})" for one in options)
    text = "Which of these tells layers and directions apart?"
    lines = (
        f"`hn` is {draw.prediction.hn.formula}, layer-major: both directions of layer 0, then of layer 1.",
        f"A cut between atoms keeps them: (K·R, N, {width}) becomes (K, R, N, {width}).",
    )
    return Question("reshapes", draw.spec, draw.call, text, Choice(options, right, evidence), lines)


def _size(axes: Axes | Sequence[int]) -> int:
    size = 1
    for one in axes.sizes if isinstance(axes, Axes) else axes:
        size *= one
    return size


MAKERS = ((2, _rows), (2, _rows), (2, _states), (2, _other_layout), (3, _unflatten))
