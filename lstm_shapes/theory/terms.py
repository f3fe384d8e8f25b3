"""Term: a number that carries its formula."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Term"]


@dataclass(frozen=True, slots=True)
class Term:
    """A named number with its formula: in symbols, with the sizes substituted, and its value.

    >>> print(Term("recurrent", "4·D·D", "4·256·256", 262144))
    recurrent: 4·D·D = 4·256·256 = 262,144
    """

    name: str
    formula: str
    substituted: str
    value: int

    def __str__(self) -> str:
        return f"{self.name}: {self.formula} = {self.substituted} = {self.value:,}"

    def to_dict(self) -> dict[str, str | int]:
        return {
            "name": self.name,
            "formula": self.formula,
            "substituted": self.substituted,
            "value": self.value,
        }
