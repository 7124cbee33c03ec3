"""Which kind of failure an exception is, for all nine providers. Pure.

The status decides, then the provider's codes, and words only where several kinds share a status and have no code of
their own: billing words among 429s, an overflow of the context among 400s. Without a status the exception's class does.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from ..secrecy import without_secrets
from .errors import Kind, LLMError
from .evidence import Evidence, chain, from_exception
from .exchange import Target, Usage
from .retry_after import retry_after
from .usage import from_openai

DETAIL_CHARS: Final = 300

_BY_STATUS: Final = {
    401: Kind.AUTH,
    402: Kind.QUOTA,  # DeepSeek, xAI: no balance
    403: Kind.AUTH,
    404: Kind.NOT_FOUND,
    408: Kind.TIMEOUT,
    409: Kind.SERVER,  # a lock inside the provider; another try helps
    410: Kind.NOT_FOUND,
    413: Kind.CONTEXT_LENGTH,
    425: Kind.SERVER,  # too early
    429: Kind.RATE_LIMITED,
    498: Kind.SERVER,  # Groq: flex capacity
    499: Kind.SERVER,  # cut off by the provider's side
}
_CODES: Final = {
    **dict.fromkeys(
        "context_length_exceeded context_window_exceeded string_above_max_length request_too_large".split(),
        Kind.CONTEXT_LENGTH,
    ),
    **dict.fromkeys(
        "insufficient_quota billing_hard_limit_reached billing_not_active billing_error".split(), Kind.QUOTA
    ),
    **dict.fromkeys("invalid_api_key api_key_invalid authentication_error".split(), Kind.AUTH),
    **dict.fromkeys("model_not_found model_decommissioned invalid_model not_found_error".split(), Kind.NOT_FOUND),
    **dict.fromkeys("content_filter content_policy_violation".split(), Kind.REFUSED),
    "json_validate_failed": Kind.MALFORMED,  # Groq: the model did not keep to the form it was given
}
"""Codes that say more than their status, whichever of 400-429 that is."""
_OVERFLOW: Final = re.compile(
    r"maximum context length|context (?:length|window)|prompt is too long|input is too long|too large for model"
    r"|token count .{0,40}exceeds|exceeds? .{0,40}(?:context|maximum number of (?:input )?tokens)"
    r"|maximum prompt length",
    re.IGNORECASE,
)
_NO_MONEY: Final = re.compile(
    r"insufficient[ _](?:quota|credits?|balance|funds)|exceeded your current quota|hard limit|credit balance is too low"
    r"|out of (?:credits|funds|money)|low balance|payment required|(?:doesn't|does not) have any credits"
    r"|spending limit",
    re.IGNORECASE,
)
_WRONG_KEY: Final = re.compile(r"(?:incorrect|invalid) api[ _]key|api key not valid", re.IGNORECASE)
_NO_MODEL: Final = re.compile(r"invalid model|model .{0,120}(?:not exist|not found|decommissioned)", re.IGNORECASE)
_TEMPERATURE: Final = re.compile(r"\btemperature\b", re.IGNORECASE)
_AMBIGUOUS: Final = ((_OVERFLOW, Kind.CONTEXT_LENGTH), (_NO_MONEY, Kind.QUOTA), (_WRONG_KEY, Kind.AUTH))

# Classes by name, anywhere in the ancestry: httpx, httpx2, aiohttp and the SDKs are not imported to be asked.
_TIMEOUTS: Final = frozenset({"TimeoutError", "TimeoutException", "APITimeoutError"})
_CONNECTIONS: Final = frozenset(
    "ConnectionError TransportError ClientConnectionError ClientPayloadError APIConnectionError gaierror".split()
)
_SHAPES: Final = (AttributeError, KeyError, IndexError, TypeError, ValueError, AssertionError)
"""What adapters raise when a body with status 200 is not what they expect."""
_WORDS: Final = {
    Kind.RATE_LIMITED: "asks to be asked less often",
    Kind.SERVER: "has a problem of its own",
    Kind.TIMEOUT: "did not answer in time",
    Kind.CONNECTION: "cannot be reached, or broke the connection off",
    Kind.AUTH: "does not accept the API key",
    Kind.QUOTA: "says that the account has no money or quota left",
    Kind.NOT_FOUND: "does not know the model",
    Kind.INVALID: "says that the request is wrong",
    Kind.CONTEXT_LENGTH: "says that the request is longer than the model takes",
    Kind.REFUSED: "did not let the request or its answer through",
    Kind.TRUNCATED: "stopped the answer at the token limit",
    Kind.MALFORMED: "sent a body that is no answer of a model",
}


def classify(
    error: BaseException, target: Target, *, heard: Evidence | None = None, now: datetime | None = None
) -> LLMError:
    """The failure as an LLMError with kind, status, Retry-After and the provider's words; an LLMError stays as it is.

    Args:
        heard: the answer as it was on the wire, where that was kept. It goes before what the exception shows; without
            a status it says that no answer came, so that a mistake of ours is not taken for a malformed body.
        now: read from the clock when missing; only a Retry-After that is a date depends on it.
    """
    if isinstance(error, LLMError):
        return error
    evidence = heard if heard is not None and heard.status is not None else from_exception(error)
    status = evidence.status
    if status is not None and status >= 300:
        kind = _by_answer(status, evidence)
    else:
        kind = _by_class(error, answered=heard is None or status is not None)
    asked = retry_after(evidence.headers, evidence.body, evidence.text, now or datetime.now(UTC))
    return LLMError(
        kind,
        f"{target.provider} {_WORDS.get(kind, 'failed in a way that is not known')}",
        target=target,
        status=status,
        retry_after_sec=asked if status is not None and status >= 300 else None,
        usage=_spent(error),
        detail=_detail(error, evidence),
        rejected_parameter=_rejected(evidence) if kind is Kind.INVALID else None,
    )


def _by_answer(status: int, evidence: Evidence) -> Kind:
    if status >= 500:
        return Kind.SERVER
    if status < 400:
        return Kind.MALFORMED  # a redirect: not followed, the key would go along
    codes = tuple(_codes(evidence.body))
    if status == 429 and "resource_exhausted" in codes:
        return _gemini_quota(evidence.body)
    for code in codes:
        if code in _CODES:
            return _CODES[code]
    words = _words(evidence)
    if status == 429:
        return Kind.QUOTA if _NO_MONEY.search(words) else Kind.RATE_LIMITED
    if status in (400, 403, 422):
        for pattern, kind in (*_AMBIGUOUS, (_NO_MODEL, Kind.NOT_FOUND)):
            if pattern.search(words):
                return kind
    return _BY_STATUS.get(status, Kind.INVALID)


def _gemini_quota(body: Any) -> Kind:
    """Gemini words every 429 as an exceeded quota. Only one that is counted by the day outlasts a wait."""
    for detail in _details(body):
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and "PerDay" in str(violation.get("quotaId", "")):
                return Kind.QUOTA
    return Kind.RATE_LIMITED


def _by_class(error: BaseException, *, answered: bool) -> Kind:
    for link in chain(error):
        names = {base.__name__ for base in type(link).__mro__}
        if "LengthFinishReasonError" in names:
            return Kind.TRUNCATED
        if "ContentFilterFinishReasonError" in names:
            return Kind.REFUSED
        if isinstance(link, TimeoutError) or names & _TIMEOUTS:
            return Kind.TIMEOUT
        if isinstance(link, ConnectionError | ssl.SSLError) or names & _CONNECTIONS:
            return Kind.CONNECTION
        if isinstance(link, json.JSONDecodeError) or {"ValidationError", "APIResponseValidationError"} & names:
            return Kind.MALFORMED
    if answered and isinstance(error, _SHAPES):
        return Kind.MALFORMED
    return Kind.UNKNOWN


def _error_of(body: Any) -> dict[str, Any]:
    """The error object: inside `error`, in a list of one (Gemini), or the body itself (OpenAI's SDK, Mistral)."""
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return {}
    inner = first.get("error")
    return inner if isinstance(inner, dict) else first


def _details(body: Any) -> Iterator[dict[str, Any]]:
    details = _error_of(body).get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail


def _codes(body: Any) -> Iterator[str]:
    error = _error_of(body)
    for holder in (error, *_details(body)):
        for name in ("code", "type", "status", "reason"):
            value = holder.get(name)
            if isinstance(value, str):
                yield value.lower()


def _words(evidence: Evidence) -> str:
    """What the provider says, from the fields that say it. The rest of a body may repeat the prompt."""
    error = _error_of(evidence.body)
    said = [error.get(name) for name in ("message", "error", "detail")]
    words = next((one for one in said if isinstance(one, str) and one), None)
    if words is not None:
        return words
    return evidence.text if evidence.body is None else "; ".join(_complaints(error))


def _complaints(error: dict[str, Any]) -> Iterator[str]:
    """`detail` or `message.detail` as a list of places and complaints (FastAPI, so Mistral and self-hosted servers)."""
    inner = error.get("message")
    details = (inner if isinstance(inner, dict) else error).get("detail")
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and isinstance(one.get("msg"), str):
            place = one.get("loc")
            where = ".".join(map(str, place)) if isinstance(place, list) else ""
            yield f"{where}: {one['msg']}"


def _detail(error: BaseException, evidence: Evidence) -> str | None:
    """Words for people. Only of answers that are errors: anything else may hold the model's answer."""
    if evidence.status is None:
        words = f"{type(error).__name__}: {error}" if _wire_words(error) else type(error).__name__
    elif evidence.status >= 300:
        words = _words(evidence)
    else:
        words = type(error).__name__
    words = " ".join(without_secrets(words).split())
    return words[:DETAIL_CHARS] or None


def _wire_words(error: BaseException) -> bool:
    """Whether the exception's text is the network's; others may quote the prompt or the answer."""
    return _by_class(error, answered=False) in (Kind.TIMEOUT, Kind.CONNECTION) and bool(str(error))


def _rejected(evidence: Evidence) -> str | None:
    parameter = _error_of(evidence.body).get("param")
    if isinstance(parameter, str) and parameter:
        return parameter.rpartition(".")[2]
    return "temperature" if _TEMPERATURE.search(_words(evidence)) else None


def _spent(error: BaseException) -> Usage | None:
    """Tokens of a completion that the SDK threw away because it was cut off."""
    for link in chain(error):
        usage = from_openai(getattr(getattr(link, "completion", None), "usage", None))
        if usage is not None:
            return usage
    return None
