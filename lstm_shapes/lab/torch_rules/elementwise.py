"""Rules of everything that computes element by element, or along an axis without moving it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from lstm_shapes.lab.torch_rules.table import Answer, axes_of, called, features, named, operand, operands, rule
from lstm_shapes.theory.axes import UNKNOWN, Axes, Axis
from lstm_shapes.theory.axis_rules import broadcasting
from lstm_shapes.theory.axis_tracks import fresh

# One operand or several that broadcast: the tensors among the arguments are the operands.
ELEMENTWISE = """
abs absolute acos acosh add addcdiv addcmul angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh
asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
bitwise_xor ceil copysign cos cosh deg2rad digamma div divide entr eq erf erfc erfcx erfinv exp exp2
expit expm1 fix float_power floor floor_divide fmod frac gcd ge greater greater_equal gt heaviside hypot
i0 i0e i1 i1e isclose isfinite isinf isnan isneginf isposinf isreal lcm ldexp le lerp less less_equal
lgamma log log10 log1p log2 log_ndtr logaddexp logaddexp2 logical_and logical_not logical_or logical_xor
logit lt masked_fill mul multiply multigammaln mvlgamma nan_to_num ndtr ndtri ne neg negative nextafter
not_equal polygamma positive pow psi rad2deg real reciprocal remainder round rsqrt rsub sgn sigmoid sign
signbit sin sinc sinh sqrt square sub subtract tan tanh true_divide trunc xlog1py xlogy zeta relu relu6
leaky_relu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid softplus softshrink hardshrink
tanhshrink softsign logsigmoid log_sigmoid threshold __and__ __or__ __xor__ __invert__ __rpow__ __rdiv__
__rsub__ __rfloordiv__ __rmod__ __rtruediv__ __rlshift__ __rrshift__ __lshift__ __rshift__ __rand__
__ror__ __rxor__ __iand__ __ior__ __ixor__ __ilshift__ __irshift__ __pow__ __eq__ __ne__ __lt__ __le__
__gt__ __ge__ __add__ __radd__ __sub__ __mul__ __rmul__ __div__ __truediv__ __floordiv__ __mod__ __neg__
__pos__ __abs__ __iadd__ __isub__ __imul__ __idiv__ __itruediv__ __ifloordiv__ __imod__ __ipow__
"""

# One operand is chosen for each element.
CHOOSING = "where maximum minimum fmax fmin clamp clamp_max clamp_min clip"

# The first argument gives the axes; whatever else is given is a parameter of the operation.
SAME = """
softmax log_softmax softmin normalize layer_norm batch_norm instance_norm group_norm rms_norm
local_response_norm native_layer_norm dropout alpha_dropout feature_dropout feature_alpha_dropout
dropout1d dropout2d dropout3d prelu rrelu gumbel_softmax cumsum cumprod cummax cummin logcumsumexp clone
contiguous detach to cpu cuda xpu double float half bfloat16 int long short char byte bool cfloat cdouble
type_as requires_grad requires_grad_ pin_memory share_memory_ conj conj_physical resolve_conj resolve_neg
renorm fill zero tril triu bernoulli data __deepcopy__ alias _cast_Double _cast_Float _cast_Half
_cast_Int _cast_Long fake_quantize_per_tensor_affine quantize_per_tensor dequantize imag index_fill
"""


@rule(*ELEMENTWISE.split())
def elementwise(out: object, *args: Any, **kwargs: Any) -> Answer:
    """What all operands agree on, with broadcasting."""
    keywords = [value for name, value in kwargs.items() if name != "out"]
    tensors = [value for value in (*args, *keywords) if isinstance(value, Tensor)]
    axes = broadcasting.elementwise(*operands(tensors))
    return _readable(axes, tensors) if len(called) and not axes.known else axes


def _readable(axes: Axes, values: Sequence[Tensor]) -> Axes:
    """For a walk's readers: D|fc where a sum runs along both, and a parameter's own name where it alone runs."""
    rows = list(axes)
    for back in range(-len(rows), 0):
        size = rows[back].size
        if rows[back].known:
            continue
        moving = [value for value in values if value.dim() >= -back and value.shape[back] == size]
        claims = [found[back].name for value in moving if (found := axes_of(value)) is not None]
        names = dict.fromkeys(word for claim in claims for word in claim.split("|"))
        owners = [value for value in moving if "own" in called.get(value, {})]
        if names and UNKNOWN not in names and 1 < len(names) < 4:
            rows[back] = Axis((fresh("|".join(names), size),))
        elif not claims and len(owners) == 1:
            name = called[owners[0]]["own"]
            rows[back] = Axis((replace(features(owners[0], UNKNOWN, size, f"own{back}").atoms[0], name=name),))
    return Axes(tuple(rows), axes.fixed)


@rule(*CHOOSING.split())
def choosing(out: object, *args: Any, **kwargs: Any) -> Answer:
    """What all operands agree on, down to the coordinates at which they stand."""
    if not isinstance(out, Tensor):
        return None  # torch.where(condition) alone lists positions
    keywords = [value for name, value in kwargs.items() if name != "out"]
    return broadcasting.elementwise(*operands([*args, *keywords]), chooses=True)


@rule(*SAME.split())
def same(out: object, *args: Any, **kwargs: Any) -> Answer:
    """The axes of the first argument."""
    source = args[0] if args else kwargs.get("input")
    return named(source)


@rule("type")
def retype(out: object, input: Tensor, *args: Any, **kwargs: Any) -> Answer:
    """The same axes where the shape is the same: `x.type()` alone is a string."""
    return named(input) if isinstance(out, Tensor) and out.shape == input.shape else None


@rule("grad")
def grad(out: object, input: Tensor, *args: Any) -> Answer:
    """A gradient has the axes of what it belongs to."""
    return named(input)


@rule("copy")
def copy(out: object, input: Tensor, src: Tensor, *args: Any, **kwargs: Any) -> Answer:
    """What was written over has the axes of what was written."""
    source = operand(src)
    return broadcasting.elementwise(source, tuple(input.shape)) if axes_of(src) else named(input)
