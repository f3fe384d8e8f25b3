"""The rules on padding: rows that depend on what stands behind their end, and lengths that lose data."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab._words import call_text, layer_names, value_name
from lstm_shapes.lab.trace import Call, LayerCall

from ._experiments import Experiments
from ._padding import Packing, Padding, lengths_of, packing_of, padding_of
from .report import Finding
from .rule import rule


@rule("LS204", "padding-read", padding_of)
def padding_read(padding: Padding, lab: Experiments) -> Iterator[Finding]:
    """A row is read beyond its length: padding changes the result.

    A row in a padded batch must give what the same row gives in a batch no longer than it. It does not where the
    last step is taken at [:, -1], where a mean, a maximum or a softmax runs over padding, or where a layer without
    pack_padded_sequence reads padding before what it returns.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
      - model = lambda x, n: rnn(x)[0].mean(1)
      + def model(x, n):
      +     real = torch.arange(x.size(1)) < n[:, None]
      +     return (rnn(x)[0] * real[:, :, None]).sum(1) / n[:, None]
        lengths = torch.tensor([5, 7, 2, 3])
        inputs = (torch.randn(4, 7, 5), lengths)
    """
    if padding.kind != "read" or padding.culprit is None:
        return
    lengths, call = lab.ask(lengths_of), padding.culprit
    layer = next((layer for layer in lab.layers if layer.call is call), None)
    title, fix = _layer_reads(layer, padding) if layer is not None else _call_reads(call)
    source = "" if isinstance(lengths, str) else f" (known from {lengths.source})"
    shown = next((f"{value_name(v)} {v.shape}" for v in call.outputs if v.index in padding.values), "the result")
    measured = (
        f"sample {padding.sample} has {padding.length} real steps{source}; in the batch cut to {padding.length} steps "
        f"its row of {shown} is another one"
    )
    name = layer.name if layer is not None else ""
    yield padding_read.finding(title, measured, f"probably {fix}", call.where, layer=name)


def _layer_reads(layer: LayerCall, padding: Padding) -> tuple[str, str]:
    names = layer_names(layer)
    role = next((r for r, v in layer.outputs.items() if v.index in padding.values), "Y")
    packing = "pack_padded_sequence(x, lengths, batch_first=…, enforce_sorted=False) before the layer"
    if layer.R == 2:
        return (
            f"{layer.called} reads padding: its backward direction starts in it, so every step of a padded row depends "
            "on the longest row",
            f"{packing}, pad_packed_sequence behind it",
        )
    if role == "Y":
        return f"{layer.called} reads padding before real steps", packing
    return (
        f"{layer.called} reads padding to the end: {names[role]} is the state after the padding, not after the last "
        "real step",
        f"{packing}: then {names['hn']}[-1] is each row's own last step; or the steps of {names.get('Y', 'Y')} at "
        "lengths - 1 (gather)",
    )


# What is said of a call that reads padding, and what to do instead: {0} is its name, {1} the call as it is written.
_READS = [
    (
        "__getitem__ select narrow index_select take",
        "one step is taken for all rows, and for a padded row it is padding",
        "the step at lengths - 1 of each row, Y[torch.arange(N), lengths - 1] (gather); or, of a packed call, hn[-1], "
        "and torch.cat((hn[-2], hn[-1]), dim=1) with two directions",
    ),
    (
        "softmax log_softmax softmin gumbel_softmax",
        "{0} gives weight to padding",
        "a mask before the softmax: scores.masked_fill(~mask, float('-inf')), then {1}",
    ),
    (
        "max amax adaptive_max_pool1d max_pool1d",
        "{0} runs over padding, which can win",
        "a mask: Y.masked_fill(~mask, float('-inf')) before the maximum",
    ),
    (
        "mean sum avg_pool1d adaptive_avg_pool1d logsumexp std var amin min",
        "{0} runs over padding: it counts steps that are none",
        "a mask: (Y * mask).sum(1) / lengths",
    ),
    (
        "flip",
        "flip brings the padding to the front, where it is read first",
        "each row reversed within its own length (lengths), or bidirectional=True with pack_padded_sequence",
    ),
    (
        "multi_head_attention_forward",
        "attention reads padding",
        "key_padding_mask=~mask, True where a step is padding",
    ),
]
_ELSE = (
    "{0} reads padding",
    "a mask that leaves steps beyond lengths out of the {0}, or pack_padded_sequence before the layer",
)


def _call_reads(call: Call) -> tuple[str, str]:
    title, fix = next(((title, fix) for names, title, fix in _READS if call.name in names.split()), _ELSE)
    return title.format(call.name), fix.format(call.name, call_text(call))


@rule("LS209", "truncated-by-lengths", packing_of)
def truncated(packing: Packing | None, lab: Experiments) -> Iterator[Finding]:
    """Lengths drop real data without a word, or count something else than steps.

    pack_padded_sequence takes whatever lengths fit: with lengths that are too small, or that count features or
    characters, the steps behind them never reach the layer, and nothing raises.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
      - model = lambda x, n: rnn(pack_padded_sequence(x, n - 1, batch_first=True, enforce_sorted=False))[1][-1]
      + model = lambda x, n: rnn(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[1][-1]
        lengths = torch.tensor([3, 7, 5, 2])
        inputs = (torch.randn(4, 7, 5), lengths)
    """
    if packing is not None:
        yield truncated.finding(packing.title, packing.measured, f"probably {packing.fix}", packing.call.where)
