"""Whole models, as people write them: what walk says of each line is held against two oracles, and counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

__all__ = ["MODELS", "Made"]

Made = Callable[[], tuple[nn.Module, tuple[Any, ...]]]


class Peephole(nn.Module):
    """Peephole LSTM by raw parameters over a word sequence, tied softmax."""

    def __init__(self, vocab: int, width: int, hidden: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, width)
        self.W = nn.Parameter(torch.randn(width, 4 * hidden) * 0.1)
        self.U = nn.Parameter(torch.randn(hidden, 4 * hidden) * 0.1)
        self.b = nn.Parameter(torch.zeros(4 * hidden))
        self.peep = nn.Parameter(torch.randn(3, hidden) * 0.1)
        self.head = nn.Linear(hidden, vocab)
        self.hidden = hidden

    def forward(self, tokens: Tensor) -> Any:
        e = self.table(tokens)
        batch, steps, _ = e.shape
        h = torch.zeros(batch, self.hidden)
        c = torch.zeros(batch, self.hidden)
        outs = []
        for t in range(steps):
            z = e[:, t] @ self.W + h @ self.U + self.b
            zi, zf, zg, zo = z.chunk(4, dim=1)
            i = torch.sigmoid(zi + self.peep[0] * c)
            f = torch.sigmoid(zf + self.peep[1] * c)
            c = f * c + i * torch.tanh(zg)
            o = torch.sigmoid(zo + self.peep[2] * c)
            h = o * torch.tanh(c)
            outs.append(h)
        y = torch.stack(outs, dim=1)
        logits = self.head(y)
        logp = logits.log_softmax(-1)
        best = logp.argmax(-1)
        return logits, best


def peephole_lm() -> tuple[nn.Module, tuple[Any, ...]]:
    return Peephole(31, 6, 10), (torch.randint(0, 31, (4, 7)),)


class Luong(nn.Module):
    """GRU encoder, GRUCell decoder with multiplicative attention, time first."""

    def __init__(self) -> None:
        super().__init__()
        self.src = nn.Embedding(23, 6)
        self.trg = nn.Embedding(19, 5)
        self.encoder = nn.GRU(6, 8, bidirectional=True)
        self.bridge = nn.Linear(16, 9)
        self.cell = nn.GRUCell(5 + 16, 9)
        self.query = nn.Linear(9, 16, bias=False)
        self.out = nn.Linear(9 + 16, 19)

    def forward(self, src: Tensor, trg: Tensor) -> Any:
        memory, h = self.encoder(self.src(src))
        state = torch.tanh(self.bridge(torch.cat([h[0], h[1]], dim=-1)))
        context = torch.zeros(src.size(1), 16)
        logits = torch.zeros(trg.size(0), trg.size(1), 19)
        for t in range(trg.size(0)):
            word = self.trg(trg[t])
            joined = torch.cat([word, context], dim=-1)
            state = self.cell(joined, state)
            q = self.query(state).unsqueeze(0)
            scores = (q * memory).sum(-1)
            weights = F.softmax(scores, dim=0)
            context = (weights.unsqueeze(-1) * memory).sum(0)
            logits[t] = self.out(torch.cat([state, context], dim=-1))
        return logits


def luong() -> tuple[nn.Module, tuple[Any, ...]]:
    return Luong(), (torch.randint(0, 23, (9, 3)), torch.randint(0, 19, (6, 3)))


class Caption(nn.Module):
    """Image features by a small CNN, attention over places, LSTMCell decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU())
        self.embed = nn.Embedding(21, 7)
        self.init_h = nn.Linear(12, 10)
        self.init_c = nn.Linear(12, 10)
        self.att_v = nn.Linear(12, 6)
        self.att_h = nn.Linear(10, 6)
        self.att = nn.Linear(6, 1)
        self.cell = nn.LSTMCell(7 + 12, 10)
        self.fc = nn.Linear(10, 21)

    def forward(self, images: Tensor, words: Tensor) -> Any:
        f = self.cnn(images)
        v = f.flatten(2).permute(0, 2, 1)
        mean = v.mean(1)
        h, c = self.init_h(mean), self.init_c(mean)
        keys = self.att_v(v)
        out = []
        for t in range(words.size(1)):
            e = self.embed(words[:, t])
            s = self.att(torch.tanh(keys + self.att_h(h).unsqueeze(1))).squeeze(-1)
            a = s.softmax(1)
            z = torch.bmm(a.unsqueeze(1), v).squeeze(1)
            h, c = self.cell(torch.cat([e, z], 1), (h, c))
            out.append(self.fc(h))
        return torch.stack(out, 1)


def caption() -> tuple[nn.Module, tuple[Any, ...]]:
    return Caption(), (torch.randn(3, 3, 21, 25), torch.randint(0, 21, (3, 6)))


class Tagger(nn.Module):
    """Packed BiLSTM tagger with a character LSTM and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.chars = nn.Embedding(17, 4)
        self.char_rnn = nn.LSTM(4, 5, bidirectional=True, batch_first=True)
        self.words = nn.Embedding(31, 6)
        self.rnn = nn.LSTM(16, 8, 2, bidirectional=True, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.norm = nn.LayerNorm(16)
        self.fc = nn.Linear(16, 9)

    def forward(self, words: Tensor, chars: Tensor, lengths: Tensor) -> Any:
        n, steps, k = chars.shape
        ce = self.chars(chars.view(n * steps, k))
        _, (ch, _) = self.char_rnn(ce)
        cw = ch.transpose(0, 1).reshape(n, steps, -1)
        we = self.words(words)
        x = self.drop(torch.cat([we, cw], dim=-1))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.rnn(packed)
        y, _ = pad_packed_sequence(y, batch_first=True)
        y = self.norm(y)
        scores = self.fc(y)
        mask = torch.arange(scores.size(1))[None, :] < lengths[:, None]
        masked = scores.masked_fill(~mask.unsqueeze(-1), 0.0)
        pooled = masked.sum(1) / lengths.unsqueeze(1)
        return masked, pooled


def tagger() -> tuple[nn.Module, tuple[Any, ...]]:
    return Tagger(), (torch.randint(0, 31, (4, 8)), torch.randint(0, 17, (4, 8, 6)), torch.tensor([8, 5, 7, 3]))


class Layer(nn.Module):
    def __init__(self, q: int, d: int) -> None:
        super().__init__()
        self.inp = nn.Linear(q, d)
        self.u = nn.Parameter(torch.rand(d))

    def forward(self, x: Tensor) -> Any:
        w = self.inp(x)
        h = w.new_zeros(x.size(1), w.size(-1))
        states = x.new_empty(x.size(0), x.size(1), w.size(-1))
        for t in range(x.size(0)):
            h = torch.relu(w[t] + self.u * h)
            states[t] = h
        return states, h


class IndRNN(nn.Module):
    """IndRNN: elementwise recurrence, two layers, time first, stacked by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(5, 8), Layer(8, 8)])
        self.bn = nn.BatchNorm1d(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        for layer in self.layers:
            x, last = layer(x)
            x = self.bn(x.permute(1, 2, 0)).permute(2, 0, 1)
        last = x[-1]
        return self.fc(last)


def indrnn() -> tuple[nn.Module, tuple[Any, ...]]:
    return IndRNN(), (torch.randn(10, 4, 5),)


class VAE(nn.Module):
    """Sequence VAE: encoder GRU, latent, decoder GRU with the latent repeated beside each step."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.GRU(5, 8, batch_first=True)
        self.mu = nn.Linear(8, 4)
        self.logvar = nn.Linear(8, 4)
        self.start = nn.Linear(4, 7)
        self.dec = nn.GRU(5 + 4, 7, batch_first=True)
        self.out = nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Any:
        _, h = self.enc(x)
        h = h.squeeze(0)
        mu = self.mu(h)
        logvar = self.logvar(h)
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        z = mu + eps * std
        zs = z.unsqueeze(1).repeat(1, x.size(1), 1)
        shifted = torch.cat([torch.zeros(x.size(0), 1, x.size(2)), x[:, :-1]], dim=1)
        y, _ = self.dec(torch.cat([shifted, zs], dim=-1), self.start(z).unsqueeze(0))
        recon = self.out(y)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(-1)
        err = ((recon - x) ** 2).sum(-1)
        return recon, err.mean(1) + kl


def vae() -> tuple[nn.Module, tuple[Any, ...]]:
    return VAE(), (torch.randn(4, 9, 5),)


class Siamese(nn.Module):
    """Two sentences, one encoder, co-attention, a pair classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(29, 6)
        self.rnn = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
        self.W = nn.Parameter(torch.randn(10, 10))
        self.mlp = nn.Sequential(nn.Linear(40, 12), nn.ReLU(), nn.Linear(12, 3))

    def encode(self, s: Tensor) -> Any:
        y, _ = self.rnn(self.emb(s))
        return y

    def forward(self, a: Tensor, b: Tensor) -> Any:
        ya, yb = self.encode(a), self.encode(b)
        sim = ya @ self.W @ yb.transpose(1, 2)
        to_b = F.softmax(sim, dim=2)
        to_a = F.softmax(sim, dim=1)
        a_hat = torch.bmm(to_b, yb)
        b_hat = torch.bmm(to_a.transpose(1, 2), ya)
        va = torch.cat([ya, a_hat], -1).max(1)[0]
        vb = torch.cat([yb, b_hat], -1).mean(1)
        v = torch.cat([va, vb], -1)
        return self.mlp(v)


def siamese() -> tuple[nn.Module, tuple[Any, ...]]:
    return Siamese(), (torch.randint(0, 29, (3, 7)), torch.randint(0, 29, (3, 9)))


class CRNN(nn.Module):
    """CRNN for lines of text with CTC loss."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.rnn = nn.LSTM(8 * 4, 10, bidirectional=True)
        self.fc = nn.Linear(20, 12)

    def forward(self, image: Tensor, target: Tensor, lengths: Tensor) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(image)), 2)
        x = F.max_pool2d(F.relu(self.bn(self.conv2(x))), (2, 1))
        n, c, h, w = x.shape
        x = x.permute(3, 0, 1, 2).reshape(w, n, c * h)
        y, _ = self.rnn(x)
        logits = self.fc(y)
        logp = F.log_softmax(logits, -1)
        sizes = torch.full((n,), w, dtype=torch.long)
        loss = F.ctc_loss(logp, target, sizes, lengths)
        return loss, logits.argmax(-1)


def crnn_ctc() -> tuple[nn.Module, tuple[Any, ...]]:
    return CRNN(), (torch.randn(3, 1, 16, 30), torch.randint(1, 12, (3, 5)), torch.tensor([5, 4, 3]))


class Rollout(nn.Module):
    """Trajectories: velocities by differences, GRUCell rolled out into the future."""

    def __init__(self) -> None:
        super().__init__()
        self.inp = nn.Linear(2, 6)
        self.cell = nn.GRUCell(6, 9)
        self.out = nn.Linear(9, 2)

    def forward(self, track: Tensor, future: int = 4) -> Any:
        velocity = track[:, 1:] - track[:, :-1]
        h = torch.zeros(track.size(0), 9)
        for t in range(velocity.size(1)):
            e = torch.relu(self.inp(velocity[:, t]))
            h = self.cell(e, h)
        position = track[:, -1]
        positions = []
        for _ in range(future):
            step = self.out(h)
            position = position + step
            positions.append(position)
            h = self.cell(torch.relu(self.inp(step)), h)
        path = torch.stack(positions, dim=1)
        speed = path.norm(dim=-1)
        return path, speed


def social_gru() -> tuple[nn.Module, tuple[Any, ...]]:
    return Rollout(), (torch.randn(5, 8, 2),)


class Mixed(nn.Module):
    """LSTM, then self attention with heads by hand, residual and norm, gate, last valid step."""

    def __init__(self, d: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.proj = nn.Linear(5, d)
        self.rnn = nn.LSTM(d, d, num_layers=2, batch_first=True)
        self.qkv = nn.Linear(d, 3 * d)
        self.o = nn.Linear(d, d)
        self.n1 = nn.LayerNorm(d)
        self.gate = nn.Linear(d, d)
        self.cls = nn.Linear(d, 4)
        self.heads = heads

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        n, steps, _ = x.shape
        y, (hn, cn) = self.rnn(self.proj(x))
        q, k, v = self.qkv(y).chunk(3, dim=-1)
        q = q.view(n, steps, self.heads, -1).transpose(1, 2)
        k = k.view(n, steps, self.heads, -1).transpose(1, 2)
        v = v.view(n, steps, self.heads, -1).transpose(1, 2)
        att = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        pad = torch.arange(steps).unsqueeze(0) >= lengths.unsqueeze(1)
        att = att.masked_fill(pad[:, None, None, :], float("-inf")).softmax(-1)
        z = (att @ v).transpose(1, 2).reshape(n, steps, -1)
        y = self.n1(y + self.o(z))
        g = torch.sigmoid(self.gate(y))
        y = g * y
        last = y[torch.arange(n), lengths - 1]
        both = torch.cat([last, hn[-1]], dim=-1)
        return self.cls(last), both


def heads() -> tuple[nn.Module, tuple[Any, ...]]:
    return Mixed(), (torch.randn(4, 6, 5), torch.tensor([6, 4, 5, 2]))


MODELS: tuple[Made, ...] = (peephole_lm, luong, caption, tagger, indrnn, vae, siamese, crnn_ctc, social_gru, heads)
