"""Tests of the common modules, at the place that the specification names; they live in the repository's `tests`."""

from tests.test_eval_common import *  # noqa: F403 - the tests are the module's content
