"""From what a model said to a checked answer. Fences, prose around the JSON and small slips are everyday cases.

Of 248 captured JSON replies none was bare JSON (contract, section 8). So the document is searched for, and mended only
where there is one way to do it. Everything is linear in the text, and nothing here quotes an answer: errors name paths.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from .. import strictjson
from ..errors import WorkerError
from .exchange import Message, Request, Role
from .schema import json_schema, outline
from .texts import cut

__all__ = [
    "Answer", "BadAnswer", "NoJson", "documents", "extract_json", "json_schema", "outline", "parse", "repair_messages",
]  # fmt: skip

ANSWER_MAX: Final = 100_000
"""Characters; four times what the longest answer asked for (20 verdicts) can have."""
ECHO_MAX: Final = 6000
"""Characters of a bad answer that are shown to the model again: enough to mend it, bounded in cost."""
PROBLEMS_MAX: Final = 12
"""Problems named to the model; whoever makes more has misunderstood the form as a whole."""
_REREAD: Final = 3
"""How often a text may be read again, in lengths of the text: makes hostile text cost a constant more, not a square."""

_OPENING: Final = re.compile(
    r'\{\s*+["“”„}]|\[\s*+(?:[\]{\["“”„0-9-]|(?:true|false|null|True|False|None|NaN|Infinity)\b)'
)
"""How an object or an array can begin. Braces in prose rarely do."""
_OPENERS: Final = re.compile(r"[{\[\s]+")
_FENCED: Final = re.compile(r"(?:```|~~~)[ \t]*[A-Za-z0-9_-]{0,12}\s{0,8}\Z")
_THOUGHT, _THOUGHT_END = "<think>", "</think>"
_SMART_QUOTES: Final = str.maketrans("“”„‟", '""""')
# Strings are skipped whole; outside of them a comma before a bracket and Python's own names have one reading.
_SLIPS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*+[}\]])|\b(?:True|False|None)\b', re.DOTALL)
_MENDED: Final = {",": " ", "True": "true", "False": "false", "None": "null"}


class Answer(BaseModel):
    """Base of all forms of answers: closed, frozen, and no type is guessed ("0.5" is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


A = TypeVar("A", bound=BaseModel)


class BadAnswer(WorkerError):
    """An answer that has not the form asked for. `problems` are `path: what is wrong`, never the answer's text."""

    code = "INVALID_RESPONSE"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems[:3]) or "does not fit")
        self.problems = tuple(problems)


class NoJson(BadAnswer):
    """There is no JSON document in the answer, or more than one and no way to tell which is meant."""

    def __init__(self, problem: str) -> None:
        super().__init__((f"answer: {problem}",))
        self.problem = problem


class Document(NamedTuple):
    """A JSON document found in a text. `fenced`: it stands directly after the opening of a code fence."""

    value: Any
    fenced: bool


class _NotStrict(Exception):
    """What Python's reader accepts and JSON does not have."""


def _constant(name: str) -> Any:
    raise _NotStrict(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    # 18 digits fit 64 bits; Python refuses to convert thousands of digits, and nothing asked for has that many.
    return int(digits) if len(digits) <= 18 else _decimal(digits)


def _decimal(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _NotStrict("a number is too large")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotStrict("a key occurs twice in one object")
    return found


def _decoder(*, strict: bool) -> json.JSONDecoder:
    return json.JSONDecoder(
        strict=strict, parse_constant=_constant, parse_int=_integer, parse_float=_decimal, object_pairs_hook=_pairs
    )


_STRICT: Final = _decoder(strict=True)
_LENIENT: Final = _decoder(strict=False)
"""A line break inside a string is not JSON, but it has one reading."""


def documents(text: str) -> tuple[Document, ...]:
    """All JSON objects and arrays of a text that stand in no other one, in order.

    Raises:
        NoJson: there is none; or one holds NaN, Infinity or a key twice; or the text is too long.
    """
    if len(text) > ANSWER_MAX:
        raise NoJson(f"has {len(text):,} characters, at most {ANSWER_MAX:,} are read")
    text = _spoken(text)
    found: list[Document] = []
    problem = "holds no JSON object"
    budget = _REREAD * len(text)
    here = 0
    while budget >= 0 and (opening := _OPENING.search(text, here)):
        start = opening.start()
        outcome = _read(_STRICT, text, start)
        if isinstance(outcome, _Failure):
            budget -= len(text) - start
            mended = _read(_LENIENT, _mend(text, start), start)
            # What is cut off even when mended was meant as a document: nothing inside of it is one.
            outcome = outcome if isinstance(mended, _Failure) and mended.after < len(text) else mended
        if isinstance(outcome, _Failure):
            problem = outcome.problem
            budget -= outcome.reread
            here = max(start + 1, outcome.after)
            continue
        value, here = outcome
        found.append(Document(value, _FENCED.search(text, max(0, start - 24), start) is not None))
    if not found:
        raise NoJson(problem if text.strip() else "is empty")
    return tuple(found)


def _spoken(text: str) -> str:
    """The text without the thoughts that some models put before it."""
    if text.lstrip().startswith(_THOUGHT):
        thought, end, spoken = text.partition(_THOUGHT_END)
        return spoken if end else thought
    return text


class _Failure(NamedTuple):
    problem: str
    after: int
    """Where to go on: nothing before it can begin a document of its own."""
    reread: int
    """Characters that were read without getting any further."""


def _read(decoder: json.JSONDecoder, text: str, start: int) -> tuple[Any, int] | _Failure:
    try:
        return decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        if error.msg.startswith("Unterminated"):
            return _Failure("is cut off inside a string", len(text), 0)
        if error.pos >= len(text.rstrip()):
            return _Failure("is cut off", len(text), 0)
        return _Failure(f"is not JSON ({error.msg.lower()})", error.pos, 0)
    except _NotStrict as error:
        raise NoJson(str(error)) from None
    except RecursionError:
        run = _OPENERS.match(text, start)
        return _Failure("is nested too deeply", run.end() if run else start + 1, len(text) - start)


def _mend(text: str, start: int) -> str:
    """The text from `start` with slips mended that have one reading. Positions stay the same."""
    tail = text[start:]
    if '"' not in tail:
        tail = tail.translate(_SMART_QUOTES)
    return text[:start] + _SLIPS.sub(lambda slip: _MENDED.get(slip[0], slip[0]), tail)


def extract_json(text: str) -> Any:
    """The JSON document of an answer, wherever it stands.

    Of several documents the one in a code fence counts, then the one that is an object.

    Raises:
        NoJson: none, or several and no way to tell which is meant.
    """
    found = documents(text)
    for choice in (found, _fenced(found), [one for one in found if isinstance(one.value, dict)]):
        values = _different([one.value for one in choice])
        if len(values) == 1:
            return values[0]
    raise NoJson(f"holds {len(found)} JSON documents, one was asked for")


def _fenced(found: Sequence[Document]) -> list[Document]:
    return [one for one in found if one.fenced]


def _different(values: Sequence[Any]) -> list[Any]:
    out: list[Any] = []
    for value in values[:50]:  # an answer with more documents than that is refused whatever they are
        if value not in out:
            out.append(value)
    return out


def parse(text: str, model: type[A]) -> A:
    """The answer in a text.

    A text may hold other JSON (an example, a quotation): what counts is the one document that fits.

    Raises:
        BadAnswer: no document fits, or several different ones do; `NoJson` when there is none at all.
    """
    found = documents(text)
    fits: list[tuple[A, bool]] = []
    problems: list[tuple[bool, int, tuple[str, ...]]] = []
    for one in found[:50]:
        outcome = _validate(one.value, model)
        if isinstance(outcome, tuple):
            problems.append((not isinstance(one.value, dict), len(outcome), outcome))
        else:
            fits.append((outcome, one.fenced))
    for choice in ([answer for answer, _ in fits], [answer for answer, fenced in fits if fenced]):
        answers = _different(choice)
        if len(answers) == 1:
            answer: A = answers[0]
            return answer
    if fits:
        raise BadAnswer((f"answer: holds {len(fits)} different answers, one was asked for",))
    raise BadAnswer(min(problems)[2])  # of the document that was most likely meant as the answer


def _validate(value: Any, model: type[A]) -> A | tuple[str, ...]:
    fields = list(model.model_fields)
    if isinstance(value, list) and len(fields) == 1:
        value = {fields[0]: value}  # the list itself instead of the object around it: one reading
    try:
        strictjson.check(value)
        return model.model_validate_json(orjson.dumps(value))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return tuple(f"{_path(detail['loc'])}: {_said(detail['msg'])}" for detail in details)
    except (ValueError, RecursionError, orjson.JSONEncodeError) as error:
        return (f"answer: {'is nested too deeply' if isinstance(error, RecursionError) else 'holds invalid text'}",)


def _path(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part, 60)}" for part in loc)
    return path.removeprefix(".") or "answer"


def _said(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def repair_messages(request: Request, bad_text: str, problems: Sequence[str]) -> tuple[Message, ...]:
    """The question again with the answer that did not fit and what is wrong with it: the one repair turn."""
    shown = [f"- {problem}" for problem in problems[:PROBLEMS_MAX]]
    if len(problems) > PROBLEMS_MAX:
        shown.append(f"- and {len(problems) - PROBLEMS_MAX} more")
    # An empty turn is refused by some providers.
    echo = cut(bad_text, ECHO_MAX) or "(no text)"
    ask = "\n".join(
        ["Your answer cannot be used:", *shown, "Answer the question again with the corrected JSON object alone."]
    )
    return (*request.messages, Message(Role.ASSISTANT, echo), Message(Role.USER, ask))
