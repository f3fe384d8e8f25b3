"""torch's functions: their names, and the families that a reader of a trace tells apart, each spelled once."""

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
# Questions about a tensor that read no element of it.
QUESTIONS = names_in(
    "size dim ndim __len__ numel nelement element_size is_floating_point is_complex is_contiguous is_signed stride "
    "storage_offset _set_grad_enabled get_device requires_grad_ retain_grad register_hook is_shared is_pinned _assert "
    "data_ptr untyped_storage __repr__ __format__ __hash__ has_names dim_order device is_inference backward "
    "is_same_size set_grad_enabled result_type get_default_dtype is_tensor is_storage _is_view __dir__ type "
    "_set_view_replay_enabled"
)
# Attributes that are views of their tensor; every other attribute is a question.
ATTRIBUTE_VIEWS = names_in("T mT H mH data real imag")
IN_PLACE = names_in(
    "__setitem__ __iadd__ __isub__ __imul__ __itruediv__ __ifloordiv__ __imod__ __iand__ __ior__ __ixor__ "
    "__ipow__ __imatmul__"
)
_LOSSES = names_in("cross_entropy binary_cross_entropy binary_cross_entropy_with_logits kl_div")
# Functions that take nothing of a tensor but its type and sizes.
CREATES = names_in(
    "new_zeros new_ones new_full new_empty new_empty_strided new_tensor zeros_like ones_like full_like empty_like "
    "rand_like randn_like randint_like"
)
DRAWS = names_in(
    "rand randn randint rand_like randn_like randint_like bernoulli bernoulli_ normal normal_ uniform_ exponential_ "
    "random_ geometric_ randperm poisson multinomial binomial gumbel_softmax log_normal_ cauchy_ _standard_gamma"
)
# Writes that read nothing of what they overwrite.
BLIND = names_in("__setitem__ copy_ fill_ zero_")
# Functions that bring numbers into torch.
ENTERS = frozenset(["tensor", "as_tensor", "asarray", "from_numpy", "frombuffer", "full"])
# Functions whose result leaves torch: what is computed from it comes back as a tensor of unknown descent.
LEAVES_TORCH = names_in("numpy tolist item __array__ __int__ __float__ __index__ __bool__ __contains__ cpu")
# What draws anew in training, and memory that torch leaves as it found it.
DROPOUTS = names_in(
    "dropout dropout_ alpha_dropout alpha_dropout_ feature_dropout feature_dropout_ feature_alpha_dropout "
    "feature_alpha_dropout_ dropout1d dropout2d dropout3d"
)
FRESH = names_in("empty empty_like new_empty empty_strided new_empty_strided")


def broadcasts(name: str) -> bool:
    """Whether a function lays its operands over each other element by element, also as `__add__` or `add_`."""
    return name.strip("_") in _BROADCASTS


def is_loss(name: str) -> bool:
    """Whether a torch function compares a prediction with a target."""
    return name.endswith("_loss") or name in _LOSSES
