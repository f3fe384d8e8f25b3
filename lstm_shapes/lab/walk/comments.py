"""Shapes in comments: `# x: [N x L x Q] => rnn_out: [N x L x D]` says what can be measured, and may be wrong.

A name stands for the size that it has where it is first read in a function; after that it is a claim. What cannot be
read as a shape is left alone.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass

from lstm_shapes.lab._axis_names import meaning_of
from lstm_shapes.theory.axes import Axes

_GROUP = re.compile(r"(?<![\w\]])[\[(]([^\[\]()]*)[\])]")
_SUBJECT = re.compile(
    r"(?:^|[\s,;>])([A-Za-z_][\w.]*?)(?:\.shape|\.size\(\))?(?:'s)?(?:\s+(?:shape|size))?\s*"
    r"(?::|==?|is|of shape|has shape)?\s*$"
)
_NAMELESS = re.compile(r"(?:^|[-=]>|[,;→⇒]|\b(?:shape|size|output|returns?|dims?|is|now|:))\s*[:=]?\s*$", re.IGNORECASE)
_ARROW = re.compile(r"[-=]+>|→|⇒")
_DIM = re.compile(r"[\w+\-*/·. ]+")
_SECOND = re.compile("size|len|length|dim|dims|dimension|layers|steps|directions|heads|features|channels")
_SIZED = re.compile(r"size|dim|len|hid|emb|chan|feat|vocab|class|layer|head|num|step|unit|width|height")
_READ = (ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Name, ast.Constant, ast.Load)


@dataclass(frozen=True, slots=True)
class Claim:
    """A shape that a comment gives. `subject` is whose it is, "" where that is what the line makes."""

    text: str
    dims: tuple[str, ...]
    subject: str = ""
    given: bool = False
    """Whether it stands before an arrow: the shape before the line has run."""
    place: int = 0
    of: int = 1
    """Which of so many results of the line it speaks of."""
    above: bool = False
    """Whether it has a line of its own, above the line that it speaks of."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comment says, whether that is so, and what is so."""

    text: str
    true: bool
    so: str = ""

    def __str__(self) -> str:
        return f"# {self.text}" if self.true else f"# {self.text}: {self.so}"


def claims_in(text: str) -> tuple[dict[int, list[Claim]], dict[int, int]]:
    """The claims in the comments of a source text by the line that they speak of, and where comments begin by line."""
    by_line: dict[int, list[Claim]] = {}
    starts: dict[int, int] = {}
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline)) if "#" in text else []
    except (tokenize.TokenError, SyntaxError):
        return by_line, starts
    waiting: list[Claim] = []
    for token in tokens:
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            own = not token.line[: token.start[1]].strip()
            claims = read(token.string, own)
            starts[line] = token.start[1]
            if own:
                waiting += claims
            else:
                by_line.setdefault(line, []).extend(claims)
        elif token.type == tokenize.NL and not token.line.strip():
            waiting = [claim for claim in waiting if claim.subject]  # a blank line parts what stands above from below
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT) and waiting:
            # Of several shapes above one line, those before the last are of what goes into it.
            last = next((claim.text for claim in reversed(waiting) if not claim.subject), "")
            by_line.setdefault(line, []).extend(one for one in waiting if one.subject or one.text == last)
            waiting = []
    return by_line, starts


def read(comment: str, above: bool = False) -> list[Claim]:
    """The shapes that a comment gives.

    >>> [(one.subject, one.dims, one.given) for one in read("# x: [N x L x Q] => out: [N x L x 2*D]")]
    [('x', ('N', 'L', 'Q'), True), ('out', ('N', 'L', '2*D'), False)]
    >>> read("# see the paper (and its appendix)")
    []
    """
    text = comment.lstrip("#").strip()
    arrows = [match.start() for match in _ARROW.finditer(text)]
    every: list[Claim] = []
    begin = 0
    for match in _GROUP.finditer(text):
        before, begin = text[begin : match.start()], match.end()
        dims = _dims(match.group(1), ".shape" in before or ".size" in before or match.group(0)[0] == "[")
        if not dims or re.match(r"\s*[*/@+]\s*\w", text[match.end() :]):
            continue
        given = any(match.end() <= arrow for arrow in arrows)
        subject = _SUBJECT.search(before)
        nameless = _NAMELESS.search(before)
        whose = subject.group(1) if subject else ""
        if nameless and whose.lower() in _WORDS and not re.search(r"[:=]\s*$", before):
            whose = ""
        if whose or (nameless and not given):
            every.append(Claim(text, dims, whose, given, above=above))
    unnamed = [one for one in every if not one.subject]
    if unnamed and re.search(r"[\])]\s*[*/@+]\s*[\[(]", text[arrows[-1] if arrows else 0 :]):
        return [one for one in every if one.subject]
    of = len(unnamed)
    return [
        one if one.subject else Claim(one.text, one.dims, "", False, unnamed.index(one), of, above) for one in every
    ]


_WORDS = ("shape", "size", "output", "return", "returns", "dim", "dims", "is", "now")


def _dims(inside: str, certain: bool) -> tuple[str, ...]:
    """The sizes between two brackets; () where they are none."""
    text = inside.replace("torch.Size", "").strip()
    if "," in text:
        parts = [part.strip() for part in text.rstrip(", ").split(",")]
        text = text.replace("×", "*").replace("·", "*")
        least = 1 if inside.rstrip().endswith(",") else 2
    else:
        parts = [part.strip() for part in re.split(r"\s+[xX]\s+|\s*×\s*|(?<=[A-Z0-9])x(?=[A-Z0-9])", text)]
        if len(parts) == 1:
            parts = [part.strip() for part in text.split("*")]
        least = 2
    dims = tuple(map(_dim, parts))
    if len(dims) < least or "" in dims:
        return ()
    said = any(re.search(r"\d", dim) or len(dim) == 1 or meaning_of(dim) or _SIZED.search(dim.lower()) for dim in dims)
    return dims if said else ()


def _dim(part: str) -> str:
    """One size as an expression, "" where it is none."""
    if part in ("?", "_", "-1", "None"):
        return "?"
    if not _DIM.fullmatch(part):
        return ""
    words = part.split()
    if len(words) == 2 and _SECOND.fullmatch(words[1].lower()):
        part = "_".join(words)
    part = part.replace("·", "*").replace("self.", "")
    part = re.sub(r"(?<![\w.])(\d+)([A-Za-z_]\w*)", r"\1*\2", part)
    try:
        tree = ast.parse(part, mode="eval").body
    except SyntaxError:
        return ""
    plain = all(isinstance(node, _READ) for node in ast.walk(tree))
    whole = all(isinstance(node.value, int) for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return ast.unparse(tree).replace(" ", "") if plain and whole else ""


def judged(
    claim: Claim,
    sizes: tuple[int, ...],
    known: dict[str, int],
    axes: Axes | None = None,
    now: Mapping[str, int] | None = None,
) -> bool:
    """Whether a claim is true of a shape. What it teaches goes into `known`.

    `now` holds numbers that the program itself calls so: a name that it counts on with may stand for another size.

    >>> known: dict[str, int] = {}
    >>> judged(read("# x: (batch, seq, 2*hidden)")[0], (3, 10, 8), known), known
    (True, {'batch': 3, 'seq': 10, 'hidden': 4})
    >>> judged(read("# x: (seq, batch, hidden)")[0], (3, 10, 4), known)
    False
    """
    if len(claim.dims) != len(sizes):
        return False
    learnt = dict(known)
    open_dims = sorted(zip(claim.dims, sizes, strict=True), key=lambda one: not one[0].isidentifier())
    if any(_told(dim, size, learnt) is False for dim, size in open_dims):
        learnt = {**known, **(now or {})}
        if not now or any(_told(dim, size, learnt) is False for dim, size in open_dims):
            return False
    if axes is not None:
        # A comment that calls an axis the batch that is the steps, or the other way round, is wrong.
        pairs = zip(claim.dims, axes.names, strict=True)
        if any({meaning_of(dim), meaning_of(name)} == {"N", "L"} for dim, name in pairs):
            return False
    known.update(learnt)
    return True


def _told(dim: str, size: int, known: dict[str, int]) -> bool | None:
    """Whether a size is what a comment says, None where that cannot be told; one unknown name is solved for."""
    if dim == "?":
        return None
    code = compile(dim.replace("//", "/"), dim, "eval")  # names, whole numbers and + − · / alone: see `_dim`
    unknown = sorted({*code.co_names} - known.keys())
    if len(unknown) > 1:
        return None
    try:
        if not unknown:
            return bool(eval(code, {}, known) == size)
        low, high = (eval(code, {}, {**known, unknown[0]: at}) for at in (0, 1))
    except ZeroDivisionError:
        return None
    if high == low or (size - low) % (high - low):
        return None if "/" in dim else False
    known[unknown[0]] = int((size - low) // (high - low))
    return True
