"""Tests of `analyze_basic.py`, at the place that the specification names; they live in the repository's `tests`."""

from tests.test_analysis_report import *  # noqa: F403 - the tests are the module's content
from tests.test_analysis_run import *  # noqa: F403 - the tests are the module's content
