"""Operations that the coordinate oracle draws from, and chains of them.

Every operation draws its own arguments from a seed, does to all coordinate tensors the same, and says which
coordinates it chose element by element. What is computed gets a new scale, so that only tensors whose elements can
be compared are put side by side.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_shapes.errors import ScrambledAxesWarning
from lstm_shapes.lab.tensors import AnnotatedTensor
from lstm_shapes.theory.axes import Axes
from tests.oracle import Coded, Tally, base, lies

__all__ = ["OPERATIONS", "run_chain"]

Operation = Callable[[random.Random, Coded, Sequence[Coded]], Coded | None]
OPERATIONS: dict[str, Operation] = {}
"""Each draws its own arguments, and answers None where the tensor at hand does not allow it."""


def operation(found: Operation) -> Operation:
    OPERATIONS[found.__name__] = found
    return found


def each(
    coded: Coded, function: Callable[[Tensor], Tensor], free: Sequence[str] = (), scale: int | None = None
) -> Coded:
    channels = {name: function(channel) for name, channel in coded.channels.items()}
    scale = coded.scale if scale is None else hash((coded.scale, scale))
    return Coded(channels, coded.free | set(free), scale, coded.copied)


def together(
    coded: Sequence[Coded], function: Callable[..., Tensor], free: Sequence[str] = (), scale: int | None = None
) -> Coded:
    names = coded[0].channels
    freed = frozenset().union(*(one.free for one in coded)) | set(free)
    channels = {name: function(*(one.channels[name] for one in coded)) for name in names}
    scale = coded[0].scale if scale is None else hash((scale, *(one.scale for one in coded)))
    return Coded(channels, freed, scale, any(one.copied for one in coded))


def run_chain(steps: Sequence[tuple[str, int]], start: Axes, tally: Tally | None = None) -> tuple[list[str], list[str]]:
    """Run named operations with their seeds; what was done, and the first lies found."""
    pool = [base(start)]
    log = [f"{start}"]
    for name, seed in steps:
        rng = random.Random(seed)
        current = pool[-1] if rng.random() < 0.8 else rng.choice(pool)
        before = current.axes
        if before is None:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScrambledAxesWarning)
            after = OPERATIONS[name](rng, current, pool)
        if after is None:
            continue
        log.append(f"{name}#{seed}: {before} -> {after.axes}")
        if tally is not None:
            tally.add(name, before, after)
        found = lies(after)
        if found:
            return log, found
        if after.first.numel() <= 4000 and after.axes is not None:
            pool.append(after)
    return log, []


def _exact(limit: float, *coded: Coded) -> bool:
    """Whether values are small enough for what follows to be exact: beyond 2⁵³ rounding would look like a lie."""
    return all(bool((channel.abs() < limit).all()) for one in coded for channel in one.channels.values())


def _dim(rng: random.Random, coded: Coded, least: int = 0) -> int | None:
    dims = [at for at, size in enumerate(coded.shape) if size >= least]
    if not dims:
        return None
    dim = rng.choice(dims)
    return dim if rng.random() < 0.5 else dim - len(coded.shape)


def _names_at(coded: Coded, dim: int) -> list[str]:
    """The coordinates that an axis runs along, whatever the axis is called: what the channels say."""
    found = []
    for name, channel in coded.channels.items():
        values = channel.plain() if isinstance(channel, AnnotatedTensor) else channel
        if values.shape[dim] > 1 and bool((values.diff(dim=dim) != 0).any()):
            found.append(name)
    return found


# ---------------------------------------------------------------- indexing


@operation
def integer(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 1)
    if dim is None:
        return None
    at = rng.randrange(-x.shape[dim], x.shape[dim])
    key = [slice(None)] * len(x.shape)
    key[dim] = at  # type: ignore[call-overload]
    return each(x, lambda t: t[tuple(key)] if rng.random() < 2 else t)


@operation
def slicing(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    key: list[Any] = []
    for size in x.shape:
        start, stop = rng.randint(-1, size), rng.randint(0, size + 1)
        key.append(rng.choice([slice(None), slice(start, None), slice(None, stop), slice(None, None, 2)]))
    if rng.random() < 0.3:
        key = [..., key[-1]] if key else [...]
    if rng.random() < 0.3:
        key.insert(rng.randint(0, len(key)), None)
    result = each(x, lambda t: t[tuple(key)])
    return result if result.first.numel() else None


@operation
def half(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 2)
    if dim is None or x.shape[dim] % 2:
        return None
    n = x.shape[dim] // 2
    return each(x, lambda t: t.narrow(dim, rng_choice, n)) if (rng_choice := rng.choice([0, n])) >= 0 else None


@operation
def chosen(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 1)
    if dim is None:
        return None
    size = x.shape[dim]
    how = rng.choice(["permutation", "any", "mask", "select"])
    if how == "mask":
        mask = torch.tensor([rng.random() < 0.7 for _ in range(size)])
        key: Any = mask if bool(mask.any()) else torch.ones(size, dtype=torch.bool)
    elif how == "any":
        key = torch.tensor([rng.randrange(size) for _ in range(rng.randint(1, size + 1))])
    else:
        key = torch.tensor(rng.sample(range(size), size))
    if how == "select" and key.dtype != torch.bool:
        return each(x, lambda t: t.index_select(dim, key))
    place = dim % len(x.shape)
    return each(x, lambda t: t[(slice(None),) * place + (key,)])


@operation
def last_valid(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if len(x.shape) < 2:
        return None
    n, size = x.shape[0], x.shape[1]
    lengths = torch.tensor([rng.randint(1, size) for _ in range(n)])
    return each(x, lambda t: t[torch.arange(n), lengths - 1], _names_at(x, 1))


@operation
def pairs(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if len(x.shape) < 2:
        return None
    a, b = rng.sample(range(len(x.shape)), 2)
    n = rng.randint(1, 4)
    key: list[Any] = [slice(None)] * len(x.shape)
    key[a] = torch.tensor([rng.randrange(x.shape[a]) for _ in range(n)])
    key[b] = torch.tensor([rng.randrange(x.shape[b]) for _ in range(n)])
    if rng.random() < 0.4:
        key[a] = key[a][:, None]
    return each(x, lambda t: t[tuple(key)], [*_names_at(x, a), *_names_at(x, b)] if n else [])


@operation
def gather(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 1)
    if dim is None:
        return None
    sizes = [rng.randint(1, size) for size in x.shape]
    index = torch.tensor([rng.randrange(x.shape[dim]) for _ in range(int(torch.tensor(sizes).prod()))])
    return each(x, lambda t: t.gather(dim, index.view(sizes)), _names_at(x, dim))


# ---------------------------------------------------------------- moving


@operation
def permute(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    order = rng.sample(range(len(x.shape)), len(x.shape))
    return each(x, lambda t: t.permute(order) if len(order) != 1 else t.permute(0))


@operation
def transpose(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if len(x.shape) < 2:
        return None
    a, b = rng.sample(range(-len(x.shape), len(x.shape)), 2)
    how = rng.choice(["transpose", "swapaxes", "mT", "movedim", "T", "contiguous"])
    if how == "mT":
        return each(x, lambda t: t.mT)
    if how == "T" and len(x.shape) == 2:
        return each(x, lambda t: t.T)
    if how == "movedim":
        return each(x, lambda t: t.movedim(a, b))
    if how == "contiguous":
        return each(x, lambda t: t.transpose(a, b).contiguous())
    return each(x, lambda t: getattr(t, "swapaxes" if how == "swapaxes" else "transpose")(a, b))


@operation
def in_place(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if len(x.shape) < 2:
        return None
    a, b = rng.sample(range(len(x.shape)), 2)
    how = rng.choice(["transpose_", "unsqueeze_", "squeeze_", "add_"])
    copies, rng_scale = each(x, lambda t: t.clone()), rng.getrandbits(40)
    if how == "transpose_":
        return each(copies, lambda t: t.transpose_(a, b))
    if how == "add_":
        return each(copies, lambda t: t.add_(t, alpha=2), scale=rng_scale)
    return each(copies, lambda t: t.unsqueeze_(a) if how == "unsqueeze_" else t.squeeze_())


@operation
def written(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """A piece of the tensor written over another one, or over itself, straight or turned."""
    dim = _dim(rng, x, 1)
    if dim is None or len(x.shape) < 2:
        return None
    size = x.shape[dim]
    to = rng.randrange(size)
    source, turned = (to if rng.random() < 0.5 else rng.randrange(size)), rng.random() < 0.3
    key = (slice(None),) * (dim % len(x.shape)) + (to,)

    def write(t: Tensor) -> Tensor:
        copied, piece = t.clone(), t.select(dim, source)
        copied[key] = piece.flip(0) if turned else piece
        return copied

    return each(x, write)


@operation
def squeeze(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x)
    return (
        each(x, lambda t: t.squeeze() if dim is None or seed < 0.5 else t.squeeze(dim))
        if (seed := rng.random()) < 2
        else None
    )


@operation
def unsqueeze(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = rng.randint(-len(x.shape) - 1, len(x.shape))
    return each(x, lambda t: t.unsqueeze(dim)) if len(x.shape) < 6 else None


@operation
def flip(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dims = rng.sample(range(len(x.shape)), rng.randint(0, len(x.shape)))
    return each(x, lambda t: t.flip(dims))


@operation
def expand(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    sizes = [rng.choice([2, 3]) if size == 1 and rng.random() < 0.7 else -1 for size in x.shape]
    if x.first.numel() > 1000 or not x.shape:
        return None
    front = [2] if rng.random() < 0.2 else []
    return replace(each(x, lambda t: t.expand(*front, *sizes)), copied=True)


@operation
def repeat(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if x.first.numel() > 500 or not x.shape:
        return None
    times = [rng.choice([1, 1, 1, 2]) for _ in x.shape]
    if rng.random() < 0.2:
        times = [2, *times]
    how, dim = rng.choice(["repeat", "tile", "interleave"]), rng.randrange(len(x.shape))
    if how == "interleave":
        return each(x, lambda t: t.repeat_interleave(rng_times, dim)) if (rng_times := rng.choice([1, 2])) else None
    return replace(each(x, lambda t: getattr(t, how)(*times)), copied=True)


@operation
def pieces(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 1)
    if dim is None:
        return None
    how, n = rng.choice(["split", "chunk", "tensor_split", "unbind"]), rng.randint(1, 3)

    def cut(t: Tensor) -> Sequence[Tensor]:
        return t.unbind(dim) if how == "unbind" else getattr(t, how)(n, dim)

    which = rng.randrange(len(cut(x.first)))
    result = each(x, lambda t: cut(t)[which])
    return result if result.first.numel() else None


@operation
def together_again(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """Cut up and joined: in order, in another order, or along another axis."""
    dim = _dim(rng, x, 2)
    if dim is None or len(x.shape) > 5:
        return None
    dim %= len(x.shape)
    n = rng.randint(1, 3)
    whole, order = rng.random() < 0.7, rng.random()
    count = len(x.first.split(n, dim))
    places = list(range(count)) if order < 0.6 else rng.sample(range(count), count)
    other = dim if whole else rng.randrange(len(x.shape))
    if rng.random() < 0.4:
        slot = dim if whole else rng.randrange(len(x.shape))
        picks = list(range(x.shape[dim])) if order < 0.6 else [rng.randrange(x.shape[dim]) for _ in range(3)]
        return each(x, lambda t: torch.stack([t.select(dim, at) for at in picks], slot))
    if other != dim and x.shape[dim] % n:
        return None
    return each(x, lambda t: torch.cat([t.split(n, dim)[at] for at in places], other))


# ---------------------------------------------------------------- reshaping


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@operation
def reshape(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    left = x.first.numel()
    sizes: list[int] = []
    while left > 1 and len(sizes) < 3:
        size = rng.choice(_divisors(left))
        sizes.append(size)
        left //= size
    sizes.append(left)
    if rng.random() < 0.5:
        sizes = [*x.shape]
        rng.shuffle(sizes)
    return each(x, lambda t: t.reshape(sizes))


@operation
def merge(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if len(x.shape) < 2:
        return None
    a = rng.randrange(len(x.shape) - 1)
    b = rng.randrange(a + 1, len(x.shape))
    return each(x, lambda t: t.flatten(a, b))


@operation
def unmerge(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """Composites taken apart at their atoms, as `hn.view(K, R, N, H)` does."""
    axes = x.axes
    composite = [at for at, axis in enumerate(axes or ()) if len(axis.atoms) > 1]
    if not composite or axes is None or len(axes) > 4:
        return None
    at = rng.choice(composite)
    sizes = [atom.size for atom in axes[at].atoms]
    return each(x, lambda t: t.unflatten(at, sizes))


@operation
def heads(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """The last axis cut in heads, moved forward, moved back and joined again."""
    if len(x.shape) < 2 or len(x.shape) > 4 or x.shape[-1] % 2:
        return None
    n = x.shape[-1] // 2
    shape = x.shape

    def split(t: Tensor) -> Tensor:
        return t.reshape(*shape[:-1], 2, n).transpose(-2, -3)

    if rng.random() < 0.3:
        return each(x, split)
    forgot = rng.random() < 0.2
    return each(x, lambda t: (split(t) if forgot else split(t).transpose(-2, -3)).reshape(shape))


# ---------------------------------------------------------------- computing


@operation
def pointwise(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    how = rng.choice(["*", "+", "neg", "double", "clone", "where", "relu", "masked_fill", "dropout", "detach"])
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "*": lambda t: t * 3,
        "+": lambda t: 2 + t,
        "neg": lambda t: -t,
        "double": lambda t: t.double(),
        "clone": lambda t: t.clone(),
        "where": lambda t: torch.where(t == t, t, t * 2),
        "relu": lambda t: torch.nn.functional.leaky_relu(t),
        "masked_fill": lambda t: t.masked_fill(t != t, 0),
        "dropout": lambda t: torch.nn.functional.dropout(t, 0.5, training=False),
        "detach": lambda t: t.detach(),
    }
    return each(x, functions[how], scale=rng.getrandbits(40) if how in ("*", "+", "neg") else None)


def _partner(rng: random.Random, x: Coded, pool: Sequence[Coded], same: bool = False) -> Coded | None:
    def fits(other: Coded) -> bool:
        if other.axes is None:
            return False
        if same:
            return other.shape == x.shape and other.scale == x.scale
        try:
            return len(torch.broadcast_shapes(x.shape, other.shape)) <= 6
        except RuntimeError:
            return False

    found = [other for other in pool if fits(other)]
    return rng.choice(found) if found else None


@operation
def add(rng: random.Random, x: Coded, pool: Sequence[Coded]) -> Coded | None:
    other = _partner(rng, x, pool)
    if other is None or rng.random() < 0.2:
        plain = torch.zeros(x.shape, dtype=torch.float64)
        return each(x, lambda t: t + plain)
    if not _exact(1e12, x, other):
        return None
    # So that what one tensor loses at a step the other does not make good, also when sums are added again.
    alpha, seed = 101 + hash((x.scale, other.scale)) % 797, rng.getrandbits(40)
    result = together([x, other], lambda a, b: torch.add(a, b, alpha=alpha), scale=seed)
    return result if result.first.numel() <= 4000 else None


@operation
def shifted(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 2)
    if dim is None or not _exact(1e12, x):
        return None
    n, seed = x.shape[dim], rng.getrandbits(40)
    return each(x, lambda t: torch.add(t.narrow(dim, 1, n - 1), t.narrow(dim, 0, n - 1), alpha=131), scale=seed)


@operation
def choose(rng: random.Random, x: Coded, pool: Sequence[Coded]) -> Coded | None:
    other = _partner(rng, x, pool, same=True)
    if other is None or not x.shape:
        return None
    mask = torch.tensor([rng.random() < 0.5 for _ in range(x.first.numel())]).view(x.shape)
    differ = [
        name
        for name in x.channels
        if not torch.equal(torch.as_tensor(x.channels[name]), torch.as_tensor(other.channels[name]))
    ]
    return together([x, other], lambda a, b: torch.where(mask, a, b), differ)


@operation
def reduce(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 1)
    if dim is None:
        return None
    # No median: torch 2.13 reads beyond the data of an expanded tensor there.
    how, keep = rng.choice(["sum", "mean", "amax", "amin", "max", "min"]), rng.random() < 0.4
    if how in ("max", "min"):
        return each(x, lambda t: getattr(t, how)(dim, keepdim=keep).values)
    scale = rng.getrandbits(40) if how == "sum" else None
    dims = rng.sample(range(len(x.shape)), rng.randint(1, len(x.shape))) if rng.random() < 0.3 else dim
    return each(x, lambda t: getattr(t, how)(dim=dims, keepdim=keep), scale=scale)


@operation
def along(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 1)
    if dim is None:
        return None
    if rng.random() < 0.5:
        return each(x, lambda t: t.sort(dim).values)
    k = rng.randint(1, x.shape[dim])
    return each(x, lambda t: t.topk(k, dim).values)


@operation
def linear(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if not x.shape or not _exact(1e12, x):
        return None
    # What a weight makes is an axis of its own, along which no coordinate runs: its rows are alike.
    weight = torch.tensor([[rng.randint(1, 5) for _ in range(x.shape[-1])]] * 3, dtype=torch.float64)
    how, scale = rng.choice(["linear", "matmul", "einsum"]), rng.getrandbits(40)
    if how == "linear":
        return each(x, lambda t: torch.nn.functional.linear(t, weight), scale=scale)
    if how == "matmul":
        return each(x, lambda t: t @ weight.T, scale=scale)
    return each(x, lambda t: torch.einsum("...d,cd->...c", t, weight), scale=scale)


@operation
def product(rng: random.Random, x: Coded, pool: Sequence[Coded]) -> Coded | None:
    """x @ y.mT, with itself or with another tensor: scores (N, L, L)."""
    if len(x.shape) < 2 or len(x.shape) > 4:
        return None
    if any(bool((channel <= 0).any()) for channel in x.channels.values()) or not _exact(1e6, x):
        return None
    scale = rng.getrandbits(40)
    if len(x.shape) == 3 and rng.random() < 0.5:
        return each(x, lambda t: torch.einsum("abc,adc->abd", t, t), scale=scale)
    return each(x, lambda t: t @ t.mT, scale=scale)


@operation
def join(rng: random.Random, x: Coded, pool: Sequence[Coded]) -> Coded | None:
    other = _partner(rng, x, pool, same=True)
    if other is None or not x.shape or x.first.numel() > 1000:
        return None
    if rng.random() < 0.4:
        slot = rng.randint(0, len(x.shape))
        return together([x, other], lambda a, b: torch.stack([a, b], slot)) if len(x.shape) < 5 else None
    dim = rng.randrange(len(x.shape))
    return together([x, other], lambda a, b: torch.cat([a, b], dim))


@operation
def product_of_two(rng: random.Random, x: Coded, pool: Sequence[Coded]) -> Coded | None:
    """x @ y.mT with another tensor whose last axis is as long, as a query meets keys."""
    fitting = [
        other
        for other in pool
        if other.axes is not None and 2 <= len(other.shape) == len(x.shape) <= 4 and other.shape[-1] == x.shape[-1]
    ]
    fitting = [other for other in fitting if other.shape[:-2] == x.shape[:-2]]
    if not fitting:
        return None
    other, scale = rng.choice(fitting), rng.getrandbits(40)
    if any(bool((channel <= 0).any()) for one in (x, other) for channel in one.channels.values()):
        return None
    if not _exact(2_000, x, other):
        return None
    # The third power: n · (N + 1 - n) is the same for 1 and N, which would hide a step and be no lie.
    return together([x, other], lambda a, b: torch.matmul(a, (b**3).mT), scale=scale)


@operation
def windows(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    dim = _dim(rng, x, 2)
    if dim is None or len(x.shape) > 4:
        return None
    size, step = rng.randint(1, x.shape[dim]), rng.randint(1, 3)
    return each(x, lambda t: t.unfold(dim, size, step))


@operation
def cut_by_pad(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    if not x.shape or x.shape[-1] < 3:
        return None
    pads = [-rng.randint(0, 1), -rng.randint(0, 1)]
    return each(x, lambda t: torch.nn.functional.pad(t, pads))


@operation
def packed_and_back(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """All rows at full length, so that padding adds nothing; the order of rows is sorted and restored."""
    if len(x.shape) < 3:
        return None
    first, enforce = rng.random() < 0.5, rng.random() < 0.5
    N, L = x.shape[:2] if first else x.shape[1::-1]
    lengths = torch.full((N,), L)

    def there_and_back(t: Tensor) -> Tensor:
        packed = pack_padded_sequence(t, lengths, batch_first=first, enforce_sorted=enforce)
        return pad_packed_sequence(packed, batch_first=first)[0]

    return each(x, there_and_back)


# ---------------------------------------------------------------- loops


@operation
def filled(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """A new tensor filled piece by piece: in order, in any order, some pieces turned, along one axis or another."""
    if len(x.shape) < 2 or x.first.numel() > 1000:
        return None
    dim, slot = rng.randrange(len(x.shape)), rng.randrange(len(x.shape))
    n = x.shape[dim]
    order = list(range(n)) if rng.random() < 0.6 else rng.sample(range(n), n)
    places = list(range(n)) if rng.random() < 0.7 else rng.sample(range(n), n)
    turned = [rng.random() < 0.1 for _ in range(n)]
    wide = rng.random() < 0.3
    rest = [size for at, size in enumerate(x.shape) if at != dim]

    def fill(t: Tensor) -> Tensor:
        out = t.new_zeros([*rest[:slot], n, *rest[slot:]])
        for place, at, back in zip(places, order, turned, strict=True):
            piece = t.select(dim, at)
            piece = piece.flip(0) if back else piece
            if wide:
                out.narrow(slot, place, 1)  # a view alone writes nothing
                out[(slice(None),) * slot + (slice(place, place + 1),)] = piece.unsqueeze(slot)
            else:
                out[(slice(None),) * slot + (place,)] = piece
        return out

    return each(x, fill)


@operation
def recurrence(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """A state that is half the step that is read and half the state before; its steps stacked, or written."""
    dim = _dim(rng, x, 2)
    if dim is None or x.shape[dim] > 8 or not _exact(2.0**20, x) or len(x.shape) > 5:
        return None
    dim %= len(x.shape)
    n, slot = x.shape[dim], rng.randrange(len(x.shape))
    order = list(range(n)) if rng.random() < 0.7 else rng.sample(range(n), n)
    start, how = rng.choice(["first", "zeros"]), rng.choice(["stack", "fill", "last"])

    def run(t: Tensor) -> Tensor:
        steps = [t.select(dim, at) for at in order]
        state = steps[0] if start == "first" else steps[0] + torch.zeros_like(steps[0])
        states = [state]
        for step in steps[1:]:
            state = step / 2 + state / 2
            states.append(state)
        if how == "last":
            return state
        if how == "stack":
            return torch.stack(states, slot)
        out = t.new_empty([*state.shape[:slot], n, *state.shape[slot:]])
        for at, one in enumerate(states):
            out[(slice(None),) * slot + (at,)] = one
        return out

    # Read in any order, a state may be again what it was before.
    free = _names_at(x, dim) if order != sorted(order) else []
    return each(x, run, free, scale=rng.getrandbits(40))


@operation
def gated(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """The gates of a cell, made by one weight, cut apart and computed with each other and with a state."""
    if not x.shape or not _exact(1e5, x) or x.first.numel() > 1000:
        return None
    if any(bool((channel <= 0).any()) for channel in x.channels.values()):
        return None
    d = rng.choice([3, 4])
    row = [rng.randint(1, 3) for _ in range(x.shape[-1])]
    weight = torch.tensor([row] * (4 * d), dtype=torch.float64)
    how, size, scale = rng.choice(["chunk", "slices", "view"]), x.shape[-1], rng.getrandbits(40)

    def gates(t: Tensor) -> Any:
        a = t @ weight.t()
        if how == "chunk":
            return a.chunk(4, -1)
        if how == "slices":
            return [a[..., at * d : (at + 1) * d] for at in range(4)]
        return a.unflatten(-1, (4, d)).unbind(-2)

    def run(t: Tensor) -> Tensor:
        i, f, g, o = gates(t)
        state: Tensor = (i + 3 * g) * 2 + o + (f * t if size == d else f)
        return state

    return each(x, run, scale=scale)


@operation
def beside_copies(rng: random.Random, x: Coded, _: Sequence[Coded]) -> Coded | None:
    """One position of an axis repeated beside all of them, as a summary is beside the steps of a decoder."""
    if len(x.shape) < 2 or x.first.numel() > 500:
        return None
    dim, along = rng.sample(range(len(x.shape)), 2)
    at, n = rng.randrange(max(x.shape[dim], 1)), x.shape[dim]
    if n == 0:
        return None

    def run(t: Tensor) -> Tensor:
        copies = t.narrow(dim, at, 1).expand(*[n if one == dim else -1 for one in range(t.dim())])
        return torch.cat([t, copies], along)

    return replace(each(x, run, _names_at(x, along)), copied=True)
