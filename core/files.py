"""How bytes reach the disk: a folder that appears whole, a name that is taken once, a text replaced."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

from core.errors import StoreError
from core.types import canonical

DRAFT, GONE, TEMP = ".draft-", ".gone-", ".temp-"
FILLING = f"{DRAFT}filling-"  # locked as long as somebody fills it
SEAL = "blake2b"
_BLOCK_BYTES = 1 << 20


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one sentence what the system refused while `path` was written."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one sentence what the system refused while `path` was read."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}.") from error


def require_writable(folder: Path) -> None:
    """A StoreError unless something can be made in it, or where its path ends so far; nothing stays."""
    with writing(folder):
        there = next((path for path in (folder, *folder.parents) if path.exists()), Path())
        tempfile.TemporaryFile(dir=there).close()


def require_temporary() -> None:
    """An Error where nobody may write a temporary file."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise StoreError("No folder for temporary files can be written; TMPDIR names one.") from error


def _write_temp(folder: Path, data: bytes, mode: int = 0o666) -> Path:
    temp = folder / f"{TEMP}{uuid.uuid4().hex}"
    try:
        with os.fdopen(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    return temp


def open_as_usual(path: Path) -> None:
    """For whom any new file beside it is; what some libraries write is for its owner alone."""
    with writing(path):
        temp = _write_temp(path.parent, b"")
        try:
            path.chmod(stat.S_IMODE(temp.stat().st_mode))
        finally:
            temp.unlink()


def replace_text(path: Path, text: str, mode: int = 0o666, *, keeps: bool = False) -> None:
    """The old text or the new one, never a mixture; for whom, but for the process' umask, `mode` says. keeps:
    a file that is there stays whose it is, and for whom."""
    replace_bytes(path, text.encode(), mode, keeps=keeps)


def replace_bytes(path: Path, data: bytes, mode: int = 0o666, *, keeps: bool = False) -> None:
    """The old bytes or the new ones, never a mixture."""
    with writing(path):
        temp = _write_temp(path.parent, data, mode)
        try:
            if keeps and exists(path):
                _make_like(temp, path.stat())
            os.replace(temp, path)
        except OSError:
            temp.unlink(missing_ok=True)
            raise
        sync(path.parent)


def _make_like(path: Path, found: os.stat_result) -> None:
    for owner in (found.st_uid, -1):  # whom only root may give it to; its group, whoever belongs to that
        with suppress(PermissionError):
            os.chown(path, owner, found.st_gid)
            break
    path.chmod(stat.S_IMODE(found.st_mode))


def link_new(path: Path, data: bytes) -> bool:
    """Give `data` the name `path` if nothing has it: the compare-and-set of the store."""
    with writing(path):
        temp = _write_temp(path.parent, data)
        try:
            os.link(temp, path)
        except FileExistsError:
            return False
        finally:
            temp.unlink(missing_ok=True)
        sync(path.parent)
        return True


@contextmanager
def draft(final: Path) -> Iterator[Path]:
    """A folder to fill; it gets its final name, whole and synced, when the block ends well."""
    folder = final.parent / f"{DRAFT}{uuid.uuid4().hex}"
    try:
        with writing(final):
            folder.mkdir(parents=True)
        yield folder  # and not within `writing`: what the caller reads is other files
        with writing(final):
            _name(folder, final)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with writing(final):
        sync(final.parent)


def _name(folder: Path, final: Path) -> None:
    for file in sorted(folder.iterdir()):
        sync(file)
    sync(folder)
    os.rename(folder, final)


@contextmanager
def filling(final: Path, last: str) -> Iterator[Path]:
    """The same for a folder that may be there and empty, and then stays, as a mount or somebody's current
    folder must: it gets what was made file by file, and the one called `last` when all others are there.
    What a killed process leaves of it, `forget` takes away."""
    is_there = exists(final)
    moved: list[Path] = []
    with ExitStack() as held:
        with writing(final):
            folder = _held_draft(final if is_there else final.parent, held)
        try:
            yield folder
            with writing(final):
                if is_there:
                    _move(folder, final, last, moved)
                else:
                    _name(folder, final)
        except BaseException:
            for path in moved:
                path.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            raise
    with writing(final):
        sync(final if is_there else final.parent)


def _held_draft(where: Path, held: ExitStack) -> Path:
    while True:
        folder = where / f"{FILLING}{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        with suppress(FileNotFoundError):  # who forgets took it for a dead one's before it was locked
            held.enter_context(folder_locked(folder, waits=True))
            if folder.exists():
                return folder


def _move(folder: Path, final: Path, last: str, moved: list[Path]) -> None:
    for file in sorted(folder.iterdir(), key=lambda file: (file.name == last, file.name)):
        sync(file)
        os.rename(file, final / file.name)
        moved.append(final / file.name)
    folder.rmdir()


def forget(final: Path) -> None:
    """Take away what killed processes have left of `filling` this folder, or one beside it."""
    with suppress(OSError):  # no folder, or nobody's to read: who fills it is told
        for path in (*final.parent.glob(f"{FILLING}*"), *final.glob(f"{FILLING}*")):
            with suppress(OSError), folder_locked(path):  # in use, or gone
                shutil.rmtree(path)


@contextmanager
def folder_locked(path: Path, *, waits: bool = False) -> Iterator[None]:
    """As long as the block lasts, or its process. An OSError where it is no folder, or where somebody has it
    who is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def retire(path: Path) -> None:
    """Take the final name away first, so that nobody meets a folder half removed."""
    gone = path.parent / f"{GONE}{uuid.uuid4().hex}"
    with writing(path):
        os.rename(path, gone)
        _remove(gone)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def names(folder: Path) -> list[str]:
    """What has its final name in a folder, sorted; nothing where there is no folder."""
    with reading(folder):  # not glob, to which an unreadable folder is an empty one
        try:
            return sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except FileNotFoundError:
            return []


def exists(path: Path) -> bool:
    """Whether something is there; a StoreError where that cannot be told."""
    with reading(path):
        return path.exists()


def sizes(path: Path) -> dict[Path, int]:
    """Every file at or below a path and its bytes; what goes meanwhile is passed over."""
    if not path.is_dir():
        with suppress(FileNotFoundError):
            return {path: path.stat().st_size}
        return {}
    found = {}
    with reading(path):
        for folder, _, within in os.walk(path):
            for name in within:
                file = Path(folder, name)
                with suppress(FileNotFoundError):
                    found[file] = file.lstat().st_size
    return found


def shown_size(count: float) -> str:
    """So many bytes, for people: 640 bytes, 1.2 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def sweep(folder: Path, older_than_s: float) -> int:
    """Remove what crashed writers left: drafts, temps and half-removed things of that age."""
    swept = 0
    for path in folder.glob(".*"):
        if path.name.startswith((DRAFT, GONE, TEMP)):
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime >= older_than_s:
                    _remove(path)
                    swept += 1
    return swept


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One command at a time; the lock ends with the process that holds it."""
    with ExitStack() as held:
        with writing(path):  # and not around the caller's work, whose errors are of other files
            fcntl.flock(held.enter_context(path.open("ab")), fcntl.LOCK_EX)
        yield


def stamp_of(found: os.stat_result) -> str:
    """Of a place: size and mtime in ns; unchanged, nothing is read again."""
    return f"{found.st_size}-{found.st_mtime_ns}"


def hash_bytes(data: bytes) -> str:
    """32 hex digits, the hash of every file and content in a store."""
    return blake2b(data, digest_size=16).hexdigest()


def hash_file(path: Path) -> str:
    """The same over a file, a block at a time."""
    return _digested(path, blake2b(digest_size=16))


def sha256_file(path: Path) -> str:
    """As others name files."""
    return _digested(path, sha256())


def _digested(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    found: str = digest.hexdigest()
    return found


def sealed(held: dict[str, Any]) -> str:
    """JSON that ends with the hash of its own canonical rest."""
    seal = hash_bytes(canonical(held).encode())
    return json.dumps(held | {SEAL: seal}, indent=1) + "\n"


def read_sealed(path: Path) -> dict[str, Any]:
    """What `sealed` wrote, or a StoreError that names the file."""
    try:
        with reading(path):
            return unseal(path.read_bytes())
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}.") from error


def unseal(data: bytes) -> dict[str, Any]:
    """The object within, or a ValueError that says what does not fit."""
    try:
        held = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(held, dict) or sealed(held_without_seal := _bare(held)) != data.decode():
        raise ValueError("its hash does not fit its text")
    return held_without_seal


def _bare(held: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in held.items() if key != SEAL}
