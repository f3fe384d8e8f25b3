"""What a command is, and how its words are read: argparse, with errors of one line and arguments that several share."""

from __future__ import annotations

import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, BooleanOptionalAction, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from lstm_shapes.errors import LstmShapesError, nearest
from lstm_shapes.language import language, speaking
from lstm_shapes.theory.symbols import ELSEWHERE, SYMBOLS

T = TypeVar("T")

_OPTIONS = {"N": "--batch", "L": "--steps"}
"""The options that are called otherwise than the argument of Python's calls."""


class UsageError(LstmShapesError):
    """Words on the command line that cannot be read: what is wrong with them, and whose help to ask for."""

    def __init__(self, problem: str, command: str) -> None:
        sentence = problem[:1].upper() + problem[1:].rstrip(".")
        super().__init__(f"{sentence}{'' if sentence.endswith('?') else '.'} See {command} --help.")


class Parser(ArgumentParser):
    """The parser of one command, whose help is a docstring that ends with examples."""

    places: str = ""
    """The symbols of the numbers that have a place and no word."""
    speaks: bool = True
    """Whether its sentences are there in several languages; what check finds is said in English only."""

    def __init__(self, command: str, text: str) -> None:
        about, heading, examples = text.strip().partition("Examples:")
        super().__init__(
            command,
            description=about.strip(),
            epilog=f"{heading}{examples.rstrip()}",
            formatter_class=RawDescriptionHelpFormatter,
            argument_default=SUPPRESS,
            allow_abbrev=False,
        )

    def read(self, words: list[str], passes_on: str = "") -> dict[str, Any]:
        """What was given, by name; where `passes_on`, all behind the first word that is no option, unread."""
        own, behind = words, list[str]()
        if passes_on:
            place = 0
            while words[place : place + 1] and words[place].startswith("-"):
                place += 2 if words[place] == "--lang" else 1
            own, behind = words[: place + 1], words[place + 1 :]
        self._refuse_unknown(own)
        given, extra = self.parse_known_intermixed_args(own)
        if extra:
            self.error(f"Got unexpected extra argument{'s' if len(extra) > 1 else ''} ({_cut(' '.join(extra))})")
        return {**vars(given), passes_on: behind} if passes_on else vars(given)

    def _refuse_unknown(self, words: list[str]) -> None:
        """Look for options that are none before argparse does, which would first ask for what is missing."""
        options = list(self._option_string_actions)
        for word in words:
            name = word.partition("=")[0] if word.startswith("--") else word[:2]
            if word == "--":
                return
            if name.startswith("-") and name not in options and not re.match(r"-$|-\.?\d", word):
                self.error(f"No such option: {_cut(name)}.{self._meant(name, options)}")

    def _meant(self, name: str, options: list[str]) -> str:
        """What an unknown option may stand for: torch's words, other tools' and misspelt ones."""
        word = name.lstrip("-").replace("-", "_")
        argument = re.split(r"\W", ELSEWHERE.get(word, word))[0]
        places = {SYMBOLS[letter].argument: letter for letter in self.places}
        option = _OPTIONS.get(argument, f"--{argument.replace('_', '-')}")
        if argument == "batch_first" and "--time-major" in options:
            return " X is (N, L, Q) unless --time-major is given."
        if argument not in places and option in options:
            return f" Did you mean '{option}'?"
        place = argument if argument in self.places else places.get(nearest(argument, places))
        return f" {place} is a number without a word before it." if place else near(name, options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self.prog)

    def layer(self) -> None:
        """The arguments that describe a layer and its call; by the names that `predict` gives them."""
        self.places = "QDK"
        self.add_argument("Q", type=whole, help="features of one step: torch's input_size")
        self.add_argument("D", type=whole, help="hidden width: torch's hidden_size")
        self.add_argument("K", type=whole, nargs="?", default=1, help="stacked layers: torch's num_layers (default: 1)")
        rows = self.add_mutually_exclusive_group()
        rows.add_argument("--batch", "-n", dest="N", metavar="N", type=whole, help="sequences in the batch")
        rows.add_argument(
            "--unbatched", dest="N", action="store_const", const=None, help="one sequence without a batch axis"
        )
        self.add_argument("--steps", "-l", dest="L", metavar="L", type=whole, help="steps in a sequence")
        self.add_argument("--cell", help="LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell (default: LSTM)")
        self.add_argument("--bidirectional", "-r", action="store_true", help="read in both directions")
        self.add_argument("--proj-size", "-p", metavar="P", type=whole, help="projected width, LSTM only")
        switch("bias", "with or without bias vectors")(self)
        self.lengths()
        self.dtype()

    def model(self) -> None:
        self.add_argument("model", metavar="MODEL", help="package.module:factory, or file.py:factory")
        about = "sizes of one argument; int:64,28 for tokens; repeat"
        self.add_argument("--input", "-i", action="append", metavar="64,28,28", help=about)
        self.dtype()

    def lengths(self) -> None:
        self.add_argument("--lengths", metavar="5,3,2", type=whole_numbers, help="steps of each row: pads and packs")

    def dtype(self) -> None:
        self.add_argument("--dtype", help="float32, float64, float16 or bfloat16 (default: float32)")

    def json(self) -> None:
        self.add_argument("--json", action="store_true", help="print plain data for another program")

    def lang(self, also: str = "errors and help are in English") -> None:
        about = "language (default: LSTM_SHAPES_LANG, or ko where the locale is Korean, or en)"
        self.add_argument("--lang", metavar="en|ko", help=f"{about}; {also}")

    def lang_of_check(self) -> None:
        self.speaks = False
        self.lang("what check finds is said in English in each")


Declare = Callable[[Parser], object]


@dataclass(frozen=True, slots=True)
class Command:
    """A function that takes what was given as keywords and returns the exit code; its docstring is the help.

    What is not given on the command line is not passed, so that defaults stand in the function alone. `passes_on` is
    the name of what stands behind the first word that is no option, where that is passed on unread.
    """

    function: Callable[..., int]
    arguments: tuple[Declare, ...]
    passes_on: str = ""

    @property
    def help(self) -> str:
        return getdoc(self.function) or ""

    def __call__(self, words: list[str]) -> int:
        parser = Parser(f"lstm-shapes {self.function.__name__}", self.help)
        for declare in self.arguments:
            declare(parser)
        given = parser.read(words, self.passes_on)
        lang = language(given.pop("lang", None))
        with speaking(lang if parser.speaks else "en"):
            return self.function(**given)


def command(*arguments: Declare, passes_on: str = "") -> Callable[[Callable[..., int]], Command]:
    return lambda function: Command(function, arguments, passes_on)


def argument(*names: str, **options: Any) -> Declare:
    return lambda parser: parser.add_argument(*names, **options)


def switch(name: str, help: str) -> Declare:
    """`--name` and `--no-name`; on where neither is given."""
    return argument(f"--{name}", action=BooleanOptionalAction, help=help)


def html(what: str = "write the page to FILE as well") -> Declare:
    return argument("--html", metavar="FILE", type=_page, help=what)


def near(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'explain'?` where one of the known words is like this one; nothing otherwise."""
    plain = {one.lstrip("-"): one for one in known}  # dashes would make every option like every other
    meant = nearest(word.lstrip("-"), plain)
    return f" Did you mean '{plain[meant]}'?" if meant else ""


def _cut(word: str) -> str:
    """Short enough for a message of one line."""
    return word if len(word) <= 40 else f"{word[:40]}…"


def _reader(kind: Callable[[str], T], name: str) -> Callable[[str], T]:
    """Reads a word as argparse wants it, with an error that says what it should have been."""

    def read(word: str) -> T:
        try:
            return kind(word)
        except ValueError:
            raise ArgumentTypeError(f"{_cut(word)!r} is not {name}") from None

    return read


whole = _reader(int, "a whole number")
decimal = _reader(float, "a number")
whole_numbers = _reader(
    lambda word: tuple(map(int, word.split(","))), "whole numbers with commas between, such as 5,3,2"
)


def _page(word: str) -> Path:
    """A page that could be written, looked at before anything is worked out."""
    file = Path(word)
    if file.suffix != ".html":
        raise ArgumentTypeError("give it a name that ends in .html")
    if not file.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {file.parent}; make it first")
    return file
