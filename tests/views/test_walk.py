"""A walk as text and as HTML: a reader who sees it once can say what each axis of each line is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lstm_shapes.display import as_document, as_text
from lstm_shapes.lab.walk import walk


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 8, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for t in range(x.size(1)):
            y, hn = self.rnn(x[:, t:])
            rows.append(self.fc(y[:, 0]))
        mixed = hn.view(x.size(0), -1)
        out: Tensor = torch.stack(rows, 1).sort(1).values + mixed.sum()
        return out


class Broken(Encoder):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1, :8])  # type: ignore[no-any-return]


def test_the_page_fits_eighty_columns_and_shows_what_matters() -> None:
    """Lines with numbers, loops with rounds, layers opened, scrambles marked, nothing cut at the edge."""
    text = as_text(walk(Encoder(), torch.randn(3, 5, 4)), width=80)
    assert max(map(len, text.splitlines())) <= 80
    for expected in (
        "Walk through Encoder",
        "1 reshape mixed axes, marked ✗.",
        "x (N=3, L=5, Q=4)",
        "for t in range(x.size(1)):  5 rounds",
        "y (N=3, L=5, R·D=16)",
        "y (N=3, L=1, R·D=16)  in the last round",
        "◇ rnn = GRU(Q=4, D=8, K=1, R=2, batch_first=True)  ×5",
        "(N=3, fc=3)",
        "✗ reshape of (K·R=2, N=3, D=8) to (3, 16) mixes elements of R, N",
        "? sort makes an axis that no name is true of",
        "output (N=3, ?=5, fc=3)",
    ):
        assert expected in text


def test_where_a_program_stopped_and_why() -> None:
    """The exception at its line, and the rule that explains it below."""
    text = as_text(walk(Broken(), torch.randn(3, 5, 4)), width=80)
    assert "It stops with an exception; the lines up to there:" in text
    assert "✗ RuntimeError: mat1 and mat2 shapes" in text
    assert "The program stopped" in text
    assert "LS111" in text


def test_notes_html_and_plain_data() -> None:
    """A notebook gets the same page; JSON holds every step."""
    found = walk(nn.Sequential(nn.Linear(4, 2)), torch.randn(3, 4))
    assert "no source lines of this model can be read" in as_text(found, width=80)
    assert "Every axis is named as long as its name is true." in found._repr_html_()
    data = found.to_dict()
    assert data["ok"] is True
    assert data["steps"][0]["made"] == [{"name": "", "axes": ["N", "linear0"], "sizes": [3, 2], "note": ""}]
    assert data["report"] is None


class Long(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        a_name_that_is_as_long_as_names_are_in_generated_code_and_longer_than_a_line_of_eighty_columns = x.relu()
        # (batch, 5)
        return a_name_that_is_as_long_as_names_are_in_generated_code_and_longer_than_a_line_of_eighty_columns + 1


def test_a_long_name_is_folded_and_comments_are_marked() -> None:
    """One long word leaves the page a table; a wrong comment is counted at the top."""
    text = as_text(walk(Long(), torch.randn(3, 4)), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "line   program, and what each line makes" in text
    assert "Wrong comments on shapes: 1 of 1." in text
    assert "✗ # (batch, 5): return is (3, 4)" in text


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.a_layer_with_a_name_that_is_longer_than_any_column_could_ever_be = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.encoder(x)
        z: Tensor = self.a_layer_with_a_name_that_is_longer_than_any_column_could_ever_be(y[:, 0])
        return z


def test_in_a_page_submodules_are_folded() -> None:
    """The forward is open, what it calls is closed; the text is the same as without folds."""
    html = as_document(walk(Model(), torch.randn(3, 5, 4))).replace("\N{NO-BREAK SPACE}", " ")
    opened, closed = html.count("<details open>"), html.count("<details>")
    assert (opened, closed) == (2, 2)
    inside = html[html.index("<details><summary>") :]
    assert "Encoder.forward" in inside[: inside.index("</details>")]
    assert html.index("y = self.encoder(x)") < html.index("for t in range(x.size(1)):  5 rounds")
    assert html.count("<details") == html.count("</details>")


def test_a_long_name_is_broken_and_keeps_the_table() -> None:
    """One name never turns the page into a list of headings and values."""
    text = as_text(walk(Model(), torch.randn(3, 5, 4)), width=60)
    assert text.count("program, and what each line makes") == 1
    assert max(map(len, text.splitlines())) <= 60
