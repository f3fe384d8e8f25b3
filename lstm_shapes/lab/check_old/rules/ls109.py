"""LS109 kept-graph: backward goes a second time through the graph of a state that was kept."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import state_names

_FIX = (
    "detach the state between pieces: h = h.detach(), for an LSTM h = tuple(s.detach() for s in h). Not "
    "retain_graph=True, as torch's message suggests: it keeps the graph of all earlier pieces alive, and fails at the "
    "next optimizer step"
)


def explain(failure: Failure) -> Finding | None:
    if failure.call is not None or not failure.inside(
        "torch/autograd/__init__.py", "torch/autograd/graph.py", "torch/_tensor.py"
    ):
        return None
    if not {"backward", "grad"} & failure.functions():
        return None
    carried = [c for c in failure.layers() if any(s.grad_fn is not None for s in c.states.values())]
    again = len(failure.seen.backwards) > 1
    if not carried or not again:
        return None
    call = carried[-1]
    return RULE.finding(
        f"call {call.index + 1} of {call.call_name} started from a state that still hangs on the graph of an earlier "
        f"call; backward number {len(failure.seen.backwards)} goes through that graph again",
        _FIX,
        layer=call.name,
        where=call.where if call.where is not None else failure.where,
        cause=failure.error,
    )


def find(study: Study) -> Iterator[Finding]:
    """A module that keeps its state as it is: the next backward will go through this call's graph, too."""
    if not study.kept:
        return
    second = study.second
    if second is None or second.error is not None:
        return
    for call in second.seen.calls:
        first = call.index == 0 or all(c.module is not call.module for c in second.seen.calls[: call.index])
        if first and any(s.grad_fn is not None for s in call.states.values()) and study.carries(call):
            name = state_names(call)[0]
            yield RULE.finding(
                "the state that the model keeps from one call to the next still carries the graph of the call it comes "
                "from: training on the second batch raises in backward, or keeps every earlier graph alive",
                f"{_FIX}; here: store {name}.detach()",
                layer=call.name,
                where=call.where,
            )
            return


RULE = Rule(
    "LS109",
    "kept-graph",
    "backward a second time through a state that was kept without detach",
    "A state that is carried to the next piece of a sequence carries the graph of the piece it was computed in. "
    "backward frees that graph, so the next backward stops in it. detach keeps the numbers and cuts the graph: "
    "truncated "
    "backpropagation through time.",
    wrong="""
rnn = nn.GRU(4, 6, batch_first=True)
def model(x):
    h = torch.zeros(1, x.size(0), 6)
    for piece in x.split(5, dim=1):
        out, h = rnn(piece, h)
        out.pow(2).mean().backward()
inputs = (torch.randn(3, 10, 4),)
""",
    right="""
rnn = nn.GRU(4, 6, batch_first=True)
def model(x):
    h = torch.zeros(1, x.size(0), 6)
    for piece in x.split(5, dim=1):
        out, h = rnn(piece, h.detach())
        out.pow(2).mean().backward()
inputs = (torch.randn(3, 10, 4),)
""",
    explain=explain,
    find=find,
    order=10,
)
