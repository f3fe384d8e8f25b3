"""Hypothesis strategies for recurrent layers, and two assertions: `assert_laws` for a layer of your own,
`assert_shapes_checked` for a model.

Needs the extra `testing`: `pip install lstm_shapes[testing]`. In a test suite:

    from hypothesis import given
    from lstm_shapes.testing import assert_laws, assert_shapes_checked, cases, distinct_sizes

    def test_my_lstm():
        assert_laws(MyLSTM(input_size=7, hidden_size=5, num_layers=2, batch_first=True))

    def test_my_classifier():
        assert_shapes_checked(Classifier(), torch.randn(5, 20, 28))

    @given(distinct_sizes(3))
    def test_my_lstm_of_any_size(sizes):
        Q, D, N = sizes
        assert_laws(MyLSTM(Q, D), N=N)

Sizes drawn together are distinct, so that two axes in the wrong order always show.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

try:
    from hypothesis import strategies as st
except ImportError as error:
    message = "lstm_shapes.testing needs hypothesis: pip install lstm_shapes[testing]"
    raise ImportError(message, name="hypothesis") from error

from .errors import ShapeError, SpecError
from .theory.call import Call, dtype_name
from .theory.laws import RULES, Law, largest, laws, rounding
from .theory.spec import Spec, by_attributes
from .theory.symbols import CELLS

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from .lab.check import Report
    from .lab.run import Run

__all__ = ["assert_laws", "assert_shapes_checked", "calls", "cases", "distinct_sizes", "lengths", "runs", "specs"]


def distinct_sizes(
    count: int, *, least: int = 1, most: int = 9, avoid: Collection[int] = ()
) -> SearchStrategy[tuple[int, ...]]:
    """`count` different sizes from `least` to `most`, none of them in `avoid`.

    >>> from hypothesis import find
    >>> find(distinct_sizes(3), lambda sizes: True)
    (1, 2, 3)
    """
    free = [size for size in range(least, most + 1) if size not in avoid]
    if count > len(free):
        raise SpecError("count", f"at most {len(free)}, the sizes there are from {least} to {most}", count)
    return st.lists(st.sampled_from(free), min_size=count, max_size=count, unique=True).map(tuple)


@st.composite
def specs(
    draw: DrawFn,
    /,
    cells: Iterable[str] = tuple(CELLS),
    *,
    least: int = 1,
    most: int = 9,
    layers: int = 3,
    **fixed: Any,
) -> Spec:
    """Any layer torch has: Q, D and P differ from each other, K is at most `layers`; `fixed` fields stay.

    Dropout is 0 unless fixed. Cells that cannot have the fixed fields are left out.

    >>> from hypothesis import find
    >>> find(specs(["GRU"], bidirectional=True), lambda spec: spec.K > 1)
    Spec(Q=2, D=1, K=2, batch_first=False, cell='GRU', bidirectional=True, bias=False)

    Raises: SpecError where no cell can have the fixed fields.
    """
    able = [name for name in ([fixed["cell"]] if "cell" in fixed else cells) if _can_have(name, fixed)]
    if not able:
        raise SpecError("fixed fields", "ones that one of the cells can have", fixed)
    kind = CELLS[draw(st.sampled_from(able))]
    taken = {fixed[name] for name in ("Q", "D", "proj_size") if fixed.get(name)}
    narrowest = max(least, fixed.get("proj_size", 0) + 1)
    D = fixed.get("D") or draw(distinct_sizes(1, least=narrowest, most=most, avoid=taken))[0]
    Q = fixed.get("Q") or draw(distinct_sizes(1, least=least, most=most, avoid={D, *taken}))[0]
    fields: dict[str, Any] = {"Q": Q, "D": D, "cell": kind.name, "bias": draw(st.booleans())}
    if kind.nonlinearities:
        fields["nonlinearity"] = draw(st.sampled_from(kind.nonlinearities))
    if kind.projects:
        fields["proj_size"] = draw(st.sampled_from([0, *(size for size in range(least, D) if size != Q)]))
    if not kind.step:
        fields["K"] = draw(st.integers(1, layers))
        fields["batch_first"], fields["bidirectional"] = draw(st.booleans()), draw(st.booleans())
    return Spec(**{**fields, **fixed})


def _can_have(cell: str, fixed: dict[str, Any]) -> bool:
    sizes = {"Q": 1, "D": fixed.get("proj_size", 0) + 1}
    try:
        spec = Spec(**{**sizes, **fixed, "cell": cell})
    except SpecError:
        return False
    # A cell has no layout: it says batch_first=True whatever it is given.
    return bool(spec.batch_first == fixed.get("batch_first", spec.batch_first))


@st.composite
def lengths(draw: DrawFn, /, rows: int | None = None, steps: int | None = None, *, most: int = 9) -> tuple[int, ...]:
    """Lengths of padded rows, in any order, equal ones among them: `rows` of them, the longest `steps` long.

    >>> from hypothesis import find
    >>> find(lengths(3, 4), lambda drawn: True)
    (4, 1, 1)
    """
    count = rows if rows is not None else draw(st.integers(1, most))
    longest = steps if steps is not None else draw(st.integers(1, most))
    drawn = draw(st.lists(st.integers(1, longest), min_size=count, max_size=count))
    drawn[draw(st.integers(0, count - 1))] = longest
    return tuple(drawn)


@st.composite
def calls(
    draw: DrawFn,
    /,
    spec: Spec,
    kinds: Sequence[str] = ("batched", "unbatched", "packed"),
    *,
    least: int = 1,
    most: int = 12,
) -> Call:
    """A call of this layer, whose N and L differ from each other and from the layer's own sizes.

    `kinds` are those to choose from; a cell takes no packed rows, and has one step. Packed rows are padded to L,
    which may exceed the longest.

    >>> from hypothesis import find
    >>> find(calls(Spec(28, 256)), lambda call: not call.batched)
    Call(N=None, L=3, lengths=None)
    """
    kind = draw(st.sampled_from([kind for kind in kinds if kind != "packed" or not spec.kind.step]))
    own = {spec.Q, spec.D, spec.P, spec.K, spec.K * spec.R}
    N, L = draw(distinct_sizes(2, least=least, most=most, avoid=own))
    if kind == "unbatched":
        return Call.of(spec, N=None, L=L)
    if kind == "batched":
        return Call.of(spec, N=N, L=L)
    return Call.of(spec, L=L, lengths=draw(lengths(N, draw(st.integers(1, L)))))


@st.composite
def cases(draw: DrawFn, /, *args: Any, kinds: Sequence[str] | None = None, **options: Any) -> tuple[Spec, Call]:
    """A layer and a call of it; takes what `specs` takes, and `kinds` of `calls`."""
    spec = draw(specs(*args, **options))
    return spec, draw(calls(spec) if kinds is None else calls(spec, kinds))


@st.composite
def runs(
    draw: DrawFn,
    /,
    *args: Any,
    kinds: Sequence[str] | None = None,
    device: Any = "cpu",
    dtypes: Sequence[str] = ("float32", "float64"),
    **options: Any,
) -> Run:
    """A layer that ran: random weights, X, and half of the time a random state to start from.

    Takes what `cases` takes, and the device and dtypes to run in.
    """
    from .lab.run import random_run

    spec, call = draw(cases(*args, kinds=kinds, **options))
    seed, with_state, dtype = draw(st.integers(0, 2**32 - 1)), draw(st.booleans()), draw(st.sampled_from(list(dtypes)))
    return random_run(spec, call, device=device, dtype=dtype, seed=seed, with_state=with_state)


def assert_laws(
    layer: Any,
    *,
    spec: Spec | None = None,
    N: int | None = 3,
    L: int = 5,
    lengths: Iterable[int] | None = None,
    seed: int = 0,
    like_torch: bool | None = None,
    tolerance: float | None = None,
) -> tuple[Law, ...]:
    """Run your own recurrent layer on random data and hold it to every law that a layer of its Spec obeys.

    `layer` has torch's call: `Y, (hn, cn) = layer(X)` and `layer(X, (h0, c0))`, or `Y, hn` for one state. Its
    sizes come from `spec`, or from attributes with torch's names: input_size and hidden_size, and where they are
    there num_layers, batch_first, bidirectional, proj_size, … with torch's defaults (batch_first=False); without
    `spec`, a layer that is no subclass of torch's is taken for an LSTM. Call `layer.eval()` first where it has dropout.

    `like_torch`: also the laws that compute it with torch's own layers from weights of torch's names
    (`weight_ih_l0`, …); by default for torch's layers and their subclasses. `lengths`: also packs rows, if your
    layer takes a PackedSequence. Returns the laws that were checked.

    >>> import torch
    >>> len(assert_laws(torch.nn.LSTM(7, 5, 2, bidirectional=True)))
    9
    >>> class NoState(torch.nn.LSTM):
    ...     def forward(self, X, state=None):
    ...         return super().forward(X)  # forgets the state it is given
    >>> assert_laws(NoState(7, 5))
    Traceback (most recent call last):
    AssertionError: law "feedback" is broken: layer(X) == one call for each step, with hn, cn fed back
    ...

    Raises: AssertionError that names the law, its expression, the residual and the tolerance; also for a result
    of the wrong shape.
    """
    from .lab.run import ignores_state, is_torchs, random_run

    torchs = is_torchs(layer)
    known = spec or (Spec.of(layer) if torchs else by_attributes(layer, "LSTM", {}))
    call = Call.of(known, N=N, L=L) if lengths is None else Call.of(known, lengths=lengths)
    try:
        random_run(known, call, layer=layer, seed=seed, with_state=False)  # results first: their shapes say more
        run = random_run(known, call, layer=layer, seed=seed)
    except ShapeError as error:
        taken = f" Taken for an {known.cell}; pass spec=Spec(…, cell='GRU') for another."
        raise AssertionError(f"the layer is no {known!r}: {error}{'' if spec or torchs else taken}") from error
    most = rounding(run) if tolerance is None else tolerance * largest(run)
    compared = torchs if like_torch is None else like_torch
    claimed = [law for law in laws(layer if torchs else known, call=call, lang="en") if law.holds]
    checked = tuple(law for law in claimed if compared or not RULES[law.name].with_torchs)
    broken = [(law, residual) for law in checked if not (residual := law.residual(run)) <= most]
    if broken:
        (law, residual), *more = broken
        others = ", ".join(f'"{other.name}"' for other, _ in more)
        raise AssertionError(
            f'law "{law.name}" is broken: {law.expression}\n'
            f"residual {residual:.3g}, tolerance {most:.3g} ({dtype_name(run.X.dtype)})\n"
            f"{law.why} It holds with: {law.condition}.\n"
            f"Tried with {known!r}, N={call.N}, L={call.L}, lengths={call.lengths}, seed={seed}"
            + (f"\nAlso broken: {others}" if others else "")
        )
    if ignores_state(run):
        states = known.states("0")
        raise AssertionError(f"the state is ignored: layer(X, {states}) == layer(X) for random {states}")
    return checked


def assert_shapes_checked(
    model: Callable[..., Any],
    *inputs: Any,
    batch_dim: int | None = 0,
    lengths: Any = None,
    target: Any = None,
    loss: Callable[..., Any] | None = None,
    mixes: bool = False,
    allow: Iterable[str] = (),
    require: Iterable[str] = ("samples",),
    **kwargs: Any,
) -> Report:
    """Hold a model to the experiments of `check`: `model(*inputs, **kwargs)` runs some times, everything is put back.

    Fails where an error is found, and also where an experiment in `require` could not be made: "samples", "padding",
    or none with `require=()`. A model that passes has been tested. `allow` names codes that are no failure; the other
    arguments are those of `check`. Give N samples of L steps with N, L and the layer's sizes distinct, N at least 2.
    Returns the report, whose `tested` and `not_tested` say what it stands on.

    >>> import torch
    >>> rnn = torch.nn.LSTM(4, 8, batch_first=True)
    >>> assert_shapes_checked(lambda x: rnn(x)[0][:, -1], torch.randn(3, 5, 4)).tested
    ('samples (3 of 3)',)
    >>> rnn = torch.nn.LSTM(4, 8)
    >>> assert_shapes_checked(lambda x: rnn(x)[0][:, -1], torch.randn(3, 5, 4))
    Traceback (most recent call last):
    AssertionError: the shapes of this model are wrong
    ...

    Raises: AssertionError with the whole report.
    """
    from .lab.check import check

    allowed = set(allow)
    report = check(
        model, *inputs, batch_dim=batch_dim, lengths=lengths, target=target, loss=loss, mixes=mixes, **kwargs
    )
    if any(finding.code not in allowed for finding in report.errors):
        raise AssertionError(f"the shapes of this model are wrong\n{report!s}")
    missing = [name for name in require if not any(line.startswith(name) for line in report.tested)]
    if missing:
        raise AssertionError(f"not tested: {', '.join(missing)}; require=() accepts that\n{report!s}")
    return report
