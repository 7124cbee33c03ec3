"""Tests of `summarize.py`, at the place that the specification names; they live in the repository's `tests`."""

from tests.test_eval_decision import *  # noqa: F403 - the tests are the module's content
from tests.test_eval_summarize import *  # noqa: F403 - the tests are the module's content
