"""From an adapter's message to a Reply, and what is wrong with a Reply. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .errors import Kind, LLMError
from .exchange import Reply, Stop, Target, Usage
from .providers import Provider
from .usage import from_metadata, from_openai

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

_STOP_KEYS: Final = ("finish_reason", "stop_reason", "done_reason", "status")
"""Where adapters put the reason for stopping; `status` is the Responses API's."""
_PROBLEMS: Final = {
    Stop.REFUSED: Kind.REFUSED,
    Stop.FILTERED: Kind.REFUSED,
    Stop.LENGTH: Kind.TRUNCATED,
    Stop.SYSTEM: Kind.SERVER,
}


def to_reply(message: AIMessage, row: Provider, target: Target, seconds: float, raw: Any = None) -> Reply:
    """What one request brought.

    Args:
        message: what the adapter made of the answer.
        seconds: how long the request took.
        raw: the decoded body, where it was kept. Adapters that do not name the model that answered
            (`row.names_served_model`) also lose refusals and parts of the usage: with them it is needed.

    Raises:
        LLMError: MALFORMED, the body is no answer of a model, though the adapter made an empty message of it.
    """
    metadata: Mapping[str, Any] = message.response_metadata
    choice = {} if row.names_served_model else _choice(raw, target)
    blocked, raw_stop = _block_reason(metadata), _raw_stop(metadata, choice)
    text = "\n".join(_texts(message.content)).strip()
    refusal = _refusal(message, choice)
    usage = _usage(message, row, raw)
    if not (text or raw_stop or blocked or refusal or usage):
        raise _malformed(target)
    stop = row.stops.get(raw_stop.lower(), Stop.UNKNOWN) if raw_stop else Stop.UNKNOWN
    if blocked:
        stop = Stop.FILTERED
    elif refusal:
        stop = Stop.REFUSED
    return Reply(
        target=target,
        text=text,
        stop=stop,
        usage=usage,
        served_model=_served(metadata, row, raw),
        seconds=seconds,
        raw_stop=blocked or raw_stop,
        refusal=refusal,
    )


def check(reply: Reply) -> Kind | None:
    """What keeps a reply from being an answer; None: nothing does.

    A refusal is one also with text around it, and a truncated reply also without any: the reason comes first.
    """
    problem = _PROBLEMS.get(reply.stop)
    if problem is not None:
        return problem
    return None if reply.text else Kind.EMPTY


def _choice(raw: Any, target: Target) -> Mapping[str, Any]:
    choices = raw.get("choices") if isinstance(raw, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        raise _malformed(target)
    return first


def _malformed(target: Target) -> LLMError:
    return LLMError(Kind.MALFORMED, f"{target.provider}: the body is no answer of a model", target=target, status=200)


def _texts(content: Any) -> Iterator[str]:
    """The parts that are said: thoughts, citations and tool calls are not."""
    for part in [content] if isinstance(content, str) else content:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and part.get("type", "text") == "text" and not part.get("thought"):
            text = part.get("text")
            if isinstance(text, str):
                yield text


def _raw_stop(metadata: Mapping[str, Any], choice: Mapping[str, Any]) -> str | None:
    details = metadata.get("incomplete_details")
    found = [details.get("reason")] if isinstance(details, Mapping) else []
    found += [metadata.get(key) for key in _STOP_KEYS]
    found.append(choice.get("finish_reason"))
    return next((one for one in found if isinstance(one, str) and one), None)


def _block_reason(metadata: Mapping[str, Any]) -> str | None:
    """Gemini: why the question was not even let through."""
    feedback = metadata.get("prompt_feedback")
    reason = feedback.get("block_reason") if isinstance(feedback, Mapping) else None
    if not reason or reason == "BLOCK_REASON_UNSPECIFIED":
        return None
    return str(getattr(reason, "value", reason))


def _refusal(message: AIMessage, choice: Mapping[str, Any]) -> str | None:
    said = [message.additional_kwargs.get("refusal")]
    if isinstance(message.content, list):
        said += [part.get("refusal") for part in message.content if isinstance(part, dict)]
    inner = choice.get("message")
    if isinstance(inner, Mapping):
        said.append(inner.get("refusal"))
    return next((one for one in said if isinstance(one, str) and one.strip()), None)


def _usage(message: AIMessage, row: Provider, raw: Any) -> Usage | None:
    if not row.names_served_model and isinstance(raw, dict):
        return from_openai(raw.get("usage"))
    return from_metadata(message.usage_metadata, row.usage)


def _served(metadata: Mapping[str, Any], row: Provider, raw: Any) -> str | None:
    if row.names_served_model:
        said = metadata.get("model_name") or metadata.get("model")
    else:
        said = raw.get("model") if isinstance(raw, dict) else None
    return said if isinstance(said, str) and said else None
