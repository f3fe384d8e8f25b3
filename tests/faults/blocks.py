"""Blocks of right programs, as people write them; beside each line, how it goes wrong."""

from __future__ import annotations

from dataclasses import dataclass

from .program import Builder

__all__ = [
    "State",
    "attend",
    "encode",
    "images",
    "lengths",
    "middle",
    "pool",
    "read_state",
    "sequences",
    "tokens",
    "video",
]


@dataclass
class State:
    """Names and sizes of the state that a layer gave back."""

    h: str
    c: str | None
    K: int
    R: int
    D: int
    cell: str
    sorted: bool = False


# inputs ----------------------------------------------------------------------------------------------------------------


def lengths(b: Builder, *, zero: bool = False, descending: bool = False, equal: bool = False) -> None:
    """`lengths` in the program's setup; the longest is L."""
    drawn = [b.L] * b.N if equal else [b.random.randint(0 if zero else 1, b.L) for _ in range(b.N)]
    drawn[b.random.randrange(b.N)] = b.L
    if descending:
        drawn.sort(reverse=True)
    b.lengths = tuple(drawn)
    b.s(f"lengths = torch.tensor({drawn})")


def sequences(b: Builder, *, padded: bool = False) -> None:
    """Rows of floats, with zeros or anything where they are padded."""
    b.width = b.size(3, 14)
    b.x = b.pick("x", "x", "inputs", "seq", "features", "inp", "X")
    shape = f"{b.N}, {b.L}, {b.width}" if b.T == 1 else f"{b.L}, {b.N}, {b.width}"
    if padded:
        b.s(f"batch = torch.randn({shape})")
        if b.chance(0.7):
            outside = f"torch.arange({b.L}) >= lengths[:, None]"
            b.s(f"batch[{outside}] = 0" if b.T == 1 else f"batch[({outside}).t()] = 0")
        b.argument(b.x, "batch", b.B, b.T)
    else:
        _unpadded(b, shape)
    if b.chance(0.35):
        project(b)


def _unpadded(b: Builder, shape: str) -> None:
    N, L, Q, x = b.N, b.L, b.width, b.x
    form = b.random.randrange(7) if b.T else 9
    if form == 0:
        b.argument(x, f"torch.randn({N}, {Q}, {L})", 0)
        b.f(
            f"{x} = {x}.{b.pick('transpose(1, 2)', 'permute(0, 2, 1)')}",
            ("view_for_transpose", f"{x} = {x}.reshape({L}, -1, {Q}).transpose(0, 1)"),
            ("steps_view", f"{x} = {x}.reshape(-1, {L}, {Q})"),
        )
    elif form == 1:
        b.argument(x, f"torch.randn({N}, 1, {L}, {Q})", 0)
        b.f(
            f"{x} = {x}.{b.pick('squeeze(1)', f'view(-1, {L}, {Q})', f'reshape({x}.size(0), {L}, {Q})')}",
            ("view_for_transpose", f"{x} = {x}.view({L}, -1, {Q}).transpose(0, 1)"),
        )
    elif form == 2:
        b.argument(x, f"torch.randn({N}, {L * Q})", 0)
        b.f(
            f"{x} = {x}.view({b.pick('-1', f'{x}.size(0)')}, {L}, {Q})",
            ("view_for_transpose", f"{x} = {x}.view({L}, -1, {Q}).permute(1, 0, 2)"),
        )
    elif form == 3:
        b.argument(x, f"torch.randn({N}, {L})", 0, 1)
        b.f(f"{x} = {x}.unsqueeze(-1)", ("view_for_transpose", f"{x} = {x}.view({L}, -1, 1).transpose(0, 1)"))
        b.width = 1
    else:
        b.argument(x, f"torch.randn({shape})", b.B, b.T)


def project(b: Builder) -> None:
    """A layer between the input and the first recurrent one."""
    D = b.size(6, 20)
    layer = b.name("proj", "fc_in", "embed_in", "net", "pre")
    kind = b.random.randrange(5)
    if kind == 0:
        b.i(f"self.{layer} = nn.Sequential(nn.Linear({b.width}, {D}), nn.ReLU())")
    elif kind == 1:
        b.i(f"self.{layer} = nn.Sequential(nn.Linear({b.width}, {D}), nn.Tanh(), nn.Dropout({b.pick('0.1', '0.5')}))")
    elif kind == 2:
        b.i(f"self.{layer} = nn.Sequential(nn.Linear({b.width}, {D}), nn.LayerNorm({D}), nn.GELU())")
    else:
        b.i(f"self.{layer} = nn.Linear({b.width}, {D})")
    text = f"{b.x} = self.{layer}({b.x})"
    b.f(text if kind < 3 else f"{b.x} = torch.{b.pick('tanh', 'relu', 'sigmoid')}(self.{layer}({b.x}))")
    b.width = D


def tokens(b: Builder, *, padded: bool = False, pad: bool | None = None) -> None:
    """Rows of token ids through an embedding; 0 is padding."""
    V, E = b.size(12, 40), b.size(5, 16)
    ids = b.pick("tokens", "x", "src", "text", "input_ids", "sentence")
    shape = f"{b.N}, {b.L}" if b.T == 1 else f"{b.L}, {b.N}"
    pad = padded and b.chance(0.7) if pad is None else pad
    b.s(f"ids = torch.randint(1, {V}, ({shape}))")
    if padded:
        outside = f"torch.arange({b.L}) >= lengths[:, None]"
        b.s(f"ids[{outside}] = 0" if b.T == 1 else f"ids[({outside}).t()] = 0")
    b.argument(ids, "ids", b.B, b.T)
    layer = b.name("embedding", "embed", "emb", "word_embeddings", "lookup")
    b.i(f"self.{layer} = nn.Embedding({V}, {E}{', padding_idx=0' if pad else ''})")
    if padded and b.T == 1 and pad and b.chance(0.5):
        b.mask = b.name("mask", "pad_mask", "keep")
        b.f(f"{b.mask} = {b.pick(f'{ids} != 0', f'{ids}.ne(0)', f'({ids} > 0)')}")
    b.x, b.width = b.name("e", "embedded", "h", "emb"), E
    if b.chance(0.4):
        drop = b.name("dropout", "drop", "emb_drop")
        b.i(f"self.{drop} = nn.Dropout({b.pick('0.1', '0.3', '0.5')})")
        b.f(f"{b.x} = self.{drop}(self.{layer}({ids}))")
    else:
        b.f(f"{b.x} = self.{layer}({ids})")


def images(b: Builder) -> None:
    """Images through a convolution, whose columns are the steps."""
    C, F, H, W = b.size(1, 3), b.size(4, 9), b.size(4, 7, even=True), 2 * b.size(5, 9)
    b.argument(b.pick("img", "images", "x"), f"torch.randn({b.N}, {C}, {H}, {W})", 0)
    x = b.arguments[-1]
    conv = b.name("conv", "cnn", "backbone", "features")
    norm = b.pick("", f"nn.BatchNorm2d({F}), ", f"nn.BatchNorm2d({F}), ")
    b.i(f"self.{conv} = nn.Sequential(nn.Conv2d({C}, {F}, 3, padding=1), {norm}nn.ReLU(), nn.MaxPool2d(2))")
    b.x, b.width, b.L = b.name("feat", "conv_out", "maps"), F * (H // 2), W // 2
    b.f(f"{b.x} = self.{conv}({x})")
    form, L, width = b.random.randrange(3), b.L, b.width
    if form == 0:
        b.f(f"{b.x} = {b.x}.permute(0, 3, 1, 2)", ("view_for_transpose", f"{b.x} = {b.x}.reshape({L}, -1, {F}, {H // 2}).transpose(0, 1)"),
            ("steps_view", f"{b.x} = {b.x}.reshape({b.x}.size(0), {L}, {F}, {H // 2})"))  # fmt: skip
        b.f(f"{b.x} = {b.x}.flatten(2)")
    elif form == 1:
        b.f(f"{b.x} = {b.x}.flatten(1, 2)")
        b.f(f"{b.x} = {b.x}.transpose(1, 2)", ("steps_view", f"{b.x} = {b.x}.reshape({b.x}.size(0), {L}, {width})"),
            ("view_for_transpose", f"{b.x} = {b.x}.reshape({L}, {b.x}.size(0), {width}).transpose(0, 1)"))  # fmt: skip
    else:
        n = b.name("n", "batch_size", "bs")
        b.f(f"{n} = {b.x}.size(0)")
        b.f(f"{b.x} = {b.x}.permute(0, 3, 2, 1)")
        b.f(f"{b.x} = {b.x}.contiguous().view({n}, {L}, -1)",
            ("view_for_transpose", f"{b.x} = {b.x}.contiguous().view({L}, {n}, -1).transpose(0, 1)"))  # fmt: skip


def video(b: Builder) -> None:
    """Frames folded into the batch for a convolution, and unfolded again."""
    C, F, H = b.size(1, 3), b.size(4, 9), b.size(4, 6)
    x, n, t = b.pick("frames", "clip", "video"), b.name("B", "n", "batch"), b.name("T", "t", "steps")
    b.argument(x, f"torch.randn({b.N}, {b.L}, {C}, {H}, {H})", 0, 1)
    conv = b.name("cnn", "encoder2d", "backbone")
    b.i(f"self.{conv} = nn.Sequential(nn.Conv2d({C}, {F}, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())")
    b.x, b.width = b.name("frames_out", "feats", "cnn_out"), F
    b.f(f"{n}, {t} = {x}.shape[:2]")
    if b.chance(0.5):
        b.f(f"{b.x} = self.{conv}({x}.reshape({n} * {t}, *{x}.shape[2:]))",
            ("view_for_transpose", f"{x}.reshape -> {x}.transpose(0, 1).reshape"))  # fmt: skip
        b.f(f"{b.x} = {b.x}.view({n}, {t}, -1)",
            ("view_for_transpose", f"{b.x} = {b.x}.view({t}, {n}, -1).transpose(0, 1)"))  # fmt: skip
    else:
        b.f(f"{b.x} = torch.stack([self.{conv}({x}[:, k]) for k in range({t})], dim=1)",
            ("stack_dim", f"{b.x} = torch.stack([self.{conv}({x}[:, k]) for k in range({t})], dim=0).reshape({n}, {t}, -1)"))  # fmt: skip


def statics(b: Builder) -> None:
    """Features of a sample that are given to every step."""
    S = b.size(2, 6)
    s = b.name("static", "meta", "cond", "z")
    b.argument(s, f"torch.randn({b.N}, {S})", 0)
    wide = b.name("rep", "tiled", "s")
    if b.chance(0.5):
        b.f(
            f"{wide} = {s}.unsqueeze({b.T}).expand(-1, {b.L}, -1)"
            if b.T
            else f"{wide} = {s}.unsqueeze(0).expand({b.L}, -1, -1)"
        )
    elif b.T:
        b.f(
            f"{wide} = {s}.repeat_interleave({b.L}, dim=0).view(-1, {b.L}, {S})",
            ("tiled", f"{wide} = {s}.repeat({b.L}, 1).view(-1, {b.L}, {S})"),
        )
    else:
        b.f(
            f"{wide} = {s}.repeat({b.L}, 1).view({b.L}, -1, {S})",
            ("tiled", f"{wide} = {s}.repeat_interleave({b.L}, dim=0).view({b.L}, -1, {S})"),
        )
    b.f(f"{b.x} = torch.cat([{b.x}, {wide}], dim={b.pick('2', '-1')})")
    b.width += S


# recurrent layers ------------------------------------------------------------------------------------------------------


def encode(b: Builder, *, packed: bool = False, lengths_name: str = "lengths", cell: str | None = None,
           K: int | None = None, R: int | None = None) -> State:  # fmt: skip
    """A torch layer over the steps of b.x."""
    cell = cell or b.pick("LSTM", "LSTM", "GRU", "RNN")
    K = K or b.random.choice([1, 1, 2, 2, 3, 4] if b.chance(0.97) else [10, 20])
    R = R or (2 if b.chance(0.4) else 1)
    D = b.size(4, 14, even=R == 2)
    P = b.size(2, D - 1) if cell == "LSTM" and D > 4 and b.chance(0.1) else 0
    rnn = b.name("rnn", cell.lower(), "encoder", "recurrent", "seq", "lstm_layer")
    if packed and b.chance(0.3):
        return _sort_pack(b, rnn, cell, K, R, D)
    own_first = (b.T == 1) if packed or b.chance(0.65) else (b.T == 0)
    first = ", batch_first=True" if own_first else b.pick("", "", ", batch_first=False")
    options = "".join(
        [f", num_layers={K}" if b.chance(0.5) else f", {K}"] * (K > 1)
        + [first]
        + [", bidirectional=True"] * (R == 2)
        + [f", proj_size={P}"] * (P > 0)
        + [f", dropout={b.pick('0.2', '0.5')}"] * (K > 1 and b.chance(0.35))
        + [", nonlinearity='relu'"] * (cell == "RNN" and b.chance(0.3))
    )
    call = b.name("@call", "@run", "@recur")
    line = f"self.{rnn} = nn.{cell}({b.width}, {D}{options})"
    silent = ("batch_first", f"{first} -> ", call) if own_first else (
        ("batch_first", f"{first} -> , batch_first=True", call) if first else ("batch_first", line[:-1] + ", batch_first=True)", call))  # fmt: skip
    b.i(line, not packed and silent)
    H = P or D
    h, c = b.name("hn", "h_n", "hidden", "h"), b.name("cn", "c_n", "cell", "c") if cell == "LSTM" else None
    out, both = b.name("out", "output", "y", "enc"), f"({{}}, {c})" if c else "{}"
    states = both.format(h)
    x = b.x
    if packed:
        seq, clamp = b.name("packed", "pk", "p"), ".clamp(min=1)" if 0 in (b.lengths or ()) else ""
        order, first = ", enforce_sorted=False", f", batch_first={b.T == 1}"
        b.f(f"{seq} = pack_padded_sequence({x}, {lengths_name}{clamp}.cpu(){first}{order})",
            b.T == 1 and ("other_lengths", f"{lengths_name}{clamp} -> {lengths_name}{clamp}.sort(descending=True)[0]", call),
            ("lengths_off", f"{lengths_name}{clamp}.cpu() -> torch.full_like({lengths_name}, {b.L}).cpu()", call))  # fmt: skip
        b.f(
            f"{out}, {states} = self.{rnn}({seq})",
            (
                "unpacked",
                f"{out}, {states} = self.{rnn}({x}); {out} = pack_padded_sequence({out}, {lengths_name}{clamp}.cpu(){first}{order})",
            ),
            tag=call,
        )
        total = f", total_length={x}.size({b.T})" if b.mask or b.chance(0.5) else ""
        b.f(f"{out}, {b.pick('_', 'lens')} = pad_packed_sequence({out}{first}{total})",
            b.T == 1 and ("pad_packed", f"{first} -> , batch_first=False"),
            b.T == 1 and not total and ("pad_packed", f"pad_packed_sequence({out}{first}) -> pad_packed_sequence({out})"))  # fmt: skip
    elif own_first == (b.T == 1):
        form = b.random.randrange(4)
        if form == 0:
            n = b.name("h0", "init", "start")
            b.f(f"{n} = torch.zeros({K * R}, {x}.size({b.B}), {H})")
            state = f"({n}, torch.zeros({K * R}, {x}.size({b.B}), {D}))" if c else n
            b.f(f"{out}, {states} = self.{rnn}({x}, {state})", tag=call)
        else:
            b.f(f"{out}, {states} = self.{rnn}({x})", _steps_swapped(b, f"{out}, {states} = self.{rnn}", x), tag=call)
    else:
        swap = b.pick("transpose(0, 1)", "permute(1, 0, 2)")
        bad = f"{x}.reshape({x}.size(1), {x}.size(0), -1)"
        if b.chance(0.5):
            b.f(
                f"{x} = {x}.{swap}",
                ("view_for_transpose", f"{x} = {bad}"),
                ("batch_first", f".{swap} -> .contiguous()", call),
            )
            b.f(f"{out}, {states} = self.{rnn}({x})", tag=call)
        else:
            b.f(f"{out}, {states} = self.{rnn}({x}.{swap})", ("view_for_transpose", f"{x}.{swap} -> {bad}"),
                ("batch_first", f"{x}.{swap} -> {x}"), tag=call)  # fmt: skip
        b.f(f"{out} = {out}.{swap}", ("view_for_transpose", f"{out} = {out}.reshape({out}.size(1), {out}.size(0), -1)"))
    b.x, b.width = out, H * R
    if P and c:
        c = None
    return State(h, c, K, R, H, cell)


def _steps_swapped(b: Builder, call: str, x: str) -> tuple[str, str] | None:
    return (
        ("view_for_transpose", f"{call}({x}.reshape({x}.shape[1], {x}.shape[0], -1).transpose(0, 1))")
        if b.chance(0.3)
        else None
    )


def _sort_pack(b: Builder, rnn: str, cell: str, K: int, R: int, D: int) -> State:
    """Rows sorted by length, packed, run, and put back into their order."""
    x, c = b.x, "cn" if cell == "LSTM" else None
    b.i(f"self.{rnn} = nn.{cell}({b.width}, {D}, {K}, batch_first={b.T == 1}, bidirectional={R == 2})")
    order, back, lens, out, h = (
        b.name("order", "perm_idx", "idx"),
        b.name("restore", "unsort", "inverse"),
        b.name("sorted_lengths", "lens"),
        b.name("out", "output"),
        b.name("hn", "ht", "h"),
    )
    clamp = ".clamp(min=1)" if 0 in (b.lengths or ()) else ""
    b.f(
        f"{lens}, {order} = lengths{clamp}.sort(descending=True)"
        if b.chance(0.5)
        else f"{lens}, {order} = torch.sort(lengths{clamp}, dim=0, descending=True)"
    )
    b.f(f"{back} = torch.argsort({order})" if b.chance(0.5) else f"_, {back} = {order}.sort()",
        ("unsort", f"{back} = torch.arange(len({order}))", "@back"), ("unsort", f"{back} = {order}", "@back"))  # fmt: skip
    index = lambda name, by: f"{name}[{by}]" if b.T == 1 else f"{name}[:, {by}]"  # noqa: E731
    b.f(f"{x} = {index(x, order)}", ("other_lengths", f"{x} = {x}.contiguous()", "@pack", "@back"))
    b.f(f"packed = pack_padded_sequence({x}, {lens}.cpu(), batch_first={b.T == 1})", tag="@pack")
    states = f"({h}, {c})" if c else h
    b.f(f"{out}, {states} = self.{rnn}(packed)")
    total = f", total_length={x}.size({b.T})" if b.mask or b.chance(0.5) else ""
    b.f(f"{out}, _ = pad_packed_sequence({out}, batch_first={b.T == 1}{total})",
        b.T == 1 and ("pad_packed", "batch_first=True -> batch_first=False"))  # fmt: skip
    b.f(
        f"{out} = {index(out, back)}",
        ("unsort", f"{out} = {out}.contiguous()"),
        ("unsort", f"{out} = {index(out, order)}"),
        tag="@back",
    )
    b.f(f"{h} = {h}[:, {back}]" if b.chance(0.5) else f"{h} = {h}.index_select(1, {back})",
        ("unsort", f"{h} = {h}[:, {order}]"), ("unsort", f"{h} = {h}.contiguous()"), tag="@back")  # fmt: skip
    b.x, b.width = out, D * R
    return State(h, None, K, R, D, cell)


def cell_loop(b: Builder) -> State:
    """A cell of torch's, step by step."""
    D = b.size(4, 14)
    kind = b.pick("LSTM", "GRU", "LSTM")
    cell = b.name("cell", "rnn_cell", "lstm_cell")
    x, h, c, steps, t = (
        b.x,
        b.name("h", "hx", "ht"),
        b.name("c", "cx", "ct"),
        b.name("outs", "steps", "outputs"),
        b.name("t", "i", "k"),
    )
    b.i(f"self.{cell} = nn.{kind}Cell({b.width}, {D})")
    zeros = b.random.choice(
        [
            f"torch.zeros({x}.size({b.B}), {D})",
            f"{x}.new_zeros({x}.size({b.B}), {D})",
            f"{x}.new_zeros({x}.shape[{b.B}], {D})",
        ]
    )
    b.f(f"{h} = {zeros}")
    if kind == "LSTM":
        b.f(f"{c} = {zeros}" if b.chance(0.5) else f"{c} = torch.zeros_like({h})")
    step = f"{x}[:, {t}]" if b.T else f"{x}[{t}]"
    b.f(f"{steps} = []")
    b.f(
        f"for {t} in range({x}.size({b.T})):",
        b.N < b.L and b.N > 1 and ("loop_axis", f"size({b.T}) -> size({b.B})"),
        b.L > 2 and ("loop_axis", f"range({x}.size({b.T})) -> range(1)"),
    )
    if kind == "LSTM":
        b.f(f"    {h}, {c} = self.{cell}({step}, ({h}, {c}))", ("state_lost", f"{h}, {c} = self.{cell}({step})"),
            ("states_exchanged", f"{c}, {h} = self.{cell}({step}, ({h}, {c}))"), ("state_lost", f"{h}, {c} = self.{cell}({step}, (torch.zeros_like({h}), torch.zeros_like({c})))"))  # fmt: skip
    else:
        b.f(f"    {h} = self.{cell}({step}, {h})", ("state_lost", f"{h} = self.{cell}({step})"))
    if b.chance(0.3):
        drop = b.name("drop", "dropout", "do")
        b.i(f"self.{drop} = nn.Dropout(0.3)")
        b.f(
            f"    {steps}.append(self.{drop}({h}))",
            kind == "LSTM" and ("cell_kept", f"self.{drop}({h}) -> self.{drop}({c})"),
        )
    else:
        b.f(f"    {steps}.append({h})", kind == "LSTM" and ("cell_kept", f"append({h}) -> append({c})"))
    out = b.name("out", "output", "y")
    b.f(f"{out} = torch.stack({steps}, dim={b.T})", b.T == 1 and ("stack_dim", f"{out} = torch.stack({steps}, dim=0).view({x}.size(0), -1, {D})"), ("stack_dim", f"{out} = torch.stack({steps}, dim={b.B})"),
        b.T == 1 and ("cat_dim", f"{out} = torch.cat({steps}, dim=0).view({x}.size(0), -1, {D})"))  # fmt: skip
    b.x, b.width = out, D
    return State(h, None, 1, 1, D, "cell")


def own_cell(b: Builder) -> State:
    """Gates by hand, over the steps."""
    D = b.size(4, 12)
    x, n = b.x, b.name("N", "bs", "batch_size")
    form = b.random.randrange(4)
    h, c, t, steps = (
        b.name("h", "h_t", "hid"),
        b.name("c", "c_t", "mem"),
        b.name("t", "s", "step"),
        b.name("hidden_seq", "hs", "states"),
    )
    step = f"{x}[:, {t}{b.pick('', ', :')}]" if b.T else f"{x}[{t}]"
    b.f(f"{n} = {x}.size({b.B})")
    b.f(f"{h} = torch.zeros({n}, {D})")
    if form != 1:
        b.f(f"{c} = torch.zeros({n}, {D})")
    b.f(f"{steps} = []")
    if form == 0:
        wx, wh, bias = b.name("W", "weight_ih", "w_x"), b.name("U", "weight_hh", "w_h"), b.name("bias", "b_gates")
        b.i(f"self.{wx} = nn.Parameter(torch.randn({b.width}, {4 * D}) * 0.3)")
        b.i(f"self.{wh} = nn.Parameter(torch.randn({D}, {4 * D}) * 0.3)")
        b.i(f"self.{bias} = nn.Parameter(torch.zeros({4 * D}))")
        gates = f"{step} @ self.{wx} + {h} @ self.{wh} + self.{bias}"
    elif form == 1:
        wx, wh = b.name("x2h", "wx"), b.name("h2h", "wh")
        b.i(f"self.{wx} = nn.Linear({b.width}, {3 * D})")
        b.i(f"self.{wh} = nn.Linear({D}, {3 * D})")
    else:
        wx = b.name("gates", "linear", "i2h")
        b.i(f"self.{wx} = nn.Linear({b.width + D}, {4 * D})")
        gates = f"self.{wx}(torch.cat([{step}, {h}], dim=1))"
    b.f(f"for {t} in range({x}.shape[{b.T}]):", 1 < b.N < b.L and ("loop_axis", f"shape[{b.T}] -> shape[{b.B}]"))
    if form == 1:
        b.f(f"    gx = self.{wx}({step})")
        b.f(f"    gh = self.{wh}({h})", ("own_state_lost", f"gh = self.{wh}(torch.zeros_like({h}))"))
        b.f("    rx, zx, nx = gx.chunk(3, 1)", ("gates_view", f"rx, zx, nx = gx.view(3, -1, {D})"))
        b.f("    rh, zh, nh = gh.chunk(3, dim=-1)", ("gates_view", f"rh, zh, nh = gh.reshape(3, {n}, {D})"))
        b.f("    z = torch.sigmoid(zx + zh)")
        b.f("    new = torch.tanh(nx + torch.sigmoid(rx + rh) * nh)")
        b.f(f"    {h} = (1 - z) * new + z * {h}")
    else:
        b.f(f"    z = {gates}", ("own_state_lost", f"{h} -> torch.zeros_like({h})"))
        split, bad = b.random.choice([
            ("z.chunk(4, dim=1)", f"z.view(4, {n}, {D})"), ("torch.chunk(z, 4, -1)", f"z.reshape(4, -1, {D})"),
            (f"z.split({D}, dim=1)", f"z.view(4, {n}, {D}).unbind(0)"), (f"z.view({n}, 4, {D}).unbind(1)", f"z.view(4, {n}, {D}).unbind(0)"),
            (f"z.view({n}, 4, {D}).transpose(0, 1)", f"z.view(4, {n}, {D})"),
        ])  # fmt: skip
        b.f(f"    i, f, g, o = {split}", ("gates_view", f"i, f, g, o = {bad}"))
        b.f(f"    {c} = torch.sigmoid(f) * {c} + torch.sigmoid(i) * torch.tanh(g)")
        b.f(
            f"    {h} = torch.sigmoid(o) * torch.tanh({c})",
            b.chance(0.3) and ("norm_dim", f"{h} = torch.sigmoid(o) * torch.softmax({c}, dim=0)"),
        )
    kept, out = b.random.randrange(3), b.name("out", "ys", "seq_out")
    if kept == 0:
        b.f(f"    {steps}.append({h}.unsqueeze({b.T}))", form != 1 and ("own_cell_kept", f"append({h}. -> append({c}."))
        b.f(
            f"{out} = torch.cat({steps}, dim={b.T})",
            b.T == 1 and ("cat_dim", f"{out} = torch.cat({steps}, dim=0).view({n}, -1, {D})"),
        )
    else:
        b.f(f"    {steps}.append({h})", form != 1 and ("own_cell_kept", f"append({h}) -> append({c})"))
        if kept == 1:
            b.f(
                f"{out} = torch.stack({steps}, {b.T})",
                b.T == 1 and ("stack_dim", f"{out} = torch.stack({steps}, 0).view({n}, -1, {D})"),
            )
        else:
            swap = ".transpose(0, 1)" if b.T else ""
            b.f(
                f"{out} = torch.stack({steps}){swap}",
                b.T == 1 and ("view_for_transpose", f"{swap} -> .reshape({n}, -1, {D})"),
            )
    b.x, b.width = out, D
    return State(h, None, 1, 1, D, "cell")


def recur(b: Builder, *, packed: bool = False, padded: bool = False) -> State:
    """Any recurrence; over padded rows that are not packed it reads forwards only."""
    draw = b.random.random()
    if packed or draw < 0.7:
        return encode(b, packed=packed, R=1 if padded and not packed else None)
    return cell_loop(b) if draw < 0.83 else own_cell(b)


# between ---------------------------------------------------------------------------------------------------------------


def middle(b: Builder, *, padded: bool = False) -> None:
    """Something between two layers that keeps samples and steps apart."""
    kinds = [_norm, _residual, _highway, _dropout, _linear, _gate, _locked, _noise]
    if not padded:
        kinds += [
            _conv,
            _batch_norm,
            _subsample,
            _self_attention,
            _multihead,
            _cumulative,
            _stacked_frames,
            _instance,
            _instance_norm,
            _both_ways,
            _spatial,
        ]
    b.random.choice(kinds)(b)


def _norm(b: Builder) -> None:
    norm = b.name("norm", "ln", "layer_norm")
    b.i(f"self.{norm} = nn.LayerNorm({b.width})")
    b.f(
        f"{b.x} = self.{norm}({b.x})",
        ("norm_dim", f"{b.x} = ({b.x} - {b.x}.mean({b.B}, keepdim=True)) / ({b.x}.std({b.B}, keepdim=True) + 1e-5)"),
    )


def _batch_norm(b: Builder) -> None:
    norm = b.name("bn", "batch_norm", "norm1")
    b.i(f"self.{norm} = nn.BatchNorm1d({b.width})")
    inside, outside = (".transpose(1, 2)", ".transpose(1, 2)") if b.T else (".permute(1, 2, 0)", ".permute(2, 0, 1)")
    b.f(f"{b.x} = self.{norm}({b.x}{inside}){outside}")


def _instance(b: Builder) -> None:
    b.f(
        f"{b.x} = F.normalize({b.x}, dim={b.pick('-1', '2')})",
        ("norm_dim", f"{b.x} = F.normalize({b.x}, dim={b.B})"),
        ("norm_dim", f"{b.x} = {b.x} / {b.x}.norm(dim={b.B}, keepdim=True)"),
    )


def _instance_norm(b: Builder) -> None:
    norm = b.name("inorm", "instance_norm", "norm2")
    b.i(f"self.{norm} = nn.InstanceNorm1d({b.width}{b.pick('', ', affine=True')})")
    inside, outside = (".transpose(1, 2)", ".transpose(1, 2)") if b.T else (".permute(1, 2, 0)", ".permute(2, 0, 1)")
    across, back = (".permute(1, 2, 0)", ".permute(2, 0, 1)") if b.T else (".transpose(1, 2)", ".transpose(1, 2)")
    b.f(
        f"{b.x} = self.{norm}({b.x}{inside}){outside}",
        b.N > 1 and ("batch_statistics", f"{b.x} = self.{norm}({b.x}{across}){back}"),
    )


def _residual(b: Builder) -> None:
    layer = b.name("ff", "res", "mlp")
    b.i(
        f"self.{layer} = nn.Sequential(nn.Linear({b.width}, {2 * b.width}), nn.ReLU(), nn.Linear({2 * b.width}, {b.width}))"
    )
    b.f(
        f"{b.x} = {b.x} + self.{layer}({b.x})",
        b.T == 1 and ("other_axis", f"self.{layer}({b.x}) -> self.{layer}({b.x}).flip(0)"),
    )


def _highway(b: Builder) -> None:
    gate, layer = b.name("gate", "transform"), b.name("highway", "carry")
    b.i(f"self.{gate} = nn.Linear({b.width}, {b.width})")
    b.i(f"self.{layer} = nn.Linear({b.width}, {b.width})")
    g = b.name("g", "gated")
    b.f(
        f"{g} = torch.sigmoid(self.{gate}({b.x}))",
        ("softmax_dim", f"{g} = torch.softmax(self.{gate}({b.x}), dim={b.B})"),
    )
    b.f(f"{b.x} = {g} * torch.relu(self.{layer}({b.x})) + (1 - {g}) * {b.x}")


def _dropout(b: Builder) -> None:
    if b.chance(0.5):
        drop = b.name("dropout", "drop", "locked")
        b.i(f"self.{drop} = nn.Dropout({b.pick('0.2', '0.5')})")
        b.f(f"{b.x} = self.{drop}({b.x})")
    else:
        b.f(f"{b.x} = F.dropout({b.x}, 0.4, self.training)" if b.chance(0.5) else f"{b.x} = F.dropout({b.x}, p=0.25)")


def _locked(b: Builder) -> None:
    """One dropout mask a sample, the same at all steps."""
    m, size = b.name("m", "noise_mask"), f"1, {b.x}.size(1)" if b.T == 0 else f"{b.x}.size(0), 1"
    b.f(
        f"{m} = {b.x}.new_empty({size}, {b.width}).bernoulli_(0.7) / 0.7",
        b.chance(0.3) and ("batch_statistics", f"{m} = 1 / (1 + {b.x}.abs().amax())"),
    )
    b.f(f"{b.x} = {b.x} * {m}")


def _noise(b: Builder) -> None:
    b.f("if self.training:")
    b.f(f"    {b.x} = {b.x} + 0.1 * torch.randn_like({b.x})")


def _spatial(b: Builder) -> None:
    inside, outside = (".transpose(1, 2)", ".transpose(1, 2)") if b.T else (".permute(1, 2, 0)", ".permute(2, 0, 1)")
    b.f(f"{b.x} = F.dropout1d({b.x}{inside}, 0.3, self.training){outside}")


def _both_ways(b: Builder) -> None:
    """Two directions by hand: the second layer reads the steps from the end."""
    ahead, back, D, T = b.name("fwd", "rnn_f"), b.name("bwd", "rnn_b"), b.size(4, 10), b.T
    first = ", batch_first=True" if T else ""
    for layer in (ahead, back):
        line = f"self.{layer} = nn.GRU({b.width}, {D}{first})"
        b.i(
            line,
            ("batch_first", f"{first} -> ", f"@{layer}")
            if first
            else ("batch_first", line[:-1] + ", batch_first=True)", f"@{layer}"),
        )
    f, g, out = b.name("yf", "left_out"), b.name("yb", "right_out"), b.name("bi", "joined")
    b.f(f"{f}, _ = self.{ahead}({b.x})", tag=f"@{ahead}")
    b.f(f"{g}, _ = self.{back}({b.x}.flip({T}))", ("flip_dim", f"flip({T}) -> flip({b.B})"), tag=f"@{back}")
    b.f(f"{out} = torch.cat([{f}, {g}.flip({T})], dim=-1)", ("flip_dim", f"flip({T}) -> flip({b.B})"))
    b.x, b.width = out, 2 * D


def _linear(b: Builder) -> None:
    layer, D = b.name("fc", "dense", "hidden_layer"), b.size(4, 16)
    b.i(f"self.{layer} = nn.Linear({b.width}, {D})")
    if b.chance(0.3):
        b.f(f"{b.x} = self.{layer}({b.x}.reshape(-1, {b.width})).view({b.x}.size(0), {b.x}.size(1), {D})",
            ("flatten", f"view({b.x}.size(0), {b.x}.size(1), {D}) -> view({b.x}.size(1), {b.x}.size(0), {D}).transpose(0, 1)"),
            ("flatten", f"{b.x}.reshape -> {b.x}.transpose(0, 1).reshape"))  # fmt: skip
    else:
        b.f(f"{b.x} = F.{b.pick('relu', 'leaky_relu', 'elu')}(self.{layer}({b.x}))")
    b.width = D


def _gate(b: Builder) -> None:
    layer = b.name("se", "att_gate", "feature_gate")
    b.i(f"self.{layer} = nn.Linear({b.width}, {b.width})")
    b.f(f"{b.x} = {b.x} * torch.softmax(self.{layer}({b.x}), dim=-1)", ("softmax_dim", f"dim=-1 -> dim={b.B}"))


def _conv(b: Builder) -> None:
    conv, D = b.name("conv1d", "tcn", "temporal"), b.size(4, 14)
    b.i(f"self.{conv} = nn.Conv1d({b.width}, {D}, 3, padding=1)")
    inside, outside = (
        (b.pick(".transpose(1, 2)", ".permute(0, 2, 1)"), ".transpose(1, 2)")
        if b.T
        else (".permute(1, 2, 0)", ".permute(2, 0, 1)")
    )
    wrongs = (
        [] if not b.T else [("view_for_transpose", f"{b.x} = {b.x}.reshape({b.L}, {b.width}, -1).permute(2, 1, 0)")]
    )
    b.f(f"{b.x} = {b.x}{inside}", *wrongs)
    b.f(f"{b.x} = {b.pick('torch.relu', 'F.relu', 'torch.tanh')}(self.{conv}({b.x}))")
    b.f(
        f"{b.x} = {b.x}{outside}",
        ("view_for_transpose", f"{b.x} = {b.x}.reshape({b.L}, -1, {D}){'.transpose(0, 1)' if b.T else ''}"),
    )
    b.width = D


def _subsample(b: Builder) -> None:
    if b.T == 0 or b.L < 6:
        return _norm(b)
    if b.chance(0.5):
        b.f(
            f"{b.x} = {b.x}[:, ::2]",
            b.N > 3 and ("other_axis", f"{b.x} = {b.x}[[0, 0, *range(2, {b.x}.size(0))], ::2]"),
        )
        b.L = (b.L + 1) // 2
    else:
        even = b.L - b.L % 2
        b.f(f"{b.x} = {b.x}[:, :{even}]")
        b.f(f"{b.x} = {b.x}.reshape({b.x}.size(0), {even // 2}, {2 * b.width})",
            ("view_for_transpose", f"{b.x} = {b.x}.transpose(0, 1).reshape({b.x}.size(0), {even // 2}, {2 * b.width})"))  # fmt: skip
        b.width, b.L = 2 * b.width, even // 2


def _stacked_frames(b: Builder) -> None:
    b.f(f"{b.x} = torch.cat([{b.x}, {b.x}.flip({b.T})], dim=-1)", ("flip_dim", f"flip({b.T}) -> flip({b.B})"))
    b.width *= 2


def _self_attention(b: Builder) -> None:
    D = b.size(4, 12)
    q, k, v = b.name("query", "wq", "q_proj"), b.name("key", "wk", "k_proj"), b.name("value", "wv", "v_proj")
    for layer in (q, k, v):
        b.i(f"self.{layer} = nn.Linear({b.width}, {D})")
    x, s, a, out = b.x, b.name("scores", "energy"), b.name("weights", "attn"), b.name("ctx", "attended")
    if b.T == 1 and b.chance(0.6):
        b.f(f"{s} = torch.bmm(self.{q}({x}), self.{k}({x}).transpose(1, 2)) / math.sqrt({D})")
        b.f(
            f"{a} = {b.pick(f'F.softmax({s}, dim=-1)', f'{s}.softmax(dim=2)')}",
            ("softmax_dim", f"{a} = F.softmax({s}, dim=0)"),
        )
        b.f(f"{out} = {a} @ self.{v}({x})")
    else:
        i, j = ("nid,njd->nij", "nij,njd->nid") if b.T else ("ind,jnd->nij", "nij,jnd->ind")
        mixed_i, mixed_j = ("nid,mjd->nij", "nij,mjd->nid") if b.T else ("ind,jmd->nij", "nij,jmd->ind")
        b.f(f"{s} = torch.einsum('{i}', self.{q}({x}), self.{k}({x}))", ("product", f"{i} -> {mixed_i}"))
        b.f(f"{a} = torch.softmax({s}, dim=-1)", ("softmax_dim", "dim=-1 -> dim=0"))
        b.f(f"{out} = torch.einsum('{j}', {a}, self.{v}({x}))", ("product", f"{j} -> {mixed_j}"))
    b.x, b.width = out, D


def _multihead(b: Builder) -> None:
    heads = 2
    D, layer, out, call = (
        2 * b.size(3, 6),
        b.name("mha", "self_attn", "attention"),
        b.name("a", "mixed", "attn_out"),
        b.name("@mha", "@mh"),
    )
    inner = b.name("to_model", "reduce")
    b.i(f"self.{inner} = nn.Linear({b.width}, {D})")
    first = ", batch_first=True" if b.T else ""
    dropout = b.pick("", ", dropout=0.1")
    line = f"self.{layer} = nn.MultiheadAttention({D}, {heads}{dropout}{first})"
    b.i(
        line,
        ("batch_first", f"{first} -> ", call) if first else ("batch_first", line[:-1] + ", batch_first=True)", call),
    )
    b.f(f"{b.x} = self.{inner}({b.x})")
    b.f(f"{out}, _ = self.{layer}({b.x}, {b.x}, {b.x})", tag=call)
    b.x, b.width = out, D


def _cumulative(b: Builder) -> None:
    b.f(f"{b.x} = {b.x}.cumsum(dim={b.T}) / {b.L}", ("cumsum_dim", f"cumsum(dim={b.T}) -> cumsum(dim={b.B})"))


def sum_directions(b: Builder, state: State) -> None:
    """The two directions of a layer's output added."""
    if state.R != 2 or b.chance(0.5):
        return
    D = state.D
    n, t = f"{b.x}.size(0)", f"{b.x}.size(1)"
    if b.chance(0.6):
        b.f(f"{b.x} = {b.x}.view({n}, {t}, 2, {D}).sum(2)", ("directions_view", f"view({n}, {t}, 2, {D}).sum(2) -> view({n}, {t}, {D}, 2).sum(3)"),
            ("one_direction", ".sum(2) -> [:, :, 0]"), b.T == 1 and ("view_for_transpose", f"view({n}, {t}, 2, {D}).sum(2) -> reshape(2, {n}, {t}, {D}).sum(0)"))  # fmt: skip
    else:
        b.f(
            f"{b.x} = {b.x}[:, :, :{D}] + {b.x}[:, :, {D}:]",
            ("one_direction", f"{b.x}[:, :, {D}:] -> {b.x}[:, :, :{D}]"),
        )
    b.width = D


# reading out -----------------------------------------------------------------------------------------------------------


def read_state(b: Builder, state: State) -> None:
    """One vector a sample from the last state."""
    h, K, R, D, v = state.h, state.K, state.R, state.D, b.name("v", "last", "feat", "summary", "code")
    cell = f"{state.c}" if state.c else None
    if state.cell == "cell":
        b.f(f"{v} = {h}")
    elif R == 1:
        form = b.random.randrange(5)
        if form == 0 and K > 1:
            b.f(
                f"{v} = {h}.transpose(0, 1).reshape(-1, {K * D})",
                ("state_view", f"{v} = {h}.reshape(-1, {K * D})"),
                ("state_view", f"{v} = {h}.view({h}.size(1), -1)"),
            )
            D *= K
        elif form == 1:
            b.f(
                f"{v} = {h}.permute(1, 0, 2).contiguous().view({h}.size(1), -1)",
                K > 1 and ("state_view", f"{v} = {h}.view({h}.size(1), -1)"),
            )
            D *= K
        elif form == 2 and K > 1:
            b.f(
                f"{v} = torch.cat([{h}[-1], {h}[-2]], dim={b.pick('1', '-1')})",
                ("cat_dim", f"{v} = torch.cat([{h}[-1], {h}[-2]], dim=0).view({h}.size(1), -1)"),
            )
            D *= 2
        elif form == 3 and cell:
            b.f(
                f"{v} = torch.cat(({h}[-1], {cell}[-1]), 1)",
                ("cat_dim", f"{v} = torch.cat(({h}[-1], {cell}[-1]), 0).view({h}.size(1), -1)"),
            )
            D *= 2
        else:
            read = b.pick(f"{h}[-1]", f"{h}[{K - 1}]", f"{h}[-1, :, :]", *([f"{h}.squeeze(0)"] if K == 1 else []))
            b.f(f"{v} = {read}", K > 1 and ("lower_layer", f"{v} = {h}[0]"), cell and ("cell_read", f"{v} = {cell}[-1]"),
                b.N > 1 and b.N <= D and ("other_axis", f"{v} = {h}[-1].view({D}, -1).t().contiguous()"))  # fmt: skip
    else:
        form = b.random.randrange(5)
        if form == 4 and K == 2:
            b.f(
                f"{v} = {h}.view(2, 2, {h}.size(1), {D}).sum(1)[-1]",
                ("sum_axis", ".sum(1)[-1] -> .sum(0)[-1]"),
                ("lower_layer", "[-1] -> [0]"),
            )
        elif form == 0:
            b.f(f"{v} = torch.cat(({h}[-2], {h}[-1]), dim=1)", ("cat_dim", f"{v} = torch.cat(({h}[-2], {h}[-1]), dim=0).view({h}.size(1), -1)"),
                K > 1 and ("lower_layer", f"{v} = torch.cat(({h}[0], {h}[1]), dim=1)"), cell and ("cell_read", f"{v} = torch.cat(({cell}[-2], {cell}[-1]), dim=1)"),
                ("one_direction", f"{v} = torch.cat(({h}[-1], {h}[-1]), dim=1)"))  # fmt: skip
            D *= 2
        elif form == 1:
            b.f(f"{v} = {h}.view({K}, 2, {h}.size(1), {D})[-1]", K > 1 and ("lower_layer", "[-1] -> [0]"))
            b.f(f"{v} = {v}.transpose(0, 1).reshape(-1, {2 * D})", ("state_view", f"{v} = {v}.reshape(-1, {2 * D})"))
            D *= 2
        elif form == 2:
            b.f(
                f"{v} = {h}.transpose(0, 1).reshape({h}.size(1), -1)",
                ("state_view", f"{v} = {h}.view({h}.size(1), -1)"),
            )
            D *= 2 * K
        else:
            b.f(
                f"{v} = {h}[-2] + {h}[-1]",
                ("one_direction", f"{v} = {h}[-1]"),
                ("one_direction", f"{v} = {h}[-2]"),
                K > 1 and ("lower_layer", f"{v} = {h}[0] + {h}[1]"),
            )
    b.x, b.width = v, D


def pool(b: Builder, state: State | None = None, *, padded: bool = False) -> None:
    """One vector a sample from the outputs of all steps."""
    (_pool_padded if padded else b.random.choice([_pool_full, _pool_full, attend]))(b, state)


def _pool_full(b: Builder, state: State | None) -> None:
    x, v, T, B = b.x, b.name("v", "pooled", "doc", "context"), b.T, b.B
    one_way = state is not None and state.R == 1
    last, first = (f"{x}[:, -1]", f"{x}[:, 0]") if T else (f"{x}[-1]", f"{x}[0]")
    form = b.random.randrange(7)
    if state and state.R == 2 and b.chance(0.4):
        form = 2
    if form < 2 and one_way:
        b.f(
            f"{v} = {last}",
            ("first_step", f"{v} = {first}"),
            b.N > 1 and b.T == 0 and ("other_axis", f"{v} = {x}[:, -1]"),
            b.T == 1 and ("other_axis", f"{v} = {x}[-1]"),
        )
    elif form == 2 and state and state.R == 2 and state.cell != "cell" and b.width == 2 * state.D:
        D = state.D
        b.f(f"{v} = torch.cat([{last[:-1]}, :{D}], {first[:-1]}, {D}:]], dim=1)" if T else f"{v} = torch.cat([{x}[-1, :, :{D}], {x}[0, :, {D}:]], dim=1)",
            ("last_of_both", f"{v} = {last}"), ("cat_dim", f"{v} = torch.cat([{x}{'[:, -1, :' if T else '[-1, :, :'}{D}], {x}{'[:, 0, ' if T else '[0, :, '}{D}:]], dim=0).view(-1, {2 * D})"))  # fmt: skip
    elif form == 3:
        b.f(
            f"{v}, _ = {x}.max(dim={T})" if b.chance(0.5) else f"{v} = torch.max({x}, {T})[0]",
            ("pool_dim", f"{v}, _ = {x}.max(dim={B})"),
        )
    elif form == 4:
        b.f(f"{v} = torch.cat([{x}.mean({T}), {x}.max({T}).values], dim=1)", ("pool_dim", f".mean({T}) -> .mean({B}, keepdim=True).mean({T}).expand({x}.size({B}), -1)"),
            ("cat_dim", f"{v} = torch.cat([{x}.mean({T}), {x}.max({T}).values], dim=0).view(-1, {2 * b.width})"))  # fmt: skip
        b.width *= 2
    elif form == 5 and T:
        b.f(
            f"{v} = F.adaptive_{b.pick('avg', 'max')}_pool1d({x}.transpose(1, 2), 1).squeeze(2)",
            (
                "view_for_transpose",
                f"{x}.transpose(1, 2) -> {x}.reshape({x}.size(1), {x}.size(2), -1).permute(2, 1, 0)",
            ),
        )
    else:
        how = b.pick("mean", "sum", "logsumexp", "amax", "norm")
        b.f(f"{v} = {x}.{how}(dim={T})", ("pool_dim", f"{how}(dim={T}) -> {how}(dim={B})"))
    b.x = v


def attend(b: Builder, state: State | None = None) -> None:
    """Attention pooling over the steps."""
    x, T, B, D, v = b.x, b.T, b.B, b.size(4, 12), b.name("context", "v", "ctx")
    score, w, s = (
        b.name("attn", "score", "attention_layer"),
        b.name("w", "alpha", "weights"),
        b.name("scores", "e", "logit"),
    )
    form = b.random.randrange(4)
    if form == 0:
        b.i(f"self.{score} = nn.Linear({b.width}, 1)")
        b.f(
            f"{w} = torch.softmax(self.{score}({x}), dim={T})",
            ("softmax_dim", f"dim={T} -> dim={B}"),
            ("size_one", f"dim={T} -> dim=-1"),
        )
        b.f(
            f"{v} = ({w} * {x}).sum(dim={T})"
            if b.chance(0.6) or not T
            else f"{v} = torch.bmm({w}.transpose(1, 2), {x}).squeeze(1)"
        )
    elif form == 1:
        b.i(f"self.{score} = nn.Sequential(nn.Linear({b.width}, {D}), nn.Tanh(), nn.Linear({D}, 1, bias=False))")
        b.f(f"{s} = self.{score}({x}).squeeze(-1)")
        b.f(f"{w} = F.softmax({s}, dim={T})", ("softmax_dim", f"dim={T} -> dim={B}"))
        b.f(
            f"{v} = torch.einsum('{'nl,nld' if T else 'ln,lnd'}->nd', {w}, {x})",
            ("product", f"{'nl,nld' if T else 'ln,lnd'}->nd -> {'nl,mld' if T else 'ln,lmd'}->nd"),
        )
    elif form == 2 and T:
        query = b.name("u", "context_vector", "query")
        b.i(f"self.{score} = nn.Linear({b.width}, {D})")
        b.i(f"self.{query} = nn.Parameter(torch.randn({D}))")
        b.f(f"{s} = torch.tanh(self.{score}({x})).matmul(self.{query})")
        b.f(f"{w} = {s}.softmax({b.pick('1', '-1')})", ("softmax_dim", f"{w} = {s}.softmax(0)"))
        b.f(f"{v} = torch.bmm({w}.unsqueeze(1), {x}).squeeze(1)", ("product", f"{v} = {w} @ {x}.mean(0)"))
    elif state is not None and state.cell != "cell" and state.R == 1 and b.width == state.D and T:
        b.f(
            f"{s} = torch.bmm({x}, {state.h}[-1].unsqueeze(2)).squeeze(2)",
            state.K > 1 and ("lower_layer", "[-1] -> [0]"),
        )
        b.f(f"{w} = torch.softmax({s}, 1)", ("softmax_dim", f"{w} = torch.softmax({s}, 0)"))
        b.f(
            f"{v} = torch.bmm({x}.transpose(1, 2), {w}.unsqueeze(2)).squeeze(2)",
            ("other_axis", f"{w}.unsqueeze -> {w}.roll(1, 0).unsqueeze"),
        )
    else:
        b.i(f"self.{score} = nn.Linear({b.width}, 1)")
        b.f(f"{w} = torch.exp(self.{score}({x}))")
        b.f(f"{w} = {w} / {w}.sum({T}, keepdim=True)", ("norm_dim", f"sum({T}, -> sum({B},"))
        b.f(f"{v} = torch.sum({w} * {x}, dim={T})", ("pool_dim", f"dim={T} -> dim={B}"))
    b.x = v


def _mask(b: Builder) -> str:
    """The name of a mask (N, L), true where a step is real."""
    if not b.mask:
        b.mask = b.name("mask", "valid", "keep")
        L = f"{b.x}.size({b.T})"
        b.f(f"{b.mask} = torch.arange({L})[None, :] < lengths[:, None]" if b.chance(0.6) else f"{b.mask} = torch.arange({L}).unsqueeze(0).expand(len(lengths), -1) < lengths.unsqueeze(1)",
            b.N == b.L and ("mask_layout", f"{b.mask} = torch.arange({L})[:, None] < lengths[None, :]", "@masked"),
            ("lengths_off", f"{b.mask} = torch.arange({L})[None, :] < (lengths + 1)[:, None]", "@masked"),
            ("other_lengths", f"{b.mask} = torch.arange({L})[None, :] < lengths.sort(descending=True)[0][:, None]", "@masked"))  # fmt: skip
    return b.mask


def _pool_padded(b: Builder, state: State | None) -> None:
    x, T, v, w = b.x, b.T, b.name("v", "pooled", "summary"), b.name("w", "alpha", "att")
    has_lengths = "lengths" in b.arguments
    form = b.random.randrange(6)
    if form == 0 and has_lengths and state and state.R == 1 and T:
        clamp = ".clamp(min=1)" if 0 in (b.lengths or ()) else ""
        if b.chance(0.5):
            i = b.name("idx", "index", "last_idx")
            b.f(
                f"{i} = (lengths{clamp} - 1).view(-1, 1, 1).expand(-1, 1, {b.width})",
                ("lengths_off", f"(lengths{clamp} - 1) -> lengths{clamp}.clamp(max={b.L - 1})", "@gather"),
            )
            b.f(f"{v} = {x}.gather(1, {i}).squeeze(1)", ("last_step", f"{v} = {x}[:, -1]"), tag="@gather")
        else:
            b.f(
                f"{v} = {x}[torch.arange({x}.size(0)), lengths{clamp} - 1]",
                ("last_step", f"{v} = {x}[:, -1, :]"),
                ("other_lengths", f"lengths{clamp} -> lengths{clamp}.flip(0)"),
            )
        b.x = v
        return
    mask = _mask(b)
    m = mask if T else f"{mask}.t()"
    none = 0 not in (b.lengths or ())
    if form <= 2:
        total = f"{m}.unsqueeze(-1)"
        if b.chance(0.5):
            b.f(f"{x} = {x} * {total}.float()", ("pool_mask", f"{x} = {x}.contiguous()", "@mean"), tag="@masked")
            b.f(
                f"{v} = {x}.sum({T}) / {mask}.sum(1, keepdim=True).clamp(min=1)",
                ("pool_mask", f"{v} = {x}.mean({T})"),
                ("pool_dim", "sum(1, keepdim=True) -> sum(1, keepdim=True).max(0)[0]"),
                tag="@mean @masked",
            )
        else:
            b.f(
                f"{v} = ({x} * {total}).sum({T}) / {total}.sum({T}).clamp(min=1)",
                ("pool_mask", f"({x} * {total}).sum({T}) -> {x}.sum({T})"),
                tag="@masked",
            )
    elif form == 3:
        low = "-1e9" if none and b.chance(0.5) else "-1e4"
        b.f(
            f"{x} = {x}.masked_fill(~{m}.unsqueeze(-1), {low})",
            ("pool_mask", f"{x} = {x}.contiguous()", "@max"),
            tag="@masked",
        )
        b.f(f"{v} = {x}.max({T})[0]", ("pool_dim", f"{v} = {x}.max({b.B})[0]"), tag="@max @masked")
    else:
        score, s = b.name("attn", "score", "att_fc"), b.name("scores", "e", "logit")
        low = "float('-inf')" if none and b.chance(0.5) else "-1e9"
        b.i(f"self.{score} = nn.Linear({b.width}, 1)")
        b.f(f"{s} = self.{score}({x}).squeeze({b.pick('2', '-1')})")
        b.f(
            f"{s} = {s}.masked_fill({m} == 0, {low})"
            if b.chance(0.5)
            else f"{s} = torch.where({m}, {s}, torch.full_like({s}, {low}))",
            ("softmax_mask", f"{s} = {s}.contiguous()", "@soft"),
            tag="@masked",
        )
        b.f(f"{w} = F.softmax({s}, dim={T})", ("softmax_dim", f"dim={T} -> dim={b.B}"), tag="@soft @masked")
        b.f(f"{v} = ({w}.unsqueeze(-1) * {x}).sum({T})", ("pool_dim", f".sum({T}) -> .sum({b.B})"))
    b.x = v
