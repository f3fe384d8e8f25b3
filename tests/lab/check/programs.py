"""Training programs of several kinds, and everything there is to see of them afterwards, bit for bit."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

N, L, Q, D, C = 4, 7, 5, 8, 3


class Classifier(nn.Module):
    """Dropout and batch normalisation, a counter, and NumPy noise on the input in training."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.rnn = nn.LSTM(Q, D, 2, batch_first=batch_first, dropout=0.4)
        self.norm = nn.BatchNorm1d(D)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(D, C)
        self.calls = 0
        self.noise = np.random.default_rng(5)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.training:
            x = x + torch.from_numpy(np.random.randn(*x.shape) * self.noise.random()).float()
        out, _ = self.rnn(x)
        result: Tensor = self.head(self.drop(self.norm(out[:, -1])))
        return result


class Tagger(nn.Module):
    """Packed rows of unequal length, and a history in nested containers."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(11, Q, padding_idx=0)
        self.rnn = nn.GRU(Q, D, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * D, C)
        self.history: dict[str, Any] = {"lengths": [], "last": deque(maxlen=3), "seen": set()}
        self.history["sums"] = {"x": torch.zeros(1)}

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        self.history["lengths"].append(lengths.tolist())
        self.history["last"].append(int(tokens.sum()))
        self.history["seen"].add(int(tokens[0, 0]))
        self.history["sums"]["x"] += tokens.sum()
        packed = pack_padded_sequence(self.emb(tokens), lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=tokens.size(1))
        result: Tensor = self.head(out)
        return result


class Decoder(nn.Module):
    """A cell that is fed its own samples: Python's and torch's generators, and two that the model holds."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(C, Q)
        self.cell = nn.LSTMCell(Q, D)
        self.head = nn.Linear(D, C)
        self.tools: dict[str, Any] = {"coin": random.Random(3), "draw": torch.Generator().manual_seed(4)}

    def forward(self, start: Tensor, target: Tensor) -> Tensor:
        token, state, steps = start, None, []
        for t in range(target.size(1)):
            state = self.cell(self.emb(token), state)
            logits = self.head(state[0])
            steps.append(logits)
            drawn = torch.multinomial(logits.softmax(-1), 1, generator=self.tools["draw"])[:, 0]
            drawn = torch.where(torch.rand(len(drawn)) < 0.1, start, drawn)
            forced = random.random() < 0.5 or self.tools["coin"].random() < 0.2
            token = target[:, t] if forced else drawn
        return torch.stack(steps, 1)


class Memory:
    """An object that holds a module and a state."""

    __slots__ = ("gate", "state")

    def __init__(self) -> None:
        self.gate = {"layer": nn.Linear(D, D)}
        self.state: Tensor | None = None


class Actor(nn.Module):
    """The state is kept between calls, in an attribute, in a buffer and in an object that is no module."""

    average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(Q, D, batch_first=True)
        self.head = nn.Linear(D, C)
        self.state: Tensor | None = None
        self.memory = Memory()
        self.register_buffer("average", torch.zeros(D))

    def forward(self, x: Tensor) -> Tensor:
        out, hn = self.rnn(x, None if self.state is None else self.state.detach())
        self.state = hn
        self.average.mul_(0.9).add_(out.detach().mean((0, 1)), alpha=0.1)
        before = 0 if self.memory.state is None else self.memory.state
        self.memory.state = self.memory.gate["layer"](out[:, -1].detach()).detach() + before
        result: Tensor = self.head(out[:, -1] + self.memory.state)
        return result


class LanguageModel(nn.Module):
    """The weights of the embedding are those of the head."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(11, D)
        self.rnn = nn.LSTM(D, D, batch_first=True)
        self.head = nn.Linear(D, 11, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, tokens: Tensor) -> Tensor:
        result: Tensor = self.head(nn.functional.dropout(self.rnn(self.emb(tokens))[0], 0.2, self.training))
        return result


def _classify(model: nn.Module) -> Tensor:
    return cross_entropy(model(torch.randn(N, L, Q)), torch.randint(C, (N,)))


def _tag(model: nn.Module) -> Tensor:
    lengths = torch.tensor([L, 3, 5, 2])
    tokens = torch.randint(1, 11, (N, L)) * (torch.arange(L) < lengths[:, None])
    return cross_entropy(model(tokens, lengths).transpose(1, 2), torch.randint(C, (N, L)))


def _decode(model: nn.Module) -> Tensor:
    target = torch.randint(C, (N, L))
    return cross_entropy(model(torch.zeros(N, dtype=torch.long), target).transpose(1, 2), target)


def _speak(model: nn.Module) -> Tensor:
    tokens = torch.randint(11, (N, L + 1))
    return cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:])


PROGRAMS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]] = {
    "classifier": (Classifier, _classify),
    "wrong": (lambda: Classifier(batch_first=False), _classify),
    "tagger": (Tagger, _tag),
    "decoder": (Decoder, _decode),
    "actor": (Actor, _classify),
    "language": (LanguageModel, _speak),
}


def trained(name: str, around: Callable[[], Any], *, evaluate: bool = False, steps: int = 4) -> list[Any]:
    """Train a program inside `around()`, and give everything there is to see of it."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    make, loss_of = PROGRAMS[name]
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses: list[float] = []
    with around():
        for _ in range(steps):
            if evaluate:
                with torch.no_grad():
                    losses.append(loss_of(model.eval()).item())
                continue
            optimizer.zero_grad()
            loss = loss_of(model.train())
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return [losses, *picture(model), plain(optimizer.state_dict()), *draws()]


def picture(model: nn.Module) -> list[Any]:
    """Weights, gradients, flags, hooks and attributes of a model."""
    attributes = {
        f"{name}.{key}": plain(value)
        for name, inner in model.named_modules()
        for key, value in vars(inner).items()
        if not key.startswith("_")
    }
    return [
        {name: plain(value) for name, value in model.state_dict().items()},
        {name: plain(p.grad) for name, p in model.named_parameters()},
        [p.requires_grad for p in model.parameters()],
        [len(inner._forward_hooks) + len(inner._forward_pre_hooks) for inner in model.modules()],
        attributes,
    ]


def draws() -> list[Any]:
    """The states of the generators of the process."""
    return [plain(torch.get_rng_state()), plain(random.getstate()), plain(np.random.get_state())]


def plain(value: Any) -> Any:
    """A value that can be compared by `==`, with the bits of its tensors."""
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape), str(value.dtype), value.detach().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return "array", value.shape, value.tobytes()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, deque)):
        return [plain(item) for item in value]
    if isinstance(value, random.Random):
        return plain(value.getstate())
    if isinstance(value, torch.Generator):
        return plain(value.get_state())
    if isinstance(value, np.random.Generator):
        return plain(value.bit_generator.state)
    if isinstance(value, Memory):
        return plain({"gate": value.gate["layer"].state_dict(), "state": value.state})
    return value
