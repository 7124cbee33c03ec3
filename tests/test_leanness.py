"""What a worker does without: packages that others load in vain, equal states of the phrases, memory that was freed."""

from __future__ import annotations

import asyncio
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from src.worker import allocator
from src.worker.phrases import State, compile_phrases

ROOT = Path(__file__).resolve().parents[1]

_FREED = """
from pathlib import Path
from src.worker.allocator import bound_arenas, trim

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

bound_arenas()
blocks = [bytearray(4096) for _ in range(8_000)]
last = bytearray(4096)
del blocks
before = resident()
assert trim()
print(before - resident())
"""


def test_what_the_drivers_load_in_vain_is_not_loaded() -> None:
    code = (
        "import sys, src.worker.app; vain = {'cryptography.x509', 'watchfiles'}; "
        "print(sorted(vain & set(sys.modules)), 'pymongo.pyopenssl_context' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[] False", done.stderr


def test_connections_with_tls_are_those_of_the_standard_library() -> None:
    code = (
        "import ssl, src.worker.storage; from pymongo.ssl_support import get_ssl_context; "
        "print(isinstance(get_ssl_context(None, None, None, None, False, False, False, False), ssl.SSLContext))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True", done.stderr


def test_phrases_that_end_alike_share_their_states() -> None:
    made = compile_phrases("bug.crash 0.5\n    app crashes now\n    site crashes now\n", "").anywhere
    app, site = made["app"], made["site"]
    assert isinstance(app, State)
    assert app is site
    assert [rule.name for rule in app.edges["crashes"].edges["now"].rules] == ["crash"]


def test_states_of_different_rules_share_their_edges_alone() -> None:
    made = compile_phrases("a.one 1\n    x\n    x z\n    y z\nb.two 1\n    y\n", "").anywhere
    x, y = made["x"], made["y"]
    assert [[rule.name for rule in state.rules] for state in (x, y)] == [["one"], ["two"]]
    assert x is not y
    assert x.edges is y.edges


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is given back is glibc's")
def test_freed_memory_is_given_back_from_below_a_block_that_stays() -> None:
    done = subprocess.run([sys.executable, "-c", _FREED], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert int(done.stdout) > 16 << 20, done.stderr


class _Over(Exception):
    """Ends a loop that never does."""


def test_it_is_given_back_again_and_again_and_not_where_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [True, True, False]
    slept: list[float] = []
    purged: list[int] = []
    monkeypatch.setattr(allocator, "trim", lambda: answers.pop(0))
    monkeypatch.setattr(re, "purge", lambda: purged.append(len(slept)))

    async def sleep(seconds: float) -> None:
        if len(slept) == 70:
            raise _Over
        slept.append(seconds)

    with pytest.raises(_Over):
        asyncio.run(allocator.keep_trimming(sleep=sleep))
    assert answers == []
    assert set(slept) == {2.0}
    assert purged == [30, 60], "patterns made for one question stay a minute"
