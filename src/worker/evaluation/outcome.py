"""From an exception to the error object the orchestrator reads. Pure.

The orchestrator looks at the *text* of a retryable error once more and gives up when it holds certain words
(contract 1.8), so such words never stand in the message of an error that another try can mend.
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import InvalidTask, WorkerError
from .compat.errors import ErrorCode
from .validation import sentence

PERMANENT_WORDS: Final = (
    *("validation", "invalid", "401", "403", "404", "400", "unauthorized", "forbidden", "not found", "bad request"),
)
"""What makes the orchestrator treat an error as permanent, in lower case, as substrings."""

_GENERAL: Final = {
    ErrorCode.RATE_LIMIT: "The provider limits the rate of requests; try again later",
    ErrorCode.TIMEOUT: "No answer came in time; try again",
    ErrorCode.NETWORK_ERROR: "The provider could not be reached; try again",
    ErrorCode.SERVER_ERROR: "The provider failed; try again later",
}
"""Said instead of a message that holds one of the words, e.g. in a model's name (`…-20240401`)."""
_FAILED: Final = "The worker failed; try again"
_OTHER_CODES: Final = {"INTERNAL": ErrorCode.UNKNOWN, "CONFIG": ErrorCode.VALIDATION_ERROR}
_INSTALL: Final = "run `make setup` in the repository, or `python -m pip install -r requirements.txt`"


def error_object(error: BaseException) -> dict[str, Any]:
    """`{message, code, retryable}` and `details` where there are any. UNKNOWN is a fault of ours, never a client's."""
    if isinstance(error, ImportError):
        return missing_package((error.name or "").partition(".")[0] or str(error))
    if isinstance(error, InvalidTask):
        details = getattr(error, "details", None)
        message = error.message if details is not None else _worded(error)
        return _object(message, ErrorCode.VALIDATION_ERROR, retryable=False, details=details or {"field": error.field})
    if isinstance(error, WorkerError):
        code = str(_OTHER_CODES.get(error.code, error.code))
        retryable = error.retryable or code == ErrorCode.UNKNOWN
        return _object(error.message, code, retryable=retryable, details=details_of(error))
    # The text of an exception nobody expected may hold anything, prompts and keys included.
    name = type(error).__name__
    permanent = any(word in name.lower() for word in PERMANENT_WORDS)  # `ValidationError` as a text would be searched
    return _object(_FAILED, ErrorCode.UNKNOWN, retryable=True, details="an exception" if permanent else name)


def missing_package(name: str) -> dict[str, Any]:
    """No try helps until somebody installs the package, so it is no UNKNOWN."""
    message = f"Python package '{name}' is not installed: {_INSTALL}"
    return _object(message, ErrorCode.VALIDATION_ERROR, retryable=False, details={"package": name, "install": _INSTALL})


def details_of(error: WorkerError) -> Any:
    """What is known beyond the message. An object wherever a provider's own words are in it: the orchestrator appends
    texts to the message that it searches."""
    own = getattr(error, "details", None)
    if own is not None:
        return own
    skipped = ("message", "code", "retryable")
    found = {name: value for name, value in error.as_dict().items() if name not in skipped}
    if error.not_before_sec is not None:
        found["retryAfterSec"] = error.not_before_sec
    return found or None


def retry_safe(message: str, code: str) -> str:
    """The message of a retryable error without a word that would make it permanent."""
    lower = message.lower()
    if not any(word in lower for word in PERMANENT_WORDS):
        return message
    return _GENERAL.get(ErrorCode(code), _FAILED) if code in ErrorCode.__members__ else _FAILED


def _object(message: str, code: str, *, retryable: bool, details: Any) -> dict[str, Any]:
    safe = retry_safe(message, code) if retryable else message
    out: dict[str, Any] = {"message": safe, "code": str(code), "retryable": retryable}
    if safe != message:
        details = (
            {**details, "problem": message} if isinstance(details, dict) else {"problem": message, "more": details}
        )
    if details is not None:
        out["details"] = details
    return out


def _worded(error: InvalidTask) -> str:
    generic = f"{error.field}: {error.problem}"
    return sentence(error.field, error.problem) if error.message == generic else error.message
