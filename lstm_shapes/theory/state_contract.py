"""The state of a recurrent call: (h0, c0) or h0, its nesting, and the shape of each tensor in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from .axes import Axes
from .operands import Group, Operand, Problem, Value, Words, form, leaves
from .spec import Spec

__all__ = ["StateContract"]


@dataclass(frozen=True)
class StateContract:
    """What a layer asks of a state; `wanted` are the axes of h0 and c0, empty where x does not tell N."""

    spec: Spec
    state: Value
    wanted: tuple[Axes, ...]
    batch_word: str
    maker: Spec | None
    words: Words

    @property
    def names(self) -> tuple[str, ...]:
        """h0, or h0 and c0."""
        return tuple(f"{name}0" for name in self.spec.kind.states)

    @cached_property
    def parts(self) -> tuple[Operand, ...]:
        """h0, or h0 and c0; empty where there is no state, or one of another kind."""
        if self.state is None or self.kind_problem() is not None:
            return ()
        return tuple(leaves(self.state))

    # ------------------------------------------------------------ kind and nesting

    def kind_problem(self) -> Problem | None:
        """A pair where one tensor is wanted, one tensor where a pair is, or another nesting."""
        state, pair = self.state, len(self.names) == 2
        if state is None:
            return None
        if pair and isinstance(state, Group) and state.kind != "arguments":
            if len(state.parts) == 2 and all(isinstance(part, Operand) for part in state.parts):
                return None
        elif not pair and isinstance(state, Operand):
            return None
        hint, fix, made = self._pair_advice() if pair else self._single_advice()
        if not self._runs(made):
            fix = ""
        sizes = tuple(axes.sizes for axes in self.wanted)
        expected = (sizes if pair else sizes[0]) if sizes else None
        got = form(state)
        if isinstance(state, Group) and state.kind == "arguments":
            got = f"{len(state.parts)} arguments, {', '.join(str(form(part)) for part in state.parts)}"
        formula = f"{self.spec.states('0')} for {self.spec.cell}"
        return Problem("state", formula, expected, got, hint, "state-kind", fix)

    def _runs(self, made: Value) -> bool:
        """Whether a state that a fix makes is of the right kind, and of the right shape where x tells it."""
        other = replace(self, state=made)
        shapes = [part.shape for part in other.parts]
        return bool(shapes) and (not self.wanted or shapes == [axes.sizes for axes in self.wanted])

    def _pair_advice(self) -> tuple[str, str, Value]:
        """Towards (h0, c0): the hint, an expression, and what it makes."""
        word, state, layer, x = self.words.state, self.state, self.words.layer, self.words.x
        if isinstance(state, Operand):
            return self._one_for_two(state)
        if not isinstance(state, Group):
            return "Leave the state out to start from zeros", "", None
        parts = state.parts
        if state.kind == "arguments":
            return f"The state is one argument: {layer}({x}, (h0, c0))", "(h0, c0)", Group(parts)
        if len(parts) == 1 and isinstance(parts[0], Group):
            return f"{word}[0] takes off the outer tuple", f"{word}[0]", parts[0]
        if len(parts) == 1 and isinstance(parts[0], Operand):
            inner = replace(self, state=parts[0], words=replace(self.words, state=f"{word}[0]"))
            return inner._pair_advice()
        if len(parts) == 2 and isinstance(parts[0], Operand) and isinstance(parts[1], Group):
            hint = f"This is all that a layer returns, (Y, (hn, cn)): {word}[1] is its state"
            return hint, f"{word}[1]", parts[1]
        pairs = [part for part in parts if isinstance(part, Group) and len(part.parts) == 2]
        tensors = list(leaves(state))
        if pairs and len(pairs) == len(parts) == self.spec.K * self.spec.R and len(tensors) == 2 * len(parts):
            flat = tensors[0].rank == 2
            join = "stack" if flat else "cat"
            fix = f"(torch.{join}([h for h, c in {word}]), torch.{join}([c for h, c in {word}]))"
            made = tuple(self._joined(tensors[at::2], flat) for at in (0, 1))
            return f"One tensor holds all layers; of a pair for each layer make {fix}", fix, Group(made)
        if len(parts) == 2 and any(not isinstance(part, Operand) for part in parts):
            return "h0 and c0 are one tensor each, all layers in it; leave the state out to start from zeros", "", None
        return f"Pass two tensors: {layer}({x}, (h0, c0)), one of each for all layers", "", None

    def _one_for_two(self, state: Operand) -> tuple[str, str, Value]:
        """One tensor for an LSTM: h0 alone, or both states in it."""
        word, returned = self.words.state, "Y, (hn, cn) = … returns such a pair"
        if self.spec.kind.step:
            returned = "h, c = … returns such a pair"
        fits = self._fits(state)
        full = len(self.wanted[0]) if self.wanted else 2 if self.spec.kind.step else 3
        if not fits and state.rank == full + 1 and state.shape[0] == 2:
            fix, half = f"({word}[0], {word}[1])", replace(state, shape=state.shape[1:])
            hint = f"Both states are kept in one tensor: {fix} takes it apart along its first axis"
            return hint, fix, Group((half, half))
        says = "One tensor is taken apart along its first axis, as if that held h and c"
        if not fits:
            return f"{says}; {returned}", "", None
        wide = self.wanted[1].sizes
        c0 = f"{word}.new_zeros{wide}" if self.spec.P else f"torch.zeros_like({word})"
        fix = f"({word}, {c0})"
        hint = f"{says}; {returned}. Where c starts from zeros that is {fix}"
        return hint, fix, Group((state, replace(state, shape=wide)))

    @staticmethod
    def _joined(tensors: list[Operand], flat: bool) -> Operand:
        first = tensors[0]
        rows = (len(tensors), *first.shape) if flat else (len(tensors) * first.shape[0], *first.shape[1:])
        alike = all(tensor.shape == first.shape for tensor in tensors)
        return replace(first, shape=rows if alike and first.shape else ())

    def _single_advice(self) -> tuple[str, str, Value]:
        """Towards h0 alone: the hint, an expression, and what it makes."""
        word, state, layer, x = self.words.state, self.state, self.words.layer, self.words.x
        if not isinstance(state, Group):
            return "Leave the state out to start from zeros", "", None
        only, parts = f"{self.spec.cell} has no cell state", state.parts
        if state.kind == "arguments":
            return f"{only}: {layer}({x}, h0)", "h0", parts[0]
        tensors = [part for part in parts if isinstance(part, Operand)]
        fitting = [at for at, part in enumerate(parts) if self._fits(part)]
        rows = self.spec.K * self.spec.R
        if not self.spec.kind.step and not fitting and len(tensors) == len(parts) == rows:
            fix, made = f"torch.stack({word})", self._joined(tensors, flat=True)
            if self._fits(made):
                return f"One tensor holds all layers: {fix} makes it of a {state.kind} of one for each", fix, made
        if len(parts) == 2 and fitting == [1]:
            return f"If this is all that the layer returned, (Y, hn), its state is {word}[1]", f"{word}[1]", parts[1]
        if not parts or not isinstance(parts[0], Operand):
            return f"{only}, and its state is one tensor: {layer}({x}, h0)", "", None
        fix = f"{word}[0]"
        return f"{only}, and its state is one tensor, {fix}: {layer}({x}, {fix})", fix, parts[0]

    def _fits(self, part: Value) -> bool:
        return isinstance(part, Operand) and bool(self.wanted) and part.shape == self.wanted[0].sizes

    # ------------------------------------------------------------ shapes

    def shape_problem(self, role: str, state: Operand, axes: Axes) -> Problem | None:
        """A state of another shape than the layer's algebra says, with what its own shape looks like."""
        if state.shape == axes.sizes:
            return None
        hint, fix = self._advice(role, state, axes)
        return Problem(role, axes.formula, axes.sizes, state.shape, hint, "state-shape", fix)

    def _zeros(self, sizes: tuple[int, ...]) -> str:
        """Zeros of a state's shape in the caller's words, the batch read off x."""
        spelled = [str(size) for size in sizes]
        if len(sizes) == (2 if self.spec.kind.step else 3):
            spelled[-2] = self.batch_word
        x = f"{self.words.x}.data" if self.batch_word.endswith("]") else self.words.x
        return f"{x}.new_zeros({', '.join(spelled)})"

    def _advice(self, role: str, state: Operand, axes: Axes) -> tuple[str, str]:
        word, got, want = self.words.of(role), state.shape, axes.sizes
        if len(got) == len(want) + 1:
            return self._axis_too_many(word, got, want)
        if len(got) == len(want) - 1:
            return self._axis_too_few(word, got, want)
        if len(got) != len(want):
            return self._from_zeros(want)
        if len(want) > 1 and got == (want[1], want[0], *want[2:]):
            fix = f"{word}.transpose(0, 1).contiguous()"
            never = "batch_first never moves the axes of a state" if len(want) == 3 else "Its axes are exchanged"
            return f"{never}: {fix} (never view or reshape)", fix
        H, K = want[-1], self.spec.K
        if self.spec.R == 2 and len(want) == 3 and got == (K, want[1], 2 * H):
            fix = f"torch.stack({word}.chunk(2, -1), 1).flatten(0, 1)"
            return f"Both directions stand side by side in it; a layer wants a row for each: {fix}", fix
        advice = []
        if got[-1] != want[-1]:
            advice.append(self._width(role, got, want))
        if len(want) > 1 and axes.names[-2] == "N" and got[-2] != want[-2]:
            advice.append(self._batch(word, got, want))
        if axes.names[0] in ("K", "K·R") and got[0] != want[0]:
            advice.append(self._rows(word, got, want))
        fix = advice[0][1] if len(advice) == 1 else ""
        return ". ".join(hint for hint, _ in advice), fix

    def _from_zeros(self, want: tuple[int, ...]) -> tuple[str, str]:
        zeros = self._zeros(want)
        return f"To start from zeros leave the state out, or write {zeros}", zeros

    def _axis_too_many(self, word: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        one = next((at for at in range(len(want)) if got[at] == 1 and got[:at] + got[at + 1 :] == want), None)
        if one is not None:
            return f"{word}.squeeze({one}) leaves out its axis of size 1, and is {want}", f"{word}.squeeze({one})"
        if self.spec.kind.step and got[1:] == want:
            fix = f"{word}[-1]"
            return f"It holds {got[0]} layers, and a cell is one: {fix} is the top one", fix
        if len(want) == 2 and not self.spec.kind.step:
            return f"x has no batch axis and {word} has one: one of them lacks it, or has it too many", ""
        return self._from_zeros(want)

    def _axis_too_few(self, word: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        rows = self.spec.K * self.spec.R
        if len(want) == 3 and got == want[1:]:
            again = f".repeat({rows}, 1, 1)" if rows > 1 else ""
            fix = f"{word}.unsqueeze(0){again}"
            hint = (
                f"{fix} adds the axis of the {rows} layers and directions"
                if rows > 1
                else f"{fix} adds the axis of layers"
            )
            if len(self.parts) == 2 and rows > 1 and all(part.shape == want[1:] for part in self.parts):
                hint = (
                    "hn[0] and hn[1] are two layers of one tensor, and no pair of h and c: keep both that come back, "
                )
                hint += f"Y, (hn, cn) = {self.words.layer}(…). If each state is meant for all layers, {fix}"
            return hint, fix
        if len(want) == 3 and got == (want[0], want[2]):
            fix = f"{word}.unsqueeze(1)" + (f".repeat(1, {want[1]}, 1)" if want[1] != 1 else "")
            return f"It is the state of one sequence: {fix} is one for each of {want[1]}", fix
        if len(want) == 2 and got == want[1:]:
            fix = f"{word}.unsqueeze(0)" if want[0] == 1 else f"{word}.repeat({want[0]}, 1)"
            return f"It lacks its first axis: {fix}", fix
        return self._from_zeros(want)

    def _batch(self, word: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        has, N = got[-2], want[-2]
        if has == 1:
            keep = "-1, " * (len(want) - 2)
            fix = f"{word}.expand({keep}{N}, -1).contiguous()"
            return f"It holds one sequence, and x has N = {N}: {fix}", fix
        fix = self._zeros(want)
        kept = "A state made for a batch of another size does not fit the next one, and the last batch is often smaller"
        return f"It holds {has} sequences, and x has N = {N} ({self.batch_word}). {kept}: drop or reset it, {fix}", fix

    def _width(self, role: str, got: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, str]:
        spec, width, H = self.spec, got[-1], want[-1]
        if spec.P and width in (spec.D, spec.P):
            rule = f"With proj_size={spec.P} h0 is P = {spec.P} wide and c0 is D = {spec.D} wide"
            other = [part.shape for name, part in zip(self.names, self.parts, strict=True) if name != role]
            if other == [want]:
                fix = self.words.of("c0" if role == "h0" else "h0")
                return f"{rule}; here they are exchanged", fix
            zeros = self._zeros(want)
            return f"{rule}: {zeros}", zeros
        made = "" if self.maker is None else f"It comes from {self.maker.constructor}. "
        linear = f"nn.Linear({width}, {H})"
        if spec.P:
            return f"{made}Its width is {width}, and this layer's {H}: {linear} in between", ""
        rebuilt = spec.replace(D=max(1, width)).constructor
        if width == 2 * H:
            forward = f"{self.words.of(role)}[..., :{H}] is the forward one"
            made += f"If it is torch.cat((forward, backward), dim=-1) of two directions, {forward}. "
        return f"{made}Its width is {width}, this layer's hidden_size {H}: {rebuilt}, or {linear} in between", ""

    def _rows(self, word: str, has: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[str, str]:
        spec, maker, got, want = self.spec, self.maker, has[0], wanted[0]
        if maker is not None and got == maker.K * maker.R:
            return self._rows_of(maker, word, has[-1])
        count = f"K·R = {spec.K}·{spec.R} = {want}" if spec.R == 2 else f"K = {want}"
        says = f"It has {got} row{'s' * (got != 1)} and this layer {count}"
        if spec.R == 2 and got == spec.K:
            fix = f"{word}.repeat_interleave(2, 0)"
            both = f"{fix} starts both directions from the same"
            return f"{says}: with bidirectional=True each layer has two, num_layers * 2 rows in all. {both}", fix
        if got > want:
            fix = f"{word}[-{want}:].contiguous()"
            return f"{says}: it was made for more layers or directions than this one has. {fix} are its last rows", fix
        if got == 1:
            fix = f"{word}.repeat({want}{', 1' * (len(has) - 1)})"
            return f"{says}: each layer and direction starts from a row of its own. {fix} gives all of them one", fix
        return f"{says}, one for each layer and direction", ""

    def _rows_of(self, maker: Spec, word: str, width: int) -> tuple[str, str]:
        """The layer that made the state is known, so its rows are too."""
        spec = self.spec

        def said(one: Spec) -> str:
            layers = f"{one.K} layer{'s' * (one.K > 1)}"
            return f"{layers} of {'two directions' if one.R == 2 else 'one direction'}"

        says = f"It comes from a {maker.cell} of {said(maker)}, and this {spec.cell} has {said(spec)}"
        if maker.R == 2 and spec.R == 1:
            top = "" if maker.K == spec.K else f"[-{2 * spec.K}:]"
            if maker.K < spec.K:
                return f"{says}: build it with num_layers={maker.K} and join the directions", ""
            forward, backward = f"{word}{top}[0::2]", f"{word}{top}[1::2]"
            fix = f"{forward} + {backward}"
            wide = f"torch.cat(({forward}, {backward}), dim=2) with hidden_size={2 * width} here keeps them apart"
            layers = "" if maker.K == spec.K else f" (the top {spec.K} of its layers)"
            return f"{says}: rows 0, 2, … are forward and 1, 3, … backward. {fix} adds them{layers}; {wide}", fix
        if maker.R == 1 and spec.R == 2:
            if maker.K == spec.K:
                fix = f"{word}.repeat_interleave(2, 0)"
                return f"{says}: {fix} starts both directions of a layer from the same row", fix
            return f"{says}: build both with the same num_layers and bidirectional", ""
        if maker.K > spec.K:
            fix = f"{word}[-{spec.K * spec.R}:].contiguous()"
            return f"{says}: {fix} are its top ones; or build this layer with num_layers={maker.K}", fix
        return f"{says}: build both with num_layers={maker.K}", ""
