"""LS206 cell-for-hidden: the cell state is used where the hidden state was meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.gradients import Gradients, gradients
from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import output_name, state_names


def find(study: Study) -> Iterator[Finding]:
    if mixup(study) is not None:
        return
    grads = gradients(study)
    if grads is None:
        return
    for call in study.calls:
        if call.kind != "LSTM":
            continue
        if _exchanged(grads, call):
            yield _swap(call)
            return
    for call in study.calls:
        if call.kind == "LSTM" and _only_cell(study, grads, call):
            yield _cell(call)
            return


def _any(grads: Gradients, call: LayerCall, role: str) -> bool:
    used = grads.used(call, role)
    return used is not None and bool(used.any())


def _only_cell(study: Study, grads: Gradients, call: LayerCall) -> bool:
    """cn reaches the result, and neither the output nor hn of the same module does, in any of its calls."""
    if not _any(grads, call, "cn"):
        return False
    every = [c for c in study.base.seen.calls if c.module is call.module]
    return not any(_any(grads, c, role) for c in every for role in ("Y", "hn"))


def _exchanged(grads: Gradients, call: LayerCall) -> bool:
    """h0 is made of some cn and c0 of some hn."""
    inner = grads.call(call.index)
    found: dict[str, set[str]] = {}
    for role in ("h0", "c0"):
        state = inner.taps.get(role)
        if state is None:
            return False
        near = _nearest(grads.sources(state, call.index))
        found[role] = near
    return found["h0"] == {"cn"} and found["c0"] == {"hn"}


def _nearest(sources: Iterable[tuple[int, str]]) -> set[str]:
    """The parts of the last call that a state is made of (an earlier call reaches it only through that one)."""
    found = list(sources)
    last = max((index for index, _ in found), default=0)
    return {role for index, role in found if index == last}


def _swap(call: LayerCall) -> Finding:
    name = call.call_name
    step = f"h, c = {name}(x_t, (h, c))" if call.step else f"out, (hn, cn) = {name}(x, (hn, cn))"
    return RULE.finding(
        "the two states are exchanged: h0 is made of a cell state and c0 of a hidden state. An LSTM takes and "
        "returns (h, c), "
        "in this order",
        f"{step}: the hidden state first, in the tuple that goes in and in the one that comes out",
        layer=call.name,
        where=call.where,
        evidence=(
            Evidence(
                "h0 and c0 differentiated with respect to the earlier hn and cn",
                "h0 moves with cn only, c0 with hn only",
            ),
        ),
    )


def _cell(call: LayerCall) -> Finding:
    hn, cn = state_names(call)
    both = "torch.cat((hn[-2], hn[-1]), dim=-1)" if call.R == 2 else "hn[-1]"
    line = (
        f"h, c = {call.call_name}(x_t, (h, c))" if call.step else f"{output_name(call)}, (hn, cn) = {call.call_name}(x)"
    )
    named = f" (named {hn if hn != 'hn' else cn} here)" if (hn, cn) != ("hn", "cn") else ""
    return RULE.finding(
        f"the result depends on the cell state cn{named} and on neither hn nor the output: cn is the layer's memory, "
        "not bounded by tanh and not gated by the output gate; hn is what the layer says",
        f"{line}, then {'h' if call.step else both}: the hidden state comes first in the pair; cn beside hn, as "
        "an extra feature, is fine",
        layer=call.name,
        where=call.where,
        evidence=(Evidence("the result differentiated with respect to Y, hn and cn", "only cn is used"),),
    )


RULE = Rule(
    "LS206",
    "cell-for-hidden",
    "the cell state is used where the hidden state was meant, or the two are exchanged",
    "An LSTM returns output, (hn, cn). cn has hn's shape (without a projection), so nothing complains when the pair is "
    "unpacked as (cn, hn). The last output step is hn[-1], never cn[-1].",
    wrong="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
def model(x):
    out, (cn, hn) = rnn(x)
    return head(hn[-1])
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
def model(x):
    out, (hn, cn) = rnn(x)
    return head(hn[-1])
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
)
