"""A file gives its recurrent layers, or one line that says what is wrong; nothing in it is ever executed."""

from __future__ import annotations

import json
import os
import pickle
import struct
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lstm_shapes.display import as_text
from lstm_shapes.errors import LstmShapesError
from lstm_shapes.lab._build import build
from lstm_shapes.lab.checkpoint import CheckpointError, read_checkpoint
from lstm_shapes.theory.spec import Spec
from tests.scale import examples
from tests.strategies import specs

save_file: Any = pytest.importorskip("safetensors.torch").save_file


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return nn.ModuleDict({
        "encoder": build(Spec(8, 5, 3, bidirectional=True, proj_size=2)),
        "decoder": build(Spec(7, 6, cell="GRUCell")),
        "head": nn.Linear(6, 3),
    })  # fmt: skip


FOUND = [("encoder", Spec(8, 5, 3, bidirectional=True, proj_size=2)), ("decoder", Spec(7, 6, cell="GRUCell"))]


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy", "nested", "half"])
def test_layers_are_found_by_prefix(kind: str, tmp_path: Path, model: nn.Module) -> None:
    """In every format torch and safetensors write, also below {"state_dict": …} and in other dtypes."""
    path, state = tmp_path / f"model of {kind}", model.state_dict()
    table: tuple[str, ...] = ()
    if kind == "safetensors":
        save_file(state, path, metadata={"format": "pt"})
    elif kind == "nested":
        table = ("epochs", "0", "model")
        torch.save({"epochs": [{"model": state, "optimizer": {"state": {}}, "lr": 0.1}]}, path)
    elif kind == "half":
        torch.save({name: w.half() for name, w in state.items()}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    found = read_checkpoint(path)
    assert found.format == ("safetensors" if kind == "safetensors" else "torch")
    assert found.tensors == len(state)
    assert sorted((layer.found.prefix, repr(layer.found.spec)) for layer in found.layers) == sorted(
        (prefix, repr(spec)) for prefix, spec in FOUND
    )
    for layer in found.layers:
        weights = [w for name, w in state.items() if name.startswith(layer.found.prefix)]
        assert layer.table == table
        elements = sum(w.numel() for w in weights)
        assert layer.parameters == elements
        assert layer.dtype == ("float16" if kind == "half" else "float32")
        assert layer.bytes == elements * (2 if kind == "half" else 4)


@pytest.mark.fuzz
@given(specs(), st.booleans())
@settings(max_examples=examples(40))
def test_the_round_trip_through_a_file(tmp_path_factory: pytest.TempPathFactory, spec: Spec, safe: bool) -> None:
    """`build(spec)` saved and inspected is spec, on all that a checkpoint knows."""
    path = tmp_path_factory.mktemp("files") / "layer"
    state = build(spec).state_dict()
    if safe:
        save_file(state, path)
    else:
        torch.save(state, path)
    (layer,) = read_checkpoint(path).layers
    assert layer.found.spec == spec.replace(batch_first=True, nonlinearity="tanh")


def write_safetensors(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"{not json", b"", "invalid JSON in header"),
        (b'{"a": \xff}', b"", "invalid UTF-8 in header"),
        (b'{"a":' * 100_000, b"", "recursion limit exceeded"),
        (b'{"a": ' + b"9" * 5000 + b"}", b"", "number out of range"),
        ({"a": 3}, b"", "expected struct TensorInfo"),
        ({"a": {}}, b"", "missing field `dtype`"),
        ({"a": entry(dtype=3)}, b"", "invalid JSON in header"),
        ({"a": entry(shape=[2.5])}, b"", "floating point"),
        ({"a": entry(shape=[True])}, b"", "boolean"),
        ({"a": entry(shape=[-1])}, b"", "integer `-1`"),
        ({"a": entry(shape=[2**63])}, b"", "overflow computing buffer size"),
        ({"a": entry(offsets=[0])}, b"", "invalid length 1"),
        ({"a": entry(offsets=[8, 0])}, b"x" * 8, "invalid offset"),
        ({"a": entry(shape=[2**62, 2**62])}, b"x" * 8, "overflow computing buffer size"),
        ({"a": entry()}, b"x" * 7, "file not fully covered"),
        ({"a": entry()}, b"x" * 9, "file not fully covered"),
        ({"a": entry(), "b": entry()}, b"x" * 8, "invalid offset"),
        ({"a": entry(offsets=(4, 12))}, b"x" * 12, "invalid offset"),
        ({"a": entry(dtype="F\x1b[2J4", offsets=(0, 1)), "b\x1b[2J": 3}, b"x", r"unknown variant `F\\x1b\[2J4`"),
    ],
)
def test_a_broken_header_is_one_line(header: Any, data: bytes, message: str, tmp_path: Path) -> None:
    """Every rule of the safetensors format, in the words of its library, and numbers that only hostile files have."""
    with pytest.raises(CheckpointError, match=f"is no sound safetensors file: .*{message}") as caught:
        read_checkpoint(write_safetensors(tmp_path / "a", header, data))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_header_that_claims_more_than_the_file_is_not_read(tmp_path: Path) -> None:
    """Neither 2**64 bytes nor one more than there are are allocated."""
    for claimed, message in ((2**64 - 1, "header too large"), (8, "invalid header length"), (1, "invalid JSON")):
        (tmp_path / "a").write_bytes(struct.pack("<Q", claimed) + b"{}     ")
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(tmp_path / "a")


def test_a_huge_header_is_refused(tmp_path: Path) -> None:
    """The library's limit of 100 MB, here in a file that is mostly a hole."""
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 100_000_001) + b"{")
        file.truncate(200_000_000)
    with pytest.raises(CheckpointError, match="header too large"):
        read_checkpoint(path)


def test_dtypes_and_metadata(tmp_path: Path) -> None:
    """Metadata is passed over; bytes are those of the dtype, also where torch has no name for it."""
    header = {"__metadata__": {"a": "b"}, "weight_ih_l0": entry([4, 3], [0, 24], "BF16")}
    header["weight_hh_l0"] = entry([4, 4], [24, 40], "F8_E4M3")
    (layer,) = read_checkpoint(write_safetensors(tmp_path / "a", header, b"x" * 40)).layers
    assert layer.found.spec == Spec(3, 4, cell="RNN", bias=False)
    assert (layer.dtype, layer.bytes) == ("mixed", 40)


def test_without_the_library_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; torch's own files need nothing."""
    save_file(nn.LSTM(2, 3).state_dict(), tmp_path / "a")
    torch.save(nn.LSTM(2, 3).state_dict(), tmp_path / "b")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(CheckpointError, match=r"not installed\. pip install 'lstm-shapes\[safetensors\]'\.$"):
        read_checkpoint(tmp_path / "a")
    assert len(read_checkpoint(tmp_path / "b").layers) == 1


def hostile_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Name -> a file that must not be believed, and the line it gives."""
    mark, state = folder / "mark", nn.LSTM(2, 3).state_dict()
    bare = "is a Python pickle and no torch checkpoint, so it was not opened"
    code = r"holds (posix|nt)\.mkdir and not only weights, so it was not loaded"
    files: dict[str, tuple[Any, str]] = {
        "pickle": (pickle.dumps(Evil(mark)), bare),
        "zip of code": ({"state_dict": state, "x": Evil(mark)}, code),
        "legacy of code": ({"state_dict": state, "x": Evil(mark)}, code),
        "module": (nn.LSTM(2, 3), r"holds torch\.nn\.modules\.rnn\.LSTM and not only weights"),
        "empty": (b"", "is empty"),
        "text": (b"hello, world\n", "is no safetensors file and no torch checkpoint"),
        "zeros": (bytes(1000), "is no safetensors file and no torch checkpoint"),
        "zip header only": (b"PK\x03\x04", "is a zip archive cut short or damaged"),
    }
    made = {}
    for name, (content, message) in files.items():
        path = folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path, _use_new_zipfile_serialization="legacy" not in name)
        made[name] = (path, message)
    bomb = folder / "bomb"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + bytes(10_000_000))
    made["bomb"] = (bomb, "is a compressed archive, which torch.save never writes")
    with zipfile.ZipFile(folder / "other zip", "w") as archive:
        archive.writestr("a.txt", b"hello")
    made["other zip"] = (folder / "other zip", "is no torch checkpoint, or one cut short")
    return made


HOSTILE = ["pickle", "zip of code", "legacy of code", "module", "empty", "text", "zeros", "zip header only", "bomb",
           "other zip"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_line_and_is_not_executed(name: str, tmp_path: Path) -> None:
    """The line says why; the mark that its code would leave is not there."""
    path, message = hostile_files(tmp_path)[name]
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert str(caught.value).isprintable()
    assert not (tmp_path / "mark").exists()
    assert caught.value.path == str(path)


def test_the_evil_file_is_evil(tmp_path: Path) -> None:
    """The test above can fail: plain unpickling leaves the mark."""
    path, _ = hostile_files(tmp_path)["pickle"]
    pickle.loads(path.read_bytes())
    assert (tmp_path / "mark").exists()


def test_a_scripted_model_is_refused(tmp_path: Path) -> None:
    """TorchScript is a program; loading it is for those who trust it."""
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.13 deprecates what makes such files
        torch.jit.script(nn.LSTM(2, 3)).save(path)
    with pytest.raises(CheckpointError, match=r"is a TorchScript program .* Spec\.of takes the layer"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is not a file"),
        ("missing", "cannot be read: no such file"),
        ("a\0b", r"a\\x00b cannot be read: embedded null byte"),
    ],
)
def test_what_is_no_file_is_one_line(name: str, message: str, tmp_path: Path) -> None:
    """Folders, missing files, impossible names."""
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(f"{tmp_path}/{name}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Opening it would wait forever for somebody to write."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="is not a file"):
        read_checkpoint(tmp_path / "pipe")


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder, state = tmp_path_factory.mktemp("whole"), nn.LSTM(2, 3).state_dict()
    save_file(state, folder / "safetensors")
    torch.save(state, folder / "zip")
    torch.save(state, folder / "legacy", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@given(st.data())
@settings(max_examples=examples(100))
def test_every_truncation_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, whole_files: dict[str, bytes], kind: str, data: st.DataObject
) -> None:
    """However much of a file is missing, the answer is one line."""
    whole = whole_files[kind]
    path = tmp_path_factory.mktemp("cut") / "file"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value).isprintable()


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@given(st.data())
@settings(max_examples=examples(150))
def test_damage_gives_layers_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, whole_files: dict[str, bytes], kind: str, data: st.DataObject
) -> None:
    """Bytes changed at random never raise anything but our own error."""
    damaged = bytearray(whole_files[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(bytes(damaged))
    line = ""
    try:
        as_text(read_checkpoint(path), width=80)
    except LstmShapesError as error:
        line = str(error)
    assert line == "" or line.isprintable()


def test_tables_within_tables_end(tmp_path: Path) -> None:
    """Lists that hold themselves, or one another a thousand deep, are walked once and to a limit."""
    loop: list[Any] = [nn.GRU(2, 3).state_dict()]
    loop.append(loop)
    deep: Any = nn.LSTM(2, 3).state_dict()
    for _ in range(200):
        deep = [deep]
    torch.save({"loop": loop, "deep": deep}, tmp_path / "a")
    assert [layer.at for layer in read_checkpoint(tmp_path / "a").layers] == ["[loop][0]"]


def test_entries_that_are_no_plain_tensors_are_passed_over(tmp_path: Path) -> None:
    """Nested and sparse tensors may be in a file; a lone tensor has no names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    state = {"weight_ih_l0": nested, "sparse": torch.eye(3).to_sparse(), **nn.LSTM(2, 3).state_dict(prefix="a.")}
    torch.save(state, tmp_path / "a")
    assert [layer.found.prefix for layer in read_checkpoint(tmp_path / "a").layers] == ["a"]
    torch.save(torch.ones(3), tmp_path / "b")
    assert read_checkpoint(tmp_path / "b").layers == ()


def test_against_a_model(tmp_path: Path) -> None:
    """The table that holds the model's layer is found, and what of it does not fit is told."""
    saved = {"epoch": torch.tensor(3), "model": {f"module.{k}": v for k, v in nn.LSTM(4, 16).state_dict().items()}}
    torch.save(saved, tmp_path / "checkpoint.pt")
    checkpoint = read_checkpoint(tmp_path / "checkpoint.pt")
    (sizes,) = checkpoint.against(nn.LSTM(4, 8).state_dict())
    assert (sizes.kind, sizes.found, sizes.fix) == ("sizes", 0, "nn.LSTM(4, 16)")
    (prefix,) = checkpoint.against(nn.LSTM(4, 16).state_dict())
    assert prefix.kind == "prefix"
    assert "removeprefix('module.')" in prefix.fix
    assert "tables" not in checkpoint.to_dict()
