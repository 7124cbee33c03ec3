"""What the chaos tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .cluster import Cluster


@pytest.fixture
def deploy() -> Iterator[Callable[..., Cluster]]:
    """Starts a cluster of so many workers with these settings; it ends with the test."""
    with ExitStack() as stack:
        yield lambda workers=1, **env: stack.enter_context(Cluster(workers, **env))
