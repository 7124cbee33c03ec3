"""A request in the words of one provider's adapter: messages, limits and the JSON switch. Pure."""

from __future__ import annotations

from typing import Any, Final

import orjson

from .exchange import Message, Request, ResponseSchema, Role
from .providers import JsonSwitch, Provider

_JSON_ONLY: Final = (
    "Answer with one JSON object and nothing else: no explanation, no code fence. It must fit this JSON Schema:\n"
)


def messages(row: Provider, request: Request, model: str) -> list[tuple[str, str]]:
    """Role and text of each message. What a provider has no switch for goes into the instructions."""
    system = [one for one in request.messages if one.role is Role.SYSTEM]
    if not row.system_anywhere:
        rest = [one for one in request.messages if one.role is not Role.SYSTEM]
    else:
        leading = next((at for at, one in enumerate(request.messages) if one.role is not Role.SYSTEM), len(system))
        system, rest = system[:leading], list(request.messages[leading:])
    if request.schema is not None and row.switch_for(model) in (JsonSwitch.OBJECT, JsonSwitch.NONE):
        system.append(Message(Role.SYSTEM, _JSON_ONLY + orjson.dumps(dict(request.schema.schema)).decode()))
    first = [(Role.SYSTEM.value, "\n\n".join(one.text for one in system))] if system else []
    return first + [(one.role.value, one.text) for one in rest]


def arguments(row: Provider, request: Request, model: str) -> dict[str, Any]:
    """Arguments of the call. What the request leaves open is not among them, so that nothing is sent for it."""
    limits: dict[str, Any] = {}
    max_tokens = request.max_tokens if request.max_tokens is not None else row.max_tokens_needed
    if max_tokens is not None:
        limits[row.max_tokens] = max_tokens
    if request.temperature is not None and row.takes_temperature(model):
        limits[row.temperature] = request.temperature
    if request.seed is not None and row.seed is not None:
        limits[row.seed] = request.seed
    if row.options is not None:
        limits = {row.options: limits}
    if request.schema is not None:
        limits |= _json_switch(row.switch_for(model), request.schema)
    return limits


def _json_switch(switch: JsonSwitch, form: ResponseSchema) -> dict[str, Any]:
    schema = dict(form.schema)
    match switch:
        case JsonSwitch.SCHEMA:
            named = {"name": form.name, "schema": schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case JsonSwitch.OBJECT:
            return {"response_format": {"type": "json_object"}}
        case JsonSwitch.FORMAT:
            return {"format": schema}
        case JsonSwitch.GEMINI:
            return {"response_mime_type": "application/json", "response_json_schema": schema}
        case JsonSwitch.ANTHROPIC:
            return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        case JsonSwitch.NONE:
            return {}
