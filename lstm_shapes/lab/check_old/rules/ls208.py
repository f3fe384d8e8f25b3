"""LS208 legal-by-coincidence: a wrong layout is accepted only because two sizes are equal."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.coincidence import coincidence
from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is not None and found.code != "LS208":
        return
    if found is not None and found.call is not None:
        call = found.call
        where = found.op.where if found.op is not None else call.where
        raised = found.unequal.error if found.unequal is not None else None
        rows = call.K * call.R
        if found.stage == "state":
            detail = (
                f"{found.role} is (K·R, N, H), and here its axis 0 carries the samples: it passes only because "
                f"N == K·R == {rows}, so "
                "states go to the wrong layer and the wrong sample"
            )
            fix = (
                f"{found.role}.transpose(0, 1).contiguous(), that is permute(1, 0, 2) or swapaxes(0, 1): (N, "
                "K·R, H) becomes (K·R, N, H)"
            )
        else:
            detail = (
                f"batch and another axis are exchanged, and only because N == {study.N} equals its size does "
                "anything fit"
            )
            fix = (
                "transpose(0, 1) or batch_first=True where the two axes are exchanged; check with N, L, K and H "
                "all different"
            )
        seen = Evidence("the same call with one sample more", f"raises {type(raised).__name__}" if raised else "raises")
        yield RULE.finding(detail, fix, layer=call.name, where=where, evidence=(*found.evidence, seen))
        return
    chance = coincidence(study)
    if chance is not None:
        yield RULE.finding(
            chance.detail,
            chance.fix,
            layer=chance.layer,
            where=chance.where,
            evidence=(Evidence(chance.did, chance.saw),),
        )


RULE = Rule(
    "LS208",
    "legal-by-coincidence",
    "a wrong layout is accepted only because two sizes are equal",
    "Shapes are compared, meanings are not: a state made as (N, K, H) fits (K, N, H) when N == K, and the last "
    "batch of an "
    "epoch, or another batch size, raises. Sizes that are all different show such a swap at once.",
    wrong="""
rnn, encode = nn.GRU(5, 8, num_layers=3, batch_first=True), nn.Linear(6, 24)
model = lambda x, z: rnn(x, encode(z).view(z.size(0), 3, 8))[0]
inputs = (torch.randn(3, 7, 5), torch.randn(3, 6))
""",
    right="""
rnn, encode = nn.GRU(5, 8, num_layers=3, batch_first=True), nn.Linear(6, 24)
model = lambda x, z: rnn(x, encode(z).view(z.size(0), 3, 8).transpose(0, 1).contiguous())[0]
inputs = (torch.randn(3, 7, 5), torch.randn(3, 6))
""",
    find=find,
)
