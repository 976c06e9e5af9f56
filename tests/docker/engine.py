"""A Docker engine for tests: the one that answers, else one of our own, which leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = "DOCKER_TEST_ROOT"  # a folder for what an engine of our own holds, which stays, to be used again
START_S = 60.0
# It changes neither firewall nor routes: containers reach nobody, and what is built uses our own network.
QUIET = ("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
BASE = "cinedex-test-base"
_PACKAGES = "ca-certificates,python3,python3-venv"


class Unable(Exception):
    """Why there is no engine."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What answers to `docker`."""

    docker: str
    environment: Mapping[str, str]
    base: str = ""
    build_flags: tuple[str, ...] = ()
    logs: list[str] = field(default_factory=list)  # of all that was built

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of it, whose two outputs are told apart."""
        return called([self.docker, *words], self.environment, check=check)

    def says(self, *words: str) -> str:
        """What it writes to stdout."""
        return self.run(*words).stdout.strip()

    def build(self, target: str, tag: str, *flags: str, tree: Path = ROOT) -> float:
        """An image of this tree, or a copy; the seconds that it took."""
        began = time.monotonic()
        file = str(tree / "docker" / "Dockerfile")
        words = ["build", "--progress", "plain", "-f", file, "--target", target, "-t", tag]
        based = ["--build-arg", f"BASE_IMAGE={self.base}"] if self.base else []
        done = self.run(*words, *self.build_flags, *based, *flags, str(tree))
        self.logs.append(done.stdout + done.stderr)
        return time.monotonic() - began


def called(
    words: Sequence[str], environment: Mapping[str, str], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run it in our tree; where it fails, an AssertionError with all that it said."""
    done = subprocess.run(words, env=dict(environment), cwd=ROOT, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@contextmanager
def engine() -> Iterator[Engine]:
    """One that can be used, or Unable."""
    known = ("/usr/bin/docker", shutil.which("docker"))  # Debian's first, which builds without plug-ins
    docker = next((path for path in known if path and Path(path).is_file()), None)
    if docker is None:
        raise Unable(
            "No `docker` is in the PATH; `apt-get install docker.io docker-compose debootstrap` brings one."
        )
    theirs = Engine(docker, _environment(docker), os.environ.get("BASE_IMAGE", ""))
    if theirs.run("info", check=False).returncode == 0:
        yield theirs
        return
    if os.geteuid():
        raise Unable("No engine answers, and only root can start one.")
    if missing := [name for name in ("dockerd", "debootstrap") if not shutil.which(name, path=_path())]:
        raise Unable(f"No engine answers, and there is no {' and no '.join(missing)} to start one with.")
    with own(docker) as ours:
        yield ours


def _environment(docker: str) -> dict[str, str]:
    """In which the old compose finds that very `docker`, which it builds with."""
    held = clean_environment()
    return held | {"PATH": os.pathsep.join((str(Path(docker).parent), held["PATH"])), "DOCKER_BUILDKIT": "1"}


def clean_environment() -> dict[str, str]:
    """Ours, without what would be taken for settings of a deployment."""
    told = ("CINEDEX_", "COMPOSE_", "BASE_IMAGE", "TORCH_INDEX", "EXTRAS", "TZ")
    held = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    return held | {"PATH": _path()}


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


@contextmanager
def own(docker: str) -> Iterator[Engine]:
    """dockerd with its own folders, network and base image, gone at the end."""
    with ExitStack() as held:
        kept = os.environ.get(KEPT)
        root = Path(kept or held.enter_context(tempfile.TemporaryDirectory(prefix="docker-", dir=_room())))
        short = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="dkr-", dir="/tmp")))
        host = f"unix://{short / 'docker.sock'}"
        environment = _environment(docker) | {"DOCKER_HOST": host}
        found = Engine(docker, environment, BASE, ("--network", "host"))
        held.enter_context(_daemon(root, short, host, found))
        _make_base(found, root)
        yield found


def _room() -> Path:
    room = ROOT / "build"
    room.mkdir(exist_ok=True)
    return room


@contextmanager
def _daemon(root: Path, short: Path, host: str, found: Engine) -> Iterator[None]:
    had_bridge = Path("/sys/class/net/docker0").exists()
    words = ["dockerd", *QUIET, "--data-root", str(root / "data"), "--exec-root", str(short / "exec")]
    words += ["--pidfile", str(short / "docker.pid"), "-H", host]
    with (
        (short / "log").open("wb") as log,
        subprocess.Popen(
            words, env=dict(found.environment), stdout=log, stderr=log, start_new_session=True
        ) as daemon,
    ):
        try:
            _wait(found, daemon, short / "log")
            yield
        finally:
            if running := found.run("ps", "-aq", check=False).stdout.split():
                found.run("rm", "--force", "--volumes", *running, check=False)
            _end(daemon)
            subprocess.run(["umount", str(short / "exec" / "netns" / "default")], capture_output=True)
            if not had_bridge:
                subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True)


def _wait(found: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while found.run("info", check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > until:
            said = log.read_text().strip().splitlines() or ["it says nothing"]
            raise Unable(f"dockerd does not start here: {said[-1]}")
        time.sleep(0.2)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(START_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _make_base(found: Engine, root: Path) -> None:
    """Debian's smallest system with its Python, which trusts whom this machine trusts."""
    if found.run("image", "inspect", BASE, check=False).returncode == 0:
        return
    rootfs = root / "rootfs"
    shutil.rmtree(rootfs, ignore_errors=True)
    words = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(rootfs)]
    called(words, found.environment)
    shutil.rmtree(rootfs / "var/cache/apt/archives", ignore_errors=True)
    shutil.rmtree(rootfs / "var/lib/apt/lists", ignore_errors=True)
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.is_file():
        shutil.copy(certificates, rootfs / "etc/ssl/certs/ca-certificates.crt")
        (rootfs / "etc/pip.conf").write_text(f"[global]\ncert = {certificates}\n")
    left_out = [f"--exclude=./{name}/*" for name in ("proc", "sys", "dev")]
    packed = root / "rootfs.tar"
    called(
        ["tar", "-C", str(rootfs), "--one-file-system", *left_out, "-cf", str(packed), "."], found.environment
    )
    found.run("import", str(packed), BASE)
    packed.unlink()
    shutil.rmtree(rootfs)
