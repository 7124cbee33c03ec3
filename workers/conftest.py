"""The repository's fixtures for tests that are run from here: `cd workers && PYTHONPATH=. pytest tests/`."""

from tests.conftest import (  # noqa: F401 - found by pytest
    _logging_as_it_was,
    _mongo,
    anyio_backend,
    mongo_uri,
    redis_url,
    servers,
)
