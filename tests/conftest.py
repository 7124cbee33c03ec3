"""Fixtures for all tests: one real Redis and one real MongoDB-compatible server for the whole session."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pymongo
import pytest
import redis
from anyio.from_thread import start_blocking_portal

from src.worker import secrecy
from src.worker.embedded import EmbeddedServers, Endpoints
from src.worker.redis_client import RedisClient
from src.worker.storage import Storage

# No example fails for the time it took, and everybody's run tries the same ones. A run that looks for others:
# `pytest --hypothesis-profile=default`.
hypothesis.settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

_OPT_IN = ("chaos", "slow", "soak")


def pytest_addoption(parser: pytest.Parser) -> None:
    for name in _OPT_IN:
        parser.addoption(f"--run-{name}", action="store_true", help=f"run the tests marked `{name}` too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for name in _OPT_IN:
        if not config.getoption(f"--run-{name}"):
            skip = pytest.mark.skip(reason=f"marked `{name}`: runs with --run-{name}")
            for item in items:
                if item.get_closest_marker(name) is not None:  # keywords hold names of directories too
                    item.add_marker(skip)


@pytest.fixture(autouse=True)
def _secrets_of_one_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process masks the secrets of all settings it has read; the next test's words may be the last one's password."""
    monkeypatch.setattr(secrecy, "_KNOWN", secrecy._Known())


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands that a test runs in this process configure logging for a process of their own."""
    root = logging.getLogger()
    noisy = [logging.getLogger(name) for name in ("pymongo", "asyncio", "uvicorn.access", "uvicorn.error")]
    kept = root.handlers[:], root.level, [one.level for one in noisy]
    yield
    root.handlers[:], level, levels = kept
    root.setLevel(level)
    for one, before in zip(noisy, levels, strict=True):
        one.setLevel(before)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests (`pytestmark = pytest.mark.anyio`) run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """One Redis and one SecantusDB, alive until the last test, for synchronous and asynchronous tests alike."""
    directory: Path = tmp_path_factory.mktemp("servers")
    # A thread with its own event loop that lives as long as the session: a loop of one test would end with the test.
    with start_blocking_portal("asyncio") as portal:
        embedded = portal.call(lambda: EmbeddedServers(directory, start_timeout=40))
        with portal.wrap_async_context_manager(embedded) as endpoints:
            yield endpoints


@pytest.fixture
def redis_url(servers: Endpoints) -> Iterator[str]:
    """URL of an empty Redis database. Channels of pub/sub are shared by all databases: name them after the test."""
    url = servers.redis_url.removesuffix("/0") + "/1"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def _mongo(servers: Endpoints) -> Iterator[pymongo.MongoClient[dict[str, object]]]:
    with pymongo.MongoClient[dict[str, object]](servers.mongodb_uri) as client:
        yield client


@pytest.fixture
def mongo_uri(servers: Endpoints, _mongo: pymongo.MongoClient[dict[str, object]]) -> Iterator[str]:
    """URI of a database of this test's own, dropped after it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield servers.mongodb_uri.removesuffix("/worker") + f"/{name}"
    _mongo.drop_database(name)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RedisClient]:
    """The worker's own client of that Redis. Test files with a client of another kind have a fixture of their own."""
    client = RedisClient(redis_url)
    yield client
    await client.close()


@pytest.fixture
async def storage(mongo_uri: str) -> AsyncIterator[Storage]:
    storage = Storage(mongo_uri)
    yield storage
    storage.close()
