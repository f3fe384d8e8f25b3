"""English and Korean say the same things: the same keys and gaps, and no English left where a page is in Korean."""

from __future__ import annotations

import json
import os
import re
import string
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import lstm_shapes as ls
from lstm_shapes._views.canvas import padded, wrapped
from lstm_shapes._views.explanation import every_block
from lstm_shapes.display import as_document, as_text, page_of
from lstm_shapes.display.page import Drawing, Lines, Mark, Page, Tree
from lstm_shapes.explanation import Explanation
from lstm_shapes.language import LANGUAGES, gloss, language, say, speaking
from lstm_shapes.language._english import SENTENCES
from lstm_shapes.language._korean import SENTENCES as KOREAN
from lstm_shapes.language._korean import TERMS
from tests.command_line import here, process, refused

# What keeps its name in Korean: torch and what torch calls its things, other tools, units.
_NAMES = """
    torch Keras cuDNN oneDNN autograd Embedding Linear LSTM GRU RNN MACs MAC FLOPs AttributeError meta CPU float64
    float32 layer.eval X.transpose x_ h_
    input_size hidden_size embedding_dim num_layers bidirectional proj_size output units reset_after True False
    hn cn hn, h0 c0 h_n c_n b_hn lengths length batch_first dropout layer eval tanh view data packed X.data
    batch_sizes batch_indices torchinfo flop_registry FlopCounterMode picture time_major transpose
    weight_ih weight_hh weight_hr bias_ih bias_hh W_i W_h W_hr W_ih
"""
NAMES = {*_NAMES.replace(",", " ").split()}


def gaps(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def words(sentence: str) -> set[str]:
    """Latin words of two letters and more outside code and gaps, without those that keep their name."""
    plain = re.sub(r"`[^`]*`|\{[^{}]*\}", " ", sentence)
    return {word for word in re.findall(r"[A-Za-z][A-Za-z_.0-9]+", plain) if word.rstrip(".") not in NAMES}


def test_both_have_every_key_and_every_gap() -> None:
    """A sentence that is missing in one of them, or that says less, is found here."""
    assert set(KOREAN) == set(SENTENCES)
    assert not {key for key in SENTENCES if gaps(SENTENCES[key]) != gaps(KOREAN[key])}


def test_every_sentence_is_asked_for() -> None:
    """Each key stands in the code, whole or as the end of one that is put together."""
    root = Path(ls.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py") if path.parent.name != "language")
    starts = {*re.findall(r'say\(\s*f"([a-z ]+)\{', code)} | {
        "call",
        "is ",
        "slice ",
        "also ",
        "tool ",
    }
    unasked = {key for key in SENTENCES if f'"{key}"' not in code and f"'{key}'" not in code}
    assert not {key for key in unasked if not any(key.startswith(start) for start in starts)}


def test_sentences_are_korean() -> None:
    """No English word but names and code; code is the same in both; no particle that depends on a gap."""
    for key, korean in KOREAN.items():
        assert not words(korean), key
        codes = [sorted(re.findall("`([^`]*)`", sentence)) for sentence in (SENTENCES[key], korean)]
        assert codes[0] == codes[1], key
        assert not re.search(r"\}`?(은|는|이|가|을|를|과|와|으로|로)(?![가-힣])", korean), key


def test_a_wrong_table_is_found() -> None:
    """What the test above looks for, it sees."""
    assert words("상태는 zeros if left out입니다") == {"zeros", "if", "left", "out"}
    assert not words("`zeros` {last} torch의 hn")


# ---------------------------------------------------------------------- whole pages

KINDS: dict[str, dict[str, Any]] = {
    "lesson": {"K": 3},
    "GRU": {"cell": "GRU", "K": 2, "batch_first": False},
    "RNN": {"cell": "RNN", "bidirectional": True, "nonlinearity": "relu"},
    "bidirectional": {"K": 2, "bidirectional": True},
    "projected": {"K": 2, "proj_size": 3, "bidirectional": True},
    "packed": {"K": 2, "lengths": (5, 3, 3)},
    "packed, two directions": {"lengths": (5, 3), "bidirectional": True, "cell": "RNN"},
    "unbatched": {"N": None, "cell": "GRU", "bias": False},
    "LSTMCell": {"cell": "LSTMCell"},
    "GRUCell": {"cell": "GRUCell", "N": None},
    "RNNCell": {"cell": "RNNCell", "bias": False},
    "deep": {"K": 40, "dropout": 0.5},
    "dropout of nothing": {"dropout": 0.5},
    "one step": {"bidirectional": True, "N": 1, "L": 1},
    "long": {"L": 1000, "bidirectional": True, "dropout": 1, "K": 2},
}


def made(kind: str, **options: Any) -> Any:
    fields = dict(KINDS[kind])
    cells = "Cell" in fields.get("cell", "")
    sizes = {} if cells or "L" in fields or "lengths" in fields else {"L": 5}
    return ls.explain(7, 6, **{**sizes, **fields}, lang="ko", **options)


def texts(page: Page) -> list[str]:
    """All that a page says, but for code, symbols and numbers."""
    every = [page.title, page.subtitle, page.more]
    for block in (*page.blocks, *page.folded):
        every.append(block.title)
        if isinstance(block, Lines):
            every += block.items
        elif isinstance(block, Drawing):
            every.append(block.at(80))
        elif isinstance(block, Tree):
            continue  # walk stays English
        else:
            every += [column.name for column in block.columns] + [block.caption]
            every += [cell for row in (*block.rows, *block.totals) for cell in row if isinstance(cell, str)]
            # Laws that no expression says are sentences in a cell of code.
            every += [cell.text for row in block.rows for cell in row if isinstance(cell, Mark) and cell.role == "code"]
    return every


def english(text: str) -> list[str]:
    """Two small Latin words side by side, or a plain word of English alone."""
    plain = re.sub(r"`[^`]*`", " ", text)
    for term in TERMS.values():
        plain = plain.replace(f"({term})", " ")
    return re.findall(r"\b[a-z]{3,} [a-z]{2,}\b|\b(?:the|of|is|are|and|or|layer|step|row|read|none)\b(?![(.,])", plain)


@pytest.mark.parametrize("kind", KINDS)
def test_no_english_is_left(kind: str) -> None:
    """On the first screen, behind it, in the proof, in the picture and its words."""
    explanation = made(kind)
    assert explanation.proof.ok
    pages = [page_of(one) for one in (explanation, explanation.prediction, explanation.counts, explanation.proof)]
    pages += [page_of(one) for one in (explanation.slices, explanation.laws, explanation.notes)]
    pages.append(page_of(ls.count(explanation.spec, lang="ko")))
    with speaking("ko"):
        pages.append(Page("", "", every_block(Explanation.of(explanation.prediction))))
    sizes = {"N": explanation.call.N, "L": explanation.call.L, "lengths": explanation.call.lengths}
    sizes = {name: size for name, size in sizes.items() if not (explanation.spec.kind.step and name == "L")}
    pictures = [ls.picture(explanation.spec, kind="cell", lang="ko", **sizes)]
    for read in ("hn", "hn[-1]", *(() if explanation.spec.kind.step else ("Y[0]", "Y[-1]"))):
        pictures.append(ls.picture(explanation.spec, highlight=read, lang="ko", **sizes))
    if explanation.call.lengths:
        pictures.append(ls.picture(explanation.spec, kind="packed", lang="ko", **sizes))
    svgs = [page_of(explanation).picture, *(lambda one=one: one.svg for one in pictures)]
    found = [part for page in [*pages, *map(page_of, pictures)] for text in texts(page) for part in english(text)]
    found += [part for svg in svgs if svg for text in re.findall(">([^<{]+)<", svg()) for part in english(text)]
    found += [part for law in explanation.laws for part in english(law.condition)]
    assert not found


def test_the_english_word_stands_behind_the_first_korean_one() -> None:
    """Once a page, in sentences; on the next page again."""
    explanation = made("lesson", proof=False)
    for _ in range(2):
        text = as_text(explanation, width=200)
        assert [text.count(f"({english})") for english in ("hidden state", "cell state", "layer")] == [1, 1, 1]
    assert "(hidden state)" in as_text(explanation.notes, width=200)
    assert "(" not in explanation.slices[0].meaning
    with speaking("en"):
        assert gloss("은닉 상태") == "은닉 상태"


def test_tables_stay_straight() -> None:
    """As wide in a terminal as asked for, nothing cut off, and columns that begin below each other."""
    for kind in KINDS:
        explanation = made(kind, proof=False)
        for value in (explanation, explanation.laws, explanation.slices, explanation.notes):
            for width in (60, 80, 120):
                lines = as_text(value, width=width).splitlines()
                assert max(map(cell_len, lines)) <= width
                assert not [line for line in lines if line.endswith("…")]
    head, _, first = as_text(made("lesson", proof=False), width=80).splitlines()[4:7]
    assert cell_len(head.partition("크기")[0]) == cell_len(first.partition("(2, 5, 7)")[0])


def test_cells_of_a_picture_stand_below_each_other() -> None:
    """Where a label and a mark are as wide as two letters for each syllable."""
    for width in (40, 80):
        rows = page_of(ls.picture(3, 5, 2, L=6, lengths=(6, 2), lang="ko")).blocks[0].at(width).splitlines()  # type: ignore[union-attr]
        assert max(map(cell_len, rows)) <= width
        arrows = {cell_len(row.partition("↑")[0]) for row in rows if "↑" in row}
        assert len(arrows) == 1
        assert {cell_len(row.partition("Y  ")[0] + "Y") for row in rows if row.startswith("Y")} == {1}


def test_columns_are_those_of_a_terminal() -> None:
    """As rich counts them, for all that the table has."""
    for sentence in (" ".join(sentence.split()) for sentence in KOREAN.values()):
        assert all(cell_len(line) <= 40 for line in wrapped(sentence, 40) if " " in line)
        assert " ".join(wrapped(sentence, 40)) == sentence
    assert [padded("층 1", 6, side) for side in "<>^"] == ["층 1  ", "  층 1", " 층 1 "]


# ---------------------------------------------------------------------- which language


@pytest.fixture
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No language in the environment."""
    for name in ("LSTM_SHAPES_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "kok_IN"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ko_KR"}, "ko"),
        ({"LANG": "ko_KR", "LSTM_SHAPES_LANG": "en"}, "en"),
        ({"LSTM_SHAPES_LANG": "ko"}, "ko"),
    ],
)
def test_the_environment_asks(environment: dict[str, str], expected: str, nothing_asked: pytest.MonkeyPatch) -> None:
    """The variable first, then the locale of messages, Korean only if it says so."""
    for name, value in environment.items():
        nothing_asked.setenv(name, value)
    assert language() == expected
    assert ls.predict(28, 256).lang == expected
    assert ls.predict(28, 256, lang="en").lang == "en"


@pytest.mark.parametrize("wrong", ["de", "KO", "", 7])
def test_an_unknown_language_is_one_error(wrong: Any, nothing_asked: pytest.MonkeyPatch) -> None:
    """With what there is; also in the environment, and on the command line."""
    for call in (ls.predict, ls.explain, ls.count, ls.laws, ls.picture):
        with pytest.raises(ls.SpecError, match="lang must be one of en, ko"):
            call(28, 256, lang=wrong)
    nothing_asked.setenv("LSTM_SHAPES_LANG", "de")
    with pytest.raises(ls.SpecError, match="LSTM_SHAPES_LANG must be one of en, ko, got 'de'"):
        ls.count(28, 256)


def test_results_remember_their_language() -> None:
    """Looked at anywhere, also from another thread; what they hand out is in it, too."""
    explanation, seen = made("bidirectional"), list[str]()
    parts = (explanation.prediction, explanation.counts, explanation.proof, explanation.laws, explanation.notes)
    assert {part.lang for part in (*parts, explanation.slices, ls.run(explanation.spec, lang="ko").prediction)} == {
        "ko"
    }
    thread = threading.Thread(target=lambda: seen.append(as_text(explanation)))
    with speaking("en"):
        thread.start()
        assert "형상" in as_text(explanation)
        assert "슬라이스" in repr(explanation.slices)
        assert "읽는 셀" in ls.picture(3, 5, highlight="hn", lang="ko").text
    thread.join()
    assert "형상" in seen[0]
    assert explanation.prediction == ls.predict(explanation.spec, L=5)  # the same prediction in other words
    assert "Shapes" in as_text(ls.explain(7, 6, proof=False, lang="en"))
    html = as_document(explanation)
    assert '<html lang="ko">' in html
    assert '<html lang="en">' in as_document(ls.predict(7, 6, lang="en"))


def test_plain_data_keeps_its_keys() -> None:
    """Only sentences differ: a program reads either."""
    korean, plain = made("packed", proof=False).to_dict(), ls.explain(7, 6, 2, lengths=(5, 3, 3), proof=False).to_dict()
    assert korean.keys() == plain.keys()
    assert korean["counts"] == plain["counts"]
    assert [law["holds"] for law in korean["laws"]] == [law["holds"] for law in plain["laws"]]
    assert all(re.search("[가-힣]", note) for note in korean["notes"])


# ---------------------------------------------------------------------- the command line


@pytest.mark.parametrize("arguments", [("explain", "28", "256", "3"), ("count", "28", "256", "--batch", "2")])
def test_commands_speak(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """In Korean where asked, each English word once, though the page is put on the screen in parts."""
    code, out, _ = here(capsys, *arguments, "--lang", "ko", *(["--full"] if arguments[0] == "explain" else []))
    assert code == 0
    assert "매개변수" in out
    assert out.count("(gate)") == 1
    assert not [part for line in out.splitlines() for part in english(line)]
    code, out, _ = here(capsys, *arguments, "--lang", "ko", "--json")
    assert json.loads(out)


def test_commands_in_english_only(tmp_path: Path) -> None:
    """A page that has no Korean has none in parts either, also where Korean is asked for."""
    env = {**os.environ, "LSTM_SHAPES_LANG": "ko"}
    done = process("quiz", "--seed", "1", env=env, input="")
    assert not re.search("[가-힣]", done[1])
    assert re.search("[가-힣]", process("count", "28", "256", env=env)[1])


def test_an_unknown_language_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    refused(here(capsys, "count", "28", "256", "--lang", "fr"), "lang must be one of en, ko, got 'fr'")


def test_it_loads_nothing_large() -> None:
    """Two tables in Python: neither torch nor rich nor gettext."""
    code = "import sys, lstm_shapes.language; print(*({'torch', 'rich', 'gettext', 'locale'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
    assert say("call cell", N=1) == "N=1 sequence, one step"
    assert set(LANGUAGES) == {"en", "ko"}
