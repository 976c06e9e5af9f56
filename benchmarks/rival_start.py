"""Start clip-retrieval's back-end with the arguments of its `clip_back`, as JSON, in an environment that
has it: benchmarks/rival.py does.

Its package imports first of all what embeds and indexes, from wandb to sentence-transformers; here only the
back-end is imported. It would bind to all addresses, and is kept to the loopback one.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def main() -> None:
    """Answer until killed."""
    spec = find_spec("clip_retrieval")
    assert spec is not None and spec.origin is not None and spec.submodule_search_locations is not None
    package = ModuleType("clip_retrieval")
    package.__file__, package.__path__ = spec.origin, list(spec.submodule_search_locations)
    sys.modules["clip_retrieval"] = package
    flask: Any = importlib.import_module("flask").Flask
    run = flask.run
    flask.run = lambda app, **given: run(app, **{**given, "host": "127.0.0.1"})
    importlib.import_module("clip_retrieval.clip_back").clip_back(**json.loads(sys.argv[1]))


main()
