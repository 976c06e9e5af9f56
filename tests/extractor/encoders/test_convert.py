"""`cinedex convert`: every tensor comes out as it was, and nothing that a file asks for is ever run."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import stat
import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import EncoderError, Error
from extractor.encoders import outflow, pickles, weights, words
from extractor.encoders.convert import Limits, converted, main
from extractor.encoders.tensors import read
from tests.extractor.encoders.traps import SPRUNG, TRAPS, legacy, sized, zipped

KINDS = ["zip", "legacy"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a trap would spring."""
    monkeypatch.chdir(tmp_path)


def saved(path: Path, kind: str, held: Any) -> Path:
    torch.save(held, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def taken(path: Path) -> dict[str, Tensor]:
    """What comes out, without a process of its own."""
    to = path.with_suffix(".safetensors")
    outflow.written(path, to)
    return load_file(to)


def assert_same(found: dict[str, Tensor], given: dict[str, Tensor]) -> None:
    assert found.keys() == given.keys()
    for name, tensor in given.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor.detach()), name


# --- what comes out ----------------------------------------------------------------------------------


def like_fairseq() -> tuple[dict[str, Any], dict[str, Tensor]]:
    """As its trainer saves: weights in half precision, and beside them objects of classes of its own."""
    gone = ModuleType("fairseq_gone")

    class Config(dict[str, Any]):
        pass

    class Meter:
        def __init__(self) -> None:
            self.sum, self.count = 1.5, np.int64(3)

    for each in (Config, Meter):
        each.__module__, each.__qualname__ = "fairseq_gone", each.__name__
        setattr(gone, each.__name__, each)
    sys.modules["fairseq_gone"] = gone
    config = Config(task="mmtask")
    config["self"] = config
    args = argparse.Namespace(lr=[5e-5], model=argparse.Namespace(layers=6, meter=Meter()))
    state = OrderedDict(
        (f"mmmodel.video_encoder.layer.{n}.weight", torch.randn(8, 8).half()) for n in range(6)
    )
    held = {
        "args": args,
        "cfg": config,
        "model": state,
        "optimizer_history": [{"criterion_name": "MMLoss", "best": Meter()}],
        "extra_state": {"train_iterator": {"epoch": 3}, "metrics": [Meter()], "loss": np.float64(2)},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.zeros(8, 8)}}},
    }
    return held, dict(state)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_checkpoint_of_modules_that_are_no_more_gives_its_weights(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, state = like_fairseq()
    file, to = saved(tmp_path / "checkpoint_best.pt", kind, held), tmp_path / "best.safetensors"
    monkeypatch.delitem(sys.modules, "fairseq_gone")
    with pytest.raises(EncoderError, match=r"`cinedex convert .*checkpoint_best\.pt --to FILE\.safetensors`"):
        read(file)
    assert main([str(file), "--to", str(to)]) == 0
    assert_same(read(to), state)
    assert capsys.readouterr().out.splitlines() == [
        f"file:     {to}",
        f"tensors:  6 of {file}, 'model'",
        f"bytes:    {to.stat().st_size} (0.0 MB)",
        "left out: args (argparse.Namespace), cfg (fairseq_gone.Config), optimizer_history (a list of 1), "
        "extra_state (a dictionary of 3), last_optimizer_state (a dictionary of 1)",
    ]
    with safe_open(to, "pt") as opened:
        assert opened.metadata() == {
            "from": "checkpoint_best.pt",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "under": "model",
        }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "checkpoint_best.pt"]


TABLE = torch.arange(24.0).reshape(4, 6)
ODD = {
    "plain": TABLE,
    "same": TABLE,
    "turned": TABLE.T,
    "every third": torch.arange(100)[10:50:3],
    "inner": TABLE[1:3, 2:5],
    "repeated": torch.ones(1).expand(3, 4),
    "axes": torch.randn(2, 3, 4).permute(2, 0, 1),
    "one": torch.tensor(7),
    "none": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(TABLE[0]),
    "half": TABLE.half(),
    "brain": TABLE.bfloat16(),
    "double": TABLE.double(),
    **{str(kind): torch.tensor([0, 1, 1], dtype=kind) for kind in (torch.uint8, torch.int8, torch.int16)},
    **{str(kind): torch.tensor([0, 1, 1], dtype=kind) for kind in (torch.int32, torch.bool)},
    **{str(kind): torch.tensor([0, 1, 9], dtype=kind) for kind in (torch.uint16, torch.uint32, torch.uint64)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tensor_comes_out_as_it_was(tmp_path: Path, kind: str) -> None:
    given = {name: tensor.detach() for name, tensor in ODD.items()}
    assert_same(taken(saved(tmp_path / "x.pt", kind, {"state_dict": ODD, "epoch": 1})), given)
    assert_same(taken(saved(tmp_path / "y.pt", kind, ODD)), given)
    assert_same(taken(saved(tmp_path / "z.pt", kind, OrderedDict(ODD))), given)


class Mine(torch.Tensor):
    """A tensor of somebody's own class."""


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_narrow_types_and_of_other_classes_come_out(tmp_path: Path, kind: str) -> None:
    small = torch.arange(8.0)
    held = {
        "mine": small.as_subclass(Mine),
        "parameter": torch.nn.Parameter(small.as_subclass(Mine)),
        "4": small.to(torch.float8_e4m3fn),
        "5": small.to(torch.float8_e5m2),
    }
    found = taken(saved(tmp_path / "x.pt", kind, held))
    assert found.keys() == held.keys()
    for name, tensor in held.items():
        assert torch.equal(found[name].float(), torch.Tensor(tensor.detach().float())), name


def test_a_view_of_an_old_file_begins_where_it_says(tmp_path: Path) -> None:
    old = tensor_of("0", 1, (2,), (1,), view=("0.v", 1, 3))
    assert taken(legacy(tmp_path / "x.pt", old, ["0"], sized(4, FLOATS)))["a"].tolist() == [2, 3]
    for view in (("0.v", 1, 2), ("0.v", 3, 3), ("0.v", -1, 3)):
        file = legacy(tmp_path / "x.pt", tensor_of("0", 1, (2,), (1,), view=view), ["0"], sized(4, FLOATS))
        with pytest.raises(EncoderError, match="a tensor is larger than what it is made of"):
            outflow.written(file, tmp_path / "y.safetensors")


def test_large_tensors_are_written_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outflow, "_BLOCK_BYTES", 100)
    given = {
        "plain": torch.randn(7, 50),
        "turned": torch.randn(50, 7).T,
        "long": torch.randn(1000)[::2],
        "deep": torch.randn(1, 1, 3, 60),
    }
    assert_same(taken(saved(tmp_path / "x.pt", "zip", given)), given)


def test_a_hash_of_tensors_is_the_same_before_and_after(tmp_path: Path) -> None:
    state = {name: tensor.detach() for name, tensor in ODD.items()}
    assert weights.hash_state(taken(saved(tmp_path / "x.pt", "zip", ODD))) == weights.hash_state(state)


def test_what_safetensors_has_not_is_left_out_and_named(tmp_path: Path) -> None:
    held = {
        "a": torch.ones(2),
        "complex": torch.ones(2, dtype=torch.complex64),
        "sparse": torch.ones(2, 2).to_sparse(),
        "number": 3,
        "nested": {"b": torch.ones(1)},
        "array": np.ones(2),
        5: torch.ones(1),
        ("a", 1): torch.ones(1),
        "evil\n\x1b[31m": None,
    }
    said = outflow.written(saved(tmp_path / "x.pt", "zip", held), tmp_path / "x.safetensors")
    assert said["count"] == 1 and said["taken_from"] == ""
    assert said["left_out"] == [
        "complex (torch._utils._rebuild_tensor_v2)",
        "sparse (torch._utils._rebuild_sparse_tensor)",
        "number (int)",
        "nested (a dictionary of 1)",
        "array (numpy._core.multiarray._reconstruct)",
        "5 (torch._utils._rebuild_tensor_v2)",
        "an object (torch._utils._rebuild_tensor_v2)",
        "evil??[31m (nothing)",
    ]


def test_more_than_fits_into_its_memory_is_streamed(tmp_path: Path) -> None:
    """The file is mapped; beside it there is room for a small part of what is copied."""
    given = {"a": torch.zeros(64 << 18), "b": torch.zeros(1 << 12, 64 << 6).T}
    file = saved(tmp_path / "x.pt", "zip", given)
    report = converted(file, tmp_path / "x.safetensors", Limits(memory_bytes=56 << 20))
    assert report.count == 2 and report.bytes > 128 << 20


# --- what is never run -------------------------------------------------------------------------------


@pytest.mark.parametrize("trap", TRAPS)
def test_nothing_that_a_pickle_asks_for_is_run(trap: str, tmp_path: Path) -> None:
    for file in (zipped(tmp_path / "zip.pt", TRAPS[trap]), legacy(tmp_path / "old.pt", TRAPS[trap])):
        with pytest.raises(EncoderError) as caught:
            outflow.written(file, tmp_path / "x.safetensors")
        assert str(caught.value).startswith(f"{file} ") and "\n" not in str(caught.value)
        with pytest.raises(EncoderError) as before:
            read(file)
        assert str(before.value) == str(caught.value)  # nobody is sent here in vain
    assert not SPRUNG.exists()
    with suppress(pickle.UnpicklingError, AttributeError):  # those go off before what they are part of fails
        pickle.loads(TRAPS[trap])
    assert SPRUNG.exists(), "the trap is none"


def test_tensors_beside_a_trap_come_out_and_it_is_not_sprung(tmp_path: Path) -> None:
    held = {"model": {"a": torch.ones(2)}, "args": argparse.Namespace(trap=Trap())}
    for kind in KINDS:
        file = saved(tmp_path / f"{kind}.pt", kind, held)
        report = converted(file, tmp_path / f"{kind}.safetensors")
        assert report.count == 1 and report.left_out == ("args (argparse.Namespace)",)
    assert not SPRUNG.exists()


RUN = {
    "reduce": "exec",
    "reduce, newest": "builtins.exec",
    "a shell by its name": "os.system",
    "stack_global from the memo": "os.system",
    "stack_global through dots": "pathlib.os.system",
    "getattr": "builtins.__import__",
    "within the weights": "exec",
    "as a tensor of somebody's own type": "os.system",
}


@pytest.mark.parametrize("trap", RUN)
@pytest.mark.parametrize("kind", ["zip", "legacy", "alone"])
def test_what_a_file_asks_to_be_run_is_named_wherever_it_is_given(
    tmp_path: Path, trap: str, kind: str
) -> None:
    file, pickled = tmp_path / "x.pt", TRAPS[trap]
    make: dict[str, Callable[[Path, bytes], object]] = {"zip": zipped, "legacy": legacy, "alone": _as_is}
    make[kind](file, pickled)
    for reads in (read, partial(outflow.written, to=tmp_path / "x.safetensors")):
        with pytest.raises(EncoderError) as caught:
            reads(file)
        assert str(caught.value) == (
            f"{file} asks to run {RUN[trap]}, and holds no tensors that could be taken out; "
            "it is not unpickled, and nothing of it was run."
        )
    assert not SPRUNG.exists()


def test_a_file_that_would_run_something_beside_its_tensors_is_sent_to_be_converted(tmp_path: Path) -> None:
    held = {"model": {"a": torch.ones(2)}, "args": Shell()}
    file = saved(tmp_path / "x.pt", "zip", held)
    with pytest.raises(EncoderError) as caught:
        read(file)
    assert str(caught.value) == (
        f"{file} asks to run {os.system.__module__}.system, and is not unpickled; "
        f"`cinedex convert {file} --to FILE.safetensors` takes out its tensors and runs nothing."
    )
    assert converted(file, tmp_path / "x.safetensors").count == 1
    assert not SPRUNG.exists()


class Shell:
    def __reduce__(self) -> Any:
        return os.system, ("touch sprung",)


class Trap:
    def __reduce__(self) -> Any:
        return SPRUNG.touch, ()


def test_the_verb_refuses_a_trap_in_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = zipped(tmp_path / "x.pt", TRAPS["within the weights"])
    assert main([str(file), "--to", "x.safetensors"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f"cinedex convert: {file} ") and said.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


# --- what is no honest file --------------------------------------------------------------------------


def tensor_of(
    values: str, first: int, shape: object, strides: object, view: tuple[str, int, int] | None = None
) -> bytes:
    """A state dict with one tensor of 4 floats, as its pickle may describe it."""

    class Storage:
        pass

    class Described:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Storage(), first, shape, strides, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, held: object) -> Any:
            key = ("storage", torch.FloatStorage, values, "cpu", 4, *([view] if view else []))
            return key if isinstance(held, Storage) else None

    file = BytesIO()
    Pickler(file, 2).dump({"a": Described()})
    return file.getvalue()


FLOATS = np.arange(4, dtype=np.float32).tobytes()


def test_a_tensor_that_is_described_honestly_comes_out(tmp_path: Path) -> None:
    honest = tensor_of("0", 0, (2, 2), (2, 1))
    for file in (
        zipped(tmp_path / "zip.pt", honest, {"data/0": FLOATS}),
        legacy(tmp_path / "old.pt", honest, ["0"], sized(4, FLOATS)),
    ):
        assert torch.equal(taken(file)["a"], torch.tensor([[0.0, 1], [2, 3]]))


@pytest.mark.parametrize(
    ("described", "says"),
    [
        (("1", 0, (2, 2), (2, 1)), "the values '1' of a tensor are missing"),
        (("0", 1, (2, 2), (2, 1)), "a tensor is larger than what it is made of"),
        (("0", 0, (5,), (1,)), "a tensor is larger than what it is made of"),
        (("0", 0, (2, 2), (1 << 60, 1)), "a tensor is larger than what it is made of"),
        (("0", 0, (2, 2), (2,)), "a tensor is larger than what it is made of"),
        (("0", -4, (2,), (1,)), "a tensor has no sizes"),
        (("0", 0, (2,), (-1,)), "a tensor has no sizes"),
        (("0", 0, (-2,), (1,)), "a tensor has no sizes"),
        (("0", 0, (True,), (1,)), "a tensor has no sizes"),
        (("0", 0, [2], (1,)), "a tensor has no sizes"),
        (("0", 0, (1 << 80,), (0,)), "a tensor has no sizes"),
        (("0", 0, (1,) * 65, (1,) * 65), "a tensor has no sizes"),
        (("0", 0, (0, 1 << 61), (1, 1)), "a tensor has no sizes"),
        (("0", 0, (1 << 40, 0, 1 << 40), (1, 1, 1)), "a tensor has no sizes"),
        (("0", 5, (0, 2), (2, 1)), "a tensor is larger than what it is made of"),
        (("0", 0, (0, 2), (2,)), "a tensor is larger than what it is made of"),
        (("0", 0, (1 << 50,), (0,)), "its tensors claim to be far larger than the file"),
        (("0", 0, (1 << 60, 1 << 60, 1 << 60), (0, 0, 0)), "its tensors claim to be far larger"),
        (("../../../secret", 0, (1,), (1,)), "the values '../../../secret' of a tensor are missing"),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(tmp_path: Path, described: Any, says: str) -> None:
    file = zipped(tmp_path / "x.pt", tensor_of(*described), {"data/0": FLOATS})
    with pytest.raises(EncoderError, match=says):
        outflow.written(file, tmp_path / "x.safetensors")


HONEST = tensor_of("0", 0, (2, 2), (2, 1))


def _as_is(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _encrypted(path: Path, name: str) -> Path:
    """As its flags say."""
    data = bytearray(zipped(path, HONEST, {"data/0": FLOATS}).read_bytes())
    entry = data.rindex(name.encode()) - 46  # in the list at the end
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 8] |= 1
    return _as_is(path, bytes(data))


def _packed(path: Path, name: str, data: bytes) -> Path:
    """With one more member, compressed, whose bytes make no sense."""
    zipped(path, HONEST, {"data/0": FLOATS})
    with ZipFile(path) as held:
        kept = {each.filename: held.read(each) for each in held.infolist() if each.filename != name}
    with ZipFile(path, "w") as file:
        for each, mine in kept.items():
            file.writestr(each, mine)
        file.writestr(name, data, ZIP_DEFLATED)
    packed = zlib.compress(data)[2:-4]
    return _as_is(path, path.read_bytes().replace(packed, b"\xff" * len(packed)))


BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "compressed": (lambda path: zipped(path, HONEST + bytes(9999), is_stored=False), "is compressed"),
    "compressed where torch says how numbers lie": (
        lambda path: _packed(path, "archive/byteorder", b"little"),
        "'archive/byteorder' in it is compressed",
    ),
    **{
        f"with an encrypted {name}": (
            partial(_encrypted, name=f"archive/{name}"),
            f"'archive/{name}' in it is encrypted",
        )
        for name in ("data.pkl", "byteorder", "data/0")
    },
    "in the other byte order": (
        lambda path: zipped(path, HONEST, {"byteorder": b"big"}),
        "its numbers are written in the other byte order",
    ),
    "without values": (lambda path: zipped(path, HONEST), "the values '0' of a tensor are missing"),
    "with other values than were written": (
        lambda path: _as_is(
            path,
            zipped(path, HONEST, {"data/0": FLOATS}).read_bytes().replace(FLOATS, bytes(len(FLOATS))),
        ),
        "Bad CRC-32",
    ),
    "without data.pkl": (
        lambda path: _as_is(
            path, zipped(path, HONEST).read_bytes().replace(b"archive/data.pkl", b"archive/data.pkx")
        ),
        "it holds no data.pkl",
    ),
    "old, cut within its values": (
        lambda path: legacy(path, HONEST, ["0"], sized(4, FLOATS[:-1])),
        "it is cut short",
    ),
    "old, with too large a number": (
        lambda path: legacy(path, HONEST, ["0"], sized(1 << 62, FLOATS)),
        "it is cut short",
    ),
    "old, with a negative number": (
        lambda path: legacy(path, HONEST, ["0"], sized(-1)),
        "a tensor is larger than what it is made of",
    ),
    "old, with keys of nothing": (lambda path: legacy(path, HONEST, ["0", "1"]), "whose the values are"),
    "old, without keys": (lambda path: legacy(path, HONEST, None), "whose the values are"),
    "a plain pickle": (
        lambda path: _as_is(path, pickle.dumps({"a": 1}) * 3),
        "it is a pickle, but not of torch.save",
    ),
    "a pickle's beginning": (lambda path: _as_is(path, b"\x80\x02}"), "no checkpoint of torch.save"),
    "empty": (lambda path: _as_is(path, b""), "is empty."),
    "a web page": (lambda path: _as_is(path, b"<html>"), "is a web page"),
    "no dictionary": (lambda path: zipped(path, pickle.dumps([1, 2])), "no tensors by name, but a list of 2"),
    "no tensors": (lambda path: zipped(path, pickle.dumps({"a": 1})), "no tensors by name, but a (int)."),
    "nothing": (lambda path: zipped(path, pickle.dumps({})), "no tensors by name, but nothing."),
    "a whole model": (
        lambda path: saved(path, "zip", torch.nn.Linear(2, 2)),
        "no tensors by name, but torch.nn.modules.linear.Linear; only dictionaries of tensors are taken",
    ),
    "itself": (lambda path: zipped(path, b"}q\x00U\x05modelh\x00s."), "no tensors by name, but model (a"),
}


def test_a_key_too_long_to_be_written_out_is_left_out_by_its_kind(tmp_path: Path) -> None:
    file = saved(tmp_path / "x.pt", "zip", {"a": torch.zeros(2), 10**5000: argparse.Namespace()})
    report = outflow.written(file, tmp_path / "x.safetensors")
    assert report["count"] == 1 and len(report["left_out"]) == 1 and len(report["left_out"][0]) < 100


@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_is_no_whole_checkpoint_is_called_what_it_is(tmp_path: Path, broken: str) -> None:
    make, says = BROKEN[broken]
    file = make(tmp_path / "x.pt")
    with pytest.raises(EncoderError) as caught:
        outflow.written(file, tmp_path / "x.safetensors")
    assert str(caught.value).startswith(f"{file} ") and says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere_a_checkpoint_is_one_sentence(tmp_path: Path, kind: str) -> None:
    data = saved(tmp_path / "x.pt", kind, {"a": torch.zeros(64), "args": argparse.Namespace()}).read_bytes()
    for length in range(1, len(data), 7):
        with pytest.raises(EncoderError) as caught:
            outflow.written(_as_is(tmp_path / "cut.pt", data[:length]), tmp_path / "x.safetensors")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_with_any_byte_changed_it_comes_out_or_is_one_sentence(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(3)
    data = saved(tmp_path / "x.pt", kind, {"a": torch.zeros(8), "args": argparse.Namespace(b=[1, (2,)])})
    whole = data.read_bytes()
    for round in range(300):
        changed = bytearray(whole)
        changed[random.integers(2, len(whole))] = random.integers(256)
        file = _as_is(tmp_path / "changed.pt", bytes(changed))
        try:
            outflow.written(file, tmp_path / f"{round}.safetensors")
        except EncoderError as error:
            assert "\n" not in str(error)


# --- pickles themselves ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b".", "does not end with one value"),
        (b"NN.", "does not end with one value"),
        (b"(N.", "does not end with one value"),
        (b"R.", "takes more than it has"),
        (b"N(R.", "takes more than it has"),
        (b"t.", "a mark that it never made"),
        (b"h\x00.", "takes from its memo what it never put there"),
        (b"Na.", "takes more than it has"),
        (b"NNa.", "adds to what is no list"),
        (b"NNNs.", "sets items of what is no dictionary"),
        (b"}(Nu.", "sets items of what is no dictionary"),
        (b"NN\x93.", "by what is no name"),
        (b"ccollections\nOrderedDict\n]Na\x85R.", "makes a dictionary of what are no pairs"),
        (b"\x97.", "the opcode NEXT_BUFFER is not for files"),
        (b"\xff", "opcode b'\\\\xff' unknown"),
        (b"", "before seeing STOP"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f", "bytes in a bytes8"),
        (b"\x8d" + b"\xff" * 8, "unicodestring8 byte count > sys.maxsize"),
        (b"\x8b" + b"\xff" * 4, "long4 byte count < 0"),
        (b"I" + b"9" * 9999 + b"\n.", "Exceeds the limit"),
        (b"V" + b"a" * (2 << 20) + b"\n.", "no newline found"),
    ],
    ids=range(21),
)
def test_a_pickle_that_makes_no_sense_is_a_value_error(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pickles.read(BytesIO(data))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_read_as_they_were_written(protocol: int) -> None:
    held: dict[Any, Any] = {
        "a": [1, -1, 2**100, 1.5, True, None, "é\U0001f600", b"\0\xff", ("x",), (1, 2, 3, 4)],
        7: OrderedDict([("b", {}), ("c", [])]),
        "many": list(range(2000)),
    }
    found = pickles.read(BytesIO(pickle.dumps(held, protocol)))
    assert found.outside == ()
    if protocol >= 3:  # before, bytes are made by a call
        assert found.value == held
    else:
        del held["a"][7], found.value["a"][7]
        assert found.value == held


def test_values_that_are_very_deep_are_let_go_of_without_harm() -> None:
    for opening, closing in ((b"(", b"t"), (b"(", b"l"), (b"N", b"N\x86")):
        data = opening * (1 if closing == b"N\x86" else 50_000) + closing * 50_000 + b"."
        pickles.read(BytesIO(data))
    deep_key = b"}(" + b"(" * 50_000 + b"t" * 50_000 + b"Nu."
    assert len(pickles.read(BytesIO(deep_key)).value) == 1


# --- the process -------------------------------------------------------------------------------------


def test_a_file_that_takes_all_its_memory_or_time_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    large = zipped(tmp_path / "large.pt", pickle.dumps({"a": bytes(60 << 20)}))
    with pytest.raises(
        EncoderError, match=r"large\.pt is no honest checkpoint: .* more memory than it may\."
    ):
        converted(large, tmp_path / "x.safetensors", Limits(memory_bytes=32 << 20))
    slow = zipped(tmp_path / "slow.pt", b"N0" * 2_000_000 + b"N.")
    says = r"slow\.pt cannot be converted: the process that read it was killed by SIG(XCPU|KILL)\."
    with pytest.raises(EncoderError, match=says):
        converted(slow, tmp_path / "x.safetensors", Limits(cpu_s=1, cpu_s_per_byte=0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.pt", "slow.pt"]


def test_what_cannot_be_written_is_called_by_its_own_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "x.pt", "zip", {"a": torch.ones(1)})
    assert main(["x.pt", "--to", "/proc/x.safetensors"]) == 1  # where nobody makes a file
    said = capsys.readouterr().err
    assert said.startswith("cinedex convert: /proc/x.safetensors cannot be written: ")
    assert said.count("\n") == 1 and [path.name for path in tmp_path.iterdir()] == ["x.pt"]


def test_the_verb_says_what_is_odd_in_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped(tmp_path / "x.pt", tensor_of("0", 0, (0, 1 << 61), (1, 1)), {"data/0": FLOATS})
    _encrypted(tmp_path / "y.pt", "archive/data.pkl")
    for name, says in (("x", "a tensor has no sizes."), ("y", "'archive/data.pkl' in it is encrypted.")):
        assert main([f"{name}.pt", "--to", f"{name}.safetensors"]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"cinedex convert: {name}.pt ") and said.endswith(f"{says}\n")
        assert said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"x.pt", "y.pt"}


@pytest.mark.parametrize(
    ("name", "to", "says"),
    [
        ("x.pt", "y.pt", r"--to y\.pt must end in \.safetensors, for tensors\."),
        ("w.npy", "y.safetensors", r"--to y\.safetensors must end in \.json, for words\."),
        (
            "x.pt",
            "there.safetensors",
            r"there\.safetensors exists; name a file that does not, or remove it\.",
        ),
        ("x.pt", "no/where.safetensors", r"no/where\.safetensors cannot be written: there is no folder "),
        ("nothing.pt", "y.safetensors", r"nothing\.pt do not exist\."),
        ("nothing.npy", "y.json", r"nothing\.npy does not exist\."),
        ("there.safetensors", "y.safetensors", r"there\.safetensors is safetensors already, which --weights"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_read(
    tmp_path: Path, name: str, to: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "x.pt", "zip", {"a": torch.ones(1)})
    np.save(tmp_path / "w.npy", np.array(["a"]))
    save_file({"a": torch.ones(1)}, tmp_path / "there.safetensors")
    with pytest.raises(Error, match=says):
        converted(Path(name), Path(to))
    assert main([name, "--to", to]) == 2 and "cinedex convert: " in capsys.readouterr().err
    assert main(["x.pt"]) == 2
    assert capsys.readouterr().err == "cinedex convert: name the new file, as in --to x.safetensors.\n"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_what_comes_out_is_for_whom_the_umask_says(tmp_path: Path, umask: int, mode: int) -> None:
    saved(tmp_path / "x.pt", "zip", {"a": torch.ones(1)})
    before = os.umask(umask)
    try:
        converted(tmp_path / "x.pt", tmp_path / "x.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == mode


# --- words -------------------------------------------------------------------------------------------

WORDS = ["a", "guitar", "it's", "é", "日本", "", "a\nb"]


def test_a_pickled_list_of_words_is_one_whatever_its_name_ends_in(tmp_path: Path) -> None:
    file = tmp_path / "s3d_dict"
    with file.open("wb") as held:
        np.save(held, np.array(WORDS, dtype=object), allow_pickle=True)
    with pytest.raises(EncoderError, match=r"s3d_dict is pickled, and is not unpickled; `cinedex convert "):
        words.read(file)


def test_a_pickled_list_of_words_becomes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("s3d_dict.npy", np.array(WORDS, dtype=object), allow_pickle=True)
    with pytest.raises(EncoderError, match=r"`cinedex convert s3d_dict\.npy --to FILE\.json` takes out"):
        words.read(Path("s3d_dict.npy"))
    assert main(["s3d_dict.npy", "--to", "words.json"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "words:    7 of s3d_dict.npy"
    assert words.read(Path("words.json")) == tuple(WORDS)


@pytest.mark.parametrize(
    "held",
    [
        np.array([np.str_(word) for word in WORDS], dtype=object),
        np.array(WORDS),
        np.array(WORDS).astype(">U9"),
        np.array(WORDS, dtype=object).reshape(7),
    ],
    ids=["numpy's own", "plain", "the other order", "python's"],
)
def test_words_come_out_of_every_array_that_holds_them(tmp_path: Path, held: Any) -> None:
    np.save("w.npy", held, allow_pickle=True)
    assert words.unpickled(Path("w.npy")) == WORDS


def test_words_are_read_from_what_needs_no_conversion() -> None:
    np.save("w.npy", np.array(WORDS))
    Path("w.txt").write_text("a\nguitar\n\nit's\n")
    assert words.read(Path("w.npy")) == tuple(WORDS)
    assert words.read(Path("w.txt")) == ("a", "guitar", "", "it's")


def npy(pickled: bytes) -> bytes:
    """An array of one object, with that pickle behind its header."""
    file = BytesIO()
    np.save(file, np.array([None]), allow_pickle=True)
    return file.getvalue()[: file.getvalue().index(b"\n") + 1] + pickled


@pytest.mark.parametrize("trap", ["reduce", "a state", "a shell by its name", "inst", "eval"])
def test_a_trap_in_a_list_of_words_is_not_sprung(trap: str) -> None:
    Path("w.npy").write_bytes(npy(TRAPS[trap]))
    says = (
        "is no list of words, or a damaged one: "
        if trap == "a state"
        else r"asks to run \S+, and holds no words"
    )
    for reads in (words.unpickled, words.read):
        with pytest.raises(EncoderError, match=rf"w\.npy {says}"):
            reads(Path("w.npy"))
    assert not SPRUNG.exists()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("w.json", b'["a", 1]', "number 1 is int, no word"),
        ("w.json", b"{}", "it holds no words"),
        ("w.json", b"[]", "it holds no words"),
        ("w.json", b"[", "Expecting value"),
        ("w.json", b"[" * 100_000, "recursion"),
        ("w.txt", b"\xff\n", "utf-8"),
        ("w.npy", b"\x93NUMPY\x01", "its array is of an unknown version"),
        ("w.npy", b"\x93NUMPY\x01\x00\x04\x00abcd", "the header of its array is damaged"),
        ("w.npy", b"\x93NUMPY\x01\x00\x03\x00{\0}", "the header of its array is damaged"),
        ("w.npy", b"\x93NUMPY\x02\x00\x10\x00\0\0{'descr': '<U1'}abc", "it ends within a word"),
        ("w.npy", b"\x93NUMPY\x02\x00\x10\x00\0\0{'descr': '<U1'}", "it holds no words"),
        ("w.npy", b"\x93NUMPY\x02\x00\x10\x00\0\0{'descr': '<U1'}\xff\xff\xff\xff", "codec can't decode"),
    ],
)
def test_what_is_no_list_of_words_is_one_sentence(name: str, data: bytes, says: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(EncoderError, match=f"{name} is no list of words, or a damaged one: .*") as caught:
        words.read(Path(name))
    assert "\n" not in str(caught.value) and says in str(caught.value)


def test_numbers_are_no_words() -> None:
    np.save("w.npy", np.arange(3))
    for reads in (words.read, words.unpickled):
        with pytest.raises(EncoderError, match="it holds values of type '<i8'"):
            reads(Path("w.npy"))
    with pytest.raises(Error, match=r"The word list nowhere\.json does not exist\."):
        words.read(Path("nowhere.json"))
