"""`lstm-shapes quiz` played through: in a pipe, at a real prompt, and broken off."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path

import pytest

from tests.cards import cards, right
from tests.command_line import ROOT, here, process, refused
from tests.snapshot import Snapshot


def play(level: int, typed: list[str], *extra: str) -> str:
    """The command's output for these lines of input; seed 0 unless `extra` says otherwise."""
    seed = () if "--seed" in extra else ("--seed", "0")
    code, out, err = process("quiz", "--level", str(level), *seed, *extra, input="".join(f"{line}\n" for line in typed))
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("level", range(1, 6))
def test_all_right(level: int) -> None:
    """Right answers to every question of a level make ten of ten, without a derivation."""
    output = play(level, [right(card) for card in cards(level, 0)])
    assert f"Score, level {level}: 10 of 10 right" in output
    assert output.count("✓ Right.") == 10
    assert "The answer" not in output
    assert "To look at again" not in output


def test_wrong_answers_are_derived() -> None:
    """A wrong answer shows the right one, how it follows, and the line of torch that shows it."""
    card = next(card for card in cards(1, 0) if card.topic == "shapes")
    place = cards(1, 0).index(card)
    output = play(1, [right(one) for one in cards(1, 0, place)] + ["99,98,97"], "--rounds", str(place + 1))
    assert f"✗ No. The answer: {card.shown}" in output
    assert " ".join(card.derivation[0].replace("`", "").split()) in " ".join(output.split())
    assert f"In torch: {card.proof}" in output
    assert f"Score, level 1: {place} of {place + 1} right" in output
    assert "shapes: lstm-shapes explain 28 256 3" in output


def test_screen(snapshot: Snapshot) -> None:
    """One quiz as it looks: right, wrong, unreadable, passed over, ended."""
    known = cards(3, 3)
    typed = [right(known[0]), "1,2,3" if not known[1].choices else "zzz", "", right(known[2]), "no idea", "", "quit"]
    snapshot("level_3", play(3, typed, "--seed", "3"))


def test_unreadable_answer_is_asked_for_again() -> None:
    """What cannot be read does not count; the same question waits."""
    first = cards(2, 1)[0]
    output = play(2, ["?!", "?!", right(first), "quit"], "--seed", "1")
    assert output.count("Unreadable: write") == 2
    assert "Score, level 2: 1 of 1 right" in output
    assert "You stopped after 1 of 10." in output


@pytest.mark.parametrize("word", ["q", "quit", "exit", "QUIT"])
def test_quit(word: str) -> None:
    """Three words end the quiz; nothing was answered, so nothing is scored."""
    output = play(1, [word])
    assert "nothing answered" in output


def test_empty_answer_shows_the_solution() -> None:
    """Passing over is no mistake to be told about, but no point either."""
    first = cards(1, 0)[0]
    output = play(1, ["", "quit"])
    assert f"The answer: {first.shown}" in output
    assert "✗" not in output
    assert "0 of 1 right" in output


def test_end_of_input() -> None:
    """A pipe that ends ends the quiz with the score so far."""
    output = play(1, [right(cards(1, 0)[0])])
    assert "1 of 1 right" in output
    assert "You stopped after 1 of 10." in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--level", "6"], "level must be a whole number from 1 to 5, got 6."),
        (["--level", "0"], "level must be a whole number from 1 to 5, got 0."),
        (["--rounds", "0"], "rounds must be a whole number of at least 1, got 0."),
        (["--rounds", "9" * 23], f"rounds must be a whole number of at least 1 and at most 2**60, got {'9' * 23}."),
    ],
)
def test_bad_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr and exit code 2, before the first question."""
    ended = here(capsys, "quiz", *arguments)
    refused(ended, message)
    assert ended.out == ""


def test_sheet_with_its_key(tmp_path: Path) -> None:
    """A file to be printed: every question, and below all of them the key; nothing is asked."""
    file = tmp_path / "quiz.html"
    code, out, err = process("quiz", "--level", "4", "--seed", "3", "--html", str(file))
    assert (code, out, err) == (0, "", f"Wrote {file}\n")
    page = file.read_text(encoding="utf-8")
    questions, key = (unescape(re.sub(r"<[^>]+>", "", part)) for part in page.split("<h3>Key</h3>"))
    assert "The same sheet again: seed 3." in questions
    for number, card in enumerate(cards(4, 3), start=1):
        assert f"{number}. {card.topic}" in questions
        for answer in (card.shown, card.proof, *(line.replace("`", "") for line in card.derivation)):
            assert answer in key
            assert answer not in questions or answer in card.shown


def _ended(game: subprocess.Popen[bytes]) -> bool:
    try:
        game.wait(timeout=2)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_ctrl_c_at_a_real_prompt() -> None:
    """In a terminal: Up brings the last line back; one answer, then Ctrl-C; the score, exit code 0, no traceback."""
    ours, theirs = pty.openpty()
    game = subprocess.Popen(
        [sys.executable, "-m", "lstm_shapes", "quiz", "--seed", "0"],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        # A job in the background inherits an ignored SIGINT; somebody at a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    os.close(theirs)
    seen = ""

    def until(text: str, times: int) -> None:
        nonlocal seen
        deadline = time.monotonic() + 60
        while seen.count(text) < times:
            assert time.monotonic() < deadline, seen
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                seen += os.read(ours, 4096).decode(errors="replace")
            except OSError:  # the other side is closed
                return

    try:
        until("> ", 1)
        os.write(ours, b"no idea\n")
        until("Unreadable: write", 1)
        until("> ", 2)
        os.write(ours, b"\x1b[A\n")
        until("Unreadable: write", 2)
        until("> ", 3)
        os.write(ours, f"{right(cards(1, 0)[0])}\n".encode())
        until("2 of 10", 1)  # what was right has been written down
        for _ in range(30):  # somebody who is not heard at once presses again
            game.send_signal(signal.SIGINT)
            if _ended(game):
                break
        until("never to be seen", 1)
        assert game.wait(timeout=60) == 0, seen
    finally:
        game.kill()
        game.wait()
        os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert "1 of 1 right" in plain
    assert plain.count("no idea") == 2
    assert "^[[A" not in plain
    assert "Traceback" not in plain
