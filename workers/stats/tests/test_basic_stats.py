"""Tests of `stats/`, at the place that the specification names; they live in the repository's `tests`."""

from tests.test_stats_basic import *  # noqa: F403 - the tests are the module's content
from tests.test_stats_confidence import *  # noqa: F403 - the tests are the module's content
