"""Right programs that look like wrong ones: each gives a model, its inputs and what check is told, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

__all__ = ["RIGHT", "Case"]

Case = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
RIGHT: dict[str, Callable[[], Case]] = {}

N, L, Q, D, V = 5, 7, 4, 6, 11


def right(make: Callable[[], Case]) -> Callable[[], Case]:
    """Register a program under its function's name."""
    RIGHT[make.__name__] = make
    return make


class Program(nn.Module):
    """A module whose forward is a function of it."""

    def __init__(self, run: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)


def padded(lengths: Tensor, width: int = Q) -> Tensor:
    """Rows that are zero behind their lengths."""
    x = torch.randn(len(lengths), int(lengths.max()), width)
    return x * (torch.arange(x.size(1)) < lengths[:, None]).unsqueeze(-1)


def tokens(lengths: Tensor, pad: int = 0) -> Tensor:
    """Ids behind which padding stands."""
    ids = torch.randint(1, V, (len(lengths), int(lengths.max())))
    return ids.masked_fill(torch.arange(ids.size(1)) >= lengths[:, None], pad)


LENGTHS = torch.tensor([4, 7, 2, 5, 3])


# ---------------------------------------------------------------------- dropout
@right
def dropout_packed() -> Case:
    def run(m: Any, x: Tensor, lengths: Tensor) -> Any:
        packed = pack_padded_sequence(m.drop(x), lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(m.rnn(packed)[0], batch_first=True)
        return m.head(m.drop(out))

    parts = {"rnn": nn.LSTM(Q, D, 2, batch_first=True, dropout=0.4), "drop": nn.Dropout(0.5), "head": nn.Linear(D, 3)}
    return Program(run, **parts), (padded(LENGTHS), LENGTHS), {"lengths": LENGTHS}


@right
def dropout_masked() -> Case:
    def run(m: Any, ids: Tensor) -> Any:
        mask = ids.ne(0).unsqueeze(-1)
        out = F.dropout(m.rnn(m.drop(m.table(ids)))[0], 0.3)
        return m.head((out * mask).sum(1) / mask.sum(1))

    parts = {"table": nn.Embedding(V, Q, padding_idx=0), "rnn": nn.GRU(Q, D, batch_first=True)}
    return Program(run, **parts, drop=nn.Dropout(0.5), head=nn.Linear(D, 3)), (tokens(LENGTHS),), {}


@right
def dropout_full() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        return m.head(m.drop(m.rnn(x)[1][-1]))

    parts = {"rnn": nn.GRU(Q, D, 3, batch_first=True, dropout=0.2), "drop": nn.Dropout(0.5), "head": nn.Linear(D, 3)}
    return Program(run, **parts), (torch.randn(N, L, Q),), {}


@right
def dropout_by_hand() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        keep = torch.empty(x.size(0), 1, x.size(2)).bernoulli_(0.7)
        return m.head(m.rnn(x * keep / 0.7)[0][:, -1])

    return Program(run, rnn=nn.LSTM(Q, D, batch_first=True), head=nn.Linear(D, 3)), (torch.randn(N, L, Q),), {}


@right
def dropout_in_attention() -> Case:
    def run(m: Any, x: Tensor, lengths: Tensor) -> Any:
        hidden = torch.arange(x.size(1)) >= lengths[:, None]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(m.rnn(packed)[0], batch_first=True)
        seen, _ = m.attend(out, out, out, key_padding_mask=hidden)
        return m.head(seen.masked_fill(hidden.unsqueeze(-1), 0).sum(1))

    attend = nn.MultiheadAttention(D, 2, dropout=0.3, batch_first=True)
    parts = {"rnn": nn.GRU(Q, D, batch_first=True), "attend": attend, "head": nn.Linear(D, 3)}
    return Program(run, **parts), (padded(LENGTHS), LENGTHS), {"lengths": LENGTHS}


# ---------------------------------------------------------------------- loops over tokens, decoding
def _cells(cell: type[nn.RNNCellBase]) -> Case:
    def run(m: Any, ids: Tensor) -> Any:
        h = torch.zeros(ids.size(0), D)
        c = torch.zeros(ids.size(0), D)
        for t in range(ids.size(1)):
            step = m.table(ids[:, t])
            if isinstance(m.cell, nn.LSTMCell):
                h, c = m.cell(step, (h, c))
            else:
                h = m.cell(step, h)
        return m.head(h)

    parts = {"table": nn.Embedding(3, Q), "cell": cell(Q, D), "head": nn.Linear(D, 3)}  # type: ignore[call-arg]
    return Program(run, **parts), (torch.randint(3, (N, L)),), {}


@right
def lstm_cell_few_ids() -> Case:
    return _cells(nn.LSTMCell)


@right
def gru_cell_few_ids() -> Case:
    return _cells(nn.GRUCell)


@right
def cells_with_a_list_of_steps() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        state = None
        steps = []
        for step in x.unbind(1):
            state = m.cell(step, state)
            steps.append(state[0])
        return torch.stack(steps, dim=1)

    return Program(run, cell=nn.LSTMCell(Q, D)), (torch.randn(N, L, Q),), {}


def _decoder(pick: Callable[..., Tensor], *more: Tensor) -> Case:
    def run(m: Any, x: Tensor, *wanted: Tensor) -> Any:
        _, h = m.encode(x)
        word, said = torch.ones(x.size(0), 1, dtype=torch.long), []
        for t in range(4):
            out, h = m.decode(m.table(word), h)
            logits = m.head(out[:, -1])
            said.append(logits)
            word = pick(logits, t, *wanted).view(-1, 1)
        return torch.stack(said, dim=1)

    parts = {"encode": nn.GRU(Q, D, batch_first=True), "decode": nn.GRU(3, D, batch_first=True)}
    model = Program(run, **parts, table=nn.Embedding(V, 3), head=nn.Linear(D, V))
    return model, (torch.randn(N, L, Q), *more), {}


@right
def greedy_decoder() -> Case:
    return _decoder(lambda logits, t: logits.argmax(-1))


@right
def sampled_decoder() -> Case:
    return _decoder(lambda logits, t: torch.multinomial(logits.softmax(-1), 1))


@right
def scheduled_decoder() -> Case:
    return _decoder(
        lambda logits, t, wanted: torch.where(torch.rand(len(logits)) < 0.5, wanted[:, t], logits.argmax(-1)),
        torch.randint(1, V, (N, 4)),
    )


@right
def teacher_forcing() -> Case:
    def run(m: Any, x: Tensor, wanted: Tensor) -> Any:
        _, state = m.encode(x)
        return m.head(m.decode(m.table(wanted[:, :-1]), state)[0])

    parts = {"encode": nn.LSTM(Q, D, batch_first=True), "decode": nn.LSTM(3, D, batch_first=True)}
    model = Program(run, **parts, table=nn.Embedding(V, 3), head=nn.Linear(D, V))
    return model, (torch.randn(N, L, Q), torch.randint(1, V, (N, 4))), {}


@right
def greedy_until_all_have_ended() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        _, h = m.encode(x)
        word, ended, said = torch.ones(x.size(0), dtype=torch.long), torch.zeros(x.size(0), dtype=torch.bool), []
        for _ in range(6):
            h = m.cell(m.table(word), h if h.dim() == 2 else h[-1])
            word = m.head(h).argmax(-1)
            ended |= word == 2
            said.append(h)
            if bool(ended.all()):
                break
        return said

    parts = {"encode": nn.GRU(Q, D, batch_first=True), "cell": nn.GRUCell(3, D)}
    model = Program(run, **parts, table=nn.Embedding(V, 3), head=nn.Linear(D, V))
    return model, (torch.randn(N, L, Q),), {}


# ---------------------------------------------------------------------- rows in an order, rows of unequal length
@right
def sort_pack_unsort() -> Case:
    def run(m: Any, x: Tensor, lengths: Tensor) -> Any:
        ordered, order = lengths.sort(descending=True)
        _, (hn, _) = m.rnn(pack_padded_sequence(x[order], ordered, batch_first=True))
        return m.head(hn[-1][order.argsort()])

    model = Program(run, rnn=nn.LSTM(Q, D, batch_first=True), head=nn.Linear(D, 1))
    return model, (padded(LENGTHS), LENGTHS), {"lengths": LENGTHS}


@right
def sort_pack_unsort_one_number_a_row() -> Case:
    def run(m: Any, x: Tensor, lengths: Tensor) -> Any:
        ordered, order = torch.sort(lengths, descending=True)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        hn = m.rnn(pack_padded_sequence(x.index_select(0, order), ordered, batch_first=True))[1]
        return m.head(hn[-1].index_select(0, back)).squeeze(-1)

    model = Program(run, rnn=nn.GRU(Q, D, batch_first=True), head=nn.Linear(D, 1))
    return model, (padded(LENGTHS), LENGTHS), {"lengths": LENGTHS}


@right
def mask_from_ids() -> Case:
    def run(m: Any, source: Tensor) -> Any:
        hidden = source.eq(0)
        out, _ = m.rnn(m.table(source))
        weights = torch.softmax(m.score(out).squeeze(-1).masked_fill(hidden, -1e9), dim=1)
        return torch.bmm(weights.unsqueeze(1), out).squeeze(1)

    parts = {"table": nn.Embedding(V, Q, padding_idx=0), "rnn": nn.GRU(Q, D, batch_first=True)}
    return Program(run, **parts, score=nn.Linear(D, 1)), (tokens(LENGTHS),), {}


@right
def mask_from_a_comparison() -> Case:
    def run(m: Any, ids: Tensor) -> Any:
        real = (ids > 0).float()
        out, _ = m.rnn(m.table(ids))
        return (out * real[..., None]).sum(1) / real.sum(1, keepdim=True).clamp(min=1)

    return Program(run, table=nn.Embedding(V, Q), rnn=nn.LSTM(Q, D, batch_first=True)), (tokens(LENGTHS),), {}


@right
def time_subsampled() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        out, _ = m.below(x)
        out, _ = m.above(out[:, ::2])
        return m.head(out[:, -1])

    parts = {"below": nn.LSTM(Q, D, batch_first=True), "above": nn.LSTM(D, 3, batch_first=True)}
    return Program(run, **parts, head=nn.Linear(3, 2)), (torch.randn(N, L, Q),), {}


@right
def time_in_pairs() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        out, _ = m.below(x)
        rows, steps, width = out.shape
        return m.above(out.reshape(rows, steps // 2, 2 * width))[0]

    parts = {"below": nn.LSTM(Q, D, batch_first=True), "above": nn.LSTM(2 * D, 3, batch_first=True)}
    return Program(run, **parts), (torch.randn(N, 8, Q),), {}


def _shrinking(lengths: Tensor) -> Case:
    def run(m: Any, ids: Tensor, lengths: Tensor) -> Any:
        ordered, order = lengths.reshape(-1).sort(descending=True)
        embedded = m.table(ids[order])
        h = c = torch.zeros(ids.size(0), D)
        out = torch.zeros(ids.size(0), int(ordered.max()), 3)
        for t in range(int(ordered.max())):
            rows = int((ordered > t).sum())
            h, c = m.cell(embedded[:rows, t], (h[:rows], c[:rows]))
            out[:rows, t] = m.head(h)
        return out, order

    parts = {"table": nn.Embedding(V, Q), "cell": nn.LSTMCell(Q, D), "head": nn.Linear(D, 3)}
    return Program(run, **parts), (tokens(LENGTHS), lengths), {"lengths": LENGTHS}


@right
def shrinking_batch() -> Case:
    return _shrinking(LENGTHS)


@right
def shrinking_batch_with_lengths_in_a_column() -> Case:
    return _shrinking(LENGTHS.unsqueeze(1))


@right
def rows_of_length_zero() -> Case:
    lengths = torch.tensor([4, 0, 7, 2, 5])

    def run(m: Any, x: Tensor, lengths: Tensor) -> Any:
        packed = pack_padded_sequence(x, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        hn = m.rnn(packed)[1][-1]
        return hn.masked_fill((lengths == 0).unsqueeze(1), 0.0)

    return Program(run, rnn=nn.GRU(Q, D, batch_first=True)), (padded(lengths), lengths), {"lengths": lengths}


@right
def front_padded_without_lengths() -> Case:
    ids = tokens(LENGTHS).flip(1)

    def run(m: Any, ids: Tensor) -> Any:
        return m.head(m.rnn(m.table(ids))[0][:, -1])

    parts = {"table": nn.Embedding(V, Q), "rnn": nn.LSTM(Q, D, batch_first=True), "head": nn.Linear(D, 3)}
    return Program(run, **parts), (ids,), {}


@right
def rows_of_a_fixed_batch_with_as_many_classes() -> Case:
    """A first state of N rows lets no other N run; each sample has three rows, of N classes."""
    h0 = torch.zeros(1, N, D)

    def run(m: Any, x: Tensor) -> Any:
        return m.head(m.rnn(x, h0)[0][:, -1]).view(-1, N)

    model = Program(run, rnn=nn.GRU(Q, D, batch_first=True), head=nn.Linear(D, 3 * N))
    return model, (torch.randn(N, L, Q),), {}


@right
def rows_of_as_many_classes_beside_a_state() -> Case:
    """The axis of the state that grows with the batch is no axis of the rows."""

    def run(m: Any, x: Tensor) -> Any:
        y, hn = m.rnn(x)
        return m.head(y[:, -1]).view(-1, N), hn

    model = Program(run, rnn=nn.GRU(Q, D, batch_first=True), head=nn.Linear(D, 3 * N))
    return model, (torch.randn(N, L, Q),), {}


@right
def rows_of_as_many_classes_in_a_view_that_names_all_sizes() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        return m.head(m.rnn(x)[0][:, -1]).view(3 * N, N)

    model = Program(run, rnn=nn.GRU(Q, D, batch_first=True), head=nn.Linear(D, 3 * N))
    return model, (torch.randn(N, L, Q),), {}


# ---------------------------------------------------------------------- samples that see each other on purpose
@right
def similarity_matrix() -> Case:
    def run(m: Any, a: Tensor, b: Tensor) -> Any:
        left, right = (F.normalize(m.rnn(one)[1][-1], dim=-1) for one in (a, b))
        return left @ right.t()

    return Program(run, rnn=nn.GRU(Q, D, batch_first=True)), (torch.randn(N, L, Q), torch.randn(N, L, Q)), {}


@right
def contrastive_loss() -> Case:
    def run(m: Any, a: Tensor, b: Tensor) -> Any:
        left, right = (F.normalize(m.rnn(one)[1][-1], dim=-1) for one in (a, b))
        return F.cross_entropy(left @ right.t() / 0.1, torch.arange(len(left)))

    return Program(run, rnn=nn.GRU(Q, D, batch_first=True)), (torch.randn(N, L, Q), torch.randn(N, L, Q)), {}


@right
def symmetric_contrastive_loss() -> Case:
    def run(m: Any, a: Tensor, b: Tensor) -> Any:
        scores = m.rnn(a)[0][:, -1] @ m.rnn(b)[0][:, -1].T
        own = torch.arange(len(a))
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2

    return Program(run, rnn=nn.LSTM(Q, D, batch_first=True)), (torch.randn(N, L, Q), torch.randn(N, L, Q)), {}


@right
def batch_norm() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        out = m.below(m.rnn(x)[0].transpose(1, 2))
        return m.head(m.norm(out.mean(2)))

    parts = {"below": nn.BatchNorm1d(D), "rnn": nn.LSTM(Q, D, batch_first=True)}
    return Program(run, **parts, norm=nn.BatchNorm1d(D), head=nn.Linear(D, 3)), (torch.randn(N, L, Q),), {}


# ---------------------------------------------------------------------- state from call to call
@right
def step_model_zero_state() -> Case:
    def run(m: Any, x: Tensor, state: Any = None) -> Any:
        out, state = m.rnn(x, state)
        return m.head(out[:, -1]), state

    model = Program(run, rnn=nn.LSTM(Q, D, batch_first=True), head=nn.Linear(D, 3))
    return model, (torch.randn(N, 1, Q), (torch.zeros(1, N, D), torch.zeros(1, N, D))), {}


@right
def step_model_kept_state() -> Case:
    model, (x, _), told = step_model_zero_state()
    return model, (x, (torch.randn(1, N, D), torch.randn(1, N, D))), told


@right
def step_cell() -> Case:
    def run(m: Any, x: Tensor, h: Tensor) -> Any:
        h = m.cell(x, h)
        return m.head(h), h

    return Program(run, cell=nn.GRUCell(Q, D), head=nn.Linear(D, 3)), (torch.randn(N, Q), torch.zeros(N, D)), {}


class Actor(nn.Module):
    """Keeps its state between calls and can be reset."""

    def __init__(self, *, top: bool = False) -> None:
        super().__init__()
        self.rnn = nn.GRU(Q, D, batch_first=True)
        self.head = nn.Linear(D, 3)
        self.state: Tensor | None = None
        self.top = top

    def reset(self) -> None:
        self.state = None

    def forward(self, x: Tensor) -> Tensor:
        if self.top:
            self.state = None
        out, state = self.rnn(x, self.state)
        self.state = state.detach()
        result: Tensor = self.head(out[:, -1])
        return result


@right
def stateful_actor() -> Case:
    return Actor(), (torch.randn(N, 1, Q),), {}


@right
def stateful_stream() -> Case:
    return Actor(), (torch.randn(N, L, Q),), {}


@right
def state_none_at_the_top() -> Case:
    return Actor(top=True), (torch.randn(N, L, Q),), {}


@right
def truncated_backpropagation() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        state, out = None, []
        for piece in x.split(3, dim=1):
            y, state = m.rnn(piece, state)
            state = tuple(s.detach() for s in state)
            out.append(y)
        return m.head(torch.cat(out, dim=1))

    return Program(run, rnn=nn.LSTM(Q, D, batch_first=True), head=nn.Linear(D, 3)), (torch.randn(N, L, Q),), {}


@right
def burn_in() -> Case:
    def run(m: Any, x: Tensor, h0: Tensor) -> Any:
        with torch.no_grad():
            _, h = m.rnn(x[:, :3], h0)
        return m.head(m.rnn(x[:, 3:], h)[0])

    model = Program(run, rnn=nn.GRU(Q, D, batch_first=True), head=nn.Linear(D, 3))
    return model, (torch.randn(N, L, Q), torch.zeros(1, N, D)), {}


# ---------------------------------------------------------------------- which rows, directions and steps are read
@right
def bidirectional_pooled() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        out, _ = m.rnn(x)
        return m.head(torch.cat([out.mean(1), out.amax(1)], dim=-1))

    model = Program(run, rnn=nn.LSTM(Q, D, batch_first=True, bidirectional=True), head=nn.Linear(4 * D, 3))
    return model, (torch.randn(N, L, Q),), {}


@right
def bidirectional_per_step() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        return m.head(m.rnn(x)[0])

    model = Program(run, rnn=nn.GRU(Q, D, 2, batch_first=True, bidirectional=True), head=nn.Linear(2 * D, 3))
    return model, (torch.randn(N, L, Q),), {}


@right
def bidirectional_both_ends() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        out, _ = m.rnn(x)
        return m.head(torch.cat([out[:, -1, :D], out[:, 0, D:]], dim=1))

    model = Program(run, rnn=nn.LSTM(Q, D, batch_first=True, bidirectional=True), head=nn.Linear(2 * D, 3))
    return model, (torch.randn(N, L, Q),), {}


@right
def lower_layer_beside_the_top() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        _, (hn, _) = m.rnn(x)
        return m.head(hn[-1] + m.side(hn[0]))

    parts = {"rnn": nn.LSTM(Q, D, 2, batch_first=True), "side": nn.Linear(D, D), "head": nn.Linear(D, 3)}
    return Program(run, **parts), (torch.randn(N, L, Q),), {}


@right
def all_layers_side_by_side() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        return m.head(m.rnn(x)[1].transpose(0, 1).flatten(1))

    model = Program(run, rnn=nn.GRU(Q, D, 3, batch_first=True), head=nn.Linear(3 * D, 2))
    return model, (torch.randn(N, L, Q),), {}


@right
def cell_state_beside_hidden() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        _, (hn, cn) = m.rnn(x)
        return m.head(torch.cat((hn[-1], cn[-1]), dim=1))

    return Program(run, rnn=nn.LSTM(Q, D, batch_first=True), head=nn.Linear(2 * D, 3)), (torch.randn(N, L, Q),), {}


@right
def encoder_state_starts_decoder() -> Case:
    def run(m: Any, x: Tensor, y: Tensor) -> Any:
        _, (hn, cn) = m.encode(x)
        return m.decode(y, (hn, cn))[0]

    parts = {"encode": nn.LSTM(Q, D, 2, batch_first=True), "decode": nn.LSTM(3, D, 2, batch_first=True)}
    return Program(run, **parts), (torch.randn(N, L, Q), torch.randn(N, 4, 3)), {}


@right
def loss_summed_sample_by_sample() -> Case:
    def run(m: Any, x: Tensor, actions: Tensor, reward: Tensor) -> Any:
        scores = m.head(m.rnn(x)[0][:, -1]).log_softmax(1)
        loss = scores.new_zeros(())
        for j in range(len(x)):
            loss = loss - scores[j][actions[j]] * reward[j]
        return loss / len(x)

    model = Program(run, rnn=nn.LSTM(Q, D, batch_first=True), head=nn.Linear(D, 3))
    return model, (torch.randn(N, L, Q), torch.arange(N) % 3, torch.rand(N)), {}


@right
def rows_in_a_list() -> Case:
    def run(m: Any, x: Tensor) -> Any:
        return [row[: 2 + n] for n, row in enumerate(m.rnn(x)[0])]

    return Program(run, rnn=nn.LSTM(Q, D, batch_first=True)), (torch.randn(N, L, Q),), {}
