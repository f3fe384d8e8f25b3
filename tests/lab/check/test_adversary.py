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
    "log-probabilities over the columns of a picture, behind pooling and batch statistics": (
        "LS216",
        """
        conv, norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        rnn, head = nn.LSTM(16, 10, bidirectional=True), nn.Linear(20, 11)
        class Reader(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([conv, norm, rnn, head])
            def forward(self, pictures):
                y = F.max_pool2d(norm(conv(pictures)).relu(), 2)
                N, C, height, width = y.shape
                y = rnn(y.permute(3, 0, 1, 2).reshape(width, N, C * height))[0]
                return F.log_softmax(head(y), 0)  # here
        model, inputs = Reader(), (torch.randn(5, 1, 8, 20),)
        """,
    ),
    "the first of all states of a recurrence written by hand": (
        "LS213",
        """
        weights, head = nn.Linear(12, 24), nn.Linear(12, 2)
        def model(x):
            value, forget = weights(x).chunk(2, -1)
            forget, c, states = torch.sigmoid(forget), torch.zeros_like(x[0]), []
            for t in range(len(x)):
                c = forget[t] * c + (1 - forget[t]) * value[t]
                states.append(torch.tanh(c))
            return head(torch.stack(states)[0])  # here
        inputs, batch_dim = (torch.randn(7, 5, 12),), 1
        """,
    ),
    "steps stacked in front, for a layer that is told batch_first": (
        "LS201",
        """
        cell, rnn = nn.GRUCell(5, 8), nn.LSTM(8, 6, batch_first=True)
        def model(x):
            h, steps = x.new_zeros(x.size(0), 8), []
            for t in range(x.size(1)):
                h = cell(x[:, t], h)
                steps.append(h)
            y = torch.stack(steps)  # here
            state = x.new_zeros(1, y.size(0), 6)
            return rnn(y, (state, state))[0][:, -1]
        inputs = (torch.randn(4, 7, 5),)
        """,
    ),
    "a gate taken for one sample of a view": (
        "LS201",
        """
        both, head = nn.Linear(13, 32), nn.Linear(8, 3)
        def model(x):
            h = c = x.new_zeros(x.size(0), 8)
            for t in range(x.size(1)):
                i, f, g, o = both(torch.cat([x[:, t], h], 1)).view(4, -1, 8).unbind(0)  # here
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            return head(h)
        inputs = (torch.randn(4, 6, 5),)
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
    "positions counted along the batch": (
        "LS201",
        """
        table, place, rnn = nn.Embedding(30, 6), nn.Embedding(20, 6), nn.GRU(6, 9, batch_first=True)
        def model(ids):
            N, L = ids.shape
            p = place(torch.arange(N)).unsqueeze(1)  # here
            return rnn(table(ids) + p)[1][-1]
        inputs = (torch.randint(0, 30, (5, 8)),)
        """,
    ),
    "a loop over the batch's size, in a cell of its own": (
        "LS201",
        """
        both = nn.Linear(4 + 7, 7)
        def model(x):
            h = x.new_zeros(x.size(0), 7)
            for t in range(x.size(0)):  # here
                h = torch.tanh(both(torch.cat((x[:, t], h), 1)))
            return h
        inputs = (torch.randn(3, 4, 4),)
        """,
    ),
    "a mask from the lengths of other rows": (
        "LS214",
        """
        rnn = nn.GRU(4, 6, batch_first=True)
        def model(x, n):
            y = rnn(x)[0]
            mask = torch.arange(x.size(1)) < n.roll(1).unsqueeze(1)  # here
            return (y * mask.unsqueeze(-1)).sum(1)
        lengths = torch.tensor([3, 8, 5, 2, 6])
        inputs = (torch.randn(5, 8, 4), lengths)
        """,
    ),
    "the cell state of a hand-written LSTM": (
        "LS206",
        """
        both = nn.Linear(4 + 6, 24)
        def model(x):
            h = c = x.new_zeros(x.size(0), 6)
            steps = []
            for x_t in x.unbind(1):
                i, f, g, o = both(torch.cat((x_t, h), 1)).chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                steps.append(c)  # here
            return torch.stack(steps, 1)
        inputs = (torch.randn(3, 5, 4),)
        """,
    ),
    "a hand-written cell that starts each step from zeros": (
        "LS210",
        """
        both = nn.Linear(4 + 6, 6)
        def model(x):
            steps = []
            for x_t in x.unbind(1):
                h = torch.tanh(both(torch.cat((x_t, x.new_zeros(x.size(0), 6)), 1)))  # here
                steps.append(h)
            return torch.stack(steps, 1)
        inputs = (torch.randn(3, 5, 4),)
        """,
    ),
    "the cell state that no step hands on": (
        "LS206",
        """
        cell = nn.LSTMCell(4, 6)
        def model(x):
            h = c = x.new_zeros(x.size(0), 6)
            for x_t in x.unbind(1):
                h, _ = cell(x_t, (h, c))  # here
            return h
        inputs = (torch.randn(3, 5, 4),)
        """,
    ),
    "a caller's states taken in the other order": (
        "LS206",
        """
        rnn = nn.LSTM(4, 6, batch_first=True)
        def model(x, h, c):
            y, (h, c) = rnn(x, (c, h))  # here
            return y, h, c
        inputs = (torch.randn(3, 5, 4), torch.randn(1, 3, 6), torch.randn(1, 3, 6))
        """,
    ),
    "a decoder that starts from the last step of both directions": (
        "LS203",
        """
        enc, dec = nn.GRU(4, 5, batch_first=True, bidirectional=True), nn.GRU(3, 10, batch_first=True)
        def model(x, y):
            memory, _ = enc(x)
            start = memory[:, -1]  # here
            out, _ = dec(y, start.unsqueeze(0))
            return torch.softmax(out @ memory.transpose(1, 2), -1) @ memory
        inputs = (torch.randn(3, 6, 4), torch.randn(3, 7, 3))
        """,
    ),
    "one direction added to itself": (
        "LS203",
        """
        rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        def model(x):
            y, _ = rnn(x)
            return (y[:, :, :5] + y[:, :, :5]).amax(1)  # here
        inputs = (torch.randn(3, 6, 4),)
        """,
    ),
    "neighbours added in the place of directions": (
        "LS202",
        """
        rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        def model(x):
            y, _ = rnn(x)
            return y.view(3, 6, 5, 2).sum(3).amax(1)  # here
        inputs = (torch.randn(3, 6, 4),)
        """,
    ),
    "one and the same step at each turn": (
        "LS213",
        """
        cell = nn.GRUCell(4, 6)
        def model(x):
            h = x.new_zeros(x.size(0), 6)
            for t in range(x.size(1)):
                h = cell(x[:, 0], h)  # here
            return h
        inputs = (torch.randn(3, 5, 4),)
        """,
    ),
    "steps joined along the batch": (
        "LS201",
        """
        rnn = nn.GRU(4, 6)
        def model(x):
            h, steps = None, []
            for x_t in x:
                y, h = rnn(x_t.unsqueeze(0), h)
                steps.append(y)
            return torch.cat(steps, 1)  # here
        inputs, batch_dim = (torch.randn(5, 3, 4),), 1
        """,
    ),
    "packed from one layout, padded into the other": (
        "LS201",
        """
        rnn = nn.GRU(4, 6, batch_first=True)
        def model(x, n):
            packed = pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
            return pad_packed_sequence(rnn(packed)[0])[0]  # here
        lengths = torch.tensor([3, 6, 5])
        inputs = (torch.randn(3, 6, 4), lengths)
        """,
    ),
    "a table of all pairs summed to rows": (
        "LS201",
        """
        rnn = nn.GRU(4, 6, batch_first=True)
        def model(a, b):
            u, v = rnn(a)[1][-1], rnn(b)[1][-1]
            return (u @ v.t()).sum(1)  # here
        inputs = (torch.randn(3, 5, 4), torch.randn(3, 7, 4))
        """,
    ),
    "as many steps as samples hide a view": (
        "LS202",
        """
        cell = nn.GRUCell(4, 6)
        def model(x):
            h, steps = x.new_zeros(x.size(0), 6), []
            for x_t in x.unbind(1):
                h = cell(x_t, h)
                steps.append(h)
            return torch.stack(steps).view(x.size(0), -1, 6)  # here
        inputs = (torch.randn(5, 5, 4),)
        """,
    ),
    "hidden rows standardised over the batch": (
        "LS201",
        """
        rnn, head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 2)
        def model(x):
            y, _ = rnn(x)
            return head((y - y.mean(0)) / (y.std(0) + 1e-5))  # here
        inputs = (torch.randn(4, 5, 4),)
        """,
    ),
}

RIGHT = {
    "zeros as the input of each step": """
        inp, hid = nn.Linear(4, 6), nn.Linear(6, 6)
        def model(h):
            steps = []
            for _ in range(5):
                h = torch.tanh(inp(torch.zeros(h.size(0), 4)) + hid(h))
                steps.append(h)
            return torch.stack(steps, 1)
        inputs = (torch.randn(3, 6),)
    """,
    "h and c of a hand-written LSTM read together": """
        both = nn.Linear(4 + 6, 24)
        def model(x):
            h = c = x.new_zeros(x.size(0), 6)
            for x_t in x.unbind(1):
                i, f, g, o = both(torch.cat((x_t, h), 1)).chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            return torch.cat((h, c), 1)
        inputs = (torch.randn(3, 5, 4),)
    """,
    "steps first on purpose": """
        cell = nn.GRUCell(4, 6)
        def model(x):
            h, steps = x.new_zeros(x.size(0), 6), []
            for x_t in x.unbind(1):
                h = cell(x_t, h)
                steps.append(h)
            return torch.stack(steps)
        inputs = (torch.randn(3, 5, 4),)
    """,
    "packed rows for CTC": """
        rnn, head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 3)
        def model(x, n):
            packed = pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
            return head(pad_packed_sequence(rnn(packed)[0])[0]).log_softmax(-1)
        lengths = torch.tensor([3, 6, 5])
        inputs = (torch.randn(3, 6, 4), lengths)
    """,
    "a batch that shrinks, sorted by length": """
        cell, head = nn.LSTMCell(6, 12), nn.Linear(12, 7)
        def model(x, lengths):
            h = c = torch.zeros(x.size(0), 12)
            out = torch.zeros(x.size(0), x.size(1), 7)
            for t in range(int(lengths.max())):
                n = int((lengths > t).sum())
                h, c = cell(x[:n, t], (h[:n], c[:n]))
                out[:n, t] = head(h)
            return out
        lengths = torch.tensor([4, 4, 4, 4, 1])
        inputs = (torch.randn(5, 4, 6), lengths)
    """,
    "noise of another library in each row": """
        import numpy
        rnn = nn.GRU(4, 6, batch_first=True)
        def model(x):
            return rnn(x + torch.from_numpy(numpy.random.RandomState(3).randn(*x.shape)).float())[1][-1]
        inputs = (torch.randn(3, 5, 4),)
    """,
    "statistics by hand that are kept": """
        class Norm(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(6))
                self.register_buffer("std", torch.ones(6))
            def forward(self, y):
                if not self.training:
                    return (y - self.mean) / self.std
                self.mean.lerp_(y.detach().mean(0), 0.1)
                self.std.lerp_(y.detach().std(0), 0.1)
                return (y - y.mean(0)) / (y.std(0) + 1e-5)
        norm, rnn = Norm(), nn.GRU(4, 6, batch_first=True)
        def model(x):
            return norm(rnn(x)[1][-1])
        inputs = (torch.randn(4, 5, 4),)
    """,
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
