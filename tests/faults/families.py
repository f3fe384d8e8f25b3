"""Whole right programs: `program(seed)` draws a family and its sizes, and writes it."""

from __future__ import annotations

from typing import Any

from . import blocks
from .blocks import State
from .program import Builder, Program, Result

__all__ = ["FAMILIES", "program"]


def program(seed: int, family: str | None = None) -> Program:
    """The right program of this seed."""
    b = Builder(seed)
    weights = [weight for weight, _ in FAMILIES.values()]
    name = b.random.choices(list(FAMILIES), weights)[0]
    name = family or name
    FAMILIES[name][1](b)
    return b.program(name)


# classifiers and taggers -----------------------------------------------------------------------------------------------


def _recurrent_part(b: Builder, padded: bool, packs: bool) -> State:
    state = blocks.recur(b, packed=packs, padded=padded)
    if state.R == 2 and state.cell != "cell" and b.chance(0.25):
        blocks.sum_directions(b, state)
    while b.chance(0.35):
        if b.chance(0.4):
            blocks.middle(b, padded=padded)
        state = blocks.recur(b, packed=packs, padded=padded)
    return state


def _start(b: Builder, padded: bool, packs: bool) -> bool:
    """The inputs; whether rows are padded."""
    if b.chance(0.2):
        b.B, b.T = 1, 0
    draw = b.random.random()
    if padded:
        zero = not packs and b.chance(0.15)
        blocks.lengths(b, zero=zero, descending=b.chance(0.2), equal=b.chance(0.05))
    if draw < 0.45:
        blocks.sequences(b, padded=padded)
    elif draw < 0.85 or padded or b.T == 0:
        blocks.tokens(b, padded=padded)
    elif draw < 0.93:
        blocks.images(b)
    else:
        blocks.video(b)
    if padded and (packs or not b.mask or b.chance(0.4)):
        b.argument("lengths", "lengths", 0) if b.chance(0.85) else b.arguments.append("lengths")
    if not padded and b.B == 0 and b.chance(0.15):
        blocks.statics(b)
    return padded


def _finish_class(b: Builder) -> None:
    """A head on one vector a sample, and perhaps the loss."""
    C, x = b.size(2, 9), b.x
    if b.chance(0.3):
        hidden, D = b.name("fc1", "dense1", "pre_head"), b.size(5, 16)
        b.i(f"self.{hidden} = nn.Linear({b.width}, {D})")
        b.f(f"{x} = torch.relu(self.{hidden}({x}))")
        b.width = D
    if b.chance(0.2) and b.N > 1:
        norm = b.name("head_bn", "bn_out")
        b.i(f"self.{norm} = nn.BatchNorm1d({b.width})")
        b.f(f"{x} = self.{norm}({x})")
    if b.chance(0.3):
        drop = b.name("dropout", "drop", "head_drop")
        b.i(f"self.{drop} = nn.Dropout({b.pick('0.2', '0.5')})")
        b.f(f"{x} = self.{drop}({x})")
    head = b.name("fc", "head", "classifier", "linear", "out_proj")
    if b.chance(0.15):
        b.i(
            f"self.{head} = nn.Sequential(nn.Linear({b.width}, {b.width}), nn.ReLU(), nn.Dropout(0.1), nn.Linear({b.width}, {C}))"
        )
    else:
        b.i(f"self.{head} = nn.Linear({b.width}, {C})")
    logits = b.name("logits", "scores", "pred", "o")
    b.f(f"{logits} = self.{head}({x})")
    form = b.random.randrange(7)
    if form == 0:
        b.returns(f"F.log_softmax({logits}, dim=1)", Result(), wrongs=[("softmax_dim", "dim=1 -> dim=0")])
    elif form == 1:
        b.returns(f"torch.softmax({logits}, dim=-1)", Result(), wrongs=[("softmax_dim", "dim=-1 -> dim=0")])
    elif form == 2 and "lengths" not in b.arguments:
        b.argument("target", f"torch.randint(0, {C}, ({b.N},))", 0)
        b.f(f"loss = F.cross_entropy({logits}, target)")
        b.returns(
            f"loss, {logits}" if b.chance(0.5) else f"{{'loss': loss, 'logits': {logits}}}", Result("mean"), Result()
        )
    elif form == 3 and b.B == 0 and "lengths" not in b.arguments:
        b.argument("wanted", f"torch.randn({b.N}, {C})", 0)
        b.returns(
            f"F.mse_loss({logits}, wanted)",
            Result("mean"),
            wrongs=[("flatten", f"return F.mse_loss({logits}.flatten(), wanted.t().flatten())")],
        )
    else:
        b.returns(logits, Result())


def _classifier(b: Builder, padded: bool = False, packs: bool = False) -> None:
    _start(b, padded, packs)
    if b.chance(0.3):
        blocks.middle(b, padded=True if padded else b.chance(0.3))
    state = _recurrent_part(b, padded, packs)
    if (
        state.sorted
        or (state.cell != "cell" and b.chance(0.45) and (packs or not padded))
        or (state.cell == "cell" and not padded and b.chance(0.4))
    ):
        if b.chance(0.3) and not b.mask and "lengths" not in b.arguments:
            b.split(b.pick("encode", "_run", "features"), state.h, *([state.c] if state.c else []))
        blocks.read_state(b, state)
    else:
        if not padded and b.chance(0.4):
            blocks.middle(b)
            state = State(state.h, state.c, state.K, state.R, 0, "cell")
        blocks.pool(b, state, padded=padded)
    if b.chance(0.1) and not b.mask and "lengths" not in b.arguments:
        b.split("extract", b.x)
    _finish_class(b)


def classifier(b: Builder) -> None:
    _classifier(b)


def padded_classifier(b: Builder) -> None:
    _classifier(b, padded=True, packs=b.chance(0.65))


def tagger(b: Builder, padded: bool = False) -> None:
    packs = padded
    _start(b, padded, packs)
    if b.chance(0.3):
        blocks.middle(b, padded=True)
    _recurrent_part(b, padded, packs)
    if b.chance(0.4):
        blocks.middle(b, padded=padded)
    C, x, head = b.size(2, 9), b.x, b.name("fc", "head", "hidden2tag", "out")
    b.i(f"self.{head} = nn.Linear({b.width}, {C})")
    logits = b.name("logits", "emissions", "tag_space", "scores")
    b.f(f"{logits} = self.{head}({x})")
    axes = Result(b.B, b.T)
    form = b.random.randrange(6)
    if padded and form < 3:
        form = 5
    if form == 0:
        b.returns(
            f"F.log_softmax({logits}, dim={b.pick('2', '-1')})",
            axes,
            wrongs=[("softmax_dim", f"return F.log_softmax({logits}, dim={b.B})")],
        )
    elif form == 1:
        b.argument(
            "tags",
            f"torch.randint(0, {C}, ({b.N}, {b.L}))" if b.T else f"torch.randint(0, {C}, ({b.L}, {b.N}))",
            b.B,
            b.T,
        )
        b.f(
            f"loss = F.cross_entropy({logits}.reshape(-1, {C}), tags.reshape(-1))",
            ("flatten", f"{logits}.reshape -> {logits}.transpose(0, 1).reshape"),
            ("flatten", "tags.reshape(-1) -> tags.t().reshape(-1)"),
        )
        b.returns("loss", Result("mean"))
    elif form == 2 and b.T:
        b.argument("tags", f"torch.randint(0, {C}, ({b.N}, {b.L}))", 0, 1)
        b.f(
            f"loss = F.cross_entropy({logits}.transpose(1, 2), tags)",
            ("flatten", f"{logits}.transpose(1, 2) -> {logits}.reshape({logits}.size(1), -1, {C}).permute(1, 2, 0)"),
        )
        b.returns(f"loss, {logits}", Result("mean"), axes)
    elif form == 3 and b.T and not padded:
        b.f(f"{logits} = {logits}.permute(1, 0, 2)")
        b.returns(f"F.log_softmax({logits}, dim=2)", Result(1, 0), wrongs=[("softmax_dim", "dim=2 -> dim=1")])
    elif form == 4:
        _crf(b, logits, C, axes, padded)
    else:
        b.returns(logits, axes)


def _crf(b: Builder, logits: str, C: int, axes: Result, padded: bool) -> None:
    """The partition function of a linear chain, one number a sample."""
    b.i(f"self.transitions = nn.Parameter(torch.randn({C}, {C}))")
    step = f"{logits}[:, t]" if b.T else f"{logits}[t]"
    b.f(f"alpha = {step.replace('t]', '0]')}")
    b.f(
        f"for t in range(1, {logits}.size({b.T})):",
        1 < b.N < b.L and not padded and ("loop_axis", f"size({b.T}) -> size({b.B})"),
    )
    text = f"torch.logsumexp(alpha.unsqueeze(2) + self.transitions + {step}.unsqueeze(1), dim=1)"
    if padded:
        b.f(f"    new = {text}")
        b.f("    alpha = torch.where((t < lengths).unsqueeze(1), new, alpha)", ("pool_mask", "alpha = new"))
    else:
        b.f(f"    alpha = {text}", b.N == C and ("pool_dim", "dim=1) -> dim=0)"))
    b.returns("torch.logsumexp(alpha, dim=1)", Result(), wrongs=[("pool_dim", "dim=1 -> dim=0")])


def padded_tagger(b: Builder) -> None:
    tagger(b, padded=True)


# language models -------------------------------------------------------------------------------------------------------


def language_model(b: Builder) -> None:
    if b.chance(0.5):
        b.B, b.T = 1, 0
    V, E = b.size(20, 40), b.size(5, 12)
    tied = b.chance(0.3)
    D, K = E if tied else b.size(5, 14), b.random.choice([1, 2, 2, 3])
    cell = b.pick("LSTM", "GRU", "LSTM")
    shape = f"{b.N}, {b.L + 1}" if b.T else f"{b.L + 1}, {b.N}"
    b.argument("tokens", f"torch.randint(0, {V}, ({shape}))", b.B, b.T)
    drop, embed, rnn, head = b.name("drop"), b.name("encoder", "embed"), b.name("rnn", "lstm"), b.name("decoder", "fc")
    b.i(f"self.{drop} = nn.Dropout({b.pick('0.2', '0.5')})")
    b.i(f"self.{embed} = nn.Embedding({V}, {E})")
    first = ", batch_first=True" if b.T else ""
    line = f"self.{rnn} = nn.{cell}({E}, {D}, {K}{first}{', dropout=0.3' if K > 1 else ''})"
    b.i(
        line,
        ("batch_first", f"{first} -> ", "@rnn") if b.T else ("batch_first", line[:-1] + ", batch_first=True)", "@rnn"),
    )
    b.i(f"self.{head} = nn.Linear({D}, {V})")
    if tied:
        b.i(f"self.{head}.weight = self.{embed}.weight")
    past, nexts = ("tokens[:, :-1]", "tokens[:, 1:]") if b.T else ("tokens[:-1]", "tokens[1:]")
    form = b.random.randrange(3)
    b.f(f"source = {past}", form < 2 and ("sees_target", f"source = {nexts}"))
    b.f(f"target_ids = {nexts}", form < 2 and ("sees_target", f"target_ids = {past}"))
    b.f(f"emb = self.{drop}(self.{embed}(source))")
    b.f(f"output, state = self.{rnn}(emb)", tag="@rnn")
    b.f(f"output = self.{drop}(output)")
    if form == 0:
        b.f(
            f"decoded = self.{head}(output.reshape(-1, {D}))",
            ("flatten", "output.reshape -> output.transpose(0, 1).reshape", "@loss"),
        )
        b.f(
            "loss = F.cross_entropy(decoded, target_ids.reshape(-1))",
            ("flatten", "target_ids.reshape -> target_ids.t().reshape"),
            tag="@loss",
        )
        b.returns("loss", Result("mean"))
    elif form == 1:
        b.f(f"logp = F.log_softmax(self.{head}(output), dim=-1)", ("softmax_dim", f"dim=-1 -> dim={b.B}"))
        b.f("picked = logp.gather(2, target_ids.unsqueeze(2)).squeeze(2)")
        b.returns(f"-picked.sum({b.T})", Result(), wrongs=[("pool_dim", f"sum({b.T}) -> sum({b.B})")])
    else:
        b.f(f"decoded = self.{head}(output)")
        b.returns("decoded, target_ids", Result(b.B, b.T), Result(b.B, b.T))


# encoder and decoder ---------------------------------------------------------------------------------------------------


def seq2seq(b: Builder) -> None:
    """Teacher forcing: the decoder starts from the encoder's state."""
    cell, K, V, E, D = b.pick("LSTM", "GRU"), b.random.choice([1, 1, 2, 3]), b.size(20, 40), b.size(4, 9), b.size(5, 12)
    R = 2 if b.chance(0.3) else 1
    S = b.size(3, 9)
    tgt_axes = f"{b.N}, {S}"
    src, tgt = b.pick("src", "source", "x"), b.pick("tgt", "trg", "y_in")
    if b.chance(0.5):
        b.argument(src, f"torch.randint(0, {V}, ({b.N}, {b.L}))", 0, 1)
        b.i(f"self.src_embed = nn.Embedding({V}, {E})")
        b.f(f"e = self.src_embed({src})")
    else:
        b.argument(src, f"torch.randn({b.N}, {b.L}, {E})", 0, 1)
        b.f(f"e = {src}")
    b.argument(tgt, f"torch.randint(0, {V}, ({tgt_axes}))", 0, 1)
    W = b.size(4, 9)
    b.i(f"self.tgt_embed = nn.Embedding({V}, {W})")
    b.i(
        f"self.encoder = nn.{cell}({E}, {D}, {K}, batch_first=True, bidirectional={R == 2})",
        ("batch_first", ", batch_first=True -> ", "@enc", "@dec"),
    )
    wide = D * R
    merge = R == 2
    lstm = cell == "LSTM"
    b.i(
        f"self.decoder = nn.{cell}({W}, {wide if merge else D}, {K}, batch_first=True)",
        ("batch_first", ", batch_first=True -> ", "@dec"),
    )
    b.f("memory, (h, c) = self.encoder(e)" if lstm else "memory, h = self.encoder(e)", tag="@enc")
    if merge:
        for name in "hc"[: 1 + lstm]:
            if b.chance(0.5):
                b.f(f"{name} = {name}.view({K}, 2, -1, {D}).transpose(1, 2).reshape({K}, -1, {wide})",
                    ("state_view", f"{name} = {name}.reshape({K}, -1, {wide})"),
                    K == 2 and ("wrong_layers", f"view({K}, 2, -1, {D}).transpose(1, 2) -> view(2, {K}, -1, {D}).permute(1, 2, 0, 3)"))  # fmt: skip
            else:
                b.f(f"{name} = torch.cat([{name}[0::2], {name}[1::2]], dim=2)", K > 1 and ("wrong_layers", f"{name} = torch.cat([{name}[:{K}], {name}[{K}:]], dim=2)"),
                    ("one_direction", f"{name} = torch.cat([{name}[0::2], {name}[0::2]], dim=2)"))  # fmt: skip
    state = "(h, c)" if lstm else "h"
    wrongs = [("states_exchanged", "(h, c) -> (c, h)")] if lstm else []
    wrongs += [("wrong_layers", f"{state} -> {'(h.flip(0), c.flip(0))' if lstm else 'h.flip(0)'}")] if K > 1 else []
    attends = b.chance(0.6)
    wrongs += [] if attends else [("argument_unread", f"output, _ = self.decoder(self.tgt_embed({tgt}))")]
    wrongs += [("other_rows", f"{state} -> {'(h.roll(1, 1), c)' if lstm else 'h.roll(1, 1)'}")]
    if b.chance(0.5):
        b.split("encode", "memory", *(["h", "c"] if lstm else ["h"]))
    b.f(f"output, _ = self.decoder(self.tgt_embed({tgt}), {state})", *wrongs, tag="@dec")
    width = wide if merge else D
    if attends:
        attend = b.random.randrange(3)
        b.i(f"self.query = nn.Linear({width}, {wide})")
        if attend == 0:
            b.f("scores = torch.bmm(self.query(output), memory.transpose(1, 2))")
            b.f("weights = torch.softmax(scores, dim=-1)", ("softmax_dim", "dim=-1 -> dim=0"))
            b.f("context = torch.bmm(weights, memory)")
        elif attend == 1:
            b.f("scores = torch.einsum('nsd,nld->nsl', self.query(output), memory)")
            b.f("weights = F.softmax(scores, dim=2)", ("softmax_dim", "dim=2 -> dim=0"))
            b.f("context = torch.einsum('nsl,nld->nsd', weights, memory)", ("product", "nsl,nld->nsd -> nsl,mld->nsd"))
        else:
            b.f("scores = (self.query(output).unsqueeze(2) * memory.unsqueeze(1)).sum(-1)")
            b.f("weights = F.softmax(scores, dim=-1)", ("softmax_dim", "dim=-1 -> dim=0"))
            b.f(
                "context = (weights.unsqueeze(-1) * memory.unsqueeze(1)).sum(2)",
                ("pool_dim", "sum(2) -> sum(0, keepdim=True).sum(2).expand(output.size(0), -1, -1)"),
            )
        b.f("output = torch.cat([output, context], dim=-1)")
        width += wide
    b.i(f"self.out = nn.Linear({width}, {V})")
    b.returns("self.out(output)", Result(0, None))


def decoder_loop(b: Builder) -> None:
    """A decoder step by step: greedy, sampled, teacher forced by chance, or over floats; with or without attention."""
    kind, V, W, D, S = (
        b.pick("greedy", "sampled", "scheduled", "floats", "forced"),
        b.size(15, 30),
        b.size(4, 9),
        b.size(5, 12),
        b.size(3, 8),
    )
    padded = b.chance(0.3)
    Q = b.size(3, 9)
    if padded:
        blocks.lengths(b)
        b.s(f"batch = torch.randn({b.N}, {b.L}, {Q})")
    b.argument("src", "batch" if padded else f"torch.randn({b.N}, {b.L}, {Q})", 0, 1)
    if padded:
        b.argument("lengths", "lengths", 0)
    forced = kind in ("scheduled", "forced")
    if forced:
        b.argument("tgt", f"torch.randint(0, {V}, ({b.N}, {S}))", 0)
    cell = b.pick("LSTM", "GRU")
    lstm = cell == "LSTM"
    first = b.chance(0.7)
    attention = b.chance(0.6)
    if kind == "floats":
        W, V = Q, Q
        b.i(f"self.encoder = nn.{cell}({Q}, {D}, batch_first=True)", ("batch_first", ", batch_first=True -> ", "@enc"))
    else:
        b.i(
            f"self.encoder = nn.{cell}({Q}, {D}, batch_first=True)",
            not padded and ("batch_first", ", batch_first=True -> ", "@enc"),
        )
        b.i(f"self.embed = nn.Embedding({V}, {W})")
    b.i(f"self.cell = nn.{cell}Cell({W + D if attention else W}, {D})")
    b.i(f"self.out = nn.Linear({D}, {V})")
    state = "(h, c)" if lstm else "h"
    if padded:
        b.f("packed = pack_padded_sequence(src, lengths.cpu(), batch_first=True, enforce_sorted=False)")
        b.f(
            f"memory, {state} = self.encoder(packed)",
            (
                "unpacked",
                f"memory, {state} = self.encoder(src); memory = pack_padded_sequence(memory, lengths, True, False)",
            ),
        )
        b.f("memory, _ = pad_packed_sequence(memory, batch_first=True)")
        b.f(
            "mask = torch.arange(memory.size(1))[None, :] < lengths[:, None]",
            attention and ("lengths_off", "lengths[:, None] -> lengths[:, None] + 1"),
        )
    else:
        b.f(f"memory, {state} = self.encoder(src)", tag="@enc")
    if lstm:
        b.f("h, c = h[-1], c[-1]", ("states_exchanged", "h, c = c[-1], h[-1]"))
    else:
        b.f("h = h[-1]")
    if kind == "floats":
        b.f("inp = src[:, -1]" if not padded else "inp = src[:, 0]")
    else:
        b.f(
            "inp = torch.zeros(src.size(0), dtype=torch.long)"
            if b.chance(0.5)
            else "inp = torch.full((src.size(0),), 1, dtype=torch.long)"
        )
    b.f("outputs = []")
    count = "tgt.size(1)" if forced else str(S)
    b.f(f"for t in range({count}):", forced and 1 < b.N < S and ("loop_axis", "tgt.size(1) -> tgt.size(0)"))
    b.f("    e = inp" if kind == "floats" else "    e = self.embed(inp)")
    if attention:
        form = b.random.randrange(2)
        if form == 0:
            b.f("    energy = torch.bmm(memory, h.unsqueeze(2)).squeeze(2)")
        else:
            b.i(f"self.attn = nn.Linear({2 * D}, 1)")
            b.f(
                "    energy = self.attn(torch.cat([memory, h.unsqueeze(1).expand_as(memory)], 2)).squeeze(2)",
                b.N > 1
                and ("tiled", "h.unsqueeze(1).expand_as(memory) -> h.repeat(memory.size(1), 1).view_as(memory)"),
            )
        if padded:
            b.f(
                "    energy = energy.masked_fill(~mask, -1e9)",
                ("softmax_mask", "energy = energy.contiguous()", "@soft"),
            )
        b.f("    alpha = torch.softmax(energy, dim=1)", ("softmax_dim", "dim=1 -> dim=0"), tag="@soft")
        b.f(
            "    context = torch.bmm(alpha.unsqueeze(1), memory).squeeze(1)",
            ("pool_dim", "context = (alpha.unsqueeze(2) * memory).mean(0, keepdim=True).sum(1).expand_as(h)"),
        )
        b.f("    e = torch.cat([e, context], dim=1)")
    if lstm:
        b.f(
            "    h, c = self.cell(e, (h, c))",
            ("states_exchanged", "c, h = self.cell(e, (h, c))"),
            ("state_lost", "h, c = self.cell(e)"),
        )
        b.f("    logits = self.out(h)", ("cell_kept", "logits = self.out(c)"))
    else:
        b.f("    h = self.cell(e, h)", ("state_lost", "_ = self.cell(e, h)"))
        b.f("    logits = self.out(h)")
    b.f("    outputs.append(logits)")
    if kind == "greedy":
        b.f(
            "    inp = logits.argmax(dim=1)" if b.chance(0.5) else "    inp = logits.max(1)[1].detach()",
            b.N <= V and ("pool_dim", "inp = logits[:, :logits.size(0)].argmax(0)"),
        )
    elif kind == "sampled":
        if b.chance(0.5):
            b.f("    probs = F.softmax(logits, dim=-1)", ("softmax_dim", "dim=-1 -> dim=0"))
            b.f("    inp = torch.multinomial(probs, 1).squeeze(1)")
        else:
            b.f("    inp = torch.distributions.Categorical(logits=logits).sample()")
    elif kind == "scheduled":
        b.f("    inp = tgt[:, t] if random.random() < 0.5 else logits.argmax(1)")
    elif kind == "forced":
        b.f("    inp = tgt[:, t]")
    else:
        b.f("    inp = logits")
    if first:
        b.returns(
            "torch.stack(outputs, dim=1)",
            Result(),
            wrongs=[
                ("stack_dim", f"return torch.stack(outputs, dim=0).view(src.size(0), -1, {V})"),
                ("cat_dim", f"return torch.cat(outputs, dim=0).view(src.size(0), -1, {V})"),
            ],
        )
    else:
        b.returns("torch.stack(outputs)", Result(1))


def autoencoder(b: Builder) -> None:
    """A code for each sample, repeated over the steps and decoded; perhaps variational."""
    blocks.sequences(b)
    Q, x = b.width, b.x
    b.f(f"seq = {x}")
    b.x = "seq"
    state = blocks.encode(b, R=1)
    blocks.read_state(b, state)
    Z, v = b.size(2, 8), b.x
    b.i(f"self.to_z = nn.Linear({b.width}, {Z})")
    if b.chance(0.4):
        b.i(f"self.to_logvar = nn.Linear({b.width}, {Z})")
        b.f(f"mu, logvar = self.to_z({v}), self.to_logvar({v})")
        b.f("z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()")
        extra = b.chance(0.5)
    else:
        b.f(f"z = self.to_z({v})")
        extra = False
    D, first = b.size(4, 12), b.chance(0.7)
    b.i(
        f"self.decoder = nn.LSTM({Z}, {D}, batch_first={first})",
        ("batch_first", f"batch_first={first} -> batch_first={not first}", "@dec"),
    )
    b.i(f"self.head = nn.Linear({D}, {Q})")
    L = b.L
    if first:
        b.f(f"rep = z.unsqueeze(1).repeat(1, {L}, 1)", ("tiled", f"rep = z.repeat({L}, 1).view(-1, {L}, {Z})"))
    else:
        b.f(
            f"rep = z.expand({L}, -1, -1)" if b.chance(0.5) else f"rep = z.unsqueeze(0).repeat({L}, 1, 1)",
            ("tiled", f"rep = z.repeat_interleave({L}, 0).view({L}, -1, {Z})"),
        )
    b.f("y, _ = self.decoder(rep)", tag="@dec")
    out = Result(0 if first else 1)
    if extra:
        b.f("kl = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(1)", ("pool_dim", "sum(1) -> sum(0)"))
        b.returns("self.head(y), kl", out, Result())
    else:
        b.returns("self.head(y)", out)


# other shapes of programs ----------------------------------------------------------------------------------------------


def own_state(b: Builder) -> None:
    """The state is an attribute, made anew at the top of each forward."""
    blocks.sequences(b)
    D, C, K, x = b.size(4, 12), b.size(2, 8), b.random.choice([1, 2]), b.x
    b.modes = ("", "eval")
    b.i(
        f"self.lstm = nn.LSTM({b.width}, {D}, {K}, batch_first=True)",
        ("batch_first", ", batch_first=True -> ", "@run", "@init"),
    )
    b.i(f"self.fc = nn.Linear({D}, {C})")
    b.i("self.hidden = None")
    size = f"torch.zeros({K}, {x}.size(0), {D})"
    fresh = f"self.hidden = ({size}, {size})"
    kept = f"self.hidden = self.hidden or ({size}, {size})"
    form = b.random.randrange(3)
    if form == 0:
        b.f(fresh, ("state_kept", kept, "@run"), tag="@init")
        b.f(f"y, self.hidden = self.lstm({x}, self.hidden)", tag="@run")
    elif form == 1:
        b.f("self.hidden = None", ("state_kept", "pass", "@run"))
        b.f(f"y, self.hidden = self.lstm({x}, self.hidden)", tag="@run")
    else:
        b.f(
            f"state = ({size}, {size})",
            ("state_kept", f"state = self.hidden or ({size}, {size})", "@run", "@keep"),
            tag="@init",
        )
        b.f(f"y, state = self.lstm({x}, state)", tag="@run")
        b.f("self.hidden = tuple(s.detach() for s in state)", tag="@keep")
    b.returns(
        "self.fc(y[:, -1])",
        Result(),
        wrongs=[("first_step", "y[:, -1] -> y[:, 0]"), ("other_axis", "y[:, -1] -> y[-1]")],
    )


def siamese(b: Builder) -> None:
    """Two towers: similarities of all pairs, of each pair, or a contrastive loss."""
    blocks.sequences(b)
    b.f(f"seq = {b.x}")
    b.x, x = "seq", b.arguments[0]
    state = blocks.encode(b, R=1)
    if b.chance(0.5):
        blocks.read_state(b, state)
    else:
        blocks.pool(b, state)
    b.argument("other", b.inputs[0] if "randn" in b.inputs[0] else "batch", b.B, b.T)
    b.arguments.pop()
    E, proj = b.size(3, 9), b.name("proj_out", "to_shared")
    b.i(f"self.{proj} = nn.Linear({b.width}, {E})")
    lines, b.forward = b.forward, []
    from .program import _Line

    lines.append(_Line(f"return F.normalize(self.{proj}({b.x}), dim=1)", (("norm_dim", "dim=1 -> dim=0"),)))
    name = b.pick("embed", "tower", "encode_one")
    b.method(name, x, lines)
    b.arguments = ["left", "right"]
    b.f(f"a, z = self.{name}(left), self.{name}(right)")
    form = b.random.randrange(5)
    if form == 4:
        b.f("sim = a @ z.t() / 0.2")
        b.f("labels = torch.arange(sim.size(0))")
        b.returns("F.cross_entropy(sim, labels), a", Result(None), Result())
    elif form == 0:
        b.returns("a @ z.t()", Result("pairs"))
    elif form == 1:
        b.f("sim = torch.mm(a, z.t()) / 0.1")
        b.returns("sim", Result("pairs"))
    elif form == 2:
        b.returns(
            "F.cosine_similarity(a, z)",
            Result(),
            wrongs=[
                ("norm_dim", "return (a * z).sum(1) / (a.norm() * z.norm())"),
                ("other_rows", "return F.cosine_similarity(a, z.roll(1, 0))"),
            ],
        )
    else:
        b.returns(
            "(a * z).sum(1)",
            Result(),
            wrongs=[
                ("product", "return (a @ z.t()).sum(1)"),
                ("product", "return (a @ z.t()).mean(0)"),
                ("pool_dim", "sum(1) -> sum(0)"),
            ],
        )


def step_model(b: Builder) -> None:
    """(observation, state) -> (values, state)."""
    Q, D, A, E = b.size(3, 9), b.size(5, 12), b.size(2, 6), b.size(6, 12)
    kind = b.pick("GRUCell", "LSTMCell", "LSTM")
    b.argument("obs", f"torch.randn({b.N}, {Q})", 0)
    b.i(f"self.fc1 = nn.Linear({Q}, {E})")
    b.f("x = torch.relu(self.fc1(obs))", ("norm_dim", "x = torch.softmax(self.fc1(obs), dim=0)"))
    if kind == "GRUCell":
        b.argument("h", f"torch.zeros({b.N}, {D})" if b.chance(0.5) else f"torch.randn({b.N}, {D})", 0)
        b.i(f"self.rnn = nn.GRUCell({E}, {D})")
        b.f("h = self.rnn(x, h)", "randn" in b.inputs[-1] and ("argument_unread", "h = self.rnn(x)"))
    elif kind == "LSTMCell":
        b.argument("h", f"torch.randn({b.N}, {D})", 0)
        b.argument("c", f"torch.randn({b.N}, {D})", 0)
        b.i(f"self.rnn = nn.LSTMCell({E}, {D})")
        b.f(
            "h, c = self.rnn(x, (h, c))",
            ("states_exchanged", "(h, c)) -> (c, h))"),
            ("argument_unread", "h, c = self.rnn(x)"),
        )
    else:
        b.i(f"self.rnn = nn.LSTM({E}, {D}, batch_first=True)", ("batch_first", ", batch_first=True -> ", "@run"))
        b.f("out, (h, c) = self.rnn(x.unsqueeze(1))", ("batch_first", "x.unsqueeze(1) -> x.unsqueeze(0)"), tag="@run")
        b.f("x = out.squeeze(1)")
    b.i(f"self.q = nn.Linear({D}, {A})")
    if kind == "LSTM":
        b.returns("self.q(x)", Result())
    elif b.chance(0.4):
        b.f("adv = self.q(h)")
        b.f("adv = adv - adv.mean(dim=1, keepdim=True)", ("pool_dim", "dim=1 -> dim=0"))
        b.returns("adv, h" if kind == "GRUCell" else "adv, (h, c)", *[Result()] * (2 if kind == "GRUCell" else 3))
    else:
        b.returns(
            "self.q(h), h" if kind == "GRUCell" else "self.q(h), (h, c)", *[Result()] * (2 if kind == "GRUCell" else 3)
        )


def actor(b: Builder) -> None:
    """Steps with episodes that end: the state is reset where done; the state is given, zero, or kept on the module."""
    Q, D, A = b.size(3, 9), b.size(5, 12), b.size(2, 6)
    b.B, b.T = 1, 0
    kept = b.chance(0.35)
    b.argument("obs", f"torch.randn({b.L}, {b.N}, {Q})", 1, 0)
    b.argument("done", f"(torch.rand({b.L}, {b.N}) < 0.3).float()", 1, 0)
    if kept:
        b.stateful, b.modes = True, ("",)
        b.i("self.state = None")
    b.i(f"self.net = nn.Sequential(nn.Linear({Q}, {2 * D}), nn.Tanh())")
    b.i(
        f"self.lstm = nn.LSTM({2 * D}, {D})",
        ("batch_first", f"self.lstm = nn.LSTM({2 * D}, {D}, batch_first=True)", "@run"),
    )
    b.i(f"self.actor = nn.Linear({D}, {A})")
    b.i(f"self.critic = nn.Linear({D}, 1)")
    b.f(
        "hidden = self.net(obs)",
        ("norm_dim", "hidden = self.net((obs - obs.mean(1, keepdim=True)) / (obs.std(1, keepdim=True) + 1e-5))"),
    )
    zeros = f"(torch.zeros(1, obs.size(1), {D}), torch.zeros(1, obs.size(1), {D}))"
    if kept:
        b.f("if self.state is None or self.state[0].size(1) != obs.size(1):")
        b.f(f"    self.state = {zeros}")
        b.f("h, c = self.state")
    else:
        b.f(f"h, c = {zeros}")
    b.f("outs = []")
    b.f("for t in range(obs.size(0)):", 1 < b.N < b.L and ("loop_axis", "obs.size(0) -> obs.size(1)"))
    b.f(
        "    keep = (1 - done[t]).view(1, -1, 1)",
        b.N > 1 and ("pool_dim", "keep = (1 - done[t].max()).view(1, 1, 1)"),
        ("other_rows", "keep = (1 - done[t].flip(0)).view(1, -1, 1)"),
    )
    b.f("    h, c = h * keep, c * keep")
    b.f(
        "    out, (h, c) = self.lstm(hidden[t].unsqueeze(0), (h, c))",
        ("states_exchanged", "out, (c, h) = self.lstm(hidden[t].unsqueeze(0), (h, c))"),
        ("state_lost", "out, _ = self.lstm(hidden[t].unsqueeze(0), (h, c))"),
        tag="@run",
    )
    b.f("    outs.append(out)")
    if kept:
        b.f("self.state = (h.detach(), c.detach())", ("graph_kept", "self.state = (h, c)"))
    b.f("y = torch.cat(outs, dim=0)")
    b.f("value = self.critic(y).squeeze(-1)")
    b.f("logp = F.log_softmax(self.actor(y), dim=-1)", ("softmax_dim", "dim=-1 -> dim=1"))
    b.returns("logp, value", Result(1), Result(1))


def flattened_steps(b: Builder) -> None:
    """PPO: steps and environments flattened for a network, and told apart again for the layer."""
    Q, D, A = b.size(3, 9), b.size(5, 12), b.size(2, 6)
    b.B, b.T = 1, 0
    b.argument("obs", f"torch.randn({b.L}, {b.N}, {Q})", 1, 0)
    b.i(f"self.body = nn.Sequential(nn.Linear({Q}, {2 * D}), nn.ReLU())")
    b.i(f"self.gru = nn.GRU({2 * D}, {D})")
    b.i(f"self.pi = nn.Linear({D}, {A})")
    b.f("T, B = obs.shape[:2]")
    b.f(f"flat = obs.reshape(T * B, {Q})", ("flatten", f"flat = obs.transpose(0, 1).reshape(T * B, {Q})", "@back"))
    b.f("feat = self.body(flat)")
    b.f(
        "feat = feat.view(T, B, -1)",
        ("flatten", "feat = feat.view(B, T, -1).transpose(0, 1)"),
        ("flatten", "feat = feat.view(B, T, -1)", "@gru"),
        tag="@back",
    )
    b.f("y, _ = self.gru(feat)", tag="@gru")
    b.f(f"y = y.reshape(-1, {D})")
    b.f(
        "logits = self.pi(y).view(T, B, -1)",
        ("flatten", "self.pi(y).view(T, B, -1) -> self.pi(y).view(B, T, -1).transpose(0, 1)"),
    )
    b.returns("logits", Result(1))


def shrinking(b: Builder) -> None:
    """A loop over steps whose batch shrinks as rows of a length-sorted batch end."""
    blocks.lengths(b, descending=True)
    Q, D, C = b.size(3, 9), b.size(5, 12), b.size(2, 7)
    b.s(f"batch = torch.randn({b.N}, {b.L}, {Q})")
    b.argument("x", "batch", 0, 1)
    column = b.chance(0.4)
    b.argument("lengths", "lengths.unsqueeze(1)" if column else "lengths", 0)
    b.i(f"self.cell = nn.LSTMCell({Q}, {D})")
    b.i(f"self.fc = nn.Linear({D}, {C})")
    lens = "lengths.squeeze(1)" if column else "lengths"
    b.f(f"h = torch.zeros(x.size(0), {D})")
    b.f(f"c = torch.zeros(x.size(0), {D})")
    if b.chance(0.5):
        b.f(f"out = torch.zeros(x.size(0), x.size(1), {C})")
        b.f(f"for t in range(int({lens}.max())):")
        b.f(f"    n = int(({lens} > t).sum())", ("lengths_off", f"n = int(({lens} >= t).sum())", "@step", "@write"))
        b.f(
            "    h, c = self.cell(x[:n, t], (h[:n], c[:n]))",
            ("other_rows", "h[:n], c[:n] -> h[-n:], c[-n:]"),
            ("state_lost", "h, c = self.cell(x[:n, t])"),
            tag="@step",
        )
        b.f("    out[:n, t] = self.fc(h)", ("cell_kept", "self.fc(h) -> self.fc(c)"), tag="@write")
        b.returns("out", Result(0, 1))
    else:
        b.f("last = []")
        b.f(f"for t in range(int({lens}.max())):")
        b.f(f"    n = int(({lens} > t).sum())")
        b.f("    last.insert(0, h[n:])")
        b.f(
            "    h, c = self.cell(x[:n, t], (h[:n], c[:n]))",
            ("states_exchanged", "c, h = self.cell(x[:n, t], (h[:n], c[:n]))"),
        )
        b.f("last.insert(0, h)")
        b.returns(
            "self.fc(torch.cat(last))", Result(), wrongs=[("other_rows", "return self.fc(torch.cat(last[::-1]))")]
        )


def masked_loop(b: Builder) -> None:
    """A loop that keeps the state where a row has ended; rows may have no step at all."""
    blocks.lengths(b, zero=b.chance(0.4))
    Q, D, C = b.size(3, 9), b.size(5, 12), b.size(2, 7)
    b.s(f"batch = torch.randn({b.N}, {b.L}, {Q})")
    b.argument("x", "batch", 0, 1)
    b.argument("lengths", "lengths", 0)
    b.i(f"self.cell = nn.GRUCell({Q}, {D})")
    b.i(f"self.fc = nn.Linear({D}, {C})")
    b.f(f"h = x.new_zeros(x.size(0), {D})")
    b.f("for t in range(x.size(1)):")
    b.f("    new = self.cell(x[:, t], h)", ("state_lost", "new = self.cell(x[:, t])"))
    if b.chance(0.5):
        b.f(
            "    m = (t < lengths).float().unsqueeze(1)",
            ("lengths_off", "t < lengths -> t <= lengths", "@keep"),
            ("other_lengths", "lengths -> lengths.flip(0)", "@keep"),
        )
        b.f("    h = m * new + (1 - m) * h", ("pool_mask", "h = new"), tag="@keep")
    else:
        b.f(
            "    h = torch.where((t < lengths).view(-1, 1), new, h)",
            ("pool_mask", "h = new"),
            ("other_lengths", "t < lengths -> t < lengths.sort()[0]"),
        )
    b.returns("self.fc(h)", Result())


def hierarchical(b: Builder) -> None:
    """Words of sentences of documents: sentences folded into the batch, and back."""
    S, W, V, E, D, C = b.size(2, 6), b.size(4, 9), b.size(15, 30), b.size(4, 9), b.size(4, 8), b.size(2, 6)
    b.argument("docs", f"torch.randint(0, {V}, ({b.N}, {S}, {W}))", 0)
    b.i(f"self.embed = nn.Embedding({V}, {E})")
    b.i(
        f"self.word = nn.GRU({E}, {D}, batch_first=True, bidirectional=True)",
        ("batch_first", ", batch_first=True -> ", "@word"),
    )
    b.i(f"self.sent = nn.LSTM({2 * D}, {D + 1}, batch_first=True)", ("batch_first", ", batch_first=True -> ", "@sent"))
    b.f("n, s, w = docs.shape")
    b.f("flat = docs.reshape(n * s, w)", ("flatten", "flat = docs.transpose(0, 1).reshape(n * s, w)", "@back"))
    b.f("y, h = self.word(self.embed(flat))", tag="@word")
    if b.chance(0.5):
        b.f("v = h.transpose(0, 1).reshape(n * s, -1)", ("state_view", "v = h.reshape(n * s, -1)"))
    else:
        b.i(f"self.att = nn.Linear({2 * D}, 1)")
        b.f("a = torch.softmax(self.att(y), dim=1)", ("softmax_dim", "dim=1 -> dim=0"), ("size_one", "dim=1 -> dim=2"))
        b.f("v = (a * y).sum(1)")
    b.f("v = v.view(n, s, -1)", ("flatten", "v = v.view(s, n, -1).transpose(0, 1)"), tag="@back")
    b.f("z, _ = self.sent(v)", tag="@sent")
    b.i(f"self.fc = nn.Linear({D + 1}, {C})")
    b.returns("self.fc(z.max(1)[0])" if b.chance(0.5) else "self.fc(z[:, -1])", Result())


def conv_lstm(b: Builder) -> None:
    """Gates that are convolutions, over frames."""
    C, F, H, W, A = b.size(1, 3), b.size(4, 7), b.size(4, 7), b.size(5, 8), b.size(2, 6)
    b.argument("clip", f"torch.randn({b.N}, {b.L}, {C}, {H}, {W})", 0, 1)
    b.i(f"self.conv = nn.Conv2d({C + F}, {4 * F}, 3, padding=1)")
    b.f(f"h = torch.zeros(clip.size(0), {F}, {H}, {W})")
    b.f("c = torch.zeros_like(h)")
    b.f("maps = []")
    b.f("for t in range(clip.size(1)):", 1 < b.N < b.L and ("loop_axis", "clip.size(1) -> clip.size(0)"))
    b.f(
        "    gates = self.conv(torch.cat([clip[:, t], h], dim=1))",
        ("own_state_lost", "clip[:, t], h] -> clip[:, t], torch.zeros_like(h)]"),
    )
    b.f(
        "    i, f, o, g = torch.chunk(gates, 4, dim=1)" if b.chance(0.5) else f"    i, f, o, g = gates.split({F}, 1)",
        ("gates_view", f"i, f, o, g = gates.view(4, -1, {F}, {H}, {W})"),
    )
    b.f("    c = f.sigmoid() * c + i.sigmoid() * g.tanh()")
    b.f("    h = o.sigmoid() * c.tanh()")
    b.f("    maps.append(h)", ("own_cell_kept", "maps.append(c)"))
    if b.chance(0.5):
        b.f(
            "y = torch.stack(maps, dim=1)",
            ("stack_dim", "y = torch.stack(maps, dim=0).view(clip.size(0), -1, *h.shape[1:])"),
        )
        b.returns("y", Result())
    else:
        b.i(f"self.fc = nn.Linear({F}, {A})")
        b.f(
            "v = h.mean(dim=(2, 3))",
            ("pool_dim", "v = h.mean(dim=(0, 2, 3), keepdim=True).view(1, -1).expand(h.size(0), -1)"),
            ("own_cell_kept", "v = c.mean(dim=(2, 3))"),
        )
        b.returns("self.fc(v)", Result())


def beam(b: Builder) -> None:
    """Each sample's state handed to all its beams."""
    Q, D, W, V, M = b.size(3, 9), b.size(5, 12), b.size(4, 8), b.size(12, 30), b.size(2, 5)
    b.argument("src", f"torch.randn({b.N}, {b.L}, {Q})", 0, 1)
    b.i(f"self.encoder = nn.GRU({Q}, {D}, batch_first=True)", ("batch_first", ", batch_first=True -> ", "@enc"))
    b.i(f"self.embed = nn.Embedding({V}, {W})")
    b.i(f"self.cell = nn.GRUCell({W}, {D})")
    b.i(f"self.out = nn.Linear({D}, {V})")
    b.f("_, h = self.encoder(src)", tag="@enc")
    b.f("n = src.size(0)")
    if b.chance(0.5):
        b.f(f"h = h[-1].repeat_interleave({M}, dim=0)", ("tiled", f"h = h[-1].repeat({M}, 1)", "@beams"))
    else:
        b.f(
            f"h = h[-1].unsqueeze(1).expand(-1, {M}, -1).reshape(n * {M}, -1)",
            ("tiled", f"h = h[-1].unsqueeze(0).expand({M}, -1, -1).reshape(n * {M}, -1)", "@beams"),
        )
    b.f(f"token = torch.arange({M}).repeat(n)")
    b.f("total = torch.zeros(len(token))")
    b.f("for _ in range(3):")
    b.f("    h = self.cell(self.embed(token), h)")
    b.f("    logp = self.out(h).log_softmax(-1)", ("softmax_dim", "log_softmax(-1) -> log_softmax(0)"))
    b.f("    best, token = logp.max(dim=-1)")
    b.f("    total = total + best")
    b.returns(f"total.view(n, {M})", Result(), wrongs=[("tiled", f"return total.view({M}, n).t()")], tag="@beams")


def pointer(b: Builder) -> None:
    """A pointer network, or matching of a question with a text."""
    Q, D = b.size(3, 9), b.size(5, 12)
    b.argument("points", f"torch.randn({b.N}, {b.L}, {Q})", 0, 1)
    b.i(f"self.enc = nn.LSTM({Q}, {D}, batch_first=True)", ("batch_first", ", batch_first=True -> ", "@enc"))
    b.i(f"self.dec = nn.LSTMCell({D}, {D})")
    b.i(f"self.w1 = nn.Linear({D}, {D})")
    b.i(f"self.w2 = nn.Linear({D}, {D})")
    b.i(f"self.v = nn.Linear({D}, 1)")
    b.f("memory, (h, c) = self.enc(points)", tag="@enc")
    b.f("h, c = h[-1], c[-1]", ("states_exchanged", "h, c = c[-1], h[-1]"))
    b.f(f"inp = torch.zeros(points.size(0), {D})")
    b.f("pointers = []")
    b.f("used = torch.zeros(points.size(0), points.size(1), dtype=torch.bool)")
    b.f("for _ in range(points.size(1)):")
    b.f("    h, c = self.dec(inp, (h, c))", ("state_lost", "h, c = self.dec(inp)"))
    b.f(
        "    u = self.v(torch.tanh(self.w1(memory) + self.w2(h).unsqueeze(1))).squeeze(-1)",
        b.N == b.L and ("other_axis", "unsqueeze(1) -> unsqueeze(0)"),
    )
    b.f("    u = u.masked_fill(used, -1e9)")
    b.f("    logp = F.log_softmax(u, dim=1)", ("softmax_dim", "dim=1 -> dim=0"))
    b.f("    pick = logp.argmax(dim=1)")
    b.f("    used = used.scatter(1, pick.unsqueeze(1), True)")
    b.f(
        "    inp = memory[torch.arange(memory.size(0)), pick]",
        b.N > 1 and ("other_rows", "inp = memory[0, pick]"),
        b.N > 1 and ("other_rows", "inp = memory.roll(1, 0)[torch.arange(memory.size(0)), pick]"),
    )
    b.f("    pointers.append(logp)")
    b.returns(
        "torch.stack(pointers, 1)",
        Result(),
        wrongs=[("stack_dim", "return torch.stack(pointers, 0).reshape(points.size(0), points.size(1), -1)")],
    )


def ctc(b: Builder) -> None:
    """A recogniser with (T, N, C) log probabilities and the loss inside or outside."""
    blocks.images(b)
    blocks.encode(b, R=2)
    C = b.size(5, 12)
    b.i(f"self.fc = nn.Linear({b.width}, {C})")
    b.f(f"logits = self.fc({b.x})")
    b.f("logp = F.log_softmax(logits, dim=2)", ("softmax_dim", "dim=2 -> dim=0"))
    b.f(
        "logp = logp.permute(1, 0, 2)",
        ("view_for_transpose", f"logp = logp.reshape({b.L}, -1, {C})"),
        b.L == b.N and ("view_for_transpose", "logp = logp.contiguous()"),
    )
    if b.chance(0.4):
        b.argument("labels", f"torch.randint(1, {C}, ({b.N}, 3))", 0)
        b.f("sizes = torch.full((logp.size(1),), logp.size(0), dtype=torch.long)")
        b.f("wanted = torch.full((labels.size(0),), 3, dtype=torch.long)")
        b.returns(
            "F.ctc_loss(logp, labels, sizes, wanted, reduction='none', zero_infinity=True)",
            Result(),
            wrongs=[("other_rows", "labels, -> labels.flip(0),")],
        )
    else:
        b.returns("logp", Result(1))


def tokens_loop(b: Builder) -> None:
    """Embedding, a cell over the tokens, a distribution at each step; or a two-layer stack of cells."""
    V, E, D = b.size(6, 12), b.size(4, 9), b.size(5, 12)
    padded = b.chance(0.4)
    b.s(f"ids = torch.randint(1, {V}, ({b.N}, {b.L}))")
    if padded:
        blocks.lengths(b)
        b.s(f"ids[torch.arange({b.L}) >= lengths[:, None]] = 0")
    b.argument("ids", "ids", 0, 1)
    b.i(f"self.embed = nn.Embedding({V}, {E}{', padding_idx=0' if padded else ''})")
    b.i(f"self.cells = nn.ModuleList([nn.GRUCell({E}, {D}), nn.GRUCell({D}, {D})])")
    b.i(f"self.out = nn.Linear({D}, {V})")
    b.f("emb = self.embed(ids)")
    b.f(f"states = [torch.zeros(ids.size(0), {D}) for _ in self.cells]")
    b.f("logits = []")
    b.f("for e in emb.unbind(1):", b.N < b.L and b.N > 1 and ("loop_axis", "for e in emb.unbind(1)[:1]:"))
    b.f("    for k, cell in enumerate(self.cells):")
    b.f(
        "        states[k] = cell(e, states[k])",
        ("wrong_layers", "cell(e, states[k]) -> cell(e, states[-1])"),
        ("state_lost", "states[k] = cell(e)"),
    )
    b.f("        e = states[k]")
    b.f(
        "    logits.append(self.out(e))",
        ("lower_layer", "self.out(e) -> self.out(states[0])"),
        ("norm_dim", "self.out(e) -> self.out(F.normalize(e, dim=0))"),
    )
    if padded:
        b.f("y = torch.stack(logits, 1)")
        b.f("keep = (ids != 0).unsqueeze(-1)")
        b.returns(
            "(y * keep).sum(1) / keep.sum(1)",
            Result(),
            wrongs=[
                ("pool_mask", "return y.mean(1)"),
                ("pool_mask", "(y * keep).sum(1) -> y.sum(1)"),
                ("pool_dim", "(y * keep).sum(1) -> (y * keep).sum(0).sum(0)"),
            ],
        )
    else:
        b.returns(
            "torch.stack(logits, 1)",
            Result(0, 1),
            wrongs=[("stack_dim", f"return torch.stack(logits, 0).reshape(ids.size(0), -1, {V})")],
        )


def front_padded(b: Builder) -> None:
    """Rows padded in front, read at the last step; no lengths are given."""
    Q, D, C = b.size(3, 9), b.size(5, 12), b.size(2, 7)
    drawn = [b.random.randint(1, b.L) for _ in range(b.N)]
    b.s(f"rows = [torch.randn(n, {Q}) for n in {drawn}]")
    b.s(f"batch = torch.stack([F.pad(row, (0, 0, {b.L} - len(row), 0)) for row in rows])")
    b.argument("x", "batch", 0, 1)
    b.i(
        f"self.lstm = nn.LSTM({Q}, {D}, 2, batch_first=True, dropout=0.2)",
        ("batch_first", ", batch_first=True -> ", "@run"),
    )
    b.i(f"self.fc = nn.Linear({D}, {C})")
    b.f("out, (hn, _) = self.lstm(x)", tag="@run")
    form = b.random.randrange(2)
    b.returns(
        "self.fc(out[:, -1])" if form else "self.fc(hn[-1])",
        Result(),
        wrongs=[
            ("first_step", "out[:, -1] -> out[:, 0]") if form else ("lower_layer", "hn[-1] -> hn[0]"),
            ("other_axis", "out[:, -1] -> out[-1]") if form else None,
        ],
    )


def padded_conv(b: Builder) -> None:
    """A convolution over rows whose padding is held at zero, then a packed layer."""
    blocks.lengths(b)
    Q, F_, D, C = b.size(3, 9), b.size(4, 9), b.size(5, 12), b.size(2, 7)
    b.s(f"batch = torch.randn({b.N}, {b.L}, {Q})")
    b.argument("x", "batch", 0, 1)
    b.argument("lengths", "lengths", 0)
    R = b.random.choice([1, 2])
    b.i(f"self.conv = nn.Conv1d({Q}, {F_}, 3, padding=1)")
    b.i(f"self.rnn = nn.GRU({F_}, {D}, batch_first=True, bidirectional={R == 2})")
    b.i(f"self.fc = nn.Linear({D * R}, {C})")
    b.f(
        "mask = (torch.arange(x.size(1))[None, :] < lengths[:, None]).unsqueeze(2)",
        ("lengths_off", "lengths[:, None] -> lengths[:, None] + 1", "@conv", "@mask"),
    )
    b.f("x = x * mask", ("conv_padding", "x = x * 1.0", "@conv"), tag="@mask")
    b.f("x = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)", tag="@conv")
    b.f("packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)")
    b.f("out, hn = self.rnn(packed)", ("backward_padding" if R == 2 else "unpacked", "out, hn = self.rnn(x)"))
    if R == 2:
        b.returns(
            "self.fc(torch.cat([hn[0], hn[1]], 1))",
            Result(),
            wrongs=[
                ("cat_dim", f"torch.cat([hn[0], hn[1]], 1) -> torch.cat([hn[0], hn[1]], 0).view(-1, {2 * D})"),
                ("one_direction", "hn[0], hn[1] -> hn[0], hn[0]"),
            ],
        )
    else:
        b.returns("self.fc(hn[-1])", Result(), wrongs=[("other_axis", f"hn[-1] -> hn.view({D}, -1).t()")])


# programs of several classes -------------------------------------------------------------------------------------------


def _class(b: Builder, name: str, arguments: str, init: list[str], call: str, lines: list[tuple[Any, ...]]) -> None:
    """A module of its own before the model's class; a line is its text, its wrongs, and perhaps a tag at the end."""
    b.t("")
    b.t("")
    b.t(f"class {name}(nn.Module):")
    b.t(f"    def __init__(self, {arguments}):")
    b.t("        super().__init__()")
    for text in init:
        line, _, further = text.partition(" ## ")
        kind, _, change = further.partition(": ")
        b.t(f"        {line}", bool(change) and (kind, change, f"@{name}"))
    b.t("")
    b.t(f"    def forward(self, {call}):")
    for text, *wrongs in lines:
        tags = [wrong for wrong in wrongs if isinstance(wrong, str)]
        b.t(f"        {text}", *[w for w in wrongs if not isinstance(w, str)], tag=" ".join(tags))


def translator(b: Builder) -> None:
    """Encoder, attention and decoder as modules, one decoder call a step, time-major as in tutorials."""
    V, W, E, D, A, S = b.size(15, 30), b.size(15, 30), b.size(4, 9), b.size(5, 12), b.size(5, 12), b.size(3, 8)
    b.B, b.T = 1, 0
    _class(b, "Encoder", "vocab, emb, hid", [
        "self.embedding = nn.Embedding(vocab, emb)",
        "self.rnn = nn.GRU(emb, hid, bidirectional=True) ## batch_first: self.rnn = nn.GRU(emb, hid, bidirectional=True, batch_first=True)",
        f"self.fc = nn.Linear(hid * 2, {A})", "self.dropout = nn.Dropout(0.5)",
    ], "src", [
        ("embedded = self.dropout(self.embedding(src))",),
        ("outputs, hidden = self.rnn(embedded)", "@Encoder"),
        ("last = torch.cat((hidden[-2], hidden[-1]), dim=1)", ("one_direction", "last = torch.cat((hidden[-1], hidden[-1]), dim=1)"),
         ("cat_dim", "last = torch.cat((hidden[-2], hidden[-1]), dim=0).view(hidden.size(1), -1)")),
        ("hidden = torch.tanh(self.fc(last))",),
        ("return outputs, hidden",),
    ])  # fmt: skip
    _class(b, "Attention", "enc, dec", ["self.attn = nn.Linear(enc * 2 + dec, dec)", "self.v = nn.Linear(dec, 1, bias=False)"], "hidden, encoder_outputs", [
        ("src_len = encoder_outputs.shape[0]",),
        ("hidden = hidden.unsqueeze(1).repeat(1, src_len, 1)", ("tiled", "hidden = hidden.repeat(src_len, 1).view(-1, src_len, hidden.size(1))")),
        ("encoder_outputs = encoder_outputs.permute(1, 0, 2)", ("view_for_transpose", "encoder_outputs = encoder_outputs.reshape(hidden.size(0), src_len, -1)")),
        ("energy = torch.tanh(self.attn(torch.cat((hidden, encoder_outputs), dim=2)))",),
        ("attention = self.v(energy).squeeze(2)",),
        ("return F.softmax(attention, dim=1)", ("softmax_dim", "return F.softmax(attention, dim=0)")),
    ])  # fmt: skip
    _class(b, "Decoder", "vocab, emb, enc, dec, attention", [
        "self.attention = attention", "self.embedding = nn.Embedding(vocab, emb)", "self.rnn = nn.GRU(enc * 2 + emb, dec)",
        "self.fc_out = nn.Linear(enc * 2 + dec + emb, vocab)", "self.dropout = nn.Dropout(0.5)",
    ], "token, hidden, encoder_outputs", [
        ("embedded = self.dropout(self.embedding(token.unsqueeze(0)))",),
        ("a = self.attention(hidden, encoder_outputs).unsqueeze(1)",),
        ("weighted = torch.bmm(a, encoder_outputs.permute(1, 0, 2))", ("view_for_transpose", "weighted = torch.bmm(a, encoder_outputs.reshape(a.size(0), a.size(2), -1))")),
        ("weighted = weighted.permute(1, 0, 2)",),
        ("output, hidden = self.rnn(torch.cat((embedded, weighted), dim=2), hidden.unsqueeze(0))", ("state_lost", "output, hidden = self.rnn(torch.cat((embedded, weighted), dim=2))")),
        ("prediction = self.fc_out(torch.cat((output, weighted, embedded), dim=2).squeeze(0))",),
        ("return prediction, hidden.squeeze(0)",),
    ])  # fmt: skip
    b.argument("src", f"torch.randint(0, {V}, ({b.L}, {b.N}))", 1, 0)
    b.argument("trg", f"torch.randint(0, {W}, ({S}, {b.N}))", 1, 0)
    b.i(f"self.encoder = Encoder({V}, {E}, {D})")
    b.i(f"self.decoder = Decoder({W}, {E + 1}, {D}, {A}, Attention({D}, {A}))")
    if b.chance(0.5):
        b.f("outputs = []")
        b.f("encoder_outputs, hidden = self.encoder(src)")
        b.f("token = trg[0]")
        b.f("for t in range(1, trg.shape[0]):", 1 < b.N < S and ("loop_axis", "trg.shape[0] -> trg.shape[1]"))
        b.f(
            "    output, hidden = self.decoder(token, hidden, encoder_outputs)",
            ("state_lost", "output, _ = self.decoder(token, hidden, encoder_outputs)"),
            ("other_rows", "hidden, encoder_outputs) -> hidden, encoder_outputs.roll(1, 1))"),
        )
        b.f("    outputs.append(output)")
        b.f(
            f"    token = {b.pick('trg[t] if random.random() < 0.5 else output.argmax(1)', 'output.argmax(1)', 'trg[t]')}"
        )
        b.returns("torch.stack(outputs)", Result(1))
    else:
        b.f(f"outputs = torch.zeros(trg.shape[0], trg.shape[1], {W})")
        b.f("encoder_outputs, hidden = self.encoder(src)")
        b.f("token = trg[0, :]", b.N == S and ("other_axis", "token = trg[:, 0]"))
        b.f("for t in range(1, trg.shape[0]):")
        b.f(
            "    output, hidden = self.decoder(token, hidden, encoder_outputs)",
            ("other_rows", "hidden = self.decoder(token, hidden, -> hidden = self.decoder(token, hidden.flip(0),"),
        )
        b.f("    outputs[t] = output")
        b.f("    teacher = torch.rand(1).item() < 0.5")
        b.f("    token = trg[t] if teacher else output.argmax(1)")
        b.returns("outputs", Result(1))


def modules(b: Builder) -> None:
    """A Sequential of own layers around a torch layer."""
    Q, D, H, C, K = b.size(3, 9), b.size(5, 12), b.size(5, 12), b.size(2, 8), b.random.choice([1, 2])
    _class(b, "Recurrent", "width, hidden, layers", [
        "self.rnn = nn.LSTM(width, hidden, layers, batch_first=True) ## batch_first: , batch_first=True -> ",
        "self.norm = nn.LayerNorm(hidden)",
    ], "x", [
        ("y, _ = self.rnn(x)", "@Recurrent"),
        ("return self.norm(y)", ("norm_dim", "return (y - y.mean(0)) / (y.std(0) + 1e-5)")),
    ])  # fmt: skip
    last = b.chance(0.5)
    _class(b, "Pool", "width", ["self.score = nn.Linear(width, 1)"], "y", [("return y[:, -1, :]", ("other_axis", "return y[-1, :, :]"), ("first_step", "return y[:, 0, :]"))] if last else [
        ("a = self.score(y)",),
        ("a = a.softmax(dim=1)", ("softmax_dim", "dim=1 -> dim=0"), ("size_one", "dim=1 -> dim=2")),
        ("return (a * y).sum(dim=1)", ("pool_dim", "dim=1 -> dim=0")),
    ])  # fmt: skip
    b.argument("x", f"torch.randn({b.N}, {b.L}, {Q})", 0, 1)
    b.i("self.net = nn.Sequential(")
    for text in (
        f"nn.Linear({Q}, {H}),",
        "nn.ReLU(),",
        f"Recurrent({H}, {D}, {K}),",
        "nn.Dropout(0.3),",
        f"Pool({D}),",
        f"nn.Linear({D}, {C}),",
    ):
        b.i(f"    {text}")
    b.i(")")
    b.returns("self.net(x)", Result())


def characters(b: Builder) -> None:
    """Characters of each word through a layer of their own, beside the word's embedding; a tagger."""
    V, W, H, E, F_, D, C = (
        b.size(15, 30),
        b.size(3, 7),
        b.size(8, 20),
        b.size(4, 9),
        b.size(4, 9),
        b.size(4, 9),
        b.size(2, 7),
    )
    b.argument("words", f"torch.randint(0, {V}, ({b.N}, {b.L}))", 0, 1)
    b.argument("chars", f"torch.randint(0, {H}, ({b.N}, {b.L}, {W}))", 0, 1)
    b.i(f"self.word_emb = nn.Embedding({V}, {E})")
    b.i(f"self.char_emb = nn.Embedding({H}, {F_})")
    b.f("n, l, w = chars.shape")
    b.f(
        "c = self.char_emb(chars.view(n * l, w))",
        ("flatten", "c = self.char_emb(chars.transpose(0, 1).reshape(n * l, w))", "@back"),
    )
    if b.chance(0.5):
        b.i(
            f"self.char_lstm = nn.LSTM({F_}, {D}, batch_first=True, bidirectional=True)",
            ("batch_first", ", batch_first=True -> ", "@chars"),
        )
        b.f("_, (ch, _) = self.char_lstm(c)", tag="@chars")
        b.f(
            "c = torch.cat([ch[0], ch[1]], dim=1)",
            ("cat_dim", f"c = torch.cat([ch[0], ch[1]], dim=0).view(n * l, {2 * D})"),
            ("one_direction", "c = torch.cat([ch[0], ch[0]], dim=1)"),
        )
    else:
        b.i(f"self.char_cnn = nn.Conv1d({F_}, {2 * D}, 3, padding=1)")
        b.f("c = self.char_cnn(c.transpose(1, 2)).max(dim=2)[0]")
    b.f("c = c.view(n, l, -1)", ("flatten", "c = c.view(l, n, -1).transpose(0, 1)"), tag="@back")
    b.f("x = torch.cat([self.word_emb(words), c], dim=2)")
    b.i(
        f"self.rnn = nn.LSTM({E + 2 * D}, {D + 1}, batch_first=True)", ("batch_first", ", batch_first=True -> ", "@run")
    )
    b.f("y, _ = self.rnn(x)", tag="@run")
    b.i(f"self.tag = nn.Linear({D + 1}, {C})")
    b.returns("self.tag(y)", Result(0, 1))


def caption(b: Builder) -> None:
    """A feature vector makes the first state of each layer."""
    S, V, E, D, K = b.size(3, 9), b.size(12, 30), b.size(4, 9), b.size(4, 10), b.random.choice([1, 2, 3])
    b.argument("features", f"torch.randn({b.N}, {S})", 0)
    b.argument("tokens", f"torch.randint(0, {V}, ({b.N}, {b.L}))", 0)
    b.i(f"self.init_h = nn.Linear({S}, {K * D})")
    b.i(f"self.embed = nn.Embedding({V}, {E})")
    b.i(f"self.rnn = nn.GRU({E}, {D}, {K}, batch_first=True)")
    b.i(f"self.out = nn.Linear({D}, {V})")
    if K == 1:
        b.f(
            "h0 = torch.tanh(self.init_h(features)).unsqueeze(0)",
            ("other_rows", ".unsqueeze(0) -> .flip(0).unsqueeze(0)"),
        )
    else:
        b.f(
            f"h0 = torch.tanh(self.init_h(features)).view(-1, {K}, {D})",
            ("state_view", f"h0 = torch.tanh(self.init_h(features)).view({K}, -1, {D}).transpose(0, 1)"),
        )
        b.f("h0 = h0.transpose(0, 1).contiguous()", ("state_view", f"h0 = h0.reshape({K}, -1, {D})"))
    b.f("y, _ = self.rnn(self.embed(tokens), h0)", ("argument_unread", "y, _ = self.rnn(self.embed(tokens))"))
    b.returns("F.log_softmax(self.out(y), dim=-1)", Result(), wrongs=[("softmax_dim", "dim=-1 -> dim=0")])


def state_given(b: Builder) -> None:
    """(tokens, state) -> (logits, state): the state's batch axis is the second."""
    V, E, D, K = b.size(12, 30), b.size(4, 9), b.size(4, 10), b.random.choice([1, 2, 3])
    first = b.chance(0.3)
    b.B, b.T = (0, 1) if first else (1, 0)
    shape = f"{b.N}, {b.L}" if first else f"{b.L}, {b.N}"
    lstm = b.chance(0.6)
    b.argument("tokens", f"torch.randint(0, {V}, ({shape}))", b.B, b.T)
    zero = b.pick("zeros", "randn")
    state = f"torch.{zero}({K}, {b.N}, {D})"
    b.argument("hidden", f"({state}, {state})" if lstm else state, 1)
    b.i(f"self.encoder = nn.Embedding({V}, {E})")
    line = f"self.rnn = nn.{'LSTM' if lstm else 'GRU'}({E}, {D}, {K}, batch_first={first})"
    b.i(line)
    b.i(f"self.decoder = nn.Linear({D}, {V})")
    b.f(
        "output, hidden = self.rnn(self.encoder(tokens), hidden)",
        lstm and zero == "randn" and ("states_exchanged", "tokens), hidden) -> tokens), hidden[::-1])"),
        zero == "randn" and ("argument_unread", "output, hidden = self.rnn(self.encoder(tokens))"),
    )
    b.f("output = F.dropout(output, 0.2)")
    b.f(
        "logits = self.decoder(output)",
        (
            "flatten",
            f"logits = self.decoder(output.transpose(0, 1).reshape(-1, {D})).view(output.size(0), output.size(1), -1)",
        ),
    )
    b.returns("logits, hidden", Result(b.B, b.T), *[Result(1)] * (2 if lstm else 1))


def coattention(b: Builder) -> None:
    """A question and a text that attend to each other, both padded and masked by their ids."""
    V, E, D, S, C = b.size(12, 30), b.size(4, 9), b.size(4, 10), b.size(3, 8), b.size(2, 6)
    b.argument("text", f"torch.randint(1, {V}, ({b.N}, {b.L}))", 0)
    b.argument("question", f"torch.randint(1, {V}, ({b.N}, {S}))", 0)
    b.i(f"self.emb = nn.Embedding({V}, {E})")
    b.i(
        f"self.rnn = nn.LSTM({E}, {D}, batch_first=True, bidirectional=True)",
        ("batch_first", ", batch_first=True -> ", "@t", "@q"),
    )
    b.f("t, _ = self.rnn(self.emb(text))", tag="@t")
    b.f("q, _ = self.rnn(self.emb(question))", tag="@q")
    b.f("sim = t @ q.transpose(1, 2)" if b.chance(0.5) else "sim = torch.einsum('nld,nsd->nls', t, q)")
    b.f("to_q = torch.softmax(sim, dim=2) @ q", ("softmax_dim", "dim=2 -> dim=0"))
    b.f(
        "to_t = torch.softmax(sim.max(dim=2)[0], dim=1)",
        ("softmax_dim", "[0], dim=1 -> [0], dim=0"),
        ("pool_dim", "to_t = torch.softmax(sim.max(dim=0, keepdim=True)[0].max(2)[0].expand(len(sim), -1), dim=1)"),
    )
    b.f("to_t = (to_t.unsqueeze(1) @ t).expand_as(t)")
    b.f("joined = torch.cat([t, to_q, t * to_q, t * to_t], dim=2)")
    b.i(f"self.fc = nn.Linear({8 * D}, {C})")
    b.returns("self.fc(joined)" if b.chance(0.5) else "self.fc(joined.max(1)[0])", Result())


def masked_attention(b: Builder) -> None:
    """torch's attention over packed outputs, its key_padding_mask from the ids or the lengths."""
    V, E, D, C = b.size(12, 30), b.size(4, 9), 2 * b.size(3, 6), b.size(2, 6)
    blocks.lengths(b)
    b.s(f"ids = torch.randint(1, {V}, ({b.N}, {b.L}))")
    b.s(f"ids[torch.arange({b.L}) >= lengths[:, None]] = 0")
    b.argument("ids", "ids", 0, 1)
    b.argument("lengths", "lengths", 0)
    b.i(f"self.emb = nn.Embedding({V}, {E}, padding_idx=0)")
    b.i(f"self.rnn = nn.GRU({E}, {D}, batch_first=True)")
    b.i(
        f"self.attn = nn.MultiheadAttention({D}, 2, batch_first=True{b.pick('', ', dropout=0.1')})",
        ("batch_first", ", batch_first=True -> ", "@attn"),
    )
    b.i(f"self.fc = nn.Linear({D}, {C})")
    b.f(
        "pad = ids.eq(0)" if b.chance(0.5) else "pad = torch.arange(ids.size(1))[None, :] >= lengths[:, None]",
        ("lengths_off", "pad = torch.arange(ids.size(1))[None, :] > lengths[:, None]", "@attn", "@mean"),
    )
    b.f("packed = pack_padded_sequence(self.emb(ids), lengths.cpu(), batch_first=True, enforce_sorted=False)")
    b.f("y, _ = self.rnn(packed)")
    b.f("y, _ = pad_packed_sequence(y, batch_first=True, total_length=ids.size(1))")
    b.f("a, _ = self.attn(y, y, y, key_padding_mask=pad)", ("softmax_mask", "a, _ = self.attn(y, y, y)"), tag="@attn")
    b.f("y = (y + a).masked_fill(pad.unsqueeze(2), 0.0)", ("pool_mask", "y = y + a", "@mean"), tag="@mean")
    b.returns(
        "self.fc(y.sum(1) / lengths.unsqueeze(1))",
        Result(),
        wrongs=[
            ("pool_mask", "y.sum(1) / lengths.unsqueeze(1) -> y.sum(1) / lengths.max()"),
            ("other_lengths", "lengths.unsqueeze -> lengths.flip(0).unsqueeze"),
        ],
        tag="@mean",
    )


FAMILIES = {
    "classifier": (20, classifier),
    "padded_classifier": (16, padded_classifier),
    "tagger": (10, tagger),
    "padded_tagger": (6, padded_tagger),
    "language_model": (6, language_model),
    "seq2seq": (8, seq2seq),
    "decoder_loop": (9, decoder_loop),
    "autoencoder": (4, autoencoder),
    "own_state": (3, own_state),
    "translator": (5, translator),
    "modules": (4, modules),
    "characters": (3, characters),
    "caption": (3, caption),
    "state_given": (3, state_given),
    "coattention": (3, coattention),
    "masked_attention": (3, masked_attention),
    "siamese": (4, siamese),
    "step_model": (3, step_model),
    "actor": (4, actor),
    "flattened_steps": (2, flattened_steps),
    "shrinking": (3, shrinking),
    "masked_loop": (3, masked_loop),
    "hierarchical": (4, hierarchical),
    "conv_lstm": (3, conv_lstm),
    "beam": (2, beam),
    "pointer": (2, pointer),
    "ctc": (3, ctc),
    "tokens_loop": (4, tokens_loop),
    "front_padded": (2, front_padded),
    "padded_conv": (3, padded_conv),
}
