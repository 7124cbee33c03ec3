"""Fixtures of the doubles; a test module takes them by `pytest_plugins = ("tests.llm_doubles.fixtures",)`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .aimock import Aimock, aimock_server
from .judge import Judge, judge_server
from .odd import OddServer, odd_server


@pytest.fixture(scope="session")
def odd() -> Iterator[OddServer]:
    """A server of our own with odd answers; `odd.at(mode)` gives a base URL that is this test's alone."""
    with odd_server() as server:
        yield server


@pytest.fixture(scope="session")
def _judge() -> Iterator[Judge]:
    with judge_server() as judge:
        yield judge


@pytest.fixture
def llmock_server(_judge: Judge) -> Judge:
    """A server that is told which faults to make and says how the client took them, emptied for this test."""
    _judge.reset()
    return _judge


@pytest.fixture(scope="session")
def aimock() -> Iterator[Aimock]:
    """A server with scripted conversations for all nine wires; skips where it is not installed."""
    with aimock_server() as server:
        yield server
