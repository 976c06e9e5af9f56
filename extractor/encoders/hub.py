"""Weights that are somewhere else: in the caches of the download libraries, or on the network."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core import files
from core.errors import EncoderError, Error

SAFE, PLAIN = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
_ANSWER_S = 10.0  # for the first sign of life; the library itself would try for minutes
_changing = threading.Lock()
_before: list[bool] = []  # what HF_HUB_OFFLINE was whenever one of those that are offline now began


def missing(name: str, why: str = "", of: str = "") -> EncoderError:
    """What to do about weights, or about what else a model needs, that are not here."""
    from extractor.encoders import weights

    what = f"{of} of {name} is" if of else f"weights of {name} are" if ":" in name else f"{name} is"
    return EncoderError(
        f"The {what} not on this machine"
        f"{f', and {why}' if why else ''}: run "
        f"`cinedex download {name}` here, or on another machine and copy its folder of weights "
        f"to {weights.folder()}."
    )


def here(pretrained: Mapping[str, Any]) -> Path | None:
    """What open_clip would download, if it was downloaded before; nothing is asked of the network."""
    repository, file = os.path.split(str(pretrained.get("hf_hub") or ""))
    if repository and (found := cached(repository, _names(file))) is not None:
        return found
    url = str(pretrained.get("url") or "")
    path = Path("~/.cache/clip").expanduser() / os.path.basename(url)
    # What was cut short, or has a wrong hash, lies there too: open_clip leaves it.
    return path if url and path.is_file() and files.sha256_file(path).startswith(_expected(url)) else None


def cached(repository: str, names: Iterable[str]) -> Path | None:
    """The first of these files that the hub's cache holds."""
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str) and os.path.isfile(found):
            return Path(found)
    return None


def downloaded(name: str, pretrained: Mapping[str, Any]) -> Path:
    """By open_clip's own mechanism: the hub, or a URL whose name holds its hash."""
    import open_clip

    address = address_of(pretrained)
    require_answer(name, address)
    try:
        path = Path(open_clip.download_pretrained(dict(pretrained)))
    except Error:
        raise
    except Exception as error:  # the edge of a library that raises whatever its own libraries do
        raise missing(name, f"{address} does not give them ({_line(error)})") from error
    _check_blob(path)
    return path


def fetched(repository: str, file: str, name: str = "") -> Path:
    """One file of a repository on the hub, for the encoder that is made of all of it or for what is named."""
    from huggingface_hub import hf_hub_download

    name = name or f"open_clip:hf-hub:{repository}"
    address = f"{_endpoint()}/{repository}"
    require_answer(name, address)
    try:
        return Path(hf_hub_download(repository, file))
    except Exception as error:  # the same edge
        raise missing(name, f"{address} does not give {file} ({_line(error)})") from error


def address_of(pretrained: Mapping[str, Any]) -> str:
    """Where open_clip has them from, for people."""
    repository = os.path.split(str(pretrained.get("hf_hub") or ""))[0]
    return f"{_endpoint()}/{repository}" if repository else str(pretrained.get("url") or "")


def require_answer(name: str, address: str) -> None:
    """One short question first: the library would ask again and again, for close to a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE and address.startswith(_endpoint()):
        raise missing(name, "HF_HUB_OFFLINE forbids to fetch them")
    try:
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "cinedex"})
        urllib.request.urlopen(request, timeout=_ANSWER_S).close()
    except urllib.error.HTTPError:
        return  # whatever it says, it is there
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise missing(name, f"{address} cannot be reached ({_line(reason)})") from error


@contextmanager
def offline(is_so: bool) -> Iterator[None]:
    """Keep libraries that would ask the hub by themselves from it: a text tower's config, say."""
    from huggingface_hub import constants

    if not is_so:
        yield
        return
    with _changing:
        _before.append(constants.HF_HUB_OFFLINE)
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        with _changing:  # whoever ends first, the last one finds what was there before all of them
            constants.HF_HUB_OFFLINE = _before.pop()


def _names(file: str) -> tuple[str, ...]:
    """As open_clip looks for them: safetensors first."""
    if not file:
        return SAFE, PLAIN
    stem, suffix = os.path.splitext(file)
    return (f"{stem}.safetensors", file) if suffix in (".bin", ".pth") else (file,)


def _check_blob(path: Path) -> None:
    """The hub's cache calls a large file by its sha256."""
    named = os.path.realpath(path).rpartition("/")[2]
    if len(named) != 64 or not set(named) <= set("0123456789abcdef"):
        return
    if files.sha256_file(path) != named:
        raise EncoderError(f"{path} is damaged: its sha256 is not {named}; remove it, and download it again.")


def _expected(url: str) -> str:
    """What open_clip's addresses say of the hash: its beginning, all of it, or nothing."""
    if "openaipublic" in url:
        return url.split("/")[-2]
    return os.path.splitext(os.path.basename(url))[0].split("-")[-1] if "mlfoundations" in url else ""


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _line(error: object) -> str:
    text = str(error).strip().splitlines()
    return (text[0].rstrip(".") if text else "") or type(error).__name__
