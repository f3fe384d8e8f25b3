"""The coordinate oracle: whether the names of axes are true, by arithmetic that knows nothing of the rules.

For every coordinate (N, L, …) there is one tensor whose elements are that coordinate. All of them go through the same
operations. Afterwards an axis called N is true if a step along it changes the tensor of N, and no other: composites
are taken apart in row-major order first. A name that was lost is no lie, but it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.theory.axes import NEW, UNKNOWN, Axes

__all__ = ["BASES", "Coded", "Tally", "base", "lies"]

# Sizes differ where they should show a swap, and are equal where a swap would go unnoticed by size alone.
BASES = (
    Axes.of("N L D", (3, 5, 4)),
    Axes.of("L N Q", (4, 2, 6)),
    Axes.of("N L D", (4, 4, 4)),
    Axes.of("K·R N H", K=3, R=2, N=4, H=5),
    Axes.of("K·R N H", K=2, R=2, N=2, H=6),
    Axes.of("N L R·D", N=2, L=6, R=2, D=4),
    Axes.of("K N D", (2, 4, 8)),
    Axes.of("N L", (6, 4)),
    Axes.of("N 1 Q", (3, 1, 8)),
    Axes.of("N L C D", (2, 3, 1, 4)),
)


@dataclass(frozen=True)
class Coded:
    """One tensor for each coordinate, all of one shape and with the same axes."""

    channels: dict[str, Tensor]
    free: frozenset[str] = frozenset()
    """Coordinates that were chosen element by element (gather, last valid step): nothing is promised of them."""
    scale: int = 0
    """Tensors of one scale still hold coordinates that can be compared: elements of two can stand in one."""

    copied: bool = False
    """Whether there may be copies in it, which stand still where what they are beside steps."""

    @property
    def first(self) -> Tensor:
        return next(iter(self.channels.values()))

    @property
    def axes(self) -> Axes | None:
        return self.first.axes if isinstance(self.first, AnnotatedTensor) else None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.first.shape)


def base(axes: Axes) -> Coded:
    """Coordinates from 1 on, so that products show them too."""
    atoms = [atom for axis in axes for atom in axis.atoms]
    sizes = [atom.size for atom in atoms]
    channels: dict[str, Tensor] = {}
    for at, atom in enumerate(atoms):
        if atom.name == NEW:
            continue
        view = [1] * len(sizes)
        view[at] = atom.size
        steps = torch.arange(1.0, atom.size + 1, dtype=torch.float64).view(view)
        channels[atom.name] = annotate(steps.expand(sizes).reshape(axes.sizes).contiguous(), axes)
    return Coded(channels)


def lies(coded: Coded) -> list[str]:
    """What the names say that the coordinates do not; empty for an honest tensor."""
    found: list[str] = []
    if coded.axes is None:
        return found
    for name, channel in coded.channels.items():
        if not isinstance(channel, AnnotatedTensor) or channel.axes.names != coded.axes.names:
            found.append(f"channel {name} has other axes: {getattr(channel, 'axes', None)}")
        elif channel.axes.sizes != tuple(channel.shape):
            found.append(f"{channel.axes} is not {tuple(channel.shape)}")
    for at, axis in enumerate(coded.axes):
        if axis.name in (UNKNOWN, NEW):
            continue
        sizes = [atom.size for atom in axis.atoms]
        for k, atom in enumerate(axis.atoms):
            for name, channel in coded.channels.items():
                values = channel.plain() if isinstance(channel, AnnotatedTensor) else channel
                apart = values.unflatten(at, sizes).movedim(at + k, 0)
                steps = apart[1:] - apart[:-1]
                still = name == atom.name and not coded.copied and not bool((steps != 0).all())
                if still and name not in coded.free:
                    found.append(f"a step along {axis} does not always change {name}")
                if name != atom.name and name not in coded.free and bool((steps != 0).any()):
                    found.append(f"a step along {axis} changes {name}")
    return found


@dataclass
class Tally:
    """How many steps were taken, and how many of them kept every name that is true."""

    steps: int = 0
    kept: int = 0
    raw: int = 0
    """Steps after which no more axes were unknown than before, whatever the operation did to them."""
    lost: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, before: Axes, after: Coded) -> None:
        """Count a step; an axis without a name is a loss where a single coordinate runs along it after all."""
        self.steps += 1
        self.seen[name] = self.seen.get(name, 0) + 1
        axes = after.axes
        blank = before.names.count(UNKNOWN)
        self.raw += axes is not None and axes.names.count(UNKNOWN) <= blank
        could = [axis.size > 1 and not axis.known and _could(after, at) for at, axis in enumerate(axes or ())]
        if axes is not None and sum(could) <= blank and (blank or not any(could)):
            self.kept += 1
        else:
            self.lost[name] = self.lost.get(name, 0) + 1

    @property
    def share(self) -> float:
        return self.kept / max(self.steps, 1)


def _could(coded: Coded, at: int) -> bool:
    """Whether an axis runs along exactly one coordinate, so that a name for it would be true."""
    found = 0
    for name, channel in coded.channels.items():
        values = channel.plain() if isinstance(channel, AnnotatedTensor) else channel
        steps = values.diff(dim=at)
        if name in coded.free or (bool((steps != 0).any()) and not bool((steps != 0).all())):
            return False
        found += bool((steps != 0).any())
    return found == 1
