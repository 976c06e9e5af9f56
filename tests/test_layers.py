"""Who may import whom, what core is made of, and the house figures. docs/decisions/0001 says why."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "extractor", "index", "server")
OURS = {*PACKAGES, "cinedex_client"}

CORE_FILES = {
    *("__init__", "types", "query", "errors", "files", "npy", "store", "shard", "log", "rules"),
    *("checkpoint", "writer", "collections", "config", "commands", "logs", "stop"),
    *("lines", "sidecars", "thumbs", "compaction", "running", "cpus"),
}
ALLOWED = {
    "core": {"core", "numpy", "pyarrow", "pydantic", "pydantic_settings"},
    "extractor": {
        *("core", "extractor"),
        *("fsspec", "numpy", "PIL", "pyarrow", "pydantic", "pydantic_settings", "torch"),
    },
    "index": {"core", "index", "faiss", "numpy", "pyarrow", "pydantic", "pydantic_settings"},
    "server": {
        *("core", "index", "server", "extractor", "cinedex_client"),
        *("anyio", "fastapi", "h11", "httpx", "multipart", "numpy", "prometheus_client", "pydantic"),
        *("pydantic_core", "pydantic_settings", "starlette", "swagger_ui_bundle", "uvicorn"),
    },
    "client": {"cinedex_client", "httpx", "pydantic"},
    "evaluation": {"core", "evaluation", "numpy"},
    "training": {
        *("PIL", "core", "evaluation", "extractor", "numpy", "open_clip", "safetensors", "torch", "training"),
    },
}
ONLY_IN = {  # what the table does not allow, by the place that may all the same
    "aiohttp": ("extractor/remote.py",),
    "av": ("extractor/media/",),
    "huggingface_hub": ("extractor/encoders/",),
    "regex": ("extractor/encoders/",),
    "safetensors": ("extractor/encoders/",),
    "tokenizers": ("extractor/encoders/",),
    "open_clip": ("extractor/encoders/",),
    "ray": ("extractor/executors.py",),
    "torch": ("index/exact_gpu.py", "server/batching.py"),
}
OF_EXTRACTOR = ("extractor.encoders", "extractor.windows", "extractor.media")  # what the server may see


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def may(path: Path, module: str) -> bool:
    where, top = path.relative_to(ROOT).as_posix(), module.partition(".")[0]
    package = where.partition("/")[0]
    if package == "server" and top == "extractor":
        return module.startswith(OF_EXTRACTOR)
    listed = top in sys.stdlib_module_names or top in ALLOWED[package]
    return listed or where.startswith(ONLY_IN.get(top, ("-",)))


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_its_layer_may(package: str) -> None:
    found = [(path.name, module) for path in sources(package) for module in imports(path)]
    assert found
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(package)
        for module in imports(path)
        if not may(path, module)
    ]
    assert wrong == []


def test_the_rule_itself_tells_right_from_wrong() -> None:
    assert not may(ROOT / "core/store.py", "torch.nn")
    assert not may(ROOT / "core/store.py", "index.part")
    assert not may(ROOT / "extractor/find.py", "av")
    assert may(ROOT / "extractor/media/reader.py", "av.container")
    assert not may(ROOT / "index/build.py", "extractor.windows")
    assert may(ROOT / "server/searcher.py", "extractor.encoders.load")
    assert not may(ROOT / "server/searcher.py", "extractor.job.Job")
    assert not may(ROOT / "client/cinedex_client/calls.py", "core.types")
    assert may(ROOT / "client/cinedex_client/calls.py", "cinedex_client.answers")


def test_core_does_not_become_a_drawer() -> None:
    assert {path.stem for path in sources("core")} == CORE_FILES


def test_nothing_is_added_at_the_top_level() -> None:
    held = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    later = {"docker", "examples", "benchmarks"}
    made = {"build", "dist", "cinedex-data"}
    assert held - later - made == {*PACKAGES, "client", "evaluation", "training", "docs", "tests"}


@pytest.mark.parametrize("word", ["IndexIDMap", "IndexIDMap2", "IndexShards", "IndexReplicas"])
def test_what_shares_parameters_between_threads_is_nowhere(word: str) -> None:
    """FAISS swaps the selector within the caller's parameters there: wrong hits, then a crash."""
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "attr", getattr(node, "id", getattr(node, "name", "")))
            assert name != word, f"{path} uses {word}"


def test_ffmpegs_logs_are_never_taken_by_a_python_callback() -> None:
    """Together with frame threads it dead-locks on damaged files."""
    for path in sources("extractor", "server"):
        text = path.read_text()
        assert "av.logging" not in text or "Capture" not in text, path
        assert "restore_default_callback" not in text and "set_libav_level" not in text, path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([arg for arg in named if arg.arg not in ("self", "cls")])


def test_files_and_functions_stay_small() -> None:
    for path in sources(*PACKAGES, "client", "evaluation", "training"):
        assert len(path.read_text().splitlines()) <= 400, f"{path} is longer than 400 lines"
        for node in functions(path):
            assert lines(node) <= 60, f"{path}: {node.name} is longer than 60 lines"
            if not node.decorator_list:  # what others call as they wish, by name
                assert parameters(node) <= 7, f"{path}: {node.name} has {parameters(node)} parameters"


def test_half_of_them_are_smaller_still() -> None:
    files = [
        len(path.read_text().splitlines()) for path in sources(*PACKAGES, "client", "evaluation", "training")
    ]
    sizes = [
        lines(node)
        for path in sources(*PACKAGES, "client", "evaluation", "training")
        for node in functions(path)
    ]
    assert median(files) <= 150
    assert median(sizes) <= 10


def test_results_go_to_stdout_by_name_and_nothing_prints() -> None:
    for path in sources(*PACKAGES, "client", "evaluation", "training", "examples", "benchmarks", "docs"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [f for f in calls if isinstance(f, ast.Name) and f.id == "print"], f"{path} prints"
