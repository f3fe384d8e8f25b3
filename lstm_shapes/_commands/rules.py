"""The rules of check; of one CODE with a wrong and a right program.

Examples:

  lstm-shapes rules

  lstm-shapes rules LS201
"""

from __future__ import annotations

from lstm_shapes.errors import SpecError

from . import _screen
from ._parser import Parser

_FIELDS = ("code", "name", "title", "why", "wrong", "right")


def declare(parser: Parser) -> None:
    parser.add_argument("code", metavar="CODE", nargs="?", default=None, help="LS201 and the like; all if left out")
    parser.lang(speaks=False)
    parser.json()


def main(code: str | None = None, *, json: bool = False) -> int:
    with _screen.loading("Loading the rules …"):
        from lstm_shapes._views.report import rule_view, rules_view
        from lstm_shapes.lab.check import RULES

        every = dict(sorted(RULES.items()))
    if code is not None and code.upper() not in every:
        raise SpecError("CODE", f"one of {', '.join(every)}", code)
    chosen = list(every.values()) if code is None else [every[code.upper()]]
    if json:
        _screen.data([{field: getattr(rule, field) for field in _FIELDS} for rule in chosen])
    else:
        _screen.put(rules_view(chosen) if code is None else rule_view(chosen[0]))
    return 0
