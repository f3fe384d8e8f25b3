"""LS209 truncated-by-lengths: lengths drop real steps without a word."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study


def find(study: Study) -> Iterator[Finding]:
    real = _padded_from(study)
    for call in study.base.seen.calls:
        if call.packed is None or call.N != study.N:
            continue
        given, mine = call.lengths, study.inputs.lengths
        if mine is not None and len(mine) == len(given) and sorted(given) != sorted(mine) and sum(given) < sum(mine):
            yield _finding(call, given, mine, study.L, f"the lengths say {mine[:8]}")
            return
        if mine is None and study.L and max(given) < study.L and _data_behind(study, given):
            behind = study.L - max(given)
            yield _finding(
                call, given, None, study.L, f"the data have {study.L} steps, and the last {behind} are no padding"
            )
            return
        if (
            real is not None
            and sum(given) < sum(real)
            and all(a <= b for a, b in zip(sorted(given), sorted(real), strict=True))
        ):
            yield _finding(
                call, given, real, study.L, f"the data go on to {real[:8]}, where the zeros of the padding begin"
            )
            return


def _padded_from(study: Study) -> list[int] | None:
    """Where each row's trailing zeros begin; None where no row ends in zeros, so that zeros say nothing."""
    for slot in study.inputs.slots:
        if slot.fixed or slot.time is None or slot.batch is None or not isinstance(slot.value, Tensor):
            continue
        rows = (
            (slot.value != 0).movedim((slot.batch, slot.time), (0, 1)).flatten(2).any(2)
            if slot.value.dim() > 2
            else ((slot.value != 0).movedim((slot.batch, slot.time), (0, 1)))
        )
        ends = [int(row.nonzero().max()) + 1 if bool(row.any()) else 0 for row in rows]
        return ends if min(ends) < study.L == slot.tensor.size(slot.time) and min(ends) > 0 else None
    return None


def _data_behind(study: Study, given: list[int]) -> bool:
    """Whether the steps that no row keeps hold anything but one padding value."""
    for slot in study.inputs.slots:
        if slot.fixed or slot.time is None or slot.batch is None or slot.tensor.size(slot.time) != study.L:
            continue
        rest = slot.tensor.narrow(slot.time, max(given), study.L - max(given))
        if rest.numel() and bool((rest != rest.flatten()[0]).any()):
            return True
    return False


def _finding(call: LayerCall, given: list[int], mine: list[int] | None, L: int, why: str) -> Finding:
    same = len(set(given)) == 1
    guess = ""
    if same and given[0] == call.N:
        guess = f"; {given[0]} is the batch size, so what was counted are samples"
    elif same and given[0] == call.Q:
        guess = f"; {given[0]} is the number of features"
    elif mine is not None and [n + 1 for n in given] == mine:
        guess = "; each is one too small"
    return RULE.finding(
        f"pack_padded_sequence was given lengths {given[:8]}, and {why}: the steps behind are dropped without a "
        f"word{guess}",
        "lengths counts the steps of each row: len(sequence) before padding, (tokens != pad).sum(1), or "
        "x.size(1) for rows that "
        "are full; counted with the same tokenizer and on the same axis as the data",
        layer=call.name,
        where=call.where,
        evidence=(
            Evidence(
                "the packed input's batch_sizes counted",
                f"{sum(given)} of {sum(mine) if mine else call.N * L} steps are left",
            ),
        ),
    )


RULE = Rule(
    "LS209",
    "truncated-by-lengths",
    "lengths drop real data without a word, or count something else than steps",
    "Packing keeps the first lengths[n] steps of row n and drops the rest. Lengths that count characters, "
    "samples, or the "
    "steps before special tokens were added cut off data, and every shape still fits.",
    wrong="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x):
    n_steps = torch.full((x.size(0),), x.size(0))
    return rnn(pack_padded_sequence(x, n_steps, batch_first=True))[1][-1]
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x):
    n_steps = torch.full((x.size(0),), x.size(1))
    return rnn(pack_padded_sequence(x, n_steps, batch_first=True))[1][-1]
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
)
