"""LS214 sample-order: the rows of the result are in another order than the rows of the input."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is None or found.code != "LS214":
        return
    call = found.call
    places = "; ".join(f"sample {i} comes out as row {place[0]}" for i, place in found.placement.at.items() if place)
    what = f"{found.role} and the data are in different orders" if found.stage == "state" else places
    yield RULE.finding(
        f"{what}: the batch was sorted (for packing) and the order was not restored, so rows meet the targets "
        "of other samples",
        "undo the sort on the results: out[order.argsort()] (the inverse permutation), or do not sort: "
        "pack_padded_sequence(…, enforce_sorted=False) gives everything back in the original order",
        layer=call.name if call else "",
        where=call.where if call else None,
        evidence=found.evidence,
    )


RULE = Rule(
    "LS214",
    "sample-order",
    "row i of the result belongs to another sample",
    "Packing wants decreasing lengths, so batches are sorted by hand; whatever was not sorted along, or sorted "
    "back, is then "
    "paired with the wrong rows. enforce_sorted=False does both.",
    wrong="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x, n_steps):
    ordered, order = n_steps.sort(descending=True)
    return rnn(pack_padded_sequence(x[order], ordered, batch_first=True))[1][-1]
lengths = torch.tensor([3, 7, 5, 4])
inputs = (torch.randn(4, 7, 5), lengths)
""",
    right="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x, n_steps):
    ordered, order = n_steps.sort(descending=True)
    return rnn(pack_padded_sequence(x[order], ordered, batch_first=True))[1][-1][order.argsort()]
lengths = torch.tensor([3, 7, 5, 4])
inputs = (torch.randn(4, 7, 5), lengths)
""",
    find=find,
)
