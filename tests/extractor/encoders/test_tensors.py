"""Tensors by name from every kind of file, and one sentence for each that is none."""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from core.errors import EncoderError, Error
from extractor.encoders import convert
from extractor.encoders.convert import Limits, converted
from extractor.encoders.pickles import Named
from extractor.encoders.runners import runner
from extractor.encoders.tensors import insist, length_of, read

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.tensor([1, 2]), "d": torch.ones(2).half()}


def written(path: Path, kind: str, held: Any = STATE) -> Path:
    if kind == "safetensors":
        save_file(held, path)
    else:
        torch.save(held, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def zipped(*names: str) -> bytes:
    """A zip of others'."""
    file = BytesIO()
    with ZipFile(file, "w") as held:
        for name in names:
            held.writestr(name, b"")
    return file.getvalue()


def assert_held(found: dict[str, Tensor]) -> None:
    assert found.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("name", ["x.pt", "pytorch_model.bin.2", "x.safetensors", "noname"])
def test_every_format_is_read_by_what_the_file_holds(tmp_path: Path, kind: str, name: str) -> None:
    assert_held(read(written(tmp_path / name, kind)))


@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
def test_what_training_scripts_wrap_it_in_is_taken_off(tmp_path: Path, wrapper: str) -> None:
    held = {"epoch": 3, wrapper: {f"module.{name}": tensor for name, tensor in STATE.items()}}
    assert_held(read(written(tmp_path / "x.pt", "zip", held)))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_python_objects_are_refused_and_told_how_to_be_left_out(tmp_path: Path, kind: str) -> None:
    file = written(tmp_path / "x.pt", kind, {"model": STATE, "args": argparse.Namespace(lr=1)})
    with pytest.raises(EncoderError) as caught:
        read(file)
    assert str(caught.value) == (
        f"{file} holds more than tensors (argparse.Namespace), and is not unpickled; "
        f"`cinedex convert {file} --to FILE.safetensors` takes out the tensors and runs nothing."
    )


def test_what_takes_more_than_a_glance_is_refused_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pickles without end, in which what can run anything could be named."""
    monkeypatch.setattr(convert, "GLANCE", Limits(1 << 30, 1.0))
    file = tmp_path / "x.pt"
    file.write_bytes(b"\x80\x02N." * 4_000_000)
    with pytest.raises(
        EncoderError, match=r"x\.pt is no checkpoint of torch\.save, or a damaged one: [^\n]+\.$"
    ):
        read(file)


HONEST = {
    *(
        "argparse.Namespace",
        "collections.OrderedDict",
        "functools.partial",
        "_codecs.encode",
        "os.stat_result",
    ),
    *(
        "numpy.core.multiarray.scalar",
        "omegaconf.dictconfig.DictConfig",
        "builtins.getattr",
        "code.model.Config",
    ),
    *(
        "socket.AddressFamily",
        "pathlib.PosixPath",
        "sys.models.Model",
        "pickle.foo.Thing",
        "copyreg._reconstructor",
    ),
}


@pytest.mark.parametrize("name", sorted(HONEST))
def test_what_honest_checkpoints_name_is_nothing_that_runs(name: str) -> None:
    assert not runner([Named(*name.rsplit(".", 1))])


@pytest.mark.parametrize(
    "name", ["os system", "posix execv", "builtins eval", "torch os.system", "pickle loads"]
)
def test_what_can_run_anything_is_told_by_its_name(name: str) -> None:
    assert runner([Named("argparse", "Namespace"), Named(*name.split())]) == name.replace(" ", ".")


def test_a_header_with_an_endless_number_is_one_sentence(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e999]}}'
    file = tmp_path / "x.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(EncoderError, match=r"is no safetensors file, or a damaged one: [^\n]+\.$"):
        read(file)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("kept", [0.99, 0.5, 0.02])
def test_a_truncated_file_is_one_sentence(tmp_path: Path, kind: str, kept: float) -> None:
    file = written(tmp_path / "x.pt", kind, {"a": torch.zeros(2000)})
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EncoderError) as caught:
        read(file)
    told = str(caught.value).replace(str(file), "FILE")
    assert told.startswith("FILE") and "\n" not in told
    assert ". " not in told and len(told) < 200  # one sentence
    if kind != "safetensors" or kept > 0.1:  # else nothing is left that would tell what it was
        assert "one: it is cut short" in told
    with pytest.raises(EncoderError) as again:
        converted(file, tmp_path / "y.safetensors")
    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty."),
        (b"\n<!DOCTYPE html><html>", "is a web page, not the file that was to be downloaded from it."),
        (b"\xef\xbb\xbf<HTML>", "is a web page, not the file that was to be downloaded from it."),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "only points to a file in Git LFS"),
        (b"\x93NUMPY\x01\0", "is no checkpoint: neither safetensors nor what torch.save writes."),
        (bytes(600), "is no checkpoint: neither safetensors nor what torch.save writes."),
        (b"\x80\x04N.", "is no checkpoint of torch.save, or a damaged one: it is a pickle, but not"),
        (b"\x80", "is no checkpoint of torch.save, or a damaged one: "),
        (b"PK\x03\x04", "is no checkpoint of torch.save, or a damaged one: "),
        (zipped("a.npy"), "is no checkpoint of torch.save, or a damaged one: it holds no data.pkl."),
        (zipped("x/data.pkl", "x/constants.pkl"), "is a TorchScript archive, which holds code, and is not"),
        (b"\xff" * 8 + b"{}", "is no safetensors file, or a damaged one: "),
    ],
)
def test_what_is_no_checkpoint_is_called_what_it_is(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(Error) as caught:
        read(tmp_path / "x.pt")
    assert str(caught.value).startswith(f"{tmp_path / 'x.pt'} ") and says in str(caught.value)


@pytest.mark.parametrize("path", ["nothing.pt", "."])
def test_what_is_no_file_is_told(tmp_path: Path, path: str) -> None:
    with pytest.raises(Error, match=r"The weights .* (do not exist|are no file)\."):
        read(tmp_path / path)


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ({"a": torch.zeros(1).expand(1 << 40)}, "its tensors claim to be far larger than the file"),
        ({"a": torch.ones(2, 2).to_sparse()}, "a is no plain tensor: sparse, quantised or without values."),
        ({"a": torch.empty(2, device="meta")}, "a is no plain tensor: sparse, quantised or without values."),
        ({"a": torch.zeros(1), "b": [1]}, "b is no tensor, but list."),
    ],
)
def test_tensors_that_are_no_plain_values_are_refused(tmp_path: Path, held: Any, says: str) -> None:
    with pytest.raises(EncoderError, match=says):
        read(written(tmp_path / "x.pt", "zip", held))


# --- what a family insists on ------------------------------------------------------------------------

WANTED = {"a": (2, 3), "b.c": (2,), "d": (2,)}


def test_what_fits_comes_as_float32_in_the_wanted_order() -> None:
    found = insist(dict(reversed(STATE.items())), WANTED, file="x.pt", name="mine")
    assert list(found) == list(WANTED)
    assert [tensor.dtype for tensor in found.values()] == [torch.float32, torch.int64, torch.float32]
    assert torch.equal(found["d"], torch.ones(2))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"a": None}, "a is missing"),
        ({"e": torch.zeros(1)}, "e is left over"),
        ({"a": None, "A": torch.zeros(2, 3)}, "a is missing, A is left over"),
        ({"d": torch.zeros(2, 1)}, "d is [2, 1], not [2]"),
        (
            {"a": None, "b.c": None, "d": torch.zeros(1), "e": torch.zeros(1), "f": torch.zeros(1)},
            "a is missing, b.c is missing, e is left over, and 2 more",
        ),
    ],
)
def test_what_does_not_fit_is_named_by_key(change: dict[str, Any], says: str) -> None:
    state = {name: tensor for name, tensor in (STATE | change).items() if tensor is not None}
    with pytest.raises(EncoderError) as caught:
        insist(state, WANTED, file="x.pt", name="mine")
    assert str(caught.value) == f"x.pt does not fit mine: {says}."


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_no_number_is_named_by_key(wrong: float) -> None:
    state = STATE | {"d": torch.tensor([1.0, wrong])}
    with pytest.raises(EncoderError) as caught:
        insist(state, WANTED, file="x.pt", name="mine")
    assert str(caught.value) == "x.pt is damaged: values of d are no numbers or infinite."
    assert list(insist(state, WANTED, file="x.pt", name="mine", are_used=False)) == list(WANTED)
    state |= {"a": torch.full((2, 3), wrong)}
    with pytest.raises(EncoderError, match=r"values of a, and of 1 more are no"):
        insist(state, WANTED, file="x.pt", name="mine")


def test_what_is_optional_may_be_there_and_is_left_out() -> None:
    state = STATE | {"position_ids": torch.arange(4)}
    assert list(insist(state, WANTED, file="x.pt", name="mine", optional=("position_ids",))) == list(WANTED)
    assert list(insist(STATE, WANTED, file="x.pt", name="mine", optional=("position_ids",))) == list(WANTED)


def test_sizes_are_read_off_the_tensors_that_must_be_there() -> None:
    assert length_of(STATE, "a", 1, file="x.pt", name="mine") == 3
    for key, axis, says in (("z", 0, "z is missing."), ("d", 1, "d is [2], of too few axes.")):
        with pytest.raises(EncoderError) as caught:
            length_of(STATE, key, axis, file="x.pt", name="mine")
        assert str(caught.value) == f"x.pt does not fit mine: {says}"
