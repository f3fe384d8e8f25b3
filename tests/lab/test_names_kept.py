"""Names that must not be lost: loops that fill a buffer, hand-written cells, decoders, and what a recorder sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from lstm_shapes.lab.tensors import AnnotatedTensor, annotate, answer, axes_of, tensors_in
from lstm_shapes.theory.axes import Axes

N, L, Q, D = 3, 5, 7, 4


class Recorded(TorchFunctionMode):
    """The least recorder there can be: it keeps the axes of plain tensors too, for as long as it lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Any = WeakIdKeyDictionary()

    def of(self, value: object) -> Axes | None:
        found = self.kept.get(value) if isinstance(value, Tensor) else None
        return axes_of(value) if found is None else found

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        target = args[0] if func is Tensor.__setitem__ else out
        said = answer(func, target, args, kwargs, self.of, strict=True)
        for at, one in enumerate(tensors_in(target)):
            if (axes := said[at]) is not None:
                assert axes.sizes == tuple(one.shape), func
                self.kept[one] = axes
        return out


def seen(model: Callable[..., Any], *inputs: tuple[str, Tensor] | Tensor) -> tuple[str, ...] | None:
    """The names of what a function returns, recorded."""
    with Recorded() as names:
        given = []
        for one in inputs:
            if isinstance(one, tuple):
                names.kept[one[1]] = Axes.of(one[0], tuple(one[1].shape))
            given.append(one[1] if isinstance(one, tuple) else one)
        axes = names.of(model(*given))
    return None if axes is None else axes.names


def X() -> tuple[str, Tensor]:
    return "N L Q", torch.randn(N, L, Q)


# ---------------------------------------------------------------- buffers that are filled


def last_axis(x: Tensor) -> Tensor:
    out = torch.zeros(N, L, Q)
    for t in range(L):
        out[:, t] = x[:, t] * 2
    return out


def first_axis(x: Tensor) -> Tensor:
    out = x.new_empty(L, N, Q)
    for t in range(L):
        out[t] = x[:, t]
    return out


def by_slices(x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    for t in range(L):
        out[:, t : t + 1, :] = x[:, t : t + 1].relu()
    return out


def by_slices_of_one(x: Tensor) -> Tensor:
    out = x.new_zeros(L, N, Q)
    for t in range(L):
        out[t : t + 1] = x[:, t].unsqueeze(0)
    return out


def by_slices_of_one_in_any_order(x: Tensor) -> Tensor:
    out = x.new_zeros(L, N, Q)
    for t, at in enumerate([2, 0, 1, 4, 3]):
        out[t : t + 1] = x[:, at].unsqueeze(0)
    return out + torch.zeros(L, 1, 1)


def backwards(x: Tensor) -> Tensor:
    out = torch.zeros(L, N, Q)
    for t in reversed(range(L)):
        out[t] = x[:, t]
    return out


def one_sample_at_a_time(x: Tensor) -> Tensor:
    out = torch.zeros(N, L, Q)
    for n in range(N):
        for t in range(L):
            out[n, t] = x[n, t]
    return out


def two_halves(x: Tensor) -> Tensor:
    out = torch.zeros(N, L, 2 * Q)
    out[:, :, :Q] = x
    out[:, :, Q:] = x.relu()
    return out


def in_any_order(x: Tensor) -> Tensor:
    out = torch.zeros(L, N, Q)
    for t, at in enumerate([2, 0, 1, 4, 3]):
        out[t] = x[:, at]
    return out


def written_over(x: Tensor) -> Tensor:
    out = torch.zeros(N, L, Q)
    out[:, 0] = x[:, 0]
    out[:, 1] = x[:, 1]
    out[:, 2] = x[:, 0]
    return out


def a_cell_into_a_buffer(x: Tensor) -> Tensor:
    cell, h, out = nn.GRUCell(Q, D), torch.zeros(N, D), torch.zeros(N, L, D)
    for t in range(L):
        h = cell(x[:, t], h)
        out[:, t] = h
    return out


def only_once(x: Tensor) -> Tensor:
    out = torch.zeros(N, L, Q)
    out[:, 2] = x[:, 2]
    return out


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (last_axis, "N L Q"),
        (first_axis, "L N Q"),
        (by_slices, "N L Q"),
        (by_slices_of_one, "L N Q"),
        (by_slices_of_one_in_any_order, "? N Q"),
        (backwards, "L N Q"),
        (one_sample_at_a_time, "N L Q"),
        (two_halves, "N L ?"),
        (in_any_order, "? N Q"),
        (written_over, "N ? Q"),
        (a_cell_into_a_buffer, "N L D"),
        (only_once, "N ? Q"),
    ],
)
def test_a_buffer_takes_the_names_of_what_is_written(model: Callable[..., Tensor], expected: str) -> None:
    """And of what advances with the axis along which it is filled, where that is one thing."""
    assert seen(model, X()) == tuple(expected.split())


def test_an_annotated_buffer_needs_no_recorder() -> None:
    """new_zeros and zeros_like of a named tensor are filled like any other; values of a plain one change nothing."""
    x = annotate(torch.randn(N, L, Q), "N L Q")
    out: Any = x.new_zeros(L, N, Q)
    assert out.axes.names == ("?", "?", "?")
    out[0] = torch.ones(N, Q)
    for t in range(L):
        out[t] = x[:, t]
    assert out.axes.names == ("L", "N", "Q")
    like: Any = torch.zeros_like(x)
    assert like.axes.names == ("N", "L", "Q")
    both: Any = like[:, 0] + x[:, 1]
    assert both.axes.names == ("N", "Q")


# ---------------------------------------------------------------- cells written by hand


class ByHand(nn.Module):
    """The four gates by parameters, in one product."""

    def __init__(self, order: str = "x+h") -> None:
        super().__init__()
        self.W, self.U = nn.Parameter(torch.randn(4 * D, Q)), nn.Parameter(torch.randn(4 * D, D))
        self.b, self.order = nn.Parameter(torch.zeros(4 * D)), order

    def gates(self, x: Tensor, h: Tensor) -> Any:
        a, b = x @ self.W.t(), F.linear(h, self.U)
        return (a + b + self.b if self.order == "x+h" else b + self.b + a).chunk(4, 1)

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = self.gates(x, h)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        h, c, out = torch.zeros(N, D) if h is None else h, torch.zeros(N, D), []
        for t in range(x.size(1)):
            h, c = self.step(x[:, t], h, c)
            out.append(h)
        return torch.stack(out, 1)


class BySlices(ByHand):
    def gates(self, x: Tensor, h: Tensor) -> Any:
        a = x.matmul(self.W.T) + h.matmul(self.U.T) + self.b
        return a[:, :D], a[:, D : 2 * D], a[:, 2 * D : 3 * D], a[:, 3 * D :]


class ByView(ByHand):
    def gates(self, x: Tensor, h: Tensor) -> Any:
        return (x @ self.W.t() + h @ self.U.t()).view(N, 4, D).unbind(1)


class BySplit(ByHand):
    def gates(self, x: Tensor, h: Tensor) -> Any:
        return torch.split(F.linear(torch.cat([x, h], 1), torch.cat([self.W, self.U], 1), self.b), D, dim=1)


class ByGates(ByHand):
    """A product for each gate."""

    def gates(self, x: Tensor, h: Tensor) -> Any:
        return [x @ W.t() + h @ U.t() for W, U in zip(self.W.chunk(4), self.U.chunk(4), strict=True)]


@pytest.mark.parametrize("model", [ByHand(), ByHand("h+x"), BySlices(), ByView(), BySplit(), ByGates()], ids=repr)
def test_a_cell_written_by_hand_keeps_samples_and_steps(model: ByHand) -> None:
    """Its features are an axis of their own, which has no name unless it meets one; its steps are L."""
    assert seen(model, X()) == ("N", "L", "?")
    assert seen(model, X(), ("N D", torch.zeros(N, D)))[:2] == ("N", "L")  # type: ignore[index]
    assert seen(lambda x, c: model.step(x[:, 0], c, c)[1], X(), ("N D", torch.zeros(N, D))) == ("N", "D")


def test_the_parts_of_a_gate_axis_are_one_axis() -> None:
    """After chunk, sums and products they can be added, and side by side they are no longer in order."""
    x, W = annotate(torch.randn(N, Q), "N Q"), torch.randn(4 * D, Q)
    i, f, g, o = (x @ W.t()).chunk(4, 1)
    state: Any = annotate(torch.zeros(N, D), "N D") * f + i * g
    assert state.axes.names == ("N", "D")
    whole: Any = torch.cat([i, f, g, o], 1)
    product: Any = x @ W.t()
    turned: Any = torch.cat([f, i, g, o], 1)
    assert isinstance(whole, AnnotatedTensor)
    assert whole.axes[1].same(product.axes[1])
    assert not turned.axes[1].same(whole.axes[1])


# ---------------------------------------------------------------- the rest of the list


def attention_decoder(x: Tensor, y: Tensor) -> Tensor:
    encoder, decoder = nn.GRU(Q, D, batch_first=True), nn.GRUCell(Q + D, D)
    keys, h = encoder(x)
    h, out = h[0], []
    for t in range(y.size(1)):
        weights = torch.bmm(keys, h.unsqueeze(2)).softmax(1)
        context = (weights * keys).sum(1)
        h = decoder(torch.cat([y[:, t], context], 1), h)
        out.append(h)
    return torch.stack(out, 1)


def beside_steps(x: Tensor) -> Tensor:
    z = x[:, 0].unsqueeze(1).expand(-1, L, -1)
    return torch.cat([x, z], -1)


def repeated_beside_steps(x: Tensor) -> Tensor:
    return torch.cat([x[:, -1:].repeat(1, L, 1), x], -1)


def conv_lstm(x: Tensor) -> Tensor:
    conv = nn.Conv2d(2 + 4, 16, 3, padding=1)
    h, c, out = torch.zeros(2, 4, 8, 9), torch.zeros(2, 4, 8, 9), []
    for t in range(x.size(1)):
        i, f, o, g = torch.split(conv(torch.cat([x[:, t], h], dim=1)), 4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out.append(h)
    return torch.stack(out, 1)


def tree(x: Tensor) -> Tensor:
    """A state for each node, from two children."""
    W = torch.randn(2 * Q, Q)
    nodes = list(x.unbind(1))
    for at in range(0, L - 1, 2):
        nodes.append(torch.tanh(torch.cat([nodes[at], nodes[at + 1]], 1) @ W))
    return nodes[-1]


def repeated_vector(x: Tensor) -> Tensor:
    _, (h, _) = nn.LSTM(Q, D, batch_first=True)(x)
    Y: Tensor = nn.LSTM(D, 6, batch_first=True)(h[0].unsqueeze(1).repeat(1, 9, 1))[0]
    return Y


def looked_up(tokens: Tensor) -> Tensor:
    return torch.randn(9, D)[tokens.long()]


def growing(x: Tensor) -> Tensor:
    out = torch.zeros(N, 0, Q)
    for t in range(L):
        out = torch.cat([out, x[:, t : t + 1]], 1)
    return out


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (attention_decoder, (X(), ("N T E", torch.randn(N, 6, Q))), "N T D"),
        (beside_steps, (X(),), "N L ?"),
        (repeated_beside_steps, (X(),), "N L ?"),
        (conv_lstm, (("N L C H W", torch.randn(2, 3, 2, 8, 9)),), "N L ? H W"),
        (tree, (X(),), "N ?"),
        (repeated_vector, (X(),), "N L D"),
        (growing, (X(),), "N L Q"),
        (looked_up, (("N L", torch.zeros(N, L)),), "N L ?"),
        (lambda x: F.glu(x[..., :6]), (X(),), "N L Q"),
        (lambda x: x.unfold(1, 3, 1), (X(),), "N ? Q ?"),
        (lambda x: x.masked_scatter(torch.ones(L, 1).bool(), torch.zeros(N * L * Q)), (X(),), "N L Q"),
        (lambda x: torch.sparse.mm(torch.eye(4).to_sparse(), x[0, :4]), (X(),), "? Q"),
        (lambda x: x + torch.zeros_like(x), (X(),), "N L Q"),
        (lambda x: x * torch.ones(L, 1).expand(L, Q), (X(),), "N L Q"),
        (lambda x: torch.cumsum(x[:, :1].expand(-1, L, -1), 1) + x, (X(),), "N ? Q"),
        (lambda x: torch.einsum("nlq,dq->nld", x, torch.ones(D, Q)), (X(),), "N L ?"),
    ],
)
def test_names_are_kept_where_they_are_true(model: Callable[..., Tensor], inputs: Any, expected: str) -> None:
    """Decoders, copies beside steps, convolutions of one size: what can be known is known."""
    assert seen(model, *inputs) == tuple(expected.split())


def test_elementwise_functions_are_those_that_torch_calls_so() -> None:
    """By torch's own tag, under all their spellings; a function that is none has no rule."""
    x = annotate(torch.rand(N, L), "N L")
    one: list[Any] = [torch.special.expit, torch.erf, F.softplus, Tensor.relu_]
    two: list[Any] = [Tensor.__rsub__, Tensor.add_, torch.igamma, torch.special.xlog1py]
    results = [*(function(x) for function in one), *(function(x, x) for function in two)]
    assert [result.axes.names for result in results] == [("N", "L")] * 8
    assert type(torch.equal(x, x)) is bool
    assert type(torch.histc(x)) is Tensor
