"""LS111 next-layer: what follows the recurrent layer expects another width or rank."""

from __future__ import annotations

from torch import Tensor, nn

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.trace import Origin
from lstm_shapes.lab.check_old.words import built, output_name, state_names

_COMPUTE = (RuntimeError, ValueError, IndexError)


def explain(failure: Failure) -> Finding | None:
    if not isinstance(failure.error, _COMPUTE):
        return None
    return _recurrent(failure) or _linear(failure) or _operation(failure)


def _recurrent(failure: Failure) -> Finding | None:
    """The next layer is itself recurrent, and the width that does not fit came from a recurrent layer."""
    call, trace = failure.call, failure.seen.trace
    if call is None or trace is None or call.X is None or call.X.dim() == 0 or call.X.size(-1) == call.Q:
        return None
    source = _source(failure, trace.origin(call.X))
    if source is None or source.module is call.module or not _mine(source, call.X.size(-1)):
        return None
    got = call.X.size(-1)
    twice = f": R·H = 2 * {source.H}, the two directions side by side" if source.R == 2 and got == 2 * source.H else ""
    return RULE.finding(
        f"{source.call_name} returns {got} features{twice}; {call.call_name} was built for input_size = {call.Q}",
        f"{built(call, input_size=f'2 * {source.H}' if twice else got)}, input_size={got}",
        layer=call.name,
        where=call.where or failure.where,
        cause=failure.error,
    )


def _mine(source: LayerCall, width: int) -> bool:
    return width in (
        source.H,
        source.R * source.H,
        source.D,
        source.K * source.R * source.H,
        source.L * source.R * source.H,
    )


def _source(failure: Failure, origins: frozenset[Origin]) -> LayerCall | None:
    found = [k for kind, k, _ in origins if kind == "call" and k < len(failure.seen.calls)]
    return failure.seen.calls[max(found)] if found else None


def _roles(origins: frozenset[Origin]) -> set[str]:
    return {role for kind, _, role in origins if kind == "call"}


def _linear(failure: Failure) -> Finding | None:
    """A head whose in_features is not what it is given."""
    pending = failure.module
    if pending is None or not isinstance(pending.module, nn.Linear) or not pending.args or not failure.seen.calls:
        return None
    x, want = pending.args[0], pending.module.in_features
    if not isinstance(x, Tensor) or x.dim() == 0 or x.size(-1) == want:
        return None
    trace = failure.seen.trace
    origins = trace.origin(x) if trace is not None else frozenset()
    call = _source(failure, origins) or failure.seen.calls[-1]
    got, where = x.size(-1), failure.where
    why, fixes = _width(call, got, want, _roles(origins))
    head = f"nn.Linear({got}, {pending.module.out_features})"
    return RULE.finding(
        f"nn.Linear was built for {want} features and was given {tuple(x.shape)}, {got} on the last axis; {why}",
        "; ".join([*fixes, f"or {head}, if these {got} features are meant"]),
        layer=call.name,
        where=where,
        cause=failure.error,
    )


def _width(call: LayerCall, got: int, want: int, roles: set[str]) -> tuple[str, list[str]]:
    """Which product of the layer's numbers the width is, and what that says about the code before it."""
    out, (hn, _) = output_name(call), state_names(call)
    width = call.R * call.H
    last = f"{out}[:, -1]" if call.batch_first or call.layout == "batch_first" else f"{out}[-1]"
    flat = (
        f"apply the head to every step, nn.Linear({width}, …)({out}): no view, reshape or flatten is needed before it"
    )
    if got == width and want == call.H and call.R == 2:
        return f"{got} = R·H = 2 * {call.H}, two directions", [
            f"nn.Linear(2 * {call.H}, …)",
            f"torch.cat(({hn}[-2], {hn}[-1]), dim=-1) is as wide",
        ]
    if got == call.H and want == 2 * call.H:
        rows = f"torch.cat(({hn}[-2], {hn}[-1]), dim=-1)" if call.R == 2 else built(call, bidirectional=True)
        return f"{got} = H, one direction", [f"{rows} gives {want}", f"nn.Linear({call.H}, …)"]
    if call.P and got == call.P and want == call.D:
        return f"{got} = proj_size: the output is projected", [
            f"nn.Linear({call.P}, …), because the output is proj_size wide"
        ]
    if got == call.L * width or (want % width == 0 and want > width and got % width == 0 and got != width):
        how = "L·H" if got == call.L * width else "N·H" if got == call.N * width else "several H"
        side = f"; {want} is {want // width} steps" if want % width == 0 and want // width > 1 else ""
        return (
            f"{got} = {got // width} × {width} ({how}): the steps were flattened into the features{side}",
            [f"{last} or {hn}[-1] if the last step is meant, with nn.Linear({width}, …)", flat],
        )
    if got % width == 0 and got == call.N * width:
        return (
            f"{got} = N·H = {call.N} × {width}: the samples were flattened into the features",
            [
                f"fc({out}): {flat}",
                f"the view or reshape drops the batch axis only where N is 1; {out}.flatten(0, 1) keeps the features",
            ],
        )
    if got == call.K * call.R * call.H:
        return f"{got} = K·R·H: all rows of the state side by side", [f"{hn}[-1]", f"nn.Linear({got}, …)"]
    return (
        f"the recurrent layer gives {width} features a step (R·H = {call.R} × {call.H})",
        [f"nn.Linear({width}, …) right behind {call.call_name}", flat],
    )


def _operation(failure: Failure) -> Finding | None:
    """Any other operation on what a recurrent layer returned: cat, bmm, view, add."""
    op = failure.op
    if op is None or failure.call is not None or not op.shapes:
        return None
    call = _source(failure, op.origin)
    if call is None:
        return None
    out, (hn, _) = output_name(call), state_names(call)
    shapes = " and ".join(str(s) for s in op.shapes[:4])
    what = f"{op.name} was given {shapes}"
    empty = any(0 in s for s in op.shapes)
    roles = _roles(op.origin)
    if op.name == "view" and not any(0 in s for s in op.shapes) and _transposed(failure):
        detail = f"{what}, transposed and so no longer in one piece of memory; view only relabels memory"
        fix = (
            f"reshape(…) in the place of view(…), or {hn if roles & {'hn', 'cn'} else out}.transpose(0, "
            "1).contiguous().view(…)"
        )
    elif empty and call.R == 1 and roles & {"hn", "cn"}:
        detail = (
            f"{what}; hn has K·R = {call.K * call.R} row{'s' if call.K * call.R > 1 else ''} here, one "
            "direction, so the second slice is empty"
        )
        fix = (
            f"with one direction the final state is {hn}[-1] (hidden[0][-1] where hidden = (hn, cn)), "
            f"nothing to join; or {built(call, bidirectional=True)}"
        )
    elif call.R == 2 and roles & {"hn", "cn"}:
        detail = (
            f"{what}; hn is (K·R, N, H) = ({call.K * 2}, {call.N}, {call.H}): its rows are layers × directions, "
            "so a view "
            f"does not put the two directions of a sample side by side"
        )
        fix = (
            f"torch.cat(({hn}[-2], {hn}[-1]), dim=-1) is (N, 2·H) = ({call.N}, {2 * call.H}); for all layers "
            f"{hn}.view({call.K}, 2, {call.N}, {call.H}).transpose(1, 2) or permute before any reshape"
        )
    elif roles & {"hn", "cn"}:
        detail = f"{what}; a state is (K·R, N, H) = ({call.K * call.R}, {call.N}, {call.H})"
        fix = (
            f"{hn}[-1] is the top layer's final state (N, H); {hn}.transpose(0, 1) or permute(1, 0, 2) puts "
            "the batch first"
        )
    else:
        order = "(N, L, R·H)" if call.batch_first else "(L, N, R·H)"
        sizes = (call.N, call.L) if call.batch_first else (call.L, call.N)
        detail = f"{what}; {call.call_name} returned {order} = ({sizes[0]}, {sizes[1]}, {call.R * call.H})"
        fix = (
            f"{out}.transpose(0, 1) or permute where the axes are in another order, {out}[:, -1] or {hn}[-1] "
            "where one step is "
            f"meant, {out}.reshape(-1, {call.R * call.H}) where steps are merged, never view to swap axes"
        )
    return RULE.finding(detail, fix, layer=call.name, where=failure.where, cause=failure.error)


def _transposed(failure: Failure) -> bool:
    """Whether the tensor that view refused was made by moving axes."""
    ops = failure.seen.trace.ops if failure.seen.trace is not None else []
    return any(op.name in ("transpose", "permute", "t", "movedim", "swapaxes", "mT", "T") for op in ops[-6:])


RULE = Rule(
    "LS111",
    "next-layer",
    "what follows the recurrent layer expects another width or rank",
    "A layer returns R·H features a step, twice hidden_size with two directions and proj_size with a projection. "
    "Flattening steps into features ties what follows to one length.",
    wrong="""
rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[0])
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(2 * 8, 3)
model = lambda x: head(rnn(x)[0])
inputs = (torch.randn(4, 7, 5),)
""",
    explain=explain,
    order=21,
)
