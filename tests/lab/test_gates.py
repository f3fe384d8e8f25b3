"""gates: against torch on layers of every kind, and against a step worked out by hand."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from lstm_shapes import ShapeError, Spec, SpecError, annotate
from lstm_shapes.lab._build import build
from lstm_shapes.lab.gates import gates
from lstm_shapes.lab.gates.trace import GateTrace

N, L, Q, D, P = 4, 7, 3, 5, 2
LENGTHS = (3, 7, 1, 5)  # unsorted, with the longest and the shortest inside

SPECS = [
    Spec(Q, D, K, batch_first, cell=cell, bidirectional=two, proj_size=proj, bias=bias, nonlinearity=act)
    for K, batch_first, (cell, proj, act), two, bias in itertools.product(
        (1, 3),
        (True, False),
        (("LSTM", 0, "tanh"), ("LSTM", P, "tanh"), ("GRU", 0, "tanh"), ("RNN", 0, "tanh"), ("RNN", 0, "relu")),
        (False, True),
        (True, False),
    )
]
CELLS = [Spec(Q, D, cell=f"{cell}Cell", bias=bias) for cell in ("LSTM", "GRU", "RNN") for bias in (True, False)]


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer_of(spec: Spec) -> nn.Module:
    return build(spec, dtype="float64")


def state_of(spec: Spec, rows: int | None = N) -> Any:
    """A state that is not zero, so that forgetting it shows."""
    lead = [] if spec.kind.step else [spec.K * spec.R]
    batch = [] if rows is None else [rows]
    widths = {"h": spec.H, "c": spec.D}
    parts = tuple(random(*lead, *batch, widths[name], seed=7 + i) for i, name in enumerate(spec.kind.states))
    return parts if len(parts) > 1 else parts[0]


def batch_of(spec: Spec) -> torch.Tensor:
    return random(N, L, Q) if spec.batch_first else random(L, N, Q)


def finals(returned: Any) -> tuple[torch.Tensor, ...]:
    return returned if isinstance(returned, tuple) else (returned,)


def _old_weight_norm(layer: nn.Module, name: str) -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(layer, name)


def _pruned(layer: nn.Module, name: str) -> None:
    nn.utils.prune.l1_unstructured(layer, name, 0.5)


def close(ours: torch.Tensor | None, theirs: torch.Tensor) -> None:
    assert ours is not None
    torch.testing.assert_close(ours.as_subclass(torch.Tensor), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_trace_gives_the_layers_own_outputs(spec: Spec, grad: bool) -> None:
    """Y, hn and cn read off the trace are what torch returns: batched, with a state, for every kind of layer."""
    layer, x, state = layer_of(spec), batch_of(spec), state_of(spec)
    trace = gates(layer, x, state, grad=grad)
    Y, final = layer(x, state)
    close(trace.Y, Y)
    close(trace.hn, finals(final)[0])
    if trace.cn is not None:
        close(trace.cn, finals(final)[1])
    assert (trace.cn is None) == ("c" not in spec.kind.states)
    assert trace.residual <= trace.tolerance == 1e-12
    assert len(trace) == spec.K * spec.R == len(list(trace))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_short_rows_keep_to_their_lengths(spec: Spec, grad: bool) -> None:
    """With lengths the trace follows the packed run, padding traces as 0, and a nan in the padding stays there."""
    layer, x, state = layer_of(spec), batch_of(spec), state_of(spec)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=spec.batch_first, enforce_sorted=False)
    _, final = layer(packed, state)
    rows = x if spec.batch_first else x.transpose(0, 1)
    for row, length in enumerate(LENGTHS):
        rows[row, length:] = math.nan
    for trace in (gates(layer, x, state, LENGTHS, grad=grad), gates(layer, packed, state, grad=grad)):
        close(trace.hn, finals(final)[0])
        assert trace.Y is not None
        Y = trace.Y if spec.batch_first else trace.Y.transpose(0, 1)
        assert torch.isfinite(Y).all()
        for row, length in enumerate(LENGTHS):
            assert (Y[row, length:] == 0).all()
            assert not (Y[row, :length] == 0).all()


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_one_unbatched_sequence(spec: Spec) -> None:
    """(L, Q) gives tensors without N."""
    layer, x, state = layer_of(spec), random(L, Q), state_of(spec, None)
    trace = gates(layer, x, state)
    Y, final = layer(x, state)
    close(trace.Y, Y)
    close(trace.hn, finals(final)[0])
    assert trace[0][spec.kind.gates[0]].axes.names == ("L", "D")


@pytest.mark.parametrize("rows", [N, None])
@pytest.mark.parametrize("spec", CELLS, ids=str)
def test_single_step_cells(spec: Spec, rows: int | None) -> None:
    """A …Cell is one step of one layer: its tensors are (N, D), or (D,) unbatched, and there is no Y."""
    layer, state = layer_of(spec), state_of(spec, rows)
    x = random(Q) if rows is None else random(rows, Q)
    trace = gates(layer, x, state)
    close(trace.hn, finals(layer(x, state))[0])
    assert trace.Y is None
    assert trace.h.shape == ((D,) if rows is None else (rows, D))


def test_tensors_have_the_layers_layout_and_names() -> None:
    """(N, L, D) with batch_first, (L, N, D) without; h is P wide under projection."""
    spec = Spec(Q, D, 2, bidirectional=True, proj_size=P)
    trace = gates(layer_of(spec), batch_of(spec))
    assert trace[1, 1].names == ("i", "f", "g", "o", "c", "h")
    assert trace[1, 1].f.axes.names == ("N", "L", "D")
    assert trace[1, 1].f.shape == (N, L, D)
    assert trace[-1, -1]["h"].shape == (N, L, P)
    other = spec.replace(batch_first=False)
    assert gates(layer_of(other), batch_of(other)).get("c", 1, 0).axes.names == ("L", "N", "D")
    assert gates(layer_of(Spec(Q, D, cell="GRU")), random(N, L, Q))[0].names == ("r", "z", "n", "h")
    assert gates(layer_of(Spec(Q, D, cell="RNN")), random(N, L, Q))[0].names == ("h",)


def test_a_step_worked_out_by_hand() -> None:
    """One unit, one feature, two steps, numbers from a pocket calculator: gate order i, f, g, o and nothing else."""
    layer = nn.LSTM(1, 1, batch_first=True)
    with torch.no_grad():
        layer.get_parameter("weight_ih_l0").copy_(torch.tensor([[1.0], [2.0], [-1.0], [0.5]]))
        layer.get_parameter("weight_hh_l0").copy_(torch.tensor([[0.5], [-1.0], [2.0], [1.0]]))
        layer.get_parameter("bias_ih_l0").copy_(torch.tensor([0.0, 1.0, 0.0, -0.5]))
        layer.get_parameter("bias_hh_l0").copy_(torch.tensor([0.5, 0.0, 0.25, 0.0]))
    trace = gates(layer, torch.tensor([[[1.0], [-2.0]]]))
    # Step 0, h' = c' = 0:  i = σ(1 + 0.5), f = σ(2 + 1), g = tanh(−1 + 0.25), o = σ(0.5 − 0.5)
    # i = 0.817574, f = 0.952574, g = −0.635149, o = 0.5,  c = i·g = −0.519282, h = 0.5·tanh(c) = −0.238573
    # Step 1, x = −2: i = σ(−2 + 0.5·h' + 0.5) = σ(−1.619286) = 0.165303
    #   f = σ(−4 + 1 − h') = σ(−2.761427) = 0.059445
    #   g = tanh(2 + 2·h' + 0.25) = tanh(1.772855) = 0.943921
    #   o = σ(−1 − 0.5 + h') = σ(−1.738573) = 0.149494
    #   c = 0.059445·(−0.519282) + 0.165303·0.943921 = 0.125165,  h = 0.149494·tanh(0.125165) = 0.018614
    by_hand = {
        "i": (0.817574, 0.165303), "f": (0.952574, 0.059445), "g": (-0.635149, 0.943921),
        "o": (0.5, 0.149494), "c": (-0.519282, 0.125165), "h": (-0.238573, 0.018614),
    }  # fmt: skip
    for name, values in by_hand.items():
        assert trace.get(name)[0, :, 0].tolist() == pytest.approx(values, abs=2e-6)
    assert trace[0].input["f"][0, :, 0].tolist() == pytest.approx((3.0, -3.0))
    assert trace[0].recurrent["i"][0, :, 0].tolist() == pytest.approx((0.5, 0.5 - 0.119286), abs=2e-6)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_contributions_add_up_to_the_gates(cell: str, lengths: tuple[int, ...] | None) -> None:
    """input + recurrent, through the nonlinearity, is the gate; in both directions, also for short rows."""
    spec = Spec(Q, D, 2, cell=cell, bidirectional=True)
    trace = gates(layer_of(spec), batch_of(spec), state_of(spec), lengths)
    here = torch.ones(N, L, 1) if trace.mask is None else trace.mask.T[..., None]
    for part in trace:
        x, h = part.input, part.recurrent
        first = spec.kind.gates[0]
        act = torch.tanh if cell == "RNN" else torch.sigmoid
        close(part[first], act(x[first].plain() + h[first].plain()) * here)
        if cell == "GRU":
            close(part.n, torch.tanh(x["n"].plain() + part.r.plain() * h["n"].plain()) * here)


def test_recurrent_and_input_are_the_users_matrix_products() -> None:
    """x·W_ihᵀ + b_ih by torch's own parameter names, and the previous h times W_hh."""
    layer, x = nn.LSTM(Q, D, batch_first=True).double(), random(N, L, Q)
    trace = gates(layer, x)
    W_ih, W_hh, b_ih, b_hh = layer.all_weights[0]
    close(trace[0].input["g"], x @ W_ih[2 * D : 3 * D].T + b_ih[2 * D : 3 * D])
    Y = layer(x)[0]
    close(trace[0].recurrent["o"][:, 3], Y[:, 2] @ W_hh[3 * D :].T + b_hh[3 * D :])


def test_gradients_flow_only_when_asked_for() -> None:
    """grad=True differentiates a gate with respect to x, state and weights as torch does; else there is no graph."""
    layer, x = nn.LSTM(Q, D, 2, batch_first=True).double(), random(N, L, Q).requires_grad_()
    h0, c0 = (random(2, N, D, seed=s).requires_grad_() for s in (3, 4))
    assert not gates(layer, x, (h0, c0))[1].f.requires_grad
    inputs = [x, h0, c0, *layer.parameters()]
    trace = gates(layer, x, (h0, c0), grad=True)
    assert trace.Y is not None
    ours = torch.autograd.grad(trace.Y.plain().square().sum(), inputs, retain_graph=True)
    theirs = torch.autograd.grad(layer(x, (h0, c0))[0].square().sum(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        close(a, b)
    assert torch.autograd.grad(trace[1].f.sum(), x)[0].abs().sum() > 0


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.K == 3 and spec.R == 2 and spec.batch_first], ids=str)
def test_every_gate_has_its_whole_gradient(spec: Spec, lengths: tuple[int, ...] | None) -> None:
    """Through the layer below, every step before and the weights: as differences of the gate's numbers have it."""
    layer, x = layer_of(spec), batch_of(spec)
    weight = layer.get_parameter("weight_hh_l0_reverse")
    for name in spec.kind.gates:
        found = gates(layer, x, lengths=lengths, grad=True)[2, 1][name]
        mix = random(*found.shape, seed=5)
        (slope,) = torch.autograd.grad((found.plain() * mix).sum(), weight)
        sides = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight[1, 1] += step
                sides.append(float((gates(layer, x, lengths=lengths)[2, 1][name].plain() * mix).sum()))
                weight[1, 1] -= step
        assert float(slope[1, 1]) == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_what_stands_in_the_padding_reaches_no_gradient(cell: str, direction: int) -> None:
    """A nan behind the last step of a row, times the gradient of 0 that it has, would be a nan in every weight."""
    spec = Spec(Q, D, cell=cell, bidirectional=True)
    layer, x = layer_of(spec), batch_of(spec)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = math.nan
    gate = gates(layer, x, lengths=LENGTHS, grad=True)[0, direction][spec.kind.gates[0]]
    weights = [weight for name, weight in layer.named_parameters() if name.endswith("reverse") == bool(direction)]
    for slope in torch.autograd.grad(gate.plain().sum(), weights):
        assert slope.isfinite().all()
        assert slope.abs().sum() > 0


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_gradients_survive_the_optimizer_and_can_be_differentiated(cell: str) -> None:
    """The graph goes through copies: a step of the weights and of x does not break it, nor a second derivative."""
    layer, x = build(Q, D, 2, cell=cell), random(N, L, Q).float().requires_grad_()
    trace = gates(layer, x, grad=True)
    with torch.no_grad():
        for tensor in (x, *layer.parameters()):
            tensor.add_(1)
    (slope,) = torch.autograd.grad(trace[1].h.plain().square().sum(), x, create_graph=True)
    assert torch.autograd.grad(slope.square().sum(), x)[0].abs().sum() > 0


def test_gradients_reach_a_named_state() -> None:
    """A state with named axes is differentiated like a plain one."""
    layer, h0 = nn.GRU(Q, D).double(), random(1, N, D).requires_grad_()
    trace = gates(layer, random(L, N, Q), annotate(h0, "K N D"), grad=True)
    assert torch.autograd.grad(trace.h.sum(), h0)[0].abs().sum() > 0


def test_the_layer_is_not_touched() -> None:
    """Training flag, hooks, weights and the random state stay as they are; dropout is left out and noted."""
    layer = nn.LSTM(Q, D, 2, batch_first=True, dropout=0.5)
    calls: list[int] = []
    layer.register_forward_hook(lambda *_: calls.append(1))
    weights = {name: p.clone() for name, p in layer.named_parameters()}
    before = torch.get_rng_state()
    trace = gates(layer, torch.ones(N, L, Q))
    assert torch.equal(before, torch.get_rng_state())
    assert layer.training
    assert calls == []
    assert all(torch.equal(weights[name], p) and p.grad is None for name, p in layer.named_parameters())
    assert "dropout=0.5" in trace.note
    assert gates(layer.eval(), torch.ones(N, L, Q)).note == "Left out: 1 hook. The trace is of the layer alone."
    assert calls == []
    layer(torch.ones(N, L, Q))
    assert calls == [1]


def test_a_layer_in_training_is_traced_as_in_eval() -> None:
    """What its own forward would draw at random is not drawn; the layer stays in training."""

    class Dropping(nn.GRU):
        def forward(self, input: torch.Tensor, hx: Any = None) -> Any:  # type: ignore[override]
            return super().forward(nn.functional.dropout(input, 0.9, self.training), hx)

    layer = Dropping(Q, D)
    trace = gates(layer, torch.ones(L, N, Q))
    assert layer.training
    assert trace.Y is not None
    torch.testing.assert_close(trace.Y.plain(), layer.eval()(torch.ones(L, N, Q))[0])


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("reparametrize", [nn.utils.parametrizations.weight_norm, _old_weight_norm, _pruned])
def test_weights_that_are_worked_out_before_each_call(reparametrize: Any, grad: bool) -> None:
    """weight_norm and prune make the weights from others: the trace has those of the layer's own call."""
    layer, x = nn.LSTM(Q, D, 2, batch_first=True).double(), random(N, L, Q)
    reparametrize(layer, "weight_hh_l1")
    layer(x)
    with torch.no_grad():  # an optimizer's step
        for weight in layer.parameters():
            weight.mul_(1.5)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    trace = gates(layer, x, grad=grad)
    close(trace.Y, layer(x)[0])
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    if grad:
        made_of = [weight for name, weight in layer.named_parameters() if "weight_hh_l1" in name]
        assert made_of
        for found in torch.autograd.grad(trace[1].f.sum(), made_of):
            assert found.abs().sum() > 0


def test_hooks_of_others_are_left_out_and_noted() -> None:
    """A hook that changes Y is no part of the layer; the note says that there is one."""
    layer, x = nn.GRU(Q, D), torch.ones(L, N, Q)
    layer.register_forward_hook(lambda module, args, result: (result[0] + 1, result[1]))
    trace = gates(layer, x)
    assert "Left out: 1 hook." in trace.note
    assert trace.Y is not None
    torch.testing.assert_close(trace.Y.plain(), layer(x)[0] - 1)
    assert "Left out: 1 hook." in repr(trace)


def test_a_trace_can_be_copied_and_pickled() -> None:
    """Before and after it was looked at."""
    trace = gates(nn.LSTM(Q, D, 2), torch.ones(L, N, Q))
    for again in (copy.copy(trace), copy.deepcopy(trace), pickle.loads(pickle.dumps(trace))):
        assert torch.equal(again[1].f, trace[1].f)
        assert torch.equal(copy.deepcopy(again[1]).f, trace[1].f)


def test_a_mismatch_raises_with_the_residual() -> None:
    """A layer whose forward is not what its weights say is not traced but reported."""

    class Louder(nn.LSTM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            Y, state = super().forward(*args, **kwargs)
            return Y * 1.5, state

    with pytest.raises(ShapeError, match=r"recomputed \w+ of layer 0, direction 0 .* residual .* got '[\d.]+e"):
        gates(Louder(Q, D), torch.ones(L, Q))
    with pytest.raises(ShapeError, match=r"recomputed \w+ of layer 0, direction 0"):
        gates(Louder(Q, D), torch.ones(L, Q), grad=True)


@pytest.mark.parametrize("grad", [False, True])
def test_rounding_does_not_grow(grad: bool) -> None:
    """Large recurrent weights make a chaotic system; each step is replayed from the layer's own state before it."""
    layer = build(3, 64, seed=3)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").mul_(5)
    trace = gates(layer, random(5, 300, 3).float(), grad=grad)
    assert trace.residual < trace.tolerance == 1e-5


def test_chaos_is_no_excuse() -> None:
    """However chaotic a system is, every single step is held against the layer's, with a graph too."""

    class Silent(nn.GRU):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            Y, state = super().forward(*args, **kwargs)
            return torch.zeros_like(Y), state

    chaos = Silent(28, 32, 2, batch_first=True)
    with torch.no_grad():
        for weight in chaos.parameters():
            weight.copy_(30 * random(*weight.shape, seed=weight.numel()))
    with pytest.raises(ShapeError, match=r"recomputed hn? of layer 1"):
        gates(chaos, random(4, 30, 28).float(), grad=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_tolerances_hold_for_every_dtype(dtype: torch.dtype, device: torch.device) -> None:
    """Each dtype keeps its stated tolerance on each device."""
    for cell in ("LSTM", "GRU", "RNN"):
        layer = build(16, 24, 2, cell=cell, bidirectional=True, device=device, dtype=dtype)
        trace = gates(layer, random(3, 40, 16).to(device, dtype), lengths=[40, 11, 25])
        assert trace.residual <= trace.tolerance
        assert trace.dtype == str(dtype).removeprefix("torch.")


def test_exploding_values_agree() -> None:
    """Infinities and nans that both have are no difference."""
    layer = build(Q, D, cell="RNN", nonlinearity="relu")
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").fill_(1e8)
        layer.get_parameter("weight_ih_l0").fill_(1.0)
    trace = gates(layer, torch.ones(1, 9, Q))
    assert math.isinf(float(trace.h.max()))
    assert trace.residual <= trace.tolerance


def test_autocast_does_not_round_the_trace() -> None:
    """Inside autocast the trace is still of the layer in its own dtype."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        trace = gates(nn.LSTM(Q, D), torch.ones(L, N, Q))
    assert trace.f.dtype == torch.float32


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_what_cannot_be_traced_says_why() -> None:
    """A wrong module, shape, state, gate, layer, step: each names what was meant."""
    layer = nn.LSTM(Q, D, 2, batch_first=True)
    x = torch.ones(N, L, Q)
    with pytest.raises(SpecError):
        gates(nn.Linear(Q, D), x)
    with pytest.raises(ShapeError, match="got 'meta'"):
        gates(layer.to("meta"), x)
    layer = nn.LSTM(Q, D, 2, batch_first=True)
    with pytest.raises(ShapeError, match="x must be"):
        gates(layer, torch.ones(N, L, Q + 1))
    with pytest.raises(ShapeError, match="h0 must be"):
        gates(layer, x, (torch.zeros(N, 2, D), torch.zeros(2, N, D)))
    trace = gates(layer, x)
    with pytest.raises(ShapeError, match="one of i, f, g, o, c, h for LSTM, got 'r'"):
        trace.get("r")
    with pytest.raises(ShapeError, match="layer must be a whole number from -2 to 1"):
        _ = trace[2]
    with pytest.raises(ShapeError, match="t must be a whole number from -7 to 6"):
        trace.step(t=L)
    with pytest.raises(ShapeError, match=r"trace\[layer\], or trace\[layer, direction\]"):
        _ = trace[0, 0, 0]  # type: ignore[index]
    with pytest.raises(SpecError, match=r"of torch\.nn"):
        gates(torch.jit.script(nn.LSTM(Q, D)), x)
    with torch.inference_mode(), pytest.raises(SpecError, match="grad must be False inside"):
        gates(layer, x, grad=True)
    with pytest.raises(AttributeError, match="there are 2 tensors 'f'"):
        _ = trace.f
    with pytest.raises(AttributeError, match="has no 'r'"):
        _ = trace.r
    with pytest.raises(AttributeError, match="has no 'r'"):
        _ = trace[0].r
    with pytest.raises(ShapeError, match=r"t must be below lengths\[0\] = 3"):
        gates(layer, x, lengths=LENGTHS).step(t=3, n=0)
    short = gates(layer, x, lengths=(length for length in LENGTHS))
    assert (short.step(t=-1, n=0).t, short.step(t=-1, n=1).t) == (2, 6)  # each row's own last step
    assert gates(layer, x).step(t=torch.tensor(2)).t == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_a_trace_is_a_snapshot(cell: str, lengths: tuple[int, ...] | None, grad: bool) -> None:
    """What happens to weights, x and state after the call changes no gate, looked at before or not."""
    spec = Spec(Q, D, 2, cell=cell, bidirectional=True)
    layer, x, state = layer_of(spec), batch_of(spec), state_of(spec)
    looked_at, later = (gates(layer, x, state, lengths, grad=grad) for _ in range(2))
    before = {(c.layer, c.direction, name): c[name].clone() for c in looked_at for name in c.names}
    products = [part.clone() for c in looked_at for part in (*c.input.values(), *c.recurrent.values())]
    with torch.no_grad():
        for tensor in (x, *layer.parameters(), *finals(state)):
            tensor.add_(1)
    for trace in (looked_at, later):
        for (k, r, name), tensor in before.items():
            assert torch.equal(trace[k, r][name], tensor)
        again = [part for c in trace for part in (*c.input.values(), *c.recurrent.values())]
        assert all(map(torch.equal, again, products))


def test_gates_are_worked_out_when_looked_at() -> None:
    """Calling gates replays nothing but row 0; a gate replays its layer and direction, `.residual` all of them."""

    def replayed() -> list[bool]:
        return ["replayed" in vars(cell) for cell in trace]

    trace = gates(nn.LSTM(Q, D, 2, bidirectional=True), torch.ones(L, N, Q))
    assert replayed() == [False] * 4
    _ = trace[1, 0].f
    assert replayed() == [False, False, True, False]
    assert trace.residual <= trace.tolerance
    assert replayed() == [True] * 4


def test_a_mismatch_in_another_row_raises_when_looked_at() -> None:
    """Row 0 is held against the layer in the call, every other row before it is shown."""

    class LastRowLouder(nn.GRU):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            Y, state = super().forward(*args, **kwargs)
            Y[:, -1] *= 1.5
            return Y, state

    trace = gates(LastRowLouder(Q, D), torch.ones(L, N, Q))
    for look in (lambda: trace.r, lambda: trace.residual, lambda: trace.Y, lambda: repr(trace)):
        with pytest.raises(ShapeError, match=r"recomputed hn? of layer 0, direction 0"):
            look()


@pytest.mark.parametrize("name", ["hn", "cn"])
def test_a_returned_state_is_held_against_the_trace_as_well(name: str) -> None:
    """A layer whose Y is right and whose hn or cn is not is refused."""

    class Forgetful(nn.LSTM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            Y, (hn, cn) = super().forward(*args, **kwargs)
            return Y, (hn * 0, cn) if name == "hn" else (hn, cn * 0)

    with pytest.raises(ShapeError, match=f"recomputed {name} of layer 0, direction 0"):
        gates(Forgetful(Q, D), torch.ones(L, N, Q))


def test_a_forward_that_calls_no_kernel() -> None:
    """A layer that computes the same in Python is traced; one that computes something else is refused."""

    class InPython(nn.RNN):
        scale = 1.0

        def forward(self, input: torch.Tensor, hx: Any = None) -> Any:  # type: ignore[override]
            below, ends = input, list[torch.Tensor]()
            for k in range(self.num_layers):
                w_ih, w_hh, b_ih, b_hh = self.all_weights[k]
                h, steps = input.new_zeros(input.shape[1], D), []
                for x in below:
                    h = torch.tanh(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh) * self.scale
                    steps.append(h)
                below, ends = torch.stack(steps), [*ends, h]
            return below, torch.stack(ends)

    layer, x = InPython(Q, D, 2).double(), random(L, N, Q)
    trace = gates(layer, x)
    close(trace.Y, nn.RNN.forward(layer, x)[0])
    layer.scale = 1.25
    with pytest.raises(ShapeError, match="recomputed h"):
        gates(layer, x)


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN", "LSTMCell"])
def test_stated_memory_is_what_is_held(cell: str) -> None:
    """bytes is what the tensors occupy, and bytes_formula evaluates to it."""
    spec = Spec(Q, D, cell=cell)
    trace = gates(layer_of(spec), random(N, Q) if spec.kind.step else random(N, L, Q))
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for c in trace for t in c.values.values()}
    assert trace.bytes == sum(storages.values())
    text = trace.bytes_formula.replace("·", "*").replace("5D", "5*D").replace("3D", "3*D")
    names = {"K": 1, "R": 1, "N": N, "L": 1 if spec.kind.step else L, "D": D, "H": D}
    assert eval(text, {}, names) == trace.bytes


def numbers(text: str) -> Any:
    """The value of a substituted equation."""
    plain = text.replace("−", "-").replace("·", "*")
    known = {"tanh": math.tanh, "σ": lambda a: 1 / (1 + math.exp(-a)), "relu": lambda a: max(a, 0.0)}
    return eval(plain, {}, known)


@pytest.mark.parametrize("spec", [s for s in SPECS if s.K == 3 and s.batch_first], ids=str)
def test_step_substitutes_numbers_that_come_out(spec: Spec) -> None:
    """Each equation's numbers evaluate to the value beside it, and the value is the trace's, also in reverse."""
    trace = gates(layer_of(spec), batch_of(spec), state_of(spec), LENGTHS)
    for layer, direction, t, n, d in ((0, 0, 0, 1, 4), (2, spec.R - 1, 2, 0, 1), (1, spec.R - 1, 4, 1, 0)):
        step = trace.step(layer, direction, t, n, d)
        assert sum(bool(line.substituted) for line in step.equations) >= (2 * spec.G if spec.bias else 1)
        for line in step.equations:
            if line.substituted:
                assert numbers(line.substituted) == pytest.approx(line.value, abs=4e-4)
        values = {line.name: line.value for line in step.equations}
        for name in trace[layer, direction].names:
            if d >= (spec.H if name == "h" else spec.D):
                assert values[name] is None  # a projected h has no such unit
            else:
                assert values[name] == pytest.approx(float(trace.get(name, layer, direction)[n, t, d]))
        assert [name for name, *_ in step.inputs] == ["x", *(f"{s}'" for s in spec.kind.states)]
        assert step.to_dict()["t"] == t
    assert trace.step(t=0).before == " and ".join(f"{s}0" for s in spec.kind.states)
    if spec.R == 2:
        assert trace.step(0, 1, 2, 0).before.startswith("h0")
        assert trace.step(0, 1, 1, 0).before == "t = 2"


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_feedback_says_how_states_reenter(cell: str) -> None:
    """h through W_hh, and elementwise where an equation has it; shares are parts of a whole."""
    spec = Spec(Q, D, 2, cell=cell, bidirectional=True)
    feedback = gates(layer_of(spec), batch_of(spec), lengths=LENGTHS).feedback
    ways = {"LSTM": ["h", "c"], "GRU": ["h", "h"], "RNN": ["h"]}[cell]
    assert [row.state for row in feedback.rows] == ways * 4
    assert all(row.share is not None and 0 < row.share < 1 for row in feedback.rows)
    assert f"({spec.G}D={spec.G * D}, D={D})" in repr(feedback) or cell == "RNN"
    assert feedback.to_dict()["rows"][0]["share"] == feedback.rows[0].share


def test_feedback_of_nothing_has_no_share() -> None:
    """A layer of zeros hands nothing on: no share, and no division by zero."""
    layer = build(Q, D, cell="RNN", bias=False)
    nn.init.zeros_(layer.get_parameter("weight_hh_l0"))
    nn.init.zeros_(layer.get_parameter("weight_ih_l0"))
    assert gates(layer, torch.zeros(1, L, Q)).feedback.rows[0].share is None


def shown(trace: GateTrace) -> str:
    return "\n".join((repr(trace), repr(trace[0]), repr(trace.step(t=0)), repr(trace.feedback)))


def test_everything_shows_itself() -> None:
    """Tables for trace, cell, step and feedback, in text and HTML, of a deep and of a plain layer."""
    deep = Spec(Q, D, 4, bidirectional=True, proj_size=P)
    trace = gates(layer_of(deep), batch_of(deep))
    text = shown(trace)
    assert "and 2 more" in text
    assert "h' and c'" in text
    assert "W_hr·m" in text
    assert "<table>" in trace._repr_html_()
    plain = gates(nn.LSTM(Q, D), torch.ones(L, Q))
    assert "step t=0 of layer 0" in shown(plain).lower()
    assert plain.to_dict()["cells"][0]["tensors"]["f"]["sizes"] == [L, D]
    assert plain.to_dict()["lengths"] is None


def test_equations_read_as_one_line() -> None:
    """An equation prints with its numbers, a matrix product with its value alone."""
    step = gates(nn.LSTM(Q, D), torch.ones(L, Q)).step(t=1)
    assert str(step.equations[0]).startswith("x_i = W_ii·x + b_ii = ")
    assert " = σ(" in str(step.equations[8])
