"""The language of what learners read: English, or Korean from a second table of the same keys.

`say("layer", k=2)` is a sentence in the language in force: that of `speaking("ko")` around it, else of the environment
variable LSTM_SHAPES_LANG, else Korean where the locale asks for it, else English.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import ParamSpec, TypeVar

from lstm_shapes.errors import SpecError

__all__ = ["LANGUAGES", "counted", "gloss", "has", "in_this_language", "language", "say", "speaking"]

P = ParamSpec("P")
T = TypeVar("T")

LANGUAGES = ("en", "ko")
_VARIABLE = "LSTM_SHAPES_LANG"

# The language in force, and the terms whose English word has been given since it is.
_force: ContextVar[tuple[str, set[str]] | None] = ContextVar("language", default=None)


def language(name: str | None = None) -> str:
    """The code of a language that was asked for by name, or of the one in force.

    >>> language("ko")
    'ko'

    Raises: SpecError for a language that is not there, also in the environment.
    """
    force = _force.get()
    if name is None and force is not None:
        return force[0]
    asked, by = (os.environ.get(_VARIABLE) or _of_the_locale(), _VARIABLE) if name is None else (name, "lang")
    if not isinstance(asked, str) or asked not in LANGUAGES:
        raise SpecError(by, f"one of {', '.join(LANGUAGES)}", asked)
    return asked


def _of_the_locale() -> str:
    """Korean if the locale's messages are; English for all others."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    asked = next(filter(None, names), "")
    return "ko" if asked == "ko" or asked.startswith(("ko_", "ko.", "ko@")) else "en"


@contextmanager
def speaking(name: str | None = None) -> Iterator[None]:
    """One page in a language: the one in force unless named."""
    token = _force.set((language(name), set()))
    try:
        yield
    finally:
        _force.reset(token)


def in_this_language(function: Callable[P, T]) -> Callable[P, T]:
    """A function for later, when another language may be in force."""
    name = language()

    def later(*args: P.args, **kwargs: P.kwargs) -> T:
        with speaking(name):
            return function(*args, **kwargs)

    return later


def counted(count: int, noun: str) -> str:
    """A number and its noun, which is plural unless it is one.

    >>> counted(1, "step"), counted(1_000_000, "sequence")
    ('1 step', '1,000,000 sequences')
    """
    return f"{int(count):,} {noun}{'' if count == 1 else 's'}"


class _Number(int):
    """A whole number in a sentence; with a noun for its format, which is plural unless it is one."""

    def __format__(self, form: str) -> str:
        if len(form) > 1 and form[0].isalpha():
            return counted(self, form)
        return format(int(self), form)


@lru_cache
def _sentences(name: str) -> dict[str, str]:
    """The table of a language, loaded when somebody speaks it."""
    if name == "ko":
        from . import _korean as korean

        return korean.SENTENCES
    from . import _english as english

    return english.SENTENCES


def has(key: str) -> bool:
    """Whether there is a sentence of that key."""
    return key in _sentences("en")


def say(key: str, /, **gaps: object) -> str:
    """The sentence of a key, its gaps filled.

    >>> with speaking("en"):
    ...     say("call cell", N=1), say("call cell", N=20)
    ('N=1 sequence, one step', 'N=20 sequences, one step')
    """
    sentence = _sentences(language())[key]
    return sentence.format_map({name: _Number(gap) if type(gap) is int else gap for name, gap in gaps.items()})


def gloss(text: str) -> str:
    """A text in Korean with the English word behind each term of the field, where the page has it first.

    >>> with speaking("ko"):
    ...     gloss("은닉 상태를 읽습니다. 은닉 상태는 …")
    '은닉 상태(hidden state)를 읽습니다. 은닉 상태는 …'
    """
    force = _force.get()
    if force is None or force[0] != "ko":
        return text

    from ._korean import TERMS

    def first(match: re.Match[str]) -> str:
        term, before = match[0], text[: match.start()]
        if term in force[1] or before.count("(") > before.count(")"):
            return term
        force[1].add(term)
        return f"{term}({TERMS[term]})"

    return re.sub(f"(?<![가-힣])({'|'.join(sorted(TERMS, key=len, reverse=True))})", first, text)
