"""AnnotatedTensor: a tensor in every respect, with names that go where the elements go."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import rnn

from lstm_shapes.errors import ScrambledAxesWarning, ShapeError, SpecError
from lstm_shapes.lab import tensors
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.theory._axis_rules import table
from lstm_shapes.theory.axes import Axes

N, L, Q, D = 3, 5, 7, 4


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that fails is a bug here, not a plain tensor."""
    monkeypatch.setattr(tensors, "strict", True)


def X(**kwargs: Any) -> AnnotatedTensor:
    return annotate(torch.randn(N, L, Q, **kwargs), "N L Q")


def names(value: object) -> tuple[str, ...] | None:
    return value.axes.names if isinstance(value, AnnotatedTensor) else None


# ---------------------------------------------------------------- annotate


def test_annotate_shares_memory_and_leaves_the_given_tensor_plain() -> None:
    """What is written to one is read from the other, and the caller's tensor has no new type or attribute."""
    plain = torch.zeros(N, L)
    named = annotate(plain, "N L")
    named[0, 0] = 1
    assert plain[0, 0] == 1
    assert type(plain) is Tensor
    assert plain.__dict__ == {}


def test_annotate_again_leaves_the_first_names_alone() -> None:
    """A tensor that is named already keeps its names; the new one has the new."""
    first = annotate(torch.zeros(N, L), "N L")
    second = annotate(first, "A B")
    assert (names(first), names(second)) == (("N", "L"), ("A", "B"))
    assert first.data_ptr() == second.data_ptr()


def test_annotate_keeps_the_autograd_graph() -> None:
    """Gradients flow through an annotated tensor to the one it was made from, and have its axes."""
    leaf = torch.randn(N, Q, requires_grad=True)
    named = annotate(leaf, "N Q")
    (named * 2).sum().backward()
    assert leaf.grad is not None
    assert torch.equal(leaf.grad, torch.full((N, Q), 2.0))
    own = annotate(torch.randn(N, Q), "N Q").requires_grad_()
    own.sum().backward()
    assert names(own.grad) == ("N", "Q")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("N L", r"one name for each of the 3 axes of \(3, 5, 7\), got '?N L'?. 1 more needed"),
        ("N L Q D", "1 too many"),
        ("N L 1", r"axis 1 must be 1=1, got 7"),
    ],
)
def test_wrong_names_say_what_to_do(given: str, message: str) -> None:
    """Too few, too many, and a name that fixes another size."""
    with pytest.raises(ShapeError, match=message):
        annotate(torch.zeros(N, L, Q), given)


def test_axes_of_another_tensor_do_not_fit() -> None:
    """Axes as a value are checked against the tensor's sizes."""
    axes = Axes.of("N L", (N, L))
    assert annotate(torch.zeros(N, L), axes).axes == axes
    with pytest.raises(ShapeError, match=r"must be \(N, L\) = \(3, 5\), got \(5, 3\)"):
        annotate(torch.zeros(L, N), axes)


def test_only_tensors_are_annotated() -> None:
    """A list is no tensor, and the error says how to make one."""
    with pytest.raises(SpecError, match=r"tensor must be a torch.Tensor.*as_tensor"):
        annotate([1, 2], "N")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="a word such as N"):
        annotate(torch.zeros(2), "N+1")


def test_without_names_every_axis_is_unknown() -> None:
    """The class called by itself claims nothing."""
    assert AnnotatedTensor(torch.zeros(2, 3)).axes.names == ("?", "?")
    assert AnnotatedTensor(torch.zeros(2), Axes.of("N", (2,))).axes.names == ("N",)
    bare = torch.zeros(2, 3).as_subclass(AnnotatedTensor)
    assert bare.axes.sizes == (2, 3)


@pytest.mark.parametrize(
    ("tensor", "shown"),
    [
        (torch.arange(6.0).view(2, 3), "(N=2, L=3) float32 cpu, 0 to 5: 0, 1, 2, 3, 4, 5"),
        (torch.arange(7), "(N=7,) int64 cpu, 0 to 6: 0, 1, 2, 3, 4, 5, …"),
        (
            torch.tensor([1.0, torch.nan, -torch.inf, 3.14159]),
            "(N=4,) float32 cpu, 1 nan, 1 inf, 1 to 3.14: 1, nan, -inf, 3.14",
        ),
        (torch.tensor(2.5), "() float32 cpu: 2.5"),
        (torch.tensor([True, False]), "(N=2,) bool cpu: True, False"),
        (torch.tensor([1 + 2j]), "(N=1,) complex64 cpu: 1+2j"),
        (torch.zeros(0, 3), "(N=0, L=3) float32 cpu: empty"),
        (torch.zeros(2, dtype=torch.float8_e4m3fn), "(N=2,) float8_e4m3fn cpu, 0 to 0: 0, 0"),
        (torch.zeros(2, 3, device="meta"), "(N=2, L=3) float32 meta, no numbers"),
        (torch.ones(2, requires_grad=True), "(N=2,) float32 cpu grad, 1 to 1: 1, 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_tensor_is_one_line(tensor: torch.Tensor, shown: str) -> None:
    """Axes, dtype, device, what is not finite, range and the first values; a number alone may be formatted."""
    named = annotate(tensor, "N L"[: 2 * tensor.dim()])
    assert repr(named) == str(named) == f"{named}" == shown
    assert f"{annotate(torch.tensor(1.25), ''):.1f}" == "1.2"


def test_a_tensor_that_has_no_numbers_yet_shows_its_axes() -> None:
    """Inside a transformation of torch's, as in a debugger's list of variables."""
    seen = []

    def watched(row: torch.Tensor) -> torch.Tensor:
        seen.append(repr(annotate(row, "D")))
        return row.sum()

    torch.vmap(watched)(torch.ones(3, 2))
    assert seen == ["(D=2,) float32 cpu, no numbers"]


def test_a_notebook_has_the_numbers_on_demand() -> None:
    """The line, and folded what torch prints; nothing of it is read as markup."""
    page = annotate(torch.tensor([1.0, 2.0]), "N")._repr_html_()
    assert "(N=2,) float32 cpu, 1 to 2: 1, 2" in page
    assert '<summary style="display:list-item">numbers</summary><pre>tensor([1., 2.])</pre>' in page
    page = annotate(torch.ones(2, requires_grad=True) * 2, "N")._repr_html_()
    assert "grad_fn=&lt;" in page


# ---------------------------------------------------------------- a tensor in every respect


def test_pickle_deepcopy_and_save_keep_names() -> None:
    """Through pickle, copy.copy, copy.deepcopy and torch.save, weights_only or not."""
    x = X()
    buffer = io.BytesIO()
    torch.save({"x": x}, buffer)
    buffer.seek(0)
    safe = torch.load(buffer)["x"]
    for other in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x), safe):
        assert names(other) == ("N", "L", "Q")
        assert torch.equal(other, x)


def test_deepcopy_copies_leaves_with_their_gradient_and_shared_ones_once() -> None:
    """As torch does it: a leaf stays a leaf, its gradient comes along, one object stays one object."""
    x = annotate(torch.randn(N), "N").requires_grad_()
    x.sum().backward()
    x.__dict__["note"] = "mine"
    a, b = copy.deepcopy([x, x])
    assert a is b
    assert a.is_leaf
    assert a.requires_grad
    assert a.__dict__["note"] == "mine"
    assert a.grad is not None
    assert a.grad.tolist() == [1.0] * N
    assert a.data_ptr() != x.data_ptr()
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(x * 2)


def test_moves_and_casts_keep_names(shape_device: torch.device) -> None:
    """To another device or dtype and back."""
    x = X().to(shape_device)
    assert names(x) == names(x.double()) == names(x.half().float()) == ("N", "L", "Q")
    assert names(x[:, -1]) == ("N", "Q")
    assert names(x.to("cpu") if shape_device.type != "meta" else x) == ("N", "L", "Q")
    assert x[:, -1].device.type == shape_device.type


def test_the_first_operand_by_its_keyword() -> None:
    """torch calls the first operand `input`: by that word a function keeps the names as by its place."""
    x = annotate(torch.randn(4, 5, 3), "N C L")
    mean, variance = torch.zeros(5), torch.ones(5)
    normalised = torch.nn.functional.batch_norm(input=x, running_mean=mean, running_var=variance)
    for result in (torch.softmax(input=x, dim=1), normalised, torch.tanh(input=x)):
        assert isinstance(result, AnnotatedTensor)
        assert result.axes == x.axes


def test_numpy_len_and_iteration() -> None:
    """numpy sees the values; iterating gives rows without the first axis."""
    x = X()
    assert isinstance(x.numpy(), np.ndarray)
    assert np.asarray(x).shape == (N, L, Q)
    assert len(x) == N
    assert {names(row) for row in x} == {("L", "Q")}
    with pytest.raises(TypeError, match="0-d"):
        iter(x.sum())


def test_in_place_work_and_out_arguments() -> None:
    """In-place functions return the very tensor, with the names that are true now."""
    x = X()
    assert x.add_(1) is x
    assert names(x.transpose_(0, 1)) == ("L", "N", "Q")
    assert names(x.unsqueeze_(0)) == ("1", "L", "N", "Q")
    assert names(x.resize_(2, 2)) == ("?", "?")
    plain, named = torch.empty(N, L, Q), annotate(torch.empty(N, L, Q), "A B C")
    assert torch.add(X(), 1, out=plain) is plain
    assert torch.add(X(), 1, out=named) is named
    assert names(named) == ("N", "L", "Q")
    assert type(torch.zeros(N, L, Q).add_(X())) is Tensor


def test_copy_takes_the_names_of_what_was_written() -> None:
    """x.copy_(y) overwrites all of x, so y's names count, and a plain y changes none."""
    x = annotate(torch.zeros(4, 4), "N L")
    assert names(x.copy_(torch.ones(4, 4))) == ("N", "L")
    assert names(x.copy_(annotate(torch.ones(4, 4), "L N"))) == ("L", "N")


def test_setitem_with_another_tensors_axes_takes_the_names_away() -> None:
    """Plain values and values along the same axes are fine; along others they would make a lie."""
    x = annotate(torch.zeros(4, 4, 2), "N L D")
    x[0] = 1
    x[:, 0] = torch.ones(4, 2)
    x[:, 1] = annotate(torch.ones(4, 2), "N D")
    assert names(x) == ("N", "L", "D")
    y = annotate(torch.zeros(4, 4, 2), "N L D")
    y[:, 0] = annotate(torch.zeros(4, 2), "N D").flip(0)
    assert names(y) == ("?", "?", "?")
    y = annotate(torch.zeros(4, 4, 2), "N L D")
    y[:, 0] = y[:, 1] * 2
    assert names(y) == ("N", "?", "D")
    x[:, 0] = annotate(torch.ones(4, 2), "L D")
    assert names(x) == ("?", "?", "?")
    x[True] = annotate(torch.ones(4, 2), "L D")
    plain = torch.zeros(4, 4, 2)
    plain[0] = x[0]
    assert type(plain) is Tensor


def test_setitem_among_the_halves_of_an_axis_invents_no_name() -> None:
    """Two parts of one cut axis are `?` before they are written to, and after."""
    for source in (0, 1):
        halves = annotate(torch.arange(12.0).view(4, 3), "T D").unflatten(0, (2, 2))
        assert isinstance(halves, AnnotatedTensor)
        halves[0] = halves[source].clone()
        assert names(halves * 1) == ("?", "?", "?" if source else "D")
        assert names(halves.flatten(0, 1)) == ("?" if source else "T", "?" if source else "D")


def test_other_data_brings_its_own_names() -> None:
    """`x.data = y` and `x.set_(y)` make x what y is, of whatever size; a plain y has no names."""
    x = annotate(torch.zeros(3, 3), "N L")
    x.data = annotate(torch.zeros(3, 3), "A B")
    assert names(x) == ("A", "B")
    x.data = torch.zeros(3, 3)
    assert names(x) == ("?", "?")
    assert names(x.set_(annotate(torch.zeros(3, 3), "A B").T.clone())) == ("B", "A")
    assert names(x.set_(torch.zeros(3, 3))) == ("?", "?")
    x = annotate(torch.zeros(3, 3), "N L")
    x.grad = torch.ones(3, 3)
    assert names(x) == ("N", "L")


def test_out_of_a_function_without_a_rule_has_no_names() -> None:
    """What was written over is not what it was, and nobody says what it is."""
    out = annotate(torch.zeros(4, 4, 4), "A B C")
    torch.transpose_copy(same_sizes(), 0, 1, out=out)
    assert names(out) == ("?", "?", "?")


def test_pickled_pieces_remember_which_coordinates_they_hold() -> None:
    """Two halves from a file are no more the same samples than they were before."""
    Y = annotate(torch.zeros(4, 6, 5), "N L D")
    first, second = (pickle.loads(pickle.dumps(piece)) for piece in (Y[:2], Y[2:]))
    assert names(torch.cat([first, second], 1)) == ("?", "?", "D")
    assert names(torch.where(torch.ones(2, 6, 5) > 0, first, second)) == ("?", "L", "D")
    assert names(torch.cat([first, second])) == ("N", "L", "D")
    steps = [pickle.loads(pickle.dumps(Y[:, t])) for t in (0, 1)]
    assert names(torch.cat(steps)) == ("?", "D")
    heads = pickle.loads(pickle.dumps(Y.reshape(4, 2, 3, 5)))
    assert names(heads) == ("N", "?", "?", "D")
    assert names(heads.reshape(4, 6, 5)) == ("N", "L", "D")


@pytest.mark.parametrize("given", [["N", None], ["N", True], {"N", "L"}, {"N": 2, "L": 3}, None, 5])
def test_names_are_words_in_an_order(given: Any) -> None:
    """None is no name, a set has no order, and a dict's values would go unread."""
    with pytest.raises(SpecError, match="names must be words in the order of the axes"):
        annotate(torch.zeros(2, 3), given)


@pytest.mark.parametrize(("given", "sizes"), [("K·R L", {"r": 2}), ("N L", {"Z": 4})])
def test_a_size_of_no_axis_is_refused(given: str, sizes: dict[str, int]) -> None:
    """A misspelt size would be ignored."""
    with pytest.raises(SpecError, match=r"[rZ] must be one of the axes in"):
        annotate(torch.zeros(6, 3), given, **sizes)


def test_one_name_has_one_size() -> None:
    """Scores (L, L) are square; of sizes that differ one would be no L. Axes without a name have any size."""
    assert names(annotate(torch.zeros(2, 5, 5), "N L L")) == ("N", "L", "L")
    assert names(annotate(torch.zeros(2, 3), "? ?")) == ("?", "?")
    assert names(annotate(torch.zeros(6, 2), "K·R R", R=2)) == ("K·R", "R")
    for given, sizes in (("N N", {}), ("K·R K", {"R": 2})):
        with pytest.raises(ShapeError, match=r"one size for [NK] = \d, got 2\..*stands twice"):
            annotate(torch.zeros(6, 2), given, **sizes)


def test_data_of_another_shape_forgets_the_names() -> None:
    """x.data = … is the one way to change a tensor's shape behind its names."""
    x = annotate(torch.zeros(2, 3), "N L")
    assert names(x.data) == ("N", "L")
    x.data = torch.zeros(4)
    assert names(x) == ("?",)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_under_no_grad_and_inference_mode(context: Callable[[], Any]) -> None:
    """Names do not depend on whether gradients are recorded."""
    with context():
        assert names(nn.Linear(Q, D)(X())[:, -1]) == ("N", "?")


def test_under_autocast() -> None:
    """Autocast changes the dtype, not the axes."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = X() @ torch.randn(Q, D)
    assert out.dtype == torch.bfloat16
    assert names(out) == ("N", "L", "?")


def test_under_compile() -> None:
    """A compiler works on the elements; what it returns is right, and plain or, before torch 2.9, rightly named."""
    x = X()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler warns about itself
        out = torch.compile(lambda t: t.transpose(0, 1)[:, -1] * 2, backend="eager")(x)
    assert type(out) is Tensor or names(out) == ("L", "Q")
    assert torch.equal(out, x.plain().transpose(0, 1)[:, -1] * 2)


def test_as_a_parameter() -> None:
    """nn.Parameter keeps the class and the names, and the optimizer steps it."""
    weight = nn.Parameter(annotate(torch.randn(D, Q), "D Q"))
    assert isinstance(weight, nn.Parameter)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    F.linear(X(), weight).sum().backward()
    optimizer.step()
    assert names(weight) == ("D", "Q")
    assert names(F.linear(X(), weight)) == ("N", "L", "D")


def test_other_tensor_subclasses_decide_for_themselves() -> None:
    """Two unrelated subclasses in one call: we step back."""

    class Other(Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> str:
            return "theirs"

    assert torch.add(X(), torch.zeros(N, L, Q).as_subclass(Other)) == "theirs"


def test_empty_and_scalar_tensors() -> None:
    """Sizes of 0 and tensors without axes."""
    empty = annotate(torch.zeros(0, 3), "N L")
    assert names(empty[:, 1]) == ("N",)
    assert names(torch.cat([empty, annotate(torch.zeros(2, 3), "N L")])) == ("N", "L")
    assert names(empty.reshape(3, 0)) == ("?", "?")
    assert names(empty[:0]) == ("N", "L")
    scalar = annotate(torch.tensor(1.0), "")
    assert scalar.axes == Axes()
    assert names(scalar[None]) == ("1",)
    assert names(scalar.reshape(1, 1)) == ("1", "1")
    assert names(scalar.max()) == ()
    assert names(scalar.sort().values) == ()
    assert names(scalar.flatten()) == ("1",)


def test_without_a_rule_the_result_is_plain() -> None:
    """Nothing is guessed."""
    assert type(torch.histc(X())) is Tensor
    assert type(torch.fft.fft(X())) is Tensor


def test_a_rule_that_fails_leaves_a_plain_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is never worth a crash, and a rule whose sizes are not the result's is not believed."""

    def broken(*_: Any, **__: Any) -> Axes:
        raise RuntimeError("a bug")

    monkeypatch.setitem(table.RULES, "tanh", table.Rule(broken))
    monkeypatch.setitem(table.RULES, "erf", table.Rule(lambda input: Axes.of("N", (99,))))
    with pytest.raises(RuntimeError, match="a bug"):
        X().tanh()
    with pytest.raises(AssertionError, match="the shape is"):
        X().erf()
    monkeypatch.setattr(tensors, "strict", False)
    assert type(X().tanh()) is Tensor
    assert type(X().erf()) is Tensor
    assert names(X().erf_()) == ("?", "?", "?")


# ---------------------------------------------------------------- what torch functions do to names


def hn() -> AnnotatedTensor:
    return annotate(torch.randn(6, N, D), "K·R N D", R=2)


def row(t: AnnotatedTensor) -> Tensor:
    return t[:, 0]


def same_sizes() -> AnnotatedTensor:
    """Where a wrong name can not be seen by its size."""
    return annotate(torch.randn(4, 4, 4), "N L D")


CASES: list[tuple[str, Callable[[AnnotatedTensor], object], str | None]] = [
    # the lesson's slices
    ("Y[:, -1, :]", lambda x: x[:, -1, :], "N Q"),
    ("Y[:, -1:]", lambda x: x[:, -1:], "N L Q"),
    ("Y[-1]", lambda x: x[-1], "L Q"),
    ("Y[..., 0]", lambda x: x[..., 0], "N L"),
    ("Y[:, None]", lambda x: x[:, None], "N 1 L Q"),
    ("last valid step", lambda x: x[torch.arange(N), torch.tensor([5, 2, 4]) - 1], "N Q"),
    ("last valid, equal lengths", lambda x: x[torch.arange(N), torch.tensor([2, 2, 2]) - 1], "N Q"),
    ("negative positions", lambda x: x[:, torch.tensor([-1, -2])], "N L Q"),
    ("a list", lambda x: x[[2, 0, 1]], "N L Q"),
    ("numpy positions", lambda x: x[np.array([2, 0])], "N L Q"),
    ("numpy integer", lambda x: x[np.int64(1)], "L Q"),
    ("0-d tensor", lambda x: x[torch.tensor(1)], "L Q"),
    ("twice the same", lambda x: x[[0, 0, 1]], "? L Q"),
    ("mask", lambda x: x[torch.tensor([True, False, True])], "N L Q"),
    ("mask of two axes", lambda x: x[x[..., 0] == x[..., 0]], "? Q"),
    ("a bool", lambda x: x[True], None),
    ("a 0-d bool", lambda x: x[torch.tensor(True)], None),
    ("an empty list", lambda x: x[:, []], None),
    ("plain input, named mask", lambda x: torch.zeros(N, L).masked_fill(x[..., 0] > 0, 1), "N L"),
    ("np.ix_", lambda x: x[torch.tensor([[0], [2]]), torch.tensor([[1, 3, 4]])], "N L Q"),
    ("apart", lambda x: x[torch.arange(N), :, torch.tensor([0, 1, 2])], "N L"),
    ("any pairs", lambda x: x[torch.tensor([0, 0, 1]), torch.tensor([1, 2, 3])], "? Q"),
    ("meta index", lambda x: x.to("meta")[torch.arange(N, device="meta")], "? L Q"),
    ("a named index", lambda x: x[annotate(torch.tensor([0, 1]), "B")], "B L Q"),
    ("table lookup", lambda x: torch.randn(9, 2)[annotate(torch.zeros(N, L).long(), "N L")], "N L ?"),
    ("gather", lambda x: x.gather(1, torch.zeros(N, 1, Q).long()).squeeze(1), "N Q"),
    ("index_select", lambda x: x.index_select(1, torch.tensor([3, 1])), "N L Q"),
    ("narrow", lambda x: x.narrow(1, 1, 2), "N L Q"),
    ("select", lambda x: x.select(-1, 0), "N L"),
    # moving
    ("transpose", lambda x: x.transpose(1, 2), "N Q L"),
    ("swapaxes", lambda x: torch.swapaxes(x, axis0=0, axis1=1), "L N Q"),
    ("permute", lambda x: torch.permute(x, dims=(2, 0, 1)), "Q N L"),
    ("movedim", lambda x: x.movedim((0, 1), (1, 0)), "L N Q"),
    ("T", lambda x: x[0].T, "Q L"),
    ("t", lambda x: x[0].t(), "Q L"),
    ("mT", lambda x: x.mT, "N Q L"),
    ("squeeze", lambda x: x[:, :1].squeeze(dim=1), "N Q"),
    ("squeeze all", lambda x: x[:, :1].squeeze(), "N Q"),
    ("flip", lambda x: torch.flip(x, dims=(1,)), "N L Q"),
    ("fliplr", lambda x: x.fliplr(), "N L Q"),
    ("flipud", lambda x: x.flipud(), "N L Q"),
    ("reversed", reversed, "N L Q"),
    ("expand", lambda x: x[:, :1].expand(-1, 4, -1), "N ? Q"),
    ("expand in front", lambda x: x.expand(2, -1, -1, -1), "? N L Q"),
    ("repeat", lambda x: x.repeat(1, 2, 1), "N L Q"),
    ("tile", lambda x: x.tile((2,)), "N L Q"),
    ("repeat_interleave", lambda x: x.repeat_interleave(2, 1), "N ? Q"),
    ("repeat_interleave flat", lambda x: x.repeat_interleave(2), "?"),
    ("repeat_interleave tensor", lambda x: x.repeat_interleave(torch.tensor([1, 2, 1]), 0), "? L Q"),
    ("repeat_interleave each", lambda x: x.repeat_interleave(torch.tensor([1, 2] * 52 + [1])), "?"),
    ("unfold", lambda x: x.unfold(1, 2, 1), "N ? Q ?"),
    ("split", lambda x: x.split([2, 3], 1)[1], "N L Q"),
    ("chunk", lambda x: x.chunk(2, dim=1)[1], "N L Q"),
    ("unbind", lambda x: x.unbind(1)[2], "N Q"),
    # reshaping
    ("flatten", lambda x: x.flatten(0, 1), "N·L Q"),
    ("and back", lambda x: x.flatten(0, 1).unflatten(0, (N, L)), "N L Q"),
    ("nn.Flatten", lambda x: nn.Flatten()(x), "N L·Q"),
    ("view(N, -1)", lambda x: x.view(N, -1), "N L·Q"),
    ("same dtype", lambda x: x.view(torch.float32), "N L Q"),
    ("half the dtype", lambda x: x.view(torch.float16), None),
    ("ravel", lambda x: x.ravel(), "N·L·Q"),
    ("heads", lambda x: x[..., :6].reshape(N, L, 2, 3), "N L ? ?"),
    ("heads back", lambda x: x[..., :6].reshape(N, L, 2, 3).mT.mT.reshape(N, L, 6), "N L Q"),
    ("one head", lambda x: x[..., :6].reshape(N, L, 2, 3)[:, :, 0], "N L Q"),
    ("heads rejoined", lambda x: torch.cat(x[..., :6].reshape(N, L, 2, 3).unbind(2), -1), "N L Q"),
    # joining
    ("cat of pieces", lambda x: torch.cat(x.split(2, 1), dim=1), "N L Q"),
    ("cat with others' samples", lambda x: torch.cat([x, X()]), "N L Q"),
    ("cat of features", lambda x: torch.cat([x, X()], -1), "N L ?"),
    ("cat with plain", lambda x: torch.cat([torch.zeros(N, 1, Q), x], axis=1), "N ? Q"),  # type: ignore[call-arg]
    ("cat of one", lambda x: torch.cat([x], 1), "N L Q"),
    ("stack of steps", lambda x: torch.stack([x[:, t] for t in range(L)], dim=1), "N L Q"),
    ("stack of others", lambda x: torch.stack([row(x), torch.zeros(N, Q)]), "? N Q"),
    # computing
    ("times a number", lambda x: 2 * x / 3 - 1, "N L Q"),
    ("power", lambda x: 2**x, "N L Q"),
    ("broadcast", lambda x: x + annotate(torch.zeros(Q), "Q"), "N L Q"),
    ("plain", lambda x: x + torch.zeros(Q), "N L Q"),
    ("one is stretched", lambda x: x[:, :1] + torch.zeros(N, 4, Q), "N ? Q"),
    ("disagreement", lambda x: x + annotate(torch.zeros(N, L, Q), "N L D"), "N L ?"),
    ("steps apart", lambda x: x[:, 1:] - x[:, :-1], "N L Q"),
    ("steps apart, chosen", lambda x: torch.maximum(x[:, 1:], x[:, :-1]), "N ? Q"),
    ("max of two", lambda x: torch.max(x, x * 2), "N L Q"),
    ("where", lambda x: torch.where(x > 0, x, 0.0), "N L Q"),
    ("where positions", lambda x: torch.where(x > 0)[0], None),
    ("masked_fill", lambda x: x.masked_fill(torch.zeros(L, 1).bool(), 0), "N L Q"),
    ("clamp", lambda x: x.clamp(min=torch.zeros(Q)), "N L Q"),
    ("softmax", lambda x: F.softmax(x, dim=-1), "N L Q"),
    ("layer_norm", lambda x: nn.LayerNorm(Q)(x), "N L Q"),
    ("batch_norm", lambda x: nn.BatchNorm1d(Q)(x.mT), "N Q L"),
    ("dropout", lambda x: nn.Dropout(0.5)(x), "N L Q"),
    ("type", lambda x: x.type(torch.float64), "N L Q"),
    ("type as text", lambda x: x.type(), None),
    ("glu", lambda x: F.glu(x[..., :6]), "N L Q"),
    ("cumsum", lambda x: x.cumsum(1), "N L Q"),
    ("pad", lambda x: F.pad(x, (0, 0, 1, 0)), "N ? Q"),
    ("shifted by pad", lambda x: F.pad(x, (0, 0, 1, -1)), "N ? Q"),
    ("cut by pad", lambda x: F.pad(x, (-1, -2)), "N L Q"),
    # reducing
    ("sum", lambda x: x.sum(1), "N Q"),
    ("sum over two", lambda x: x.sum(dim=(0, 1)), "Q"),
    ("sum of all", lambda x: x.sum(), ""),
    ("mean keepdim", lambda x: x.mean(1, keepdim=True), "N 1 Q"),
    ("max", lambda x: x.max(dim=1).values, "N Q"),
    ("max positions", lambda x: x.max(1).indices, "N Q"),
    ("argmax", lambda x: x.argmax(-1), "N L"),
    ("norm", lambda x: x.norm(dim=-1), "N L"),
    ("vector_norm", lambda x: torch.linalg.vector_norm(x, dim=-1), "N L"),
    ("topk", lambda x: x.topk(2, 1).values, "N ? Q"),
    ("topk by name", lambda x: x.topk(k=2, dim=1).values, "N ? Q"),
    ("topk last", lambda x: x.topk(2).values, "N L ?"),
    ("sort", lambda x: x.sort(1).values, "N ? Q"),
    ("argsort", lambda x: x.argsort(descending=True), "N L ?"),
    ("multinomial", lambda x: row(x).softmax(-1).multinomial(1), "N 1"),
    ("mse", lambda x: F.mse_loss(x, x * 2, reduction="none"), "N L Q"),
    ("mse mean", lambda x: F.mse_loss(x, x * 2), ""),
    ("cross_entropy", lambda x: F.cross_entropy(row(x), torch.zeros(N).long()), ""),
    ("cross_entropy each", lambda x: F.cross_entropy(row(x), torch.zeros(N).long(), reduction="none"), None),
    (
        "cross_entropy named target",
        lambda x: F.cross_entropy(x[0], annotate(torch.zeros(L).long(), "L"), reduction="none"),
        "L",
    ),
    # products
    ("matmul", lambda x: x @ torch.randn(Q, D), "N L ?"),
    ("rmatmul", lambda x: torch.randn(2, L) @ x, "N ? Q"),
    ("rmatmul by name", lambda x: x.__rmatmul__(torch.randn(2, L)), "N ? Q"),
    ("vector", lambda x: x @ torch.randn(Q), "N L"),
    ("cosine over 0", lambda x: F.cosine_similarity(row(x), row(x), 0), "Q"),
    ("cosine of equal sizes", lambda x: F.cosine_similarity(same_sizes(), same_sizes()), "N D"),
    ("nn.CosineSimilarity", lambda x: nn.CosineSimilarity(0)(same_sizes(), same_sizes()), "L D"),
    ("pairwise_distance p", lambda x: F.pairwise_distance(same_sizes(), same_sizes(), 1), "N L"),
    ("nn.PairwiseDistance", lambda x: nn.PairwiseDistance(0)(same_sizes(), same_sizes()), "N L"),
    ("conv by name", lambda x: F.conv1d(same_sizes(), weight=torch.randn(4, 4, 1)), "N ? D"),
    ("scores", lambda x: x @ x.mT, "N L L"),
    ("bmm", lambda x: torch.bmm(x, x.mT), "N L L"),
    ("addmm", lambda x: torch.addmm(torch.zeros(D), row(x), torch.randn(Q, D)), "N ?"),
    ("outer", lambda x: torch.outer(x[0, 0], x[1, :, 0]), "Q L"),
    ("linear", lambda x: nn.Linear(Q, D)(x), "N L ?"),
    ("bilinear", lambda x: nn.Bilinear(Q, Q, D)(x, x), "N L ?"),
    ("embedding", lambda x: nn.Embedding(9, D)(annotate(torch.zeros(N, L).long(), "N L")), "N L ?"),
    ("one_hot", lambda x: F.one_hot(annotate(torch.zeros(N, L).long(), "N L"), 3), "N L ?"),
    ("einsum", lambda x: torch.einsum("nlq,nmq->nlm", x, x), "N L L"),
    ("einsum implicit", lambda x: torch.einsum("nlq", x), "L N Q"),
    ("einsum by list", lambda x: torch.einsum(x, [0, 1, 2], [2, 0]), "Q N"),
    ("torch.embedding", lambda x: torch.embedding(torch.zeros(9, D), annotate(torch.zeros(N).long(), "N")), "N ?"),
    ("cosine of one axis", lambda x: F.cosine_similarity(x, x, dim=1), "N Q"),
    ("pairwise_distance", lambda x: F.pairwise_distance(x, x), "N L"),
    ("pairwise_distance kept", lambda x: F.pairwise_distance(x, x, keepdim=True), "N L 1"),
    ("cdist", lambda x: torch.cdist(x, x), "N L L"),
    ("cosine", lambda x: F.cosine_similarity(x, x, dim=-1), "N L"),
    ("attention", lambda x: F.scaled_dot_product_attention(x, x, x), "N L Q"),
    ("gqa", lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], enable_gqa=True), None),
    ("multi-head", lambda x: nn.MultiheadAttention(Q, 1, batch_first=True)(x, x, x)[0], "N L ?"),
    ("multi-head weights", lambda x: nn.MultiheadAttention(Q, 1, batch_first=True)(x, x, x)[1], "N L L"),
    (
        "multi-head alone",
        lambda x: nn.MultiheadAttention(Q, 1, batch_first=True)(x, x, x, need_weights=False)[0],
        "N L ?",
    ),
    ("conv", lambda x: nn.Conv1d(Q, D, 3)(x.mT), "N ? ?"),
    ("pool", lambda x: F.max_pool1d(x.mT, 2), "N Q ?"),
]


@pytest.mark.parametrize(("call", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_names_after_a_torch_function(call: Callable[[AnnotatedTensor], object], expected: str | None) -> None:
    """One line a function: what it does to (N, L, Q), or that it leaves a plain tensor."""
    result = call(X())
    assert names(result) == (None if expected is None else tuple(expected.split()))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda h: h[-1], "N D"),
        (lambda h: h[::2], "K N D"),
        (lambda h: h[1::2], "K N D"),
        (lambda h: h[-2:], "R N D"),
        (lambda h: h[2:], "K·R N D"),
        (lambda h: h[1:4], "? N D"),
        (lambda h: h.view(3, 2, N, D), "K R N D"),
        (lambda h: h.view(3, 2, N, D)[-1], "R N D"),
        (lambda h: torch.cat([h[-2], h[-1]], dim=-1), "N R·D"),
        (lambda h: torch.cat([h[:2], h[2:]]), "K·R N D"),
        (lambda h: torch.stack([h[0], h[2], h[4]]), "K N D"),
        (lambda h: h.transpose(0, 1).reshape(N, -1), "N K·R·D"),
        (lambda h: h.flip(0), "K·R N D"),
        (lambda h: h[[4, 5, 0, 1]], "? N D"),
        (lambda h: h[[0, 3]], "? N D"),
    ],
)
def test_names_of_layers_and_directions(call: Callable[[AnnotatedTensor], object], expected: str) -> None:
    """hn is K·R, layer-major: halves, top layers and both directions side by side have their names."""
    assert names(call(hn())) == tuple(expected.split())


def test_the_famous_scramble_warns_where_it_is_written() -> None:
    """hn.view(N, -1) mixes samples; the warning names what it mixed, the permute, and this very line."""
    states = annotate(torch.randn(2, N, D), "K N D")
    with pytest.warns(ScrambledAxesWarning, match=r"mixes elements of K, N and D.*\.permute\(1, 0, 2\)") as seen:
        mixed = states.view(N, -1)
    assert names(mixed) == ("?", "?")
    assert seen[0].filename == __file__
    # pytest makes warnings errors here, as a careful program may.
    with pytest.raises(ScrambledAxesWarning, match="probably meant"):
        states.view(N, -1)


# ---------------------------------------------------------------- recurrent layers


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("both", [False, True])
def test_recurrent_layers_name_their_outputs(kind: type[nn.Module], both: bool) -> None:
    """Y, hn (and cn) by the layer's contract, batched and not, and fed back as h0."""
    layer: Any = kind(Q, D, 2, batch_first=True, bidirectional=both)
    Y, state = layer(X())
    hidden = state[0] if kind is nn.LSTM else state
    assert names(Y) == ("N", "L", "R·D" if both else "D")
    assert names(hidden) == ("K·R" if both else "K", "N", "D")
    again, _ = layer(X(), state)
    assert names(again) == names(Y)
    one, _ = layer(X()[0])
    assert names(one) == ("L", "R·D" if both else "D")
    assert names(layer(torch.zeros(N, L, Q), state)[0]) is None


def test_a_layer_that_reads_samples_as_steps_shows_it() -> None:
    """Without batch_first the first axis is read as time; the names tell which one it was."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        _, (h, c) = nn.LSTM(Q, D, proj_size=2)(X())
    assert names(h) == ("K", "L", "P")
    assert names(c) == ("K", "L", "D")


@pytest.mark.parametrize("lengths", [[5, 3, 2], [2, 5, 3]])
def test_packing_there_and_back(lengths: list[int]) -> None:
    """Packed, run, padded back: N and L are what they were, sorted or not."""
    layer = nn.LSTM(Q, D, batch_first=True)
    packed = rnn.pack_padded_sequence(X(), torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    assert names(packed.data) == ("T", "Q")
    out, (h, _) = layer(packed)
    Y, _ = rnn.pad_packed_sequence(out, batch_first=True)
    assert names(Y) == ("N", "L", "D")
    assert names(h) == ("K", "N", "D")
    back, _ = rnn.pad_packed_sequence(packed, batch_first=True)
    assert names(back - X()) == ("N", "L", "Q")
    assert names(packed.data[:2]) == ("?", "Q")
    short = rnn.pad_packed_sequence(out, batch_first=True, total_length=9)[0]
    assert names(short) == ("N", "?", "D")


def test_packed_data_that_nobody_packed_here() -> None:
    """Data annotated after packing can not say which N and L they had."""
    plain = rnn.pack_padded_sequence(torch.randn(N, L, Q), torch.tensor([5, 4, 1]), batch_first=True)
    packed = plain._replace(data=annotate(plain.data, "T Q"))
    out, (h, _) = nn.LSTM(Q, D)(packed)
    assert names(out.data) == ("T", "D")
    assert names(h) is None
    assert names(rnn.pad_packed_sequence(packed)[0]) == ("?", "?", "Q")


def test_a_loop_of_cells_stacks_to_the_steps_it_read() -> None:
    """The outputs of step t belong to step t: stacked along axis 1 they are L again."""
    x, cell, state, head = X(), nn.LSTMCell(Q, D), None, nn.Linear(D, 2)
    outputs, scores = [], []
    for t in range(L):
        state = cell(x[:, t], state)
        outputs.append(state[0])
        scores.append(head(state[0]))
    assert names(torch.stack(outputs, 1)) == ("N", "L", "D")
    assert names(torch.stack(scores, 1)) == ("N", "L", "?")
    assert names(torch.stack(outputs[::-1], 1)) == ("N", "L", "D")
    assert names(nn.GRUCell(Q, D)(x[0, 0])) == ("D",)
    assert names(nn.GRUCell(Q, D)(torch.zeros(N, Q), outputs[0])) == ("N", "D")
    assert names(cell(torch.zeros(N, Q))[0]) is None


def test_decoding_step_by_step_joins_to_the_steps_it_read() -> None:
    """The same with a whole layer called on one step at a time."""
    x, layer, state, outputs = X(), nn.LSTM(Q, D, batch_first=True), None, []
    for t in range(L):
        Y, state = layer(x[:, t : t + 1], state)
        outputs.append(Y)
    assert names(torch.cat(outputs, dim=1)) == ("N", "L", "D")
