"""Tests of `probe.py`, at the place that the specification names; they live in the repository's `tests`."""

from tests.test_eval_probe import *  # noqa: F403 - the tests are the module's content
