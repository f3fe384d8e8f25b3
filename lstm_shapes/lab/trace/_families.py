"""The families of torch's functions that a reader of a trace tells apart, each spelled once."""

from __future__ import annotations


def names_in(text: str) -> frozenset[str]:
    """The words of a text as a set: a family of functions is written as one line."""
    return frozenset(text.split())


# The recurrent kernels; a cell's kernel is one step.
CELLS = names_in("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell")
KERNELS = CELLS | names_in("lstm gru rnn_tanh rnn_relu quantized_lstm quantized_gru")
# Functions that leave every element where it is.
SAME = names_in("contiguous clone detach to cpu cuda float double half bfloat16 long int data type_as dropout")
VIEWS = names_in("view reshape unflatten flatten view_as reshape_as ravel")
# Functions that put elements elsewhere and compute nothing.
MOVES = VIEWS | names_in(
    "__getitem__ transpose t T mT H mH permute unsqueeze squeeze expand repeat index_select select narrow flip cat "
    "stack concat concatenate hstack vstack chunk split unbind movedim moveaxis gather swapaxes swapdims tile "
    "repeat_interleave take_along_dim roll expand_as masked_select tensor_split split_with_sizes diagonal unfold "
    "atleast_2d atleast_3d _pack_padded_sequence _pad_packed_sequence"
)
PRODUCTS = names_in("matmul __matmul__ __rmatmul__ bmm mm mv dot einsum linear addmm baddbmm addbmm tensordot")
_BROADCASTS = names_in(
    "add sub mul div true_divide truediv floor_divide floordiv pow maximum minimum where lerp addcmul addcdiv eq ne lt "
    "gt le ge logical_and logical_or logical_xor bitwise_and bitwise_or and or xor masked_fill radd rsub rmul rtruediv "
    "iadd isub imul itruediv copy atan2 fmod remainder clamp"
)


def broadcasts(name: str) -> bool:
    """Whether a function lays its operands over each other element by element, also as `__add__` or `add_`."""
    return name.strip("_") in _BROADCASTS
