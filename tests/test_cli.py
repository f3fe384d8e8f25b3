"""What every command keeps: how it fails, is stopped, loses its reader, and shows version and help."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_shapes.cli import COMMANDS
from tests.command_line import ROOT, fake_torch, here, process, refused


def test_alone_it_explains_the_lesson() -> None:
    """Without a word: the lesson's numbers, proved, plain and in 80 columns in a pipe, nothing on stderr."""
    code, out, err = process()
    assert (code, err) == (0, "")
    for text in ("LSTM(Q=28, D=256, K=3)", "(2, 20, 28)", "1,345,536", "--full"):
        assert text in out
    assert re.search(r"(\d+) of \1 claims hold against torch [\d.]+ and torchinfo \(cpu, float32\)", out)
    assert "✗" not in out
    assert "\x1b" not in out
    assert "…" not in out.replace("(K·R, N, …)", "")
    assert max(map(len, out.splitlines())) <= 80


def test_the_lesson_by_hand_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """`lstm-shapes` is short for `explain 28 256 3 --batch 2 --steps 20`."""
    alone = here(capsys)
    assert alone == here(capsys, "explain", "28", "256", "3", "--batch", "2", "--steps", "20")
    assert alone.code == 0


# ---------------------------------------------------------------- how it fails

WRONG = {
    "one too many": (["explain", "28", "256", "3", "4"], "unexpected extra argument"),
    "many too many": (["explain", "28", "256", *"9" * 500], "(9 9 9"),
    "a long option": (["explain", "--" + "x" * 500], "No such option: --xxx"),
    "a long command": (["x" * 500], "No such command 'xxx"),
    "two too many": (["explain", "28", "256", "3", "2", "20"], "(2 20)"),
    "no value": (
        ["explain", "28", "256", "--batch"],
        "Argument --batch/-n: expected one argument. See lstm-shapes explain --help.",
    ),
    "option with a slip": (
        ["explain", "28", "256", "--bacth", "2"],
        "No such option: --bacth. Did you mean '--batch'? See",
    ),
    "an option for a number that has a place": (
        ["explain", "28", "256", "--num-layer", "3"],
        "No such option: --num-layer. K is a number without a word before it. See",
    ),
    "no such option": (["count", "28", "256", "--bogus"], "No such option: --bogus"),
    "negative": (["explain", "28", "-256", "3"], "D (hidden_size) must be"),
    "negative after --": (["explain", "--", "28", "-256"], "D (hidden_size) must be"),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG)
def test_nonsense_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """Exit 2, nothing on stdout, and one line on stderr that ends as a sentence."""
    ended = here(capsys, *arguments)
    refused(ended, says)
    assert ended.out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_fails_alike(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """An option that it has not: one line that says where to read more."""
    ended = here(capsys, command, "--bogus")
    refused(ended, f"No such option: --bogus. See lstm-shapes {command} --help.\n")
    assert ended.out == ""


def test_no_traceback_from_the_process() -> None:
    """The same from outside, to the letter."""
    line = "lstm-shapes: D (hidden_size) must be a whole number of at least 1, got 0.\n"
    assert process("explain", "28", "0") == (2, "", line)


# ---------------------------------------------------------------- how it is stopped


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 130, as a shell expects, and not a word."""
    from lstm_shapes._commands import layers

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(layers, "predict", stop)
    assert here(capsys, "explain", "7", "5") == (130, "", "")


def test_ctrl_c_while_torch_loads(tmp_path: Path) -> None:
    """Who does not wait for the proof keeps the prediction, and gets no traceback."""
    ended = process("explain", "7", "5", env=fake_torch(tmp_path, "raise KeyboardInterrupt"))
    assert (ended.code, ended.err) == (130, "")
    assert "Shapes" in ended.out
    assert "Proof" not in ended.out


@pytest.mark.parametrize(("option", "first"), [("--json", "{"), ("--cell=LSTM", "LSTM(Q=28, D=256, K=3)")])
def test_a_reader_that_has_enough(option: str, first: str) -> None:
    """`lstm-shapes | head -1` ends without a word."""
    command = f"{shlex.quote(sys.executable)} -m lstm_shapes explain 28 256 3 --no-proof {option} | head -1"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{first}\n", "")


def read_by_nobody(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr where the other end of the pipe is closed before the first word."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "lstm_shapes", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", ["explain 28 256 3 --no-proof", "count 28 256 --json", "--help", "rules --help"])
def test_a_reader_that_has_gone(words: str) -> None:
    """Nobody reads from the start: no traceback, and not a word on stderr either."""
    assert read_by_nobody(*words.split())[1] == ""


def test_a_reader_that_has_gone_is_no_failure() -> None:
    """Exit code 1 would say that a proof failed: it is 0."""
    assert read_by_nobody("explain", "28", "256", "3", "--no-proof")[0] == 0


# ---------------------------------------------------------------- what it shows everywhere


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["explain", "28", "256", "--no-proof"], "292,864"),
        (["count", "28", "256"], "292,864"),
        (["quiz", "--level", "5", "--rounds", "9"], "9 of 9"),
    ],
)
def test_a_terminal_that_knows_no_symbols(arguments: list[str], shown: str) -> None:
    """Where the encoding lacks ·, × and ✗ nothing fails."""
    code, out, err = process(*arguments, input="\n" * 9, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (code, err) == (0, "")
    assert shown in out


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help(capsys: pytest.CaptureFixture[str], word: str) -> None:
    """How to call it, and what it is for."""
    code, out, err = here(capsys, word)
    assert (code, err) == (0, "")
    assert "usage: lstm-shapes" in out
    assert "shapes of PyTorch's recurrent layers." in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line."""
    code, out, err = here(capsys, "--version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"lstm-shapes \d+\.\d+\.\d+\n", out)
