"""What an answer to a question may be, how it is read from what somebody typed, and how it is graded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lstm_shapes.theory.axes import Axes

from .arithmetic import as_number, value_of

__all__ = ["Answer", "Choice", "Number", "Shape", "Verdict", "written"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right; `remark` says what a wrong one mistook it for. None: it could not be read."""

    right: bool | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape: `2,3,20`, `(2, 3, 20)`, `2 3 20`, or in symbols `K,N,D`.

    `lookalikes` are other shapes a learner gives, by name, so that a wrong answer can be told what it is.

    >>> answer = Shape(Axes.of("K N D", (3, 2, 20)), {"K": 3, "N": 2, "D": 20})
    >>> answer.grade("(3, 2, 20)").right, answer.grade("K, N, D").right
    (True, True)
    >>> answer.grade("2, 3, 20")
    Verdict(right=False, remark='These are the right sizes in another order.')
    """

    axes: Axes
    symbols: Mapping[str, int]
    lookalikes: tuple[tuple[str, Axes], ...] = ()

    form = "a shape, such as 2,3,20 or N,L,D"

    @property
    def shown(self) -> str:
        """The right answer, in symbols and in numbers."""
        return f"{written(self.axes, self.symbols)} = {self.axes.sizes}"

    @property
    def expected(self) -> tuple[int, ...]:
        return self.axes.sizes

    def grade(self, text: str) -> Verdict:
        found = self._read(text)
        if found is None:
            known = ", ".join(self.symbols)
            return Verdict(None, f"I need {self.form}; I know the symbols {known}.")
        if found == self.expected:
            return Verdict(True)
        for name, axes in self.lookalikes:
            if found == axes.sizes:
                return Verdict(False, f"That is the shape of `{name}`.")
        if len(found) != len(self.expected):
            return Verdict(False, f"You gave {_axes(len(found))}; it has {_axes(len(self.expected))}.")
        if sorted(found) == sorted(self.expected):
            return Verdict(False, "These are the right sizes in another order.")
        return Verdict(False)

    def _read(self, text: str) -> tuple[int, ...] | None:
        text = _unwrapped(re.sub(r"^torch\.Size", "", text.strip().rstrip(".")).strip())
        # `KND` may be meant as three sizes or as one.
        if not text or re.fullmatch(r"[A-Za-z]{2,}", text):
            return None
        text = re.sub(r"[,;]$", "", text)  # (5,) has one size
        # An x parts the sizes only where no comma does, and blanks where no x does: `2 * D` is one size.
        sign = next((sign for sign in (r"[,;]", "x") if re.search(sign, text)), r"\s+")
        parts = re.split(sign, text)
        sizes = [value_of(part, self.symbols) for part in parts]
        return None if None in sizes else tuple(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number: digits, groups of thousands, or arithmetic with + - * and symbols.

    >>> answer = Number(1345536, {"D": 256})
    >>> [answer.grade(text).right for text in ("1345536", "1,345,536", "5256*D", "about a million")]
    [True, True, True, None]
    """

    value: int
    symbols: Mapping[str, int]
    # (value, remark): what a wrong number comes from.
    mistakes: tuple[tuple[int, str], ...] = ()

    form = "a whole number or arithmetic, such as 1,024 or 4*(Q*D + D*D + 2*D)"

    @property
    def shown(self) -> str:
        return f"{self.value:,}"

    @property
    def expected(self) -> int:
        return self.value

    def grade(self, text: str) -> Verdict:
        found = as_number(text, self.symbols)
        if found is None:
            return Verdict(None, f"I need {self.form}.")
        if found == self.value:
            return Verdict(True)
        return Verdict(False, next((remark for value, remark in self.mistakes if value == found), ""))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few: its letter, its text, or another word for it, of which `also` has some for each.

    `evidence` has a line of torch for each, true for the right one only.

    >>> answer = Choice(("hn[-1]", "hn[0]"), 0, ("torch.equal(Y[:, -1], hn[-1])", "torch.equal(Y[:, -1], hn[0])"))
    >>> answer.grade("b").right, answer.grade("A)").right, answer.grade("hn[-1]").right
    (False, True, True)
    """

    options: tuple[str, ...]
    right: int
    evidence: tuple[str, ...]
    also: tuple[tuple[str, ...], ...] = ()

    @property
    def form(self) -> str:
        return f"a letter from a to {_letter(len(self.options) - 1)}"

    @property
    def shown(self) -> str:
        return f"{_letter(self.right)}) {self.options[self.right]}"

    @property
    def expected(self) -> int:
        return self.right

    @property
    def lettered(self) -> tuple[tuple[str, str], ...]:
        """Each option with its letter."""
        return tuple((_letter(number), option) for number, option in enumerate(self.options))

    def grade(self, text: str) -> Verdict:
        told = _bare(text)
        for number, (letter, option) in enumerate(self.lettered):
            if told in (letter, _bare(option)):
                return Verdict(number == self.right)
        for number, words in enumerate(self.also):
            if told in map(_bare, words):
                return Verdict(number == self.right)
        return Verdict(None, f"I need {self.form}.")


Answer = Shape | Number | Choice


def written(axes: Axes, symbols: Mapping[str, int]) -> str:
    """The axes as a formula whose symbols have these values: an axis cut to size 1 is a 1, not an L.

    >>> written(Axes.of("N L D", (2, 1, 20)), {"N": 2, "L": 7, "D": 20})
    '(N, 1, D)'
    """
    parts = [
        name if value_of(name, symbols) == size else str(size)
        for name, size in zip(axes.names, axes.sizes, strict=True)
    ]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _unwrapped(text: str) -> str:
    """Without the brackets around all of it; those of `(K*R),(N),(D)` are around less."""
    while text and (text[0], text[-1]) in (("(", ")"), ("[", "]")):
        depth = 0
        for place, sign in enumerate(text):
            depth += (sign in "([") - (sign in ")]")
            if depth == 0 and place < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text


def _axes(number: int) -> str:
    return "1 axis" if number == 1 else f"{number} axes"


def _letter(number: int) -> str:
    return "abcdefgh"[number]


def _bare(text: str) -> str:
    """Without case, blanks, backticks, a full stop, and what stands around a letter."""
    bare = re.sub(r"[\s`]|\.$", "", text).lower()
    letter = re.fullmatch(r"\(?([a-h])[).:]?", bare)
    return letter.group(1) if letter else bare
