"""A rule: its code, its documentation, and the two questions it may answer."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from .report import Evidence, Finding, Level
from .where import Where

if TYPE_CHECKING:
    from .failure import Failure
    from .study import Study

__all__ = ["Rule", "registry"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One code of the table.

    `wrong` and `right` are runnable programs that define `model` and `inputs` (and `batch_dim`, `lengths`,
    `target`). `explain` reads an exception, `find` experiments on a model that runs, `notice` uses only what
    one run showed, which is all that watch has.
    """

    code: str
    name: str
    title: str
    why: str
    wrong: str
    right: str
    explain: Callable[[Failure], Finding | None] | None = None
    find: Callable[[Study], Iterable[Finding]] | None = None
    order: int = 50

    def finding(
        self,
        detail: str,
        fix: str,
        *,
        level: Level = "error",
        title: str = "",
        layer: str = "",
        where: Where | None = None,
        evidence: tuple[Evidence, ...] = (),
        cause: BaseException | None = None,
    ) -> Finding:
        """A finding of this rule."""
        return Finding(self.code, self.name, level, title or self.title, detail, fix, layer, where, evidence, cause)


@cache
def registry() -> dict[str, Rule]:
    """Every rule in the folder rules/, by code: a new file there is a new rule, nothing else is edited.

    >>> registry()["LS201"].name
    'batch-time-swap'
    """
    from . import rules

    found = [
        importlib.import_module(f"{rules.__name__}.{info.name}").RULE
        for info in pkgutil.iter_modules(rules.__path__)
        if info.name.startswith("ls")
    ]
    return {rule.code: rule for rule in sorted(found, key=lambda rule: rule.code)}
