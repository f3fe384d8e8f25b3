"""Loading: a command is imported when it is called, and its words are read without typer's help where that is slow.

The first table has to be there in an eighth of the time that torch and torchinfo take. typer finds a command's options
by importing it with all it needs, and reads `28` with pydantic, whose import alone takes half of that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MethodType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["COMMANDS", "HELP", "Command", "Commands"]

HELP = {"help_option_names": ["-h", "--help"]}

# Name -> "module:function" and click's settings, in the order of the help.
COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    "explain": ("explain:explain", {}),
    "count": ("count:count", {}),
    "inspect": ("inspect:inspect", {}),
    "check": ("check:check", {}),
    "rules": ("check:rules", {}),
    "walk": ("walk:walk", {}),
    # Everything behind SCRIPT belongs to the script.
    "run": ("run:run", {"allow_interspersed_args": False, "ignore_unknown_options": True}),
    "quiz": ("quiz:quiz", {}),
    "explore": ("explore:explore", {}),
}


class _Reader:
    """What a command and the group of commands share: words are read by Python's own int, float, str and Path.

    Whatever these refuse, and what is missing or a list, is left to typer.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        kinds = get_type_hints(self.callback)  # type: ignore[attr-defined]
        for parameter in self.params:  # type: ignore[attr-defined]
            _read_plainly(parameter, kinds.get(parameter.name))

    def get_help_option(self, context: Any) -> Any:
        option = super().get_help_option(context)  # type: ignore[misc]
        _read_plainly(option, bool)
        return option


class Command(_Reader, TyperCommand):
    """One command."""


class Commands(_Reader, TyperGroup):
    """`lstm-shapes`: its commands are those of the table."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.commands: Any = _Table()


class _Table(Mapping[str, Any]):
    """The commands by name; looking one up imports it."""

    def __getitem__(self, name: str) -> Any:
        place, settings = COMMANDS[name]
        module, _, function = place.partition(":")
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        declare = single.command(name, cls=Command, context_settings={**HELP, **settings})
        declare(getattr(import_module(f"{__package__}.{module}"), function))
        return typer.main.get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _read_plainly(parameter: Any, hint: Any) -> None:
    """Let `kind(word)` stand before typer's reading, where the annotation is a plain kind, or that or None."""
    either = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kind = next(one for one in either if one is not type(None))
    if kind in (bool, int, float, str, Path):
        by_typer = MethodType(type(parameter).process_value, parameter)
        parameter.process_value = partial(_read, parameter, kind, by_typer)


def _read(parameter: Any, kind: type, by_typer: Callable[[Any, Any], Any], context: Any, word: Any) -> Any:
    if word is None and not parameter.required:
        return None
    if word is None or parameter.callback is not None or (kind is bool and not isinstance(word, bool)):
        return by_typer(context, word)  # which says what is missing; and --help acts when it is read
    try:
        return word if isinstance(word, kind) else kind(word)
    except ValueError:
        pass
    try:
        return by_typer(context, word)
    except typer.BadParameter:  # it does not say which word
        shown = word if len(word) <= 40 else f"{word[:40]}…"
        wanted = "a whole number" if kind is int else "a number"
        raise typer.BadParameter(f"{shown!r} is not {wanted}", context, parameter) from None
