"""The rules on what torch raises: an operand that a layer, a function or a loss refuses."""

from __future__ import annotations

from collections.abc import Iterator

from .experiments import Experiments
from .explain import explanation_of, finding_of, load_error_of, loads_of
from .raised import Explanation, Raised
from .report import Finding
from .rule import rule
from .silent import dropped_rows, graphs_kept, packed_as_result, target_mismatch

__all__: list[str] = []

Found = tuple[Raised, Explanation] | None


@rule("LS101", "feature-axis", explanation_of)
def feature_axis(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer's input has another number of features than the layer was built for.

    A recurrent layer multiplies the last axis of its input with weight_ih, whose width is input_size. The last axis is
    the feature axis with batch_first and without.

    Wrong::

        rnn = nn.LSTM(10, 16, batch_first=True)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 12),)

    Right::

        rnn = nn.LSTM(12, 16, batch_first=True)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 12),)
    """
    yield from _said("LS101", found)


@rule("LS102", "input-rank", explanation_of)
def input_rank(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer's input has the wrong number of axes, or no steps.

    A layer reads three axes, (N, L, Q) or (L, N, Q), or the two of one unbatched sequence, (L, Q); a cell reads (N, Q)
    or (Q). The number of axes decides what each of them means.

    Wrong::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x)[1][-1]
        inputs = (torch.randn(4, 1, 7, 5),)

    Right::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x.squeeze(1))[1][-1]
        inputs = (torch.randn(4, 1, 7, 5),)
    """
    yield from _said("LS102", found)


@rule("LS103", "state-shape", explanation_of)
def state_shape(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The initial state does not have the shape (K·R, N, H).

    h0 and c0 hold one row for each layer and direction: (K·R, N, H) and (K·R, N, D), where H is proj_size if there is
    one and hidden_size if not. batch_first moves the axes of input and output only, never those of the state.

    Wrong::

        rnn = nn.GRU(5, 8, num_layers=2, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(x.size(0), 2, 8))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn = nn.GRU(5, 8, num_layers=2, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(2, x.size(0), 8))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS103", found)
    yield from _said("LS201", found)  # the state is right, and its input lies the other way round


@rule("LS104", "state-kind", explanation_of)
def state_kind(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The state has the wrong kind: an LSTM takes the tuple (h0, c0), a GRU or RNN one tensor.

    An LSTM feeds back two things, its output and its cell state, so its state is a pair. GRU and RNN feed back their
    output only. A tensor in the place of the pair is taken apart along its first axis, and the message then talks about
    shapes that nobody passed.

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(1, x.size(0), 8))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x, (torch.zeros(1, x.size(0), 8), torch.zeros(1, x.size(0), 8)))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS104", found)


@rule("LS105", "dtype", explanation_of)
def dtype(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Input, state and weights do not have one data type.

    A layer computes in the data type of its weights. NumPy makes float64, token ids are integers, and under autocast
    outputs and states come back in the low precision; each meets float32 weights sooner or later.

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 5, dtype=torch.float64),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x.float())[0]
        inputs = (torch.randn(4, 7, 5, dtype=torch.float64),)
    """
    yield from _said("LS105", found)


@rule("LS106", "device", explanation_of)
def device(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Input, state and weights are not in one place.

    model.to(device) moves parameters and buffers. What is made in forward with torch.zeros, or kept as a plain
    attribute, stays where it is: x.new_zeros(…) makes it where the data are.

    Wrong::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(1, x.size(0), 8, device="meta"))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x, x.new_zeros(1, x.size(0), 8))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS106", found)


@rule("LS107", "output-kind", explanation_of)
def output_kind(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer's output tuple or a PackedSequence is used as if it were a tensor.

    A layer returns (output, hn) or (output, (hn, cn)), and a PackedSequence where it was given one. Neither is a tensor;
    nn.Sequential, hooks and summaries that expect one stop there. Indexing a PackedSequence even works: it is a tuple.

    Wrong::

        model = nn.Sequential(nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2))
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2)
        def model(x):
            out, hn = rnn(x)
            return head(out[:, -1])
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS107", found)
    yield from packed_as_result(lab)


@rule("LS108", "packing-call", explanation_of)
def packing_call(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The lengths do not fit the data that are packed, or steps that packing took off are missed.

    pack_padded_sequence wants one length a row, on the CPU, from 1 to L, in falling order unless enforce_sorted=False;
    it does not compare the lengths with the padded size. pad_packed_sequence gives back as many steps as the longest
    row has, which total_length changes.

    Wrong::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n_steps):
            packed = pack_padded_sequence(x, n_steps, batch_first=True)
            return rnn(packed)[1][-1]
        lengths = torch.tensor([3, 7, 5])
        inputs = (torch.randn(3, 7, 5), lengths)

    Right::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n_steps):
            packed = pack_padded_sequence(x, n_steps, batch_first=True, enforce_sorted=False)
            return rnn(packed)[1][-1]
        lengths = torch.tensor([3, 7, 5])
        inputs = (torch.randn(3, 7, 5), lengths)
    """
    yield from _said("LS108", found)
    yield from dropped_rows(lab)


@rule("LS109", "kept-graph", explanation_of)
def kept_graph(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Backward a second time through a state that was kept without detach.

    A state that is carried to the next piece of a sequence carries the graph of the piece it was computed in. backward
    frees that graph, so the next backward stops in it. detach keeps the numbers and cuts the graph: truncated
    backpropagation through time.

    Wrong::

        rnn = nn.GRU(4, 6, batch_first=True)
        def model(x):
            h = torch.zeros(1, x.size(0), 6)
            for piece in x.split(5, dim=1):
                out, h = rnn(piece, h)
                out.pow(2).mean().backward()
        inputs = (torch.randn(3, 10, 4),)

    Right::

        rnn = nn.GRU(4, 6, batch_first=True)
        def model(x):
            h = torch.zeros(1, x.size(0), 6)
            for piece in x.split(5, dim=1):
                out, h = rnn(piece, h.detach())
                out.pow(2).mean().backward()
        inputs = (torch.randn(3, 10, 4),)
    """
    yield from _said("LS109", found)
    yield from graphs_kept(lab)


@rule("LS110", "configuration", explanation_of)
def configuration(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer itself cannot be built.

    Sizes are whole numbers of at least 1, dropout is a probability, and proj_size is smaller than hidden_size (0 means
    no projection).

    Wrong::

        def model(x):
            return nn.LSTM(5, 8, proj_size=8)(x)[0]
        inputs = (torch.randn(4, 7, 5),)
        batch_dim = 1

    Right::

        rnn = nn.LSTM(5, 8, proj_size=4)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 5),)
        batch_dim = 1
    """
    yield from _said("LS110", found)


@rule("LS111", "next-layer", explanation_of)
def next_layer(found: Found, lab: Experiments) -> Iterator[Finding]:
    """What follows the recurrent layer expects another width or rank.

    A layer returns R·H features a step, twice hidden_size with two directions and proj_size with a projection.
    Flattening steps into features ties what follows to one length. hn is (K·R, N, H), whatever batch_first is.

    Wrong::

        rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[0])
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(2 * 8, 3)
        model = lambda x: head(rnn(x)[0])
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS111", found)


@rule("LS112", "target-shape", explanation_of)
def target_shape(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Output and target do not agree.

    Regression and binary losses want one shape on both sides; cross_entropy wants the classes on axis 1, (N, C, L), and
    class indices (N, L); ctc_loss wants the steps first, (T, N, C).

    Wrong::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x, y: F.cross_entropy(head(rnn(x)[0]), y)
        inputs = (torch.randn(4, 7, 5), torch.randint(3, (4, 7)))

    Right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x, y: F.cross_entropy(head(rnn(x)[0]).transpose(1, 2), y)
        inputs = (torch.randn(4, 7, 5), torch.randint(3, (4, 7)))
    """
    yield from _said("LS112", found)
    mismatch = target_mismatch(lab)
    if mismatch is not None:
        yield finding_of(*mismatch)


@rule("LS113", "operand", explanation_of)
def operand(found: Found, lab: Experiments) -> Iterator[Finding]:
    """A function refuses an operand, or the program refuses its own data.

    torch names sizes and no tensors. The operands stand here with their axes and the lines that made them; a fix was
    tried on them, and the call then ran.

    Wrong::

        conv, rnn = nn.Conv1d(5, 6, 3), nn.GRU(6, 8, batch_first=True)
        model = lambda x: rnn(conv(x).transpose(1, 2))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        conv, rnn = nn.Conv1d(5, 6, 3), nn.GRU(6, 8, batch_first=True)
        model = lambda x: rnn(conv(x.transpose(1, 2)).transpose(1, 2))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS113", found)


@rule("LS114", "checkpoint", load_error_of)
def checkpoint(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """A state_dict does not fit the model.

    torch lists keys and stacked sizes. The recurrent layers of the file and of the model stand here side by side, with
    the constructor that fits the file, or the change of keys that loads it.

    Wrong::

        saved, rnn = nn.LSTM(5, 16).state_dict(), nn.LSTM(5, 8)
        def model(x):
            rnn.load_state_dict(saved)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1

    Right::

        saved, rnn = nn.LSTM(5, 16).state_dict(), nn.LSTM(5, 16)
        def model(x):
            rnn.load_state_dict(saved)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1
    """
    if found is not None:
        yield found


@rule("LS215", "nothing-loaded", loads_of)
def nothing_loaded(found: tuple[Finding, ...], lab: Experiments) -> Iterator[Finding]:
    """Recurrent weights were not loaded, and strict=False let it pass.

    With strict=False a key that the model does not have is passed over, and a weight that the file does not have stays
    as it was drawn. Where all keys have another prefix nothing is loaded, and nothing is said.

    Wrong::

        saved, rnn = {"module." + k: v for k, v in nn.LSTM(5, 8).state_dict().items()}, nn.LSTM(5, 8)
        def model(x):
            rnn.load_state_dict(saved, strict=False)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1

    Right::

        saved, rnn = {"module." + k: v for k, v in nn.LSTM(5, 8).state_dict().items()}, nn.LSTM(5, 8)
        def model(x):
            rnn.load_state_dict({k.removeprefix("module."): v for k, v in saved.items()}, strict=False)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1
    """
    yield from (one for one in found if one.code == "LS215")


# ---------------------------------------------------------------------- words
def _said(code: str, found: Found) -> Iterator[Finding]:
    if found is not None and found[1].code == code:
        yield finding_of(*found)
