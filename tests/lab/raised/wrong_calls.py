"""Random wrong calls: a right call of one function, one operand of which is made wrong so that torch raises.

The wrong operand is known, so that it can be counted how often it is named, and how often a fix that is given, written
into the program, makes it run.
"""

# ruff: noqa: E501

from __future__ import annotations

import ast
import contextlib
import linecache
import random
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import rnn as packing

from lstm_shapes.lab.check.check import check
from lstm_shapes.lab.check.report import Finding

# The layer that is built, the operands, and the call; sizes are drawn, all different.
_CALLS = """
fc = nn.Linear({D}, {C}) | x: randn({N}, {L}, {D}) | fc(x)
fc = nn.Linear({D}, {C}) | h: randn({N}, {D}) | fc(h)
emb = nn.Embedding({V}, {D}) | ids: randint({V}, ({N}, {L})) | emb(ids)
conv = nn.Conv1d({D}, {C}, 3) | x: randn({N}, {D}, {L}) | conv(x)
conv = nn.Conv2d({C}, 2, 3) | x: randn({N}, {C}, {L}, {D}) | conv(x)
bn = nn.BatchNorm1d({D}) | x: randn({N}, {D}, {L}) | bn(x)
ln = nn.LayerNorm({D}) | x: randn({N}, {L}, {D}) | ln(x)
attention = nn.MultiheadAttention({E}, 2, batch_first=True) | q: randn({N}, {L}, {E}); k: randn({N}, {D}, {E}) | attention(q, k, k)
bilinear = nn.Bilinear({D}, {C}, 2) | a: randn({N}, {D}); b: randn({N}, {C}) | bilinear(a, b)
rnn = nn.LSTM({Q}, {D}, 2, batch_first=True) | x: randn({N}, {L}, {Q}); h0: zeros(2, {N}, {D}); c0: zeros(2, {N}, {D}) | rnn(x, (h0, c0))
rnn = nn.GRU({Q}, {D}, batch_first=True) | x: randn({N}, {L}, {Q}); h0: zeros(1, {N}, {D}) | rnn(x, h0)
rnn = nn.GRU({Q}, {D}, bidirectional=True) | x: randn({L}, {N}, {Q}); h0: zeros(2, {N}, {D}) | rnn(x, h0)
cell = nn.LSTMCell({Q}, {D}) | x: randn({N}, {Q}); h: zeros({N}, {D}); c: zeros({N}, {D}) | cell(x, (h, c))
cell = nn.GRUCell({Q}, {D}) | x: randn({N}, {Q}); h: zeros({N}, {D}) | cell(x, h)
| a: randn({N}, {L}, {D}); b: randn({N}, {D}, {C}) | a @ b
| a: randn({N}, {L}, {D}); b: randn({N}, {D}, {C}) | torch.bmm(a, b)
| a: randn({N}, {L}, {D}); b: randn({N}, {C}, {D}) | torch.einsum("nld,ncd->nlc", a, b)
| a: randn({N}, {L}, {D}); b: randn({N}, {L}, {C}) | torch.cat((a, b), dim=-1)
| a: randn({N}, {D}); b: randn({N}, {D}) | torch.stack((a, b), dim=1)
| a: randn({N}, {L}, {D}); b: randn({N}, {L}, {D}) | a + b
| a: randn({N}, {L}, {D}); b: randn({D}) | a * b
| scores: randn({N}, {L}); mask: ones({N}, {L}).bool() | scores.masked_fill(mask, 0.0)
| x: randn({N}, {L}, {D}); index: randint({L}, ({N}, 1, {D})) | x.gather(1, index)
| x: randn({N}, {L}, {D}); index: randint({L}, (3,)) | x.index_select(1, index)
| x: randn({N}, {L}, {D}) | x.view({N}, {L}, {D}, 1)
| x: randn({N}, {L}, {D}) | x.reshape(-1, {L}, {D}).permute(1, 0, 2)
| logits: randn({N}, {C}); y: randint({C}, ({N},)) | F.cross_entropy(logits, y)
| logits: randn({N}, {C}, {L}); y: randint({C}, ({N}, {L})) | F.cross_entropy(logits, y)
| logits: randn({N}, {C}).log_softmax(-1); y: randint({C}, ({N},)) | F.nll_loss(logits, y)
| out: randn({N}, {L}); y: randn({N}, {L}) | F.mse_loss(out, y)
| out: rand({N}, {L}); y: rand({N}, {L}) | F.binary_cross_entropy(out, y)
| out: randn({N}, {L}); y: rand({N}, {L}) | F.binary_cross_entropy_with_logits(out, y)
| logp: randn({L}, {N}, {C}).log_softmax(-1); y: randint(1, {C}, ({N}, 2)); n: tensor([{L}] * {N}); m: tensor([2] * {N}) | F.ctc_loss(logp, y, n, m)
| x: randn({N}, {L}, {D}); lengths: arange({N}, 0, -1) | pack_padded_sequence(x, lengths, batch_first=True)
| x: randn({N}, {L}, {D}); lengths: arange({N}, 0, -1) | pack_padded_sequence(x, lengths, True, enforce_sorted=False)
| a: randn({L}, {D}); b: randn({N}, {D}) | pad_sequence([a, b])
"""
_WRONG = {
    "two axes exchanged": ".transpose({a}, {b}).contiguous()",
    "an axis more": ".unsqueeze({a})",
    "an axis less": ".select({a}, 0)",
    "an axis longer": ".repeat_interleave(2, {a})",
    "one index more": "[[*range({size}), 0]]",
    "double": ".double()",
    "float": ".float()",
    "long": ".long()",
    "int": ".int()",
    "bool": ".bool()",
    "counted from 1": " + 1",
    "negative": " - 1",
    "a tuple": ", None",
}


@dataclass(frozen=True)
class WrongCall:
    """A program that raises, and which operand was made wrong in what way."""

    program: str
    operand: str
    wrong: str


def _space() -> dict[str, Any]:
    names = ("pack_padded_sequence", "pad_packed_sequence", "pad_sequence")
    return {"torch": torch, "nn": nn, "F": F, **{name: getattr(packing, name) for name in names}}


def _built(program: str, file: str = "<wrong>") -> dict[str, Any]:
    linecache.cache[file] = (len(program), None, program.splitlines(True), file)
    space = _space()
    torch.manual_seed(1)
    exec(compile(program, file, "exec"), space)
    return space


def runs(program: str) -> bool:
    """Whether a program comes back."""
    with contextlib.suppress(Exception), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        space = _built(program, "<applied>")
        space["model"](*space["inputs"])
        return True
    return False


def written(layer: str, operands: dict[str, str], call: str) -> str:
    """A program for check: a model of the operands that makes the call."""
    inputs = ", ".join(f"torch.{text}" if not text.startswith("(") else text for text in operands.values())
    line = f"{layer}\n" if layer else ""
    return f"{line}def model({', '.join(operands)}):\n    return {call}\ninputs = ({inputs},)\nbatch_dim = None\n"


def wrong_calls(seed: int, count: int) -> Iterator[WrongCall]:
    """Some wrong calls, the same for the same seed."""
    draw = random.Random(seed)
    lines = _CALLS.strip().splitlines()
    while count:
        sizes = dict(zip("NLDCQ", draw.sample(range(4, 12), 5), strict=True))
        sizes |= {"V": draw.randint(15, 25), "E": 2 * draw.randint(4, 8)}
        layer, given, call = _split(draw.choice(lines), sizes)
        operands = dict(part.split(": ", 1) for part in given.split("; "))
        name, kind = draw.choice(list(operands)), draw.choice(list(_WRONG))
        shape = eval("torch." + operands[name], _space()).shape
        a, b = draw.sample(range(len(shape)), 2) if len(shape) > 1 else (0, 0)
        changed = f"(torch.{operands[name]}{_WRONG[kind].format(a=a, b=b, size=shape[0])})"
        right, wrong = written(layer, operands, call), written(layer, {**operands, name: changed}, call)
        assert runs(right), right
        if not runs(wrong):
            count -= 1
            yield WrongCall(wrong, name, kind)


def _split(line: str, sizes: dict[str, int]) -> tuple[str, str, str]:
    layer, given, call = re.split(r"(?:^|\s)\|\s", line.format(**sizes))
    return layer.strip(), given.strip(), call.strip()


def explained(program: str) -> Finding:
    """The finding of check that explains the exception."""
    space = _built(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check(space["model"], *space["inputs"], batch_dim=None)
    return next(found for found in report.findings if found.cause is not None)


# ---------------------------------------------------------------------- writing a fix into the program
def applied(program: str, fix: str) -> bool | None:
    """Whether a program runs with a change written into it that the fix holds; None where the fix holds no code."""
    lines = program.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("    return"))
    names = lines[at - 1].partition("(")[2].partition(")")[0].split(", ")
    called = lines[at].removeprefix("    return ").partition("(")[0]
    tried = []
    for part in fix.split("; or "):
        edits, layer, call = list[str](), lines[0], lines[at]
        for start in re.finditer(
            rf"(?<![\w.(])({'|'.join(names)}|nn\.\w+|{re.escape(called)}|torch\.\w+|F\.\w+)", part
        ):
            text = _code(part[start.start() :])
            if text is None or text.startswith("x.size"):
                continue
            if text.startswith("x.new_zeros"):
                edits += [f"    {name} = {text}" for name in names[1:]]
            elif start[1] in names and not text.startswith(f"{called}("):
                edits.append(f"    {start[1]} = {text}")
            elif start[1].startswith("nn.") and f"= {start[1]}(" in layer:
                layer = f"{layer.partition('= ')[0]}= {text}"
            elif text.startswith(f"{called}("):
                call = f"    return {text}"
            elif start[1].startswith("F.") and "(" not in text:
                call = call.replace(called, text)
            elif text.startswith("torch.sigmoid("):
                edits.append(f"    {names[0]} = {text}")
        written = {(layer, k, line) for k in range(len(edits) + 1) for line in (call, lines[at])}
        tried += ["\n".join([one, *lines[1:at], *edits[:k], line, *lines[at + 1 :]]) for one, k, line in written]
    tried = [one for one in tried if one.splitlines() != lines]
    return any(map(runs, tried)) if tried else None


def _code(text: str) -> str | None:
    """The longest beginning of a text that is an expression, and more than an operand's name."""
    for end in range(len(text), 0, -1):
        with contextlib.suppress(SyntaxError, ValueError):
            body = ast.parse(text[:end].strip(), mode="eval").body
            if isinstance(body, (ast.Call, ast.Subscript, ast.Attribute, ast.BinOp)):
                return ast.unparse(body)
    return None
