"""Runs tests in forks of this process, which has imported what they need but nothing of `src`.

A fork starts in milliseconds where a new Python would import NumPy, SciPy and Hypothesis again for every mutant. It
imports the module under test from the mutant's text, the rest from its files: nothing in the tree is ever changed.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import importlib.machinery
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

_OURS = ("src", "tests", "bench", "test_", "conftest")
_MEMORY = 6 << 30  # bytes of addresses: a mutant that collects without end must not take the machine with it
SLOW_SEC = 1.0
"""Tests that take longer (on their own, under coverage) are left out: a survivor has to run all that concern it."""


class Fate(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class Clean:
    """What the tests do with the module as it is."""

    seconds: Mapping[str, float]
    """Test → duration, of those that are not too slow. A table is also read by tests that run none of its lines."""
    by_line: Mapping[int, frozenset[str]]
    """Line → tests that run it; the test without a name is importing, which is done for all of them."""
    slow: tuple[str, ...]

    def concerned(self, source: str, line: int) -> list[str]:
        """Tests that run the statement of this line, the quickest first; of a line that importing runs, all tests."""
        tests = {test for at in _statement(source, line) for test in self.by_line.get(at, ())}
        unseen = not tests and not any(at in self.by_line for at in _function(source, line))
        chosen = set(self.seconds) if "" in tests or unseen else tests & set(self.seconds)
        return sorted(chosen, key=lambda test: self.seconds[test])


def _statement(source: str, line: int) -> range:
    """Lines of the innermost statement around `line`; of a block only its head."""
    best = range(line, line + 1)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and node.end_lineno is not None and node.lineno <= line <= node.end_lineno:
            body = getattr(node, "body", None)
            end = min(node.end_lineno, body[0].lineno - 1) if body else node.end_lineno
            if line <= end or node.lineno == line:
                best = range(node.lineno, max(end, node.lineno) + 1)
    return best


def _function(source: str, line: int) -> range:
    """Lines of the body of the innermost function around `line`; empty outside of one."""
    best = range(0)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            if line in body and node.body[0].lineno > node.lineno:
                best = body
    return best


class _Selection:
    """Keeps what was chosen, in that order; nothing that needs a server."""

    def __init__(self, order: Iterable[str] | None) -> None:
        self._order = None if order is None else {test: at for at, test in enumerate(order)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if "servers" not in getattr(item, "fixturenames", ())]
        if self._order is not None:
            order = self._order
            kept = sorted((item for item in kept if item.nodeid in order), key=lambda item: order[item.nodeid])
        items[:] = kept


class _Notes:
    """Durations, and with `measured` the contexts, of a run on the module as it is."""

    def __init__(self, measured: coverage.Coverage | None) -> None:
        self.seconds: dict[str, float] = {}
        self._measured = measured

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        if self._measured is not None:
            self._measured.switch_context(item.nodeid)
        begun = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - begun
        return result


def _pytest(tests: tuple[str, ...], *plugins: object) -> int:
    place = tempfile.mkdtemp(prefix="mutation-")
    try:
        named = [
            option
            for name in ("anyio.pytest_plugin", "pytest_timeout", "_hypothesis_pytestplugin")
            for option in ("-p", name)
        ]
        options = [
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:unraisableexception",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
        ]
        return int(pytest.main([*named, *options, f"--basetemp={place}/tmp", *tests], plugins=list(plugins)))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _mutated(module: str, text: str) -> None:
    """From now on `module` is imported from `text`."""
    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> Any:
        return compile(text, self.path, "exec", dont_inherit=True) if fullname == module else original(self, fullname)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


def _forked(work: Callable[[], int], *, wall_sec: float, cpu_sec: float, out: Path = Path(os.devnull)) -> int | None:
    """Exit code of `work` in a fork of its own process group; None when it took too long. Negative: a signal."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with out.open("wb") as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_sec) + 1, int(cpu_sec) + 1))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    ends = time.monotonic() + wall_sec
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if code in (-signal.SIGXCPU, -signal.SIGKILL) else code
        if time.monotonic() > ends:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.005)


def prepare() -> None:
    """Once, before the first fork: examples are the same in every run, and plugins are the ones that tests need."""
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")


def clean_run(tests: tuple[str, ...], paths: Iterable[Path]) -> dict[Path, Clean]:
    """Runs the tests against the modules as they are. RuntimeError with their output where one fails."""
    with tempfile.TemporaryDirectory() as place:
        notes, out = Path(place, "notes.json"), Path(place, "out.txt")
        code = _forked(lambda: _noted(paths, tests, notes), wall_sec=1200, cpu_sec=600, out=out)
        if code != 0:
            raise RuntimeError(f"{' '.join(tests)} do not pass as they are ({code}):\n{out.read_text()[-4000:]}")
        found = json.loads(notes.read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in found["third_party"]:
            # Some parts of packages are there only under a name that their package gives them.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a fork that collects garbage would copy all of it
    # Most of a long first time is importing: what now seems slow is timed again.
    slow = [test for test, sec in found["seconds"].items() if sec > SLOW_SEC]
    with tempfile.TemporaryDirectory() as place:
        notes = Path(place, "notes.json")
        if slow and _forked(lambda: _timed(tests, slow, notes), wall_sec=1200, cpu_sec=600) == 0:
            found["seconds"] |= json.loads(notes.read_text())
    return {path: _clean(found["seconds"], found["by_line"][str(path)]) for path in paths}


def _clean(seconds: Mapping[str, float], lines: Mapping[str, list[str]]) -> Clean:
    touching = {test for names in lines.values() for test in names if test}
    quick = {test: sec for test, sec in seconds.items() if sec <= SLOW_SEC}
    by_line = {int(line): frozenset(names) for line, names in lines.items()}
    return Clean(quick, by_line, tuple(sorted(touching - quick.keys())))


def _noted(paths: Iterable[Path], tests: tuple[str, ...], place: Path) -> int:
    names = [str(path) for path in paths]
    measured = coverage.Coverage(data_file=None, include=names, config_file=False)
    notes = _Notes(measured)
    measured.start()
    code = _pytest(tests, _Selection(None), notes)
    measured.stop()
    data = measured.get_data()
    by_line = {
        name: {line: sorted({*found}) for line, found in data.contexts_by_lineno(name).items()} for name in names
    }
    third_party = [
        name
        for name, module in list(sys.modules.items())
        if not name.startswith(_OURS) and name != "__main__" and getattr(module, "__spec__", None)
    ]
    place.write_text(json.dumps({"seconds": notes.seconds, "third_party": third_party, "by_line": by_line}))
    return code


def _timed(tests: tuple[str, ...], chosen: list[str], place: Path) -> int:
    notes = _Notes(None)
    code = _pytest(tests, _Selection(chosen), notes)
    place.write_text(json.dumps(notes.seconds))
    return code


def fate(module: str, text: str, files: tuple[str, ...], chosen: list[str], clean: Clean) -> Fate:
    """What becomes of a mutant when the chosen tests run on it, up to the first that fails."""
    if not chosen:
        return Fate.UNREACHED
    expected = sum(clean.seconds[test] for test in chosen)
    used = tuple(name for name in files if any(test.startswith(f"{name}::") for test in chosen))

    def work() -> int:
        _mutated(module, text)
        return _pytest(used, _Selection(chosen))

    code = _forked(work, wall_sec=60 + 10 * expected, cpu_sec=5 + 2 * expected)
    if code is None:
        return Fate.TIMED_OUT
    return Fate.SURVIVED if code == 0 else Fate.KILLED
