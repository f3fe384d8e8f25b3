"""LS110 configuration: the layer itself cannot be built."""

from __future__ import annotations

from types import FrameType
from typing import Any

from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule


def explain(failure: Failure) -> Finding | None:
    frames = [
        frame
        for frame in failure.frames
        if frame.f_code.co_name == "__init__"
        and frame.f_code.co_filename.replace("\\", "/").endswith("torch/nn/modules/rnn.py")
    ]
    if not frames:
        return None
    detail, fix = _wrong(_given(frames))
    return RULE.finding(detail, fix, where=failure.where, cause=failure.error)


def _given(frames: list[FrameType]) -> dict[str, Any]:
    """The constructor's arguments, as its own frames hold them."""
    given: dict[str, Any] = {}
    for frame in frames:
        given.update(frame.f_locals)
        given.update(zip(("input_size", "hidden_size", "num_layers"), _sizes(frame), strict=False))
        given.update(frame.f_locals.get("kwargs") or {})
    return given


def _sizes(frame: FrameType) -> tuple[Any, ...]:
    """Sizes given by position: torch's constructors take *args, RNNBase the mode before them."""
    args = frame.f_locals.get("args") or ()
    return tuple(a for a in args if not isinstance(a, str)) if isinstance(args, tuple) else ()


def _wrong(given: dict[str, Any]) -> tuple[str, str]:
    hidden, proj, dropout = given.get("hidden_size"), given.get("proj_size", 0), given.get("dropout", 0.0)
    kind = type(given.get("self")).__name__
    if isinstance(proj, int) and isinstance(hidden, int) and proj and kind != "LSTM":
        return f"proj_size={proj} for a {kind}: only an LSTM has a projection", "leave out proj_size, or use nn.LSTM"
    if isinstance(proj, int) and isinstance(hidden, int) and (proj >= hidden or proj < 0):
        return (
            f"proj_size={proj} with hidden_size={hidden}: a projection narrows the hidden state",
            f"proj_size smaller than (less than) hidden_size, at most {hidden - 1}; 0, the default, means no "
            "projection",
        )
    if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        return f"dropout={dropout!r}", "dropout is a probability from 0 to 1"
    for name in ("input_size", "hidden_size", "num_layers"):
        value = given.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            return f"{name}={value!r}", f"{name} is a whole number of at least 1 (int({name}))"
    return (
        f"a {kind} refuses its arguments",
        f"nn.{kind or 'LSTM'}(input_size, hidden_size, num_layers, batch_first=True): sizes first, switches by name",
    )


RULE = Rule(
    "LS110",
    "configuration",
    "the layer itself cannot be built",
    "Sizes are whole numbers of at least 1, dropout is a probability, and proj_size is smaller than "
    "hidden_size (0 means "
    "no projection).",
    wrong="""
def model(x):
    return nn.LSTM(5, 8, proj_size=8)(x)[0]
inputs = (torch.randn(4, 7, 5),)
batch_dim = 1
""",
    right="""
rnn = nn.LSTM(5, 8, proj_size=4)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(4, 7, 5),)
batch_dim = 1
""",
    explain=explain,
    order=8,
)
