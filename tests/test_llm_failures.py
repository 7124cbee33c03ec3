"""What is kept of a call that failed: every field by itself, from every place that a package keeps it in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from src.worker.llm.classify import classify
from src.worker.llm.errors import Kind
from src.worker.llm.evidence import Evidence, HttpError, chain, decoded, from_exception
from src.worker.llm.exchange import Target

TARGET = Target("openai", "gpt-4o-mini")


class _Strange(Exception):
    """An exception of a package: whatever it keeps."""

    def __init__(self, text: str = "strange", **kept: Any) -> None:
        super().__init__(text)
        for name, value in kept.items():
            setattr(self, name, value)


class _Response:
    def __init__(self, **kept: Any) -> None:
        for name, value in kept.items():
            setattr(self, name, value)


class _Unread:
    """As httpx: the body of an answer that was never read."""

    @property
    def content(self) -> bytes:
        raise RuntimeError("not read")


def _kind(status: int, code: str | None = None, message: str = "x") -> Kind:
    body = {"error": {"message": message, "code": code}}
    return classify(Exception(), TARGET, heard=Evidence(status, {}, body, json.dumps(body))).kind


def test_an_http_error_keeps_all_that_came_along() -> None:
    error = HttpError(429, {"Retry-After": "3"}, b'{"error": "slow"}')
    assert str(error) == "HTTP 429"
    assert from_exception(error) == Evidence(429, {"retry-after": "3"}, {"error": "slow"}, '{"error": "slow"}')


def test_an_exception_that_keeps_nothing_is_its_own_text() -> None:
    assert from_exception(ValueError("plain")) == Evidence(None, {}, None, "plain")


@pytest.mark.parametrize("name", ["status_code", "status", "code"])
@pytest.mark.parametrize(("value", "status"), [(100, 100), (599, 599), (99, None), (600, None), ("429", None)])
def test_a_status_is_a_number_that_can_be_one_wherever_it_is(name: str, value: object, status: int | None) -> None:
    assert from_exception(_Strange(**{name: value})).status == status
    if name != "code":
        assert from_exception(_Strange(response=_Response(**{name: value}))).status == status


def test_what_is_nearest_counts_and_what_it_lacks_comes_from_its_cause() -> None:
    cause = _Strange(status_code=500, headers={"A": 1}, body={"far": 1}, response=_Response(content=b"far"))
    outer = _Strange(status_code=429, headers={"B": 2}, body={"near": 1}, response=_Response(content=b"near"))
    outer.__cause__ = cause
    assert from_exception(outer) == Evidence(429, {"b": "2"}, {"near": 1}, "near")
    bare = _Strange()
    bare.__cause__ = cause
    assert from_exception(bare) == Evidence(500, {"a": "1"}, {"far": 1}, "far")
    during = _Strange()
    during.__context__ = cause
    assert from_exception(during).status == 500


def test_a_body_is_found_in_every_field_that_packages_use() -> None:
    assert from_exception(_Strange(body={"a": 1})).body == {"a": 1}
    assert from_exception(_Strange(body={}, details=[{"a": 1}])).body == [{"a": 1}]
    assert from_exception(_Strange(body="words", error='{"a": 1}')).body == {"a": 1}
    assert from_exception(_Strange(error={"a": 1})).body is None
    assert from_exception(_Strange(content=b'{"own": 1}', response=_Response(content=b'{"its": 1}'))).body == {"own": 1}
    assert from_exception(_Strange(response=_Response(content=b'{"its": 1}'))).body == {"its": 1}
    unread = from_exception(_Strange(response=_Unread()))
    assert (unread.body, unread.text) == (None, "strange")
    broken = from_exception(_Strange(content=b"caf\xc3\xa9 \xff"))
    assert (broken.body, broken.text) == (None, "café \ufffd")


def test_headers_of_the_answer_go_before_those_of_the_exception_and_empty_ones_are_none() -> None:
    both = _Strange(headers={"X": "own"}, response=_Response(headers={"X": "its"}))
    assert from_exception(both).headers == {"x": "its"}
    assert from_exception(_Strange(headers={"X": "own"}, response=_Response(headers={}))).headers == {"x": "own"}
    assert from_exception(_Strange(headers=[("X", "own")])).headers == {}


@pytest.mark.parametrize(("text", "status"), [("[503] busy", 503), ("no [503]", None)])
def test_a_status_in_brackets_at_the_beginning_is_one(text: str, status: int | None) -> None:
    assert from_exception(_Strange(text)).status == status


def test_a_long_chain_is_followed_for_twelve_links() -> None:
    first = link = ValueError("0")
    for number in range(1, 20):
        link.__cause__ = ValueError(str(number))
        link = link.__cause__
    assert [str(one) for one in chain(first)] == [str(number) for number in range(12)]


@pytest.mark.parametrize(("content", "value"), [(b"{}", {}), ("[1]", [1]), (b"", None), (None, None), (b"{", None)])
def test_only_json_is_decoded(content: bytes | str | None, value: object) -> None:
    assert decoded(content) == value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, Kind.CONTEXT_LENGTH) for code in ("context_length_exceeded", "context_window_exceeded")),
        *((code, Kind.CONTEXT_LENGTH) for code in ("string_above_max_length", "request_too_large")),
        *((code, Kind.QUOTA) for code in ("insufficient_quota", "billing_hard_limit_reached")),
        *((code, Kind.QUOTA) for code in ("billing_not_active", "billing_error")),
        *((code, Kind.AUTH) for code in ("invalid_api_key", "api_key_invalid", "authentication_error")),
        *((code, Kind.NOT_FOUND) for code in ("model_not_found", "model_decommissioned")),
        *((code, Kind.NOT_FOUND) for code in ("invalid_model", "not_found_error")),
        *((code, Kind.REFUSED) for code in ("content_filter", "content_policy_violation")),
        ("json_validate_failed", Kind.MALFORMED),
    ],
)
def test_a_code_says_more_than_its_status(code: str, kind: Kind) -> None:
    assert _kind(400, code) is _kind(429, code.upper()) is kind
    assert _kind(500, code) is Kind.SERVER


@pytest.mark.parametrize("status", [400, 403, 422])
def test_words_decide_where_several_kinds_share_a_status(status: int) -> None:
    assert _kind(status, message="This is over the maximum context length") is Kind.CONTEXT_LENGTH
    assert _kind(status, message="Invalid API key") is Kind.AUTH
    assert _kind(status, message="The model x does not exist") is Kind.NOT_FOUND
    assert _kind(405, message="Invalid API key") is Kind.INVALID


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (299, Kind.UNKNOWN),
        (300, Kind.MALFORMED),
        (399, Kind.MALFORMED),
        (410, Kind.NOT_FOUND),
        (430, Kind.INVALID),
        (498, Kind.SERVER),
        (499, Kind.SERVER),
        (500, Kind.SERVER),
    ],
)
def test_statuses_at_the_bounds(status: int, kind: Kind) -> None:
    assert _kind(status) is kind


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "asks to be asked less often"),
        (500, "has a problem of its own"),
        (408, "did not answer in time"),
        (401, "does not accept the API key"),
        (402, "says that the account has no money or quota left"),
        (404, "does not know the model"),
        (400, "says that the request is wrong"),
        (413, "says that the request is longer than the model takes"),
        (300, "sent a body that is no answer of a model"),
        (302, "sent a body that is no answer of a model"),
        (200, "failed in a way that is not known"),
    ],
)
def test_the_message_names_the_provider_and_says_what_it_did(status: int, words: str) -> None:
    error = classify(Exception("x"), TARGET, heard=Evidence(status, {"retry-after": "7"}, None, "busy"))
    assert str(error).startswith(f"openai {words}")
    assert (error.target, error.status) == (TARGET, status)
    assert error.retry_after_sec == (7.0 if status >= 300 else None)


@pytest.mark.parametrize(
    ("error", "detail"),
    [(ConnectionError("refused by host"), "ConnectionError: refused by host"), (ConnectionError(), "ConnectionError")],
)
def test_the_network_s_own_words_are_kept_where_there_are_any(error: Exception, detail: str) -> None:
    assert classify(error, TARGET).detail == detail


@pytest.mark.parametrize(
    ("quota", "kind"),
    [("GenerateRequestsPerDayPerProject", Kind.QUOTA), ("PerMinute", Kind.RATE_LIMITED), (None, Kind.RATE_LIMITED)],
)
def test_only_a_quota_counted_by_the_day_outlasts_a_wait(quota: str | None, kind: Kind) -> None:
    violation = {} if quota is None else {"quotaId": quota}
    details = ["odd", {"violations": "odd"}, {"violations": ["odd", violation]}]
    body = {"error": {"status": "RESOURCE_EXHAUSTED", "message": "x", "details": details}}
    for shape in (body, [body]):
        assert classify(Exception(), TARGET, heard=Evidence(429, {}, shape, "")).kind is kind


def test_complaints_about_places_are_read_wherever_they_are() -> None:
    complaints = [{"loc": ["body", "temperature"], "msg": "too high"}, {"msg": "odd"}, {"loc": 1}, "no"]
    for body in ({"detail": complaints}, {"message": {"detail": complaints}}):
        error = classify(Exception(), TARGET, heard=Evidence(422, {}, body, ""))
        assert error.detail == "body.temperature: too high; : odd"
        assert error.rejected_parameter == "temperature"
