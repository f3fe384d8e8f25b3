"""A command is imported when it is called, alone, and its words are read at once, as typer reads them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperCommand

from lstm_shapes import commands
from lstm_shapes.commands.loading import COMMANDS, Command
from tests.command_line import ROOT, fake_torch, here, process, refused

# ---------------------------------------------------------------- every command is there


def test_every_file_is_a_command() -> None:
    """What is in the folder is in the table, but for what the commands share."""
    files = {path.stem for path in Path(*commands.__path__).glob("*.py")} - {"__init__", "loading", "options"}
    assert {place.partition(":")[0] for place, _ in COMMANDS.values()} == files


@pytest.mark.parametrize("word", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(capsys: pytest.CaptureFixture[str], name: str, word: str) -> None:
    """It loads, says how it is called, and shows itself called."""
    code, out, err = here(capsys, name, word)
    assert (code, err) == (0, "")
    assert f"Usage: lstm-shapes {name} " in out
    _, _, examples = out.partition("Examples:\n")
    assert re.search(rf"^ +lstm-shapes {name}\b", examples, re.MULTILINE)


def test_the_help_lists_them_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name with a sentence, in the order of the table."""
    _, _, listed = here(capsys, "--help").out.partition("Commands:\n")
    assert re.findall(r"^  (\S+)  +\S", listed, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["explian", "28", "256"], "explain"),
        (["cuont"], "count"),
        (["chekc", "--help"], "check"),
        (["rule"], "rules"),
    ],
)
def test_a_mistyped_command_is_suggested(capsys: pytest.CaptureFixture[str], typed: list[str], meant: str) -> None:
    """One line, exit code 2."""
    ended = here(capsys, *typed)
    refused(ended, f"No such command '{typed[0]}'. Did you mean '{meant}'?")
    assert ended.out == ""


def test_a_command_like_no_other_has_no_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """It is only said that there is none."""
    ended = here(capsys, "train")
    refused(ended, "No such command 'train'. See lstm-shapes --help.")
    assert "Did you mean" not in ended.err


# ---------------------------------------------------------------- what is imported


def loaded_by(*arguments: str, ends: int = 0) -> set[str]:
    """The modules that a fresh interpreter holds when the command has ended, with this exit code."""
    code = (
        "import sys\n"
        "from lstm_shapes.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: print('\\n', end.code, *sys.modules)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    left, *modules = done.stdout.splitlines()[-1].split()
    assert left == str(ends), done
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "28", "256", "--no-proof"],
        ["explain", "28", "256", "3", "--no-proof"],
        ["explain", "28", "256", "3", "-n", "2", "--dropout", "0.5", "--cell", "LSTM", "--no-proof", "--json"],
        ["count", "28", "256"],
        ["count", "28", "256", "3"],
        ["--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_arithmetic_needs_neither_torch_nor_pydantic(arguments: list[str]) -> None:
    """typer, which they are read with, would read a number with pydantic."""
    loaded = loaded_by(*arguments)
    assert {"typer", "lstm_shapes.cli"} <= loaded
    assert not loaded & {"torch", "torchinfo", "numpy", "pydantic"}


@pytest.mark.parametrize("arguments", [[], ["explain", "28", "256", "3"]], ids=["alone", "explain"])
def test_the_first_table_needs_neither_torch_nor_pydantic(tmp_path: Path, arguments: list[str]) -> None:
    """It is on the screen when torch begins to load, and nothing heavy has loaded until then."""
    dies = "import os, sys; os.write(2, b' '.join(m.encode() for m in sys.modules)); os._exit(7)"
    code, out, err = process(*arguments, env=fake_torch(tmp_path, dies))
    assert code == 7
    assert "Shapes" in out
    loaded = set(err.split())
    assert {"typer", "rich"} <= loaded
    assert not loaded & {"torchinfo", "numpy", "pydantic"}


def test_the_probe_sees_pydantic() -> None:
    """The tests above can fail: where typer is left to read a word with pydantic, it is seen."""
    pytest.importorskip("typer._adapters", reason="this typer reads without pydantic")
    assert "pydantic" in loaded_by("count", "2.5", "256", ends=2)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_no_other(name: str) -> None:
    """Only its own file, and what the commands share."""
    loaded = {module for module in loaded_by(name, "--help") if module.startswith("lstm_shapes.commands.")}
    shared = {"lstm_shapes.commands.loading", "lstm_shapes.commands.options"}
    assert loaded - shared == {f"lstm_shapes.commands.{COMMANDS[name][0].partition(':')[0]}"}


# ---------------------------------------------------------------- how words are read


def read(kind: Any, *words: str, default: Any = ..., declared: Any = None, cls: type[TyperCommand] = Command) -> Any:
    """What a command with one parameter of this kind gets; or the name and the message of the error."""
    got = []

    def command(x: Any) -> None:
        got.append(x)

    command.__annotations__ = {"x": Annotated[kind, declared or typer.Option("--x", "-x")]}
    command.__defaults__ = None if default is ... else (default,)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(cls=cls)(command)
    try:
        typer.main.get_command(single).main(list(words), prog_name="single", standalone_mode=False)
    except Exception as error:
        return type(error).__name__, error.format_message() if hasattr(error, "format_message") else str(error)
    return got[0]


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        (int, ["-x", "28"], 28),
        (int, ["--x=-28"], -28),
        (int, ["-x", "1", "-x", "2"], 2),
        (int | None, ["-x", "28"], 28),
        (float, ["-x", "0.5"], 0.5),
        (float, ["-x", "1"], 1.0),
        (float | None, ["-x", "1e-3"], 0.001),
        (str, ["-x", "28"], "28"),
        (str, ["--x="], ""),
        (str | None, ["-x", "LSTM"], "LSTM"),
        (Path, ["-x", "a/b.html"], Path("a/b.html")),
        (Path | None, ["-x", "b.html"], Path("b.html")),
        (bool, ["--x"], True),
        (list[str], ["-x", "64,28"], ["64,28"]),
        (list[str], ["-x", "64,28", "-x", "int:64"], ["64,28", "int:64"]),
        (list[str] | None, ["-x", "a", "-x", "b"], ["a", "b"]),
        (list[int], ["-x", "3", "-x", "2"], [3, 2]),
    ],
)
def test_a_word_is_read_as_its_kind(kind: Any, words: list[str], value: Any) -> None:
    """A number is of the kind that was asked for; the last word counts, and a list is a list of all."""
    got = read(kind, *words)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "default"),
    [(int, 7), (int | None, None), (float, 0.0), (str, "a"), (str | None, None), (Path | None, None), (bool, False)],
)
def test_what_is_not_given_is_the_default(kind: Any, default: Any) -> None:
    """Also None, which no kind is asked to read."""
    assert read(kind, default=default) == default


WORDS = (
    *("28", "+28", "-28", " 28 ", "028", "2_8", "2__8", "28.0", "28.5", ".5", "5.", "1e3", "1e400", "0x10", "½", "−3"),
    *("", " ", "many", "a b", "~/a", "nan", "inf", "-Infinity", "True", "None", "9" * 4000, "9" * 5000),
)


@pytest.mark.parametrize(("lead", "declared"), [("--x", typer.Option("--x")), ("--", typer.Argument())])
@pytest.mark.parametrize("kind", [int, int | None, float, float | None, str, str | None, Path, Path | None])
def test_every_word_is_read_as_typer_reads_it(kind: Any, lead: str, declared: Any) -> None:
    """The same value, for an option and for an argument; what typer refuses is refused with the word in the message."""
    for word in WORDS:
        ours, theirs = (read(kind, lead, word, declared=declared, cls=cls) for cls in (Command, TyperCommand))
        if isinstance(theirs, tuple):
            assert ours[0] == theirs[0] == "BadParameter"
            assert repr(word[:20])[:-1] in ours[1]
        else:
            assert repr(ours) == repr(theirs)  # repr: nan is not nan


@pytest.mark.parametrize("kind", [int, float, str, Path, list[str]])
def test_what_must_be_given_is_missed(kind: Any) -> None:
    """What nobody typed is not read: the error is typer's own."""
    assert read(kind) == read(kind, cls=TyperCommand)
    assert read(kind)[0] == "MissingParameter"


# The same through the commands themselves.
REFUSED = {
    "words": (["explain", "many", "few"], "'Q'"),
    "one word": (["explain", "abc", "256"], "'Q'"),
    "float Q": (["explain", "28.5", "256"], "'Q'"),
    "float D": (["explain", "28", "2.5"], "'D'"),
    "exponent": (["count", "1e3", "256"], "'Q'"),
    "nan": (["count", "nan", "256"], "'Q'"),
    "empty": (["count", "", "256"], "'Q'"),
    "too long for int": (["count", "9" * 5000, "256"], "'Q'"),
    "steps": (["explain", "28", "256", "--steps", "x"], "'--steps'"),
    "dropout": (["explain", "28", "256", "--dropout", "half"], "'--dropout'"),
    "seed": (["quiz", "--seed", "x"], "'--seed'"),
}


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_number_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """By the name of the parameter, in one line; nothing is shown before it."""
    ended = here(capsys, *arguments)
    refused(ended, f"Invalid value for {says}")
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["explain"], "Q"),
        (["explain", "28"], "D"),
        (["count"], "Q"),
        (["count", "28"], "D"),
        (["inspect"], "FILE"),
        (["run"], "SCRIPT"),
        (["check"], "MODEL"),
        (["walk"], "MODEL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_missing_argument_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], missing: str) -> None:
    """The first that is missing, and where to read more."""
    ended = here(capsys, *arguments)
    refused(ended, f"Missing argument '{missing}'. See lstm-shapes {arguments[0]} --help.")
    assert ended.out == ""


def test_dropout_is_a_float(capsys: pytest.CaptureFixture[str]) -> None:
    """Through a command, as plain data: 1 is 1.0."""
    for word, value in (("0.5", 0.5), ("1", 1.0)):
        out = here(capsys, "explain", "7", "5", "2", "--dropout", word, "--json", "--no-proof").out
        dropout = json.loads(out)["spec"]["dropout"]
        assert (dropout, type(dropout)) == (value, float)
