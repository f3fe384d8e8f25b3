"""A command is imported when it is called, alone; its words are read, or refused in one line that helps."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lstm_shapes._commands import layers, models
from lstm_shapes._commands._parser import Command
from lstm_shapes.cli import COMMANDS
from tests.command_line import ROOT, fake_torch, here, process, refused

# ---------------------------------------------------------------- every command is there


def test_every_command_is_listed() -> None:
    """Each function that is a command is called by its own name."""
    every = {**vars(layers), **vars(models)}
    there = {name: value.function.__name__ for name, value in every.items() if isinstance(value, Command)}
    assert there == {name: name for name in COMMANDS}


@pytest.mark.parametrize("word", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(capsys: pytest.CaptureFixture[str], name: str, word: str) -> None:
    """It loads, says how it is called, and shows itself called."""
    code, out, err = here(capsys, name, word)
    assert (code, err) == (0, "")
    assert f"usage: lstm-shapes {name} " in out
    _, _, examples = out.partition("Examples:\n")
    assert re.search(rf"^ +lstm-shapes {name}\b", examples, re.MULTILINE)


def test_the_help_lists_them_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name with a sentence, in one order, in 80 columns."""
    _, _, listed = here(capsys, "--help").out.partition("Commands:\n")
    listed, _, _ = listed.partition("options:")
    assert re.findall(r"^  (\S+)  +\S", listed, re.MULTILINE) == list(COMMANDS)
    assert max(map(len, listed.splitlines())) <= 80


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
        ["explain", "28", "256", "3", "-n", "2", "--dropout", "0.5", "--no-proof", "--json"],
        ["count", "28", "256"],
        ["count", "28", "256", "3"],
        ["--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_arithmetic_needs_no_torch(arguments: list[str]) -> None:
    """Nor rich, where there is no page to show."""
    loaded = loaded_by(*arguments)
    assert "lstm_shapes.cli" in loaded
    assert not loaded & {"torch", "torchinfo", "numpy"}
    assert ("rich" in loaded) == (arguments[0] in ("explain", "count") and "--json" not in arguments)


@pytest.mark.parametrize("arguments", [[], ["explain", "28", "256", "3"]], ids=["alone", "explain"])
def test_the_first_table_needs_no_torch(tmp_path: Path, arguments: list[str]) -> None:
    """It is on the screen when torch begins to load, and nothing heavy has loaded until then."""
    dies = "import os, sys; os.write(2, b' '.join(m.encode() for m in sys.modules)); os._exit(7)"
    code, out, err = process(*arguments, env=fake_torch(tmp_path, dies))
    assert code == 7
    assert "Shapes" in out
    loaded = set(err.split())
    assert "rich" in loaded
    assert not loaded & {"torchinfo", "numpy"}


def test_the_probe_sees_torch(tmp_path: Path) -> None:
    """The tests above can fail: a command that loads torch is seen."""
    (tmp_path / "script.py").write_text("import torch")
    assert {"torch", "numpy"} <= loaded_by("run", str(tmp_path / "script.py"))


@pytest.mark.parametrize("name", ["explain", "count", "quiz", "explore"])
def test_what_is_about_a_layer_waits_for_nothing_that_a_program_takes(name: str) -> None:
    """No part of lab is imported for it."""
    assert not {module for module in loaded_by(name, "--help") if module.startswith("lstm_shapes.lab")}


# ---------------------------------------------------------------- how words are read


def spec(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The call that `explain` reads from these words."""
    code, out, err = here(capsys, "explain", *words, "--json", "--no-proof")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize(
    ("words", "Q_D_K_N"),
    [
        ("28 256", (28, 256, 1, 2)),
        ("28 256 3", (28, 256, 3, 2)),
        ("28 256 --batch 5 3", (28, 256, 3, 5)),
        ("-n 5 28 --cell LSTM 256 3", (28, 256, 3, 5)),
        ("28 256 -n5", (28, 256, 1, 5)),
        ("28 256 --batch=5", (28, 256, 1, 5)),
        ("28 256 --batch 4 --batch 5", (28, 256, 1, 5)),
        ("+28 2_5_6", (28, 256, 1, 2)),
        ("28 256 -rn 5", (28, 256, 1, 5)),
        ("--batch 5 -- 28 256", (28, 256, 1, 5)),
        ("28 256 --unbatched", (28, 256, 1, None)),
    ],
)
def test_words_may_stand_in_any_order(
    capsys: pytest.CaptureFixture[str], words: str, Q_D_K_N: tuple[int | None, ...]
) -> None:
    """Options before, between and behind the numbers, long, short and joined; of several the last counts."""
    data = spec(capsys, *words.split())
    assert (*(data["spec"][name] for name in "QDK"), data["N"]) == Q_D_K_N


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["explain", "28", "256", "--bacth", "2"], "--batch"),
        (["explain", "28", "256", "--length=5,3"], "--lengths"),
        (["explain", "--bidirectonal"], "--bidirectional"),
        (["count", "28", "256", "--projsize", "3"], "--proj-size"),
        (["quiz", "--lvel", "3"], "--level"),
        (["walk", "model:Make", "--inptu", "3"], "--input"),
        (["run", "--hepl"], "--help"),
        (["--verison"], "--version"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_mistyped_option_is_suggested(capsys: pytest.CaptureFixture[str], typed: list[str], meant: str) -> None:
    """Before anything else that is wrong, and no option may be cut short."""
    refused(here(capsys, *typed), f". Did you mean '{meant}'? See lstm-shapes")


@pytest.mark.parametrize(
    ("option", "told"),
    {
        "--units": "D is a number without a word before it",
        "--K": "K is a number without a word before it",
        "--input-dim": "Q is a number without a word before it",
        "--batch-size": "Did you mean '--batch'?",
        "-N": "Did you mean '--batch'?",
        "--seq-len": "Did you mean '--steps'?",
        "--L": "Did you mean '--steps'?",
        "--P": "Did you mean '--proj-size'?",
        "--rnn-type": "Did you mean '--cell'?",
        "--batch-first": "X is (N, L, Q) unless --time-major is given",
    }.items(),
)
def test_words_of_torch_and_of_other_tools_are_understood(
    capsys: pytest.CaptureFixture[str], option: str, told: str
) -> None:
    """By the table that answers unknown keywords in Python."""
    refused(here(capsys, "explain", "28", "256", option, "3"), f"No such option: {option}. {told}")


def test_an_option_like_no_other_has_no_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """It is only said that there is none; also of a single letter."""
    for option in ("--bogus", "-z"):
        refused(here(capsys, "count", "28", "256", option), f"No such option: {option}. See lstm-shapes count --help.")


SIZES = {
    "no number": (["--lengths", "5,,3"], "is not whole numbers with commas between"),
    "nothing": (["--lengths", ""], "is not whole numbers with commas between"),
    "length 0": (["--lengths", "5,0"], "lengths[1] must be"),
    "longer than L": (["--steps", "4", "--lengths", "5,3"], "at most L each = 4"),
    "fewer than N": (["--batch", "3", "--lengths", "5,3"], "one entry for each of N sequences = 3"),
}


@pytest.mark.parametrize("command", ["explain", "count"])
@pytest.mark.parametrize(("arguments", "says"), SIZES.values(), ids=SIZES)
def test_lengths_that_cannot_be(
    capsys: pytest.CaptureFixture[str], command: str, arguments: list[str], says: str
) -> None:
    """One line, before anything is shown."""
    ended = here(capsys, command, "28", "256", *arguments)
    refused(ended, says)
    assert ended.out == ""


@pytest.mark.parametrize("command", ["explain", "count"])
@pytest.mark.parametrize(
    ("other", "says"), [(["--batch", "2"], "not allowed with"), (["--lengths", "5,3"], "left out for one unbatched")]
)
def test_unbatched_has_no_rows(capsys: pytest.CaptureFixture[str], command: str, other: list[str], says: str) -> None:
    """One sequence without a batch axis is neither two nor a packed batch."""
    refused(here(capsys, command, "28", "256", "--unbatched", *other), says)


REFUSED = {
    "words": (["explain", "many", "few"], "Argument Q: "),
    "one word": (["explain", "abc", "256"], "Argument Q: "),
    "float Q": (["explain", "28.5", "256"], "Argument Q: "),
    "float D": (["explain", "28", "2.5"], "Argument D: "),
    "exponent": (["count", "1e3", "256"], "Argument Q: "),
    "nan": (["count", "nan", "256"], "Argument Q: "),
    "empty": (["count", "", "256"], "Argument Q: "),
    "too long for int": (["count", "9" * 5000, "256"], "Argument Q: "),
    "steps": (["explain", "28", "256", "--steps", "x"], "Argument --steps/-l: "),
    "dropout": (["explain", "28", "256", "--dropout", "half"], "Argument --dropout: "),
    "seed": (["quiz", "--seed", "x"], "Argument --seed: "),
}


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_number_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """By the name of the parameter, in one line; nothing is shown before it."""
    ended = here(capsys, *arguments)
    refused(ended, says)
    assert "is not a" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["explain"], "Q, D"),
        (["explain", "28"], "D"),
        (["count"], "Q, D"),
        (["count", "28"], "D"),
        (["inspect"], "FILE"),
        (["run"], "SCRIPT"),
        (["check"], "MODEL"),
        (["walk"], "MODEL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_missing_argument_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], missing: str) -> None:
    """All that are missing, and where to read more."""
    ended = here(capsys, *arguments)
    refused(ended, f"are required: {missing}. See lstm-shapes {arguments[0]} --help.")
    assert ended.out == ""


def test_dropout_is_a_float(capsys: pytest.CaptureFixture[str]) -> None:
    """Through a command, as plain data: 1 is 1.0."""
    for word, value in (("0.5", 0.5), ("1", 1.0)):
        out = here(capsys, "explain", "7", "5", "2", "--dropout", word, "--json", "--no-proof").out
        dropout = json.loads(out)["spec"]["dropout"]
        assert (dropout, type(dropout)) == (value, float)
