"""Keras' words and order of weights, as docs/keras.md gives them: layers in numpy in Keras' order against torch's.

Source: lstm.py, gru.py and bidirectional.py in keras/src/layers/rnn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from docs.build import BLOCK, ROOT

Array = np.ndarray[Any, np.dtype[np.float64]]
Kind = type[nn.LSTM] | type[nn.GRU]
N, L, Q, D = 2, 6, 3, 5


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def lstm_step(x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array) -> tuple[Array, Array]:
    """Blocks i, f, c, o side by side along the last axis, one bias."""
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x: Array, h: Array, c: Array, kernel: Array, recurrent: Array, bias: Array) -> tuple[Array, Array]:
    """Blocks z, r, h, two biases: reset_after=True, the reset gate multiplies the product and its bias."""
    x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3, axis=-1)
    h_z, h_r, h_h = np.split(h @ recurrent + bias[1], 3, axis=-1)
    z = sigmoid(x_z + h_z)
    return z * h + (1 - z) * np.tanh(x_h + sigmoid(x_r + h_r) * h_h), c


STEPS: dict[Kind, Callable[..., tuple[Array, Array]]] = {nn.LSTM: lstm_step, nn.GRU: gru_step}


def keras(
    kind: Kind, x: Array, weights: tuple[Array, Array, Array], mask: Array | None = None, **words: bool
) -> tuple[Array, Array, Array]:
    """A layer of Keras: its output with return_sequences as given, and both of its states. (batch, timesteps, feature).

    A masked step leaves the states as they were; its output is that of the step before.
    """
    h, c, outputs = np.zeros((len(x), D)), np.zeros((len(x), D)), []
    for t in range(x.shape[1])[:: -1 if words.get("go_backwards") else 1]:
        new_h, new_c = STEPS[kind](x[:, t], h, c, *weights)
        real = np.ones((len(x), 1), dtype=bool) if mask is None else mask[:, t, None]
        h, c = np.where(real, new_h, h), np.where(real, new_c, c)
        outputs.append(h)
    return np.stack(outputs, axis=1) if words.get("return_sequences") else outputs[-1], h, c


@pytest.fixture(scope="module")
def keras_weights() -> Callable[..., tuple[Array, Array, Array]]:
    """The function that docs/keras.md shows."""
    text = (ROOT / "docs" / "keras.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(next(block["code"] for block in BLOCK.finditer(text) if "def keras_weights" in block["code"]), names)
    found: Callable[..., tuple[Array, Array, Array]] = names["keras_weights"]
    return found


def made(kind: Kind, **fields: Any) -> tuple[nn.LSTM | nn.GRU, torch.Tensor]:
    torch.manual_seed(0)
    layer = kind(Q, D, batch_first=True, dtype=torch.float64, **fields)
    return layer, torch.randn(N, L, Q, dtype=torch.float64)


@pytest.mark.parametrize("kind", STEPS)
def test_order_of_gates(kind: Kind, keras_weights: Callable[..., Any]) -> None:
    """The weights that the page makes of torch's give torch's numbers in Keras' order, and no other order does."""
    layer, x = made(kind)
    Y, states = layer(x)
    kernel, recurrent, bias = weights = keras_weights(layer)
    outputs, h, c = keras(kind, x.numpy(), weights, return_sequences=True)
    np.testing.assert_allclose(outputs, Y.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(h, (states[0] if kind is nn.LSTM else states)[0].detach().numpy(), atol=1e-12)
    if kind is nn.LSTM:
        np.testing.assert_allclose(c, states[1][0].detach().numpy(), atol=1e-12)
    blocks = len(bias.T) // D
    swapped = [np.concatenate(np.split(w, blocks, axis=-1)[::-1], axis=-1) for w in weights]
    assert not np.allclose(keras(kind, x.numpy(), swapped, return_sequences=True)[0], Y.detach().numpy())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", STEPS)
def test_return_sequences(kind: Kind, keras_weights: Callable[..., Any]) -> None:
    """True is Y, False is Y[:, -1]; with a mask False is hn[-1], each row after its own last step."""
    layer, x = made(kind)
    Y, _ = layer(x)
    np.testing.assert_allclose(keras(kind, x.numpy(), keras_weights(layer))[0], Y[:, -1].detach().numpy(), atol=1e-12)
    lengths = torch.tensor([6, 4])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    _, states = layer(packed)
    hn = states[0] if kind is nn.LSTM else states
    mask = (torch.arange(L) < lengths[:, None]).numpy()
    np.testing.assert_allclose(
        keras(kind, x.numpy(), keras_weights(layer), mask)[0], hn[-1].detach().numpy(), atol=1e-12
    )


@pytest.mark.parametrize("kind", STEPS)
def test_bidirectional(kind: Kind, keras_weights: Callable[..., Any]) -> None:
    """Keras joins the last outputs of both readings: torch.cat((hn[-2], hn[-1])), not Y[:, -1]; all of them are Y."""
    layer, x = made(kind, bidirectional=True)
    Y, states = layer(x)
    hn = states[0] if kind is nn.LSTM else states
    ahead = keras_weights(layer)
    back = kind(Q, D, batch_first=True, dtype=torch.float64)
    back.load_state_dict(
        {name.removesuffix("_reverse"): w for name, w in layer.state_dict().items() if name.endswith("_reverse")}
    )
    both = [(ahead, False), (keras_weights(back), True)]
    ends = [keras(kind, x.numpy(), weights, go_backwards=turned)[0] for weights, turned in both]
    summary = torch.cat((hn[-2], hn[-1]), dim=-1).detach().numpy()
    np.testing.assert_allclose(np.concatenate(ends, axis=-1), summary, atol=1e-12)
    assert not np.allclose(Y[:, -1].detach().numpy(), summary)
    first, second = (keras(kind, x.numpy(), w, go_backwards=turned, return_sequences=True)[0] for w, turned in both)
    np.testing.assert_allclose(np.concatenate((first, second[:, ::-1]), axis=-1), Y.detach().numpy(), atol=1e-12)
