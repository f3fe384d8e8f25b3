"""Programs written to mislead check: the line marked `# here` is the one it names, with this code."""

from __future__ import annotations

import pytest

from tests.lab.check.cases import run

WRONG = {
    "an embedding as wide as the batch is large": (
        "LS201",
        """
        chars, conv = nn.Embedding(26, 5), nn.Conv1d(5, 6, 3, padding=1)
        rnn = nn.LSTM(6, 10, batch_first=True)
        def model(x):
            N, L, C = x.shape
            e = chars(x).reshape(N * L, C, 5).permute(0, 2, 1)
            f = conv(e).amax(dim=0)  # here
            return rnn(f[:, 0].expand(N, L, 6))[0]
        inputs = (torch.randint(0, 26, (5, 7, 4)),)
        """,
    ),
    "a roll of the samples before an outer product": (
        "LS214",
        """
        cell, key, value = nn.LSTMCell(4, 9), nn.Linear(9, 6), nn.Linear(9, 7)
        def model(x):
            h = c = x.new_zeros(x.size(0), 9)
            for t in range(x.size(1)):
                h, c = cell(x[:, t], (h, c))
            k = key(h).roll(1, 0)  # here
            return torch.einsum("nk,nv->nkv", k, value(h))
        inputs = (torch.randn(3, 5, 4),)
        """,
    ),
    "one end of an episode resets the state of all": (
        "LS201",
        """
        cell = nn.GRUCell(5, 8)
        def model(x, done):
            h, steps = x.new_zeros(x.size(1), 8), []
            for t in range(x.size(0)):
                keep = 1 - done[t].max()  # here
                h = cell(x[t], h * keep)
                steps.append(h)
            return torch.stack(steps)
        inputs, batch_dim = (torch.randn(7, 4, 5), (torch.arange(28).view(7, 4) % 9 == 4).float()), 1
        """,
    ),
    "beams that go on from the rows of the first sample": (
        "LS201",
        """
        emb, cell, head = nn.Embedding(15, 6), nn.GRUCell(6, 10), nn.Linear(10, 15)
        def model(h):
            N = h.size(0)
            h, score = h.repeat_interleave(3, 0), torch.zeros(N, 3)
            word = torch.ones(N * 3, dtype=torch.long)
            for _ in range(4):
                h = cell(emb(word), h)
                logp = F.log_softmax(head(h), -1).view(N, 3, 15) + score.unsqueeze(-1)
                score, best = logp.view(N, -1).topk(3, dim=1)
                rows = (best // 15).view(-1)
                h = h[rows]  # here
                word = (best % 15).view(-1)
            return score
        inputs = (torch.randn(5, 10),)
        """,
    ),
    "the cell state of packed rows": (
        "LS206",
        """
        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        def model(x, lengths):
            p = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            _, (h, c) = rnn(p)
            return head(c[-1])  # here
        inputs = (torch.randn(4, 7, 5), torch.tensor([3, 7, 5, 2]))
        """,
    ),
    "the directions of all layers joined, not those of each": (
        "LS205",
        """
        enc, dec = nn.LSTM(4, 6, num_layers=2, bidirectional=True), nn.LSTM(3, 12, num_layers=2)
        def join(s):
            return torch.cat((s[:2], s[2:]), dim=2)  # here
        def model(x, y):
            _, (h, c) = enc(x)
            return dec(y, (join(h), join(c)))[0]
        inputs, batch_dim = (torch.randn(9, 5, 4), torch.randn(7, 5, 3)), 1
        """,
    ),
}

RIGHT = {
    "the directions of each layer joined": """
        enc, dec = nn.LSTM(4, 6, num_layers=2, bidirectional=True), nn.LSTM(3, 12, num_layers=2)
        def join(s):
            return torch.cat((s[0::2], s[1::2]), dim=2)
        def model(x, y):
            _, (h, c) = enc(x)
            return dec(y, (join(h), join(c)))[0]
        inputs, batch_dim = (torch.randn(9, 5, 4), torch.randn(7, 5, 3)), 1
    """,
}


def program(text: str) -> str:
    """The lines of a program without the indentation that they have here."""
    lines = text.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines).rstrip() + "\n"


@pytest.mark.parametrize("name", WRONG)
def test_wrong_programs_are_found_at_their_line(name: str) -> None:
    """The one error has the code and names the marked line."""
    code, text = WRONG[name]
    text = program(text)
    report = run(text, file=f"<{name}>")
    marked = [k for k, line in enumerate(text.splitlines(), 1) if line.endswith("# here")]
    named = [(finding.code, finding.where.line) for finding in report.errors if finding.where is not None]
    assert named == [(code, marked[0])], str(report)


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_are_not_accused(name: str) -> None:
    """No error."""
    report = run(program(RIGHT[name]), file=f"<{name}>")
    assert report.ok, str(report)
