"""The umbrella command: a table verb → "module:function", imported when called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

from core import __version__
from core.stop import ended_by_sigterm


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of `cinedex --help`."""

    target: str  # "module:function"; main(argv) -> exit code
    says: str
    inner: tuple[str, ...] = ()  # verbs of its own, as in `cinedex index build`


@dataclass(frozen=True, slots=True)
class Inner:
    """A verb of a verb."""

    main: Callable[[list[str]], int]
    says: str


VERBS = {
    "open": Verb("server.commands.open:main", "a folder of videos, ready to be searched in the browser"),
    "extract": Verb("extractor.cli:main", "videos and texts in, vectors into the store"),
    "verify": Verb("extractor.verify:main", "decode some stored rows again, compare vectors and times"),
    "sample": Verb("server.commands.sample:main", "a few rendered videos, ready to be searched"),
    "sample-videos": Verb("extractor.world.sample_videos:main", "render a few small videos to try things on"),
    "download": Verb("extractor.download:main", "an encoder's weights, for this machine or another one"),
    "convert": Verb("extractor.encoders.convert:main", "a checkpoint with Python objects to safetensors"),
    "remove": Verb("extractor.remove:main", "take videos or texts out of every answer, or back in"),
    "import": Verb("extractor.exchange.incoming:main", "vectors of other tools into a store"),
    "export": Verb("extractor.exchange.outgoing:main", "a store's vectors out to other tools"),
    "index": Verb(
        "index.cli:main",
        "build, publish, list, check, gc, compact: what is searched",
        ("build", "publish", "list", "check", "gc", "compact"),
    ),
    "dedupe": Verb("index.dedupe:main", "videos and ranges that are copies of each other"),
    "serve": Verb("server.cli:main", "answer over HTTP"),
    "keys": Verb(
        "server.commands.keys:main",
        "create, list, revoke: who may ask the server",
        ("create", "list", "revoke"),
    ),
    "search": Verb("server.commands.search:main", "answer once, without a server"),
    "tag": Verb("server.commands.tag:main", "which of your labels each video or clip is most like"),
    "segment": Verb("server.commands.segment:main", "a video's seconds by labels, or its steps in time"),
    "status": Verb("server.commands.status:main", "what there is, what is missing, what runs now"),
    "migrate": Verb("server.commands.migrate:main", "the same videos by another encoder, then switched to"),
    "doctor": Verb("server.commands.doctor:main", "what is installed, what is there, what is wrong"),
}


def nearest(name: str, known: list[str]) -> str:
    """The end of a sentence about an unknown name: "; did you mean 'search'?" or a full stop."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


def main(argv: list[str] | None = None) -> int:
    """Hand the rest of the line to the verb that is named first."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
        return 0
    if args[0] in ("-V", "--version"):
        sys.stdout.write(f"cinedex {__version__}\n")
        return 0
    verb = VERBS.get(args[0])
    if verb is None:
        close = nearest(args[0], list(VERBS))
        sys.stderr.write(f"cinedex: no verb is called {args[0]!r}{close}\n")
        return 2
    return _called(verb, args[1:])


def hand_on(verb: str, inner: Mapping[str, Inner], argv: list[str] | None) -> int:
    """The same for a verb that has verbs of its own."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help_of(verb, inner))
        return 0
    if args[0] not in inner:
        close = nearest(args[0], list(inner))
        sys.stderr.write(f"cinedex {verb}: no verb is called {args[0]!r}{close}\n")
        return 2
    return inner[args[0]].main(args[1:])


def _help_of(verb: str, inner: Mapping[str, Inner]) -> str:
    width = max(map(len, inner))
    lines = [f"  {name:{width}}  {each.says}" for name, each in inner.items()]
    usage, more = f"usage: cinedex {verb} VERB …", f"cinedex {verb} VERB --help says more."
    return "\n".join([usage, "", *lines, "", more, ""])


def extract(argv: list[str] | None = None) -> int:
    """`extract` under its own name."""
    return _called(VERBS["extract"], sys.argv[1:] if argv is None else argv)


def _called(verb: Verb, args: list[str]) -> int:
    # Processes that are started take no module from the folder this is called in, which may hold a random.py.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    module, _, function = verb.target.partition(":")
    try:
        with ended_by_sigterm():
            code: int = getattr(import_module(module), function)(args)
    except KeyboardInterrupt:  # while it was being imported; later, core.config.run_verb says the same
        return 130
    return code


def help_text() -> str:
    """What `cinedex --help` shows: every verb with its line."""
    width = max(map(len, VERBS))
    lines = [f"  {name:{width}}  {verb.says}" for name, verb in VERBS.items()]
    return "\n".join(["usage: cinedex VERB …", "", *lines, "", "cinedex VERB --help says more.", ""])
