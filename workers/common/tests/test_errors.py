"""Tests of `common/errors.py`, at the place that the specification names; they live in the repository's `tests`."""

from tests.test_eval_common import (  # noqa: F401 - the tests are the module's content
    test_a_status_has_one_code_and_a_clients_error_is_never_unknown,
    test_an_empty_account_is_no_rate_limit_but_a_full_minute_is,
    test_any_exception_is_classified,
    test_codes_and_retry_classes_are_the_specifications,
    test_errors_describe_themselves,
)
