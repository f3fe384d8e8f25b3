"""LS103 state-shape: h0 or c0 is not (K·R, N, H) and (K·R, N, D)."""

from __future__ import annotations

from torch import Tensor

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.words import input_name, named, shape


def wanted(call: LayerCall, role: str) -> tuple[int, ...]:
    """The shape a state must have for the input it comes with."""
    width = call.D if role == "c0" else call.H
    if call.layout == "one":
        return (width,)
    if call.step:
        return (call.N, width)
    if call.layout == "unbatched":
        return (call.K * call.R, width)
    return (call.K * call.R, call.N, width)


def explain(failure: Failure) -> Finding | None:
    call = failure.call
    if call is None or call.X is None:
        return None
    for role, state in call.states.items():
        want = wanted(call, role)
        if tuple(state.shape) == want:
            continue
        symbols = ("K·R", "N", "D" if role == "c0" or not call.P else "P")[-len(want) :]
        batch = _batch(call)
        origin = "" if len(want) < 2 else f"; N = {call.N} is {batch}, which this layer reads as the batch"
        rows = "" if call.step else f", K·R = {call.K} layers × {call.R} direction{'s' if call.R > 1 else ''}"
        return RULE.finding(
            f"{role} must be {named(symbols, want)} and is {shape(state)}{origin}{rows}",
            "; ".join(_fixes(call, role, state, want)),
            layer=call.name,
            where=call.where or failure.where,
            cause=failure.error,
        )
    return None


def _batch(call: LayerCall) -> str:
    x = input_name(call)
    axis = {"batch_first": 0, "time_major": 1, "cell": 0}.get(call.layout)
    return f"{x}.size({axis})" if axis is not None else f"the number of rows in {x}"


def _fixes(call: LayerCall, role: str, state: Tensor, want: tuple[int, ...]) -> list[str]:
    got = tuple(state.shape)
    rows, width = want[0], want[-1]
    fixes = []
    if len(got) == 2 and len(want) == 3 and got[1] == width:
        again = f".repeat({rows}, 1, 1)" if rows > 1 else ""
        fixes.append(
            f"{role}.unsqueeze(0){again}, that is {role}[None]: a layer wants {want}, only a cell takes (N, H)"
        )
    elif len(got) == 3 and len(want) == 2:
        fixes.append(f"{role}[-1] or {role}.squeeze(0): a cell takes (N, H)" if call.step else f"{role}.squeeze(1)")
    elif len(got) == len(want) == 3:
        if got == (want[1], want[0], want[2]):
            fixes.append(
                f"{role}.transpose(0, 1).contiguous(), never view; batch_first does not move the axes of {role}"
            )
        if got[2] != width:
            fixes += _width(call, role, got[2], width)
        if got[1] == want[1] and got[0] != rows:
            fixes += _rows(call, role, got[0], rows)
        if got[0] != rows and got[1] != want[1] and got[0] * got[1] == rows * want[1]:
            fixes.append(
                "join states of parts of a batch on their batch axis: torch.cat(states, dim=1), "
                "because axis 0 of a state is layers × directions"
            )
        if got[0] == rows and got[1] != want[1] and got[2] == width:
            fixes.append(
                f"the batch of {role} is {got[1]}, the input's is {want[1]}: take it from {_batch(call)}, "
                "and drop or reset a state kept from a batch of another size"
            )
    elif got and got[-1] != width:
        fixes += _width(call, role, got[-1], width)
    spelled = ", ".join([str(rows), _batch(call), str(width)] if len(want) == 3 else [str(n) for n in want])
    fixes.append(
        f"torch.zeros({spelled}) = {want}, or leave the state out, {call.call_name}({input_name(call)}): zeros "
        "are the default"
    )
    return fixes


def _width(call: LayerCall, role: str, got: int, width: int) -> list[str]:
    if call.P:
        return [
            f"with proj_size={call.P} h0 is P = proj_size = {call.P} wide and c0 is D = hidden_size = {call.D} wide"
        ]
    fixes = [
        f"the state is {got} wide, the layer has hidden_size={width}: build the layer with hidden_size={got} or "
        f"give {role} {width} features (nn.Linear({got}, {width}))"
    ]
    if width == 1:
        fixes.append(
            f"hidden_size * 2 if flag else 1 means (hidden_size * 2) if flag else 1; write {got} * (2 if flag else 1)"
        )
    if got == 2 * width or width == 2 * got:
        fixes.append(
            "a bidirectional state is two rows of H, not one row of 2·H: torch.cat((s[0::2], s[1::2]), dim=2) "
            "joins them"
        )
    return fixes


def _rows(call: LayerCall, role: str, got: int, rows: int) -> list[str]:
    fixes = []
    if rows % got == 0:
        fixes.append(
            f"each of the {call.K} layers × {call.R} directions starts from a row of its own: "
            f"{role}.repeat({rows // got}, 1, 1) "
            f"(or expand({rows}, -1, -1).contiguous()), or num_layers={max(1, got // call.R)}"
        )
    if got == 2 * rows:
        fixes.append(
            f"the state comes from a bidirectional layer: torch.cat(({role}[0::2], {role}[1::2]), dim=2) into a "
            "layer twice "
            f"as wide, or the last {rows} rows, {role}[-{rows}:]"
        )
    elif got > rows:
        fixes.append(f"take the upper rows, {role}[-{rows}:], or num_layers={got // call.R}")
    if call.R == 2 and got == call.K:
        fixes.append("with bidirectional=True the state has num_layers * 2 rows")
    return fixes


RULE = Rule(
    "LS103",
    "state-shape",
    "the initial state does not have the shape (K·R, N, H)",
    "h0 and c0 hold one row for each layer and direction: (K·R, N, H) and (K·R, N, D), where H is proj_size if there "
    "is one and hidden_size if not. batch_first moves the axes of input and output only, never those of the state.",
    wrong="""
rnn = nn.GRU(5, 8, num_layers=2, batch_first=True)
model = lambda x: rnn(x, torch.zeros(x.size(0), 2, 8))[0]
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn = nn.GRU(5, 8, num_layers=2, batch_first=True)
model = lambda x: rnn(x, torch.zeros(2, x.size(0), 8))[0]
inputs = (torch.randn(4, 7, 5),)
""",
    explain=explain,
    order=32,
)
