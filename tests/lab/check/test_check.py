"""check itself: what it takes, what it refuses with a sentence that says what to pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes.errors import SpecError
from lstm_shapes.lab.check import check


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 6, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        out: Tensor = self.rnn(x)[0]
        return out if mask is None else out * mask.unsqueeze(-1)


X = torch.randn(3, 5, 4)


@pytest.mark.parametrize(
    ("model", "inputs", "told", "says"),
    [
        (Tagger, (X,), {}, r"model must be an instance.*Tagger\(…\), with its arguments, makes one\."),
        (3, (X,), {}, r"model must be a module, or a function of tensors"),
        (Tagger(), (), {}, r"inputs must be what the model is called with: x, got None"),
        (lambda a, b, *more: a, (), {}, r"called with: a, b, got"),
        (Tagger(), (np.zeros((3, 5, 4)),), {}, r"x must be a tensor.*ndarray.*torch\.from_numpy\(x\) makes one"),
        (Tagger(), ((3, 5, 4),), {}, r"x must be a tensor, got \(3, 5, 4\)\. torch\.randn\(3, 5, 4\)"),
        (Tagger(), (X.shape,), {}, r"x must be a tensor, got torch\.Size.*torch\.randn\(3, 5, 4\)"),
        (Tagger(), (Tensor,), {}, r"x must be a tensor, got <class 'torch\.Tensor'>"),
        (Tagger(), (), {"x": np.zeros(3)}, r"x must be a tensor.*ndarray"),
        (Tagger(), (X,), {"batch_dim": -1}, r"batch_dim must be the batch axis, counted from 0"),
        (Tagger(), (X,), {"batch_dim": "N"}, r"batch_dim must be the batch axis.*got 'N'"),
        (Tagger(), (X,), {"lengths": torch.rand(3)}, r"lengths must be whole numbers"),
        (Tagger(), (X,), {"batch_dims": 1}, r"a keyword must be one that check or .* has.*Did you mean batch_dim\?"),
        (Tagger(), (X,), {"lenghts": [5, 4, 3]}, r"Did you mean lengths\?"),
    ],
)
def test_what_is_no_model_and_no_tensor(model: Any, inputs: Any, told: dict[str, Any], says: str) -> None:
    """One sentence says what to pass."""
    with pytest.raises(SpecError, match=says) as caught:
        check(model, *inputs, **told)
    assert "\n" not in str(caught.value)
    with pytest.raises(ls.LstmShapesError):
        ls.check(model, *inputs, **told)


def test_a_word_of_the_models_own_is_no_misspelt_option() -> None:
    """Also where it looks like one; and a word like none of them is explained as torch refuses it."""

    def model(x: Tensor, batch_dims: int = 0, **more: Any) -> Tensor:
        return x + batch_dims

    assert check(model, X, batch_dims=1, lenghts=[1]).ok
    assert check(Tagger(), X, colour=1).codes == ("LS113",)


def test_what_is_given_beside_tensors_is_the_models_own() -> None:
    """Arrays, shapes, classes and words beside a tensor are taken as they are; so are callables without arguments."""

    def model(x: Tensor, shape: tuple[int, ...], scale: Any, kind: type, word: str) -> Any:
        return kind(x.view(shape) * float(scale[0]))

    assert check(model, X, (3, 5, 4), np.array([2.0]), Tensor, "mean").ok
    assert not check(lambda: X).findings
    assert not check(lambda *rows, **more: X).findings


def test_a_missing_argument_beside_others_is_the_programs_exception() -> None:
    """It is explained in the report and never raised."""

    def model(x: Tensor, mask: Tensor) -> Any:
        return x * mask

    report = check(model, X)
    assert not report.ok
    assert "mask" in report.errors[0].title


def test_lengths_of_another_batch_are_named() -> None:
    """Two numbers for three samples test nothing, and the report says so."""
    report = check(Tagger(), X, lengths=[5, 2])
    assert report.not_tested == ("padding (lengths holds 2 numbers and the batch N = 3 samples)",)


@pytest.mark.parametrize("given", [[5, 3, 2], (5, 3, 2), torch.tensor([5, 3, 2]), np.array([5, 3, 2])], ids=type)
def test_lengths_in_any_form(given: Any) -> None:
    """A list, a tuple, a tensor, an array: padding is tested with each."""
    assert "padding (lengths)" in check(Tagger(), X, lengths=given).tested


def test_lengths_of_the_models_own() -> None:
    """A keyword `lengths` of forward is passed on, whatever it means there."""
    seen: list[Any] = []

    def model(x: Tensor, lengths: Any = None) -> Any:
        seen.append(lengths)
        return x * 2

    check(model, X, lengths=[5, 3, 2])
    assert seen == []  # a list that the model fills is put back

    def scaled(x: Tensor, lengths: Any) -> Any:
        return x * lengths["scale"]

    assert check(scaled, X, lengths={"scale": 2.0}).ok


def test_target_and_loss_make_one_program() -> None:
    """The loss of what the model gives; the target is an input as well."""
    head = nn.Linear(4, 2)
    report = check(
        lambda x: head(x), torch.randn(6, 4), target=torch.randint(2, (6,)), loss=nn.functional.cross_entropy
    )
    assert report.ok, str(report)
    wrong = check(lambda x: head(x)[:, 0], torch.randn(6, 4), target=torch.randn(6, 1), loss=nn.functional.mse_loss)
    assert not wrong.ok


def test_mixes_declares_that_samples_meet_on_purpose() -> None:
    """What would be an error about samples is a note."""

    def scene(x: Tensor) -> Any:
        return x + x.mean(0, keepdim=True)

    assert not check(scene, X).ok
    assert "mixes=True" in str(check(scene, X)) or check(scene, X).errors[0].fix
    declared = check(scene, X, mixes=True)
    assert declared.ok
    assert declared.notes
