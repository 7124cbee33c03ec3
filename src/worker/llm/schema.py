"""One form of an answer for all providers: a closed JSON Schema that each of them accepts, and its outline for prompts.

Both are made from one pydantic model, so what a prompt asks for, what a provider enforces and what is checked agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from .exchange import ResponseSchema

_KEPT: Final = frozenset({"type", "enum", "items", "properties", "anyOf", "description"})
"""What OpenAI's strict mode, Gemini's response schema and Anthropic's output format all understand."""
_DROPPED: Final = frozenset({"title", "required", "additionalProperties", "$defs"})
"""Said in another way: objects are closed and complete without exception."""
_WORDS: Final = {
    ("minimum", "maximum"): "{} to {}",
    ("minLength", "maxLength"): "{} to {} characters",
    ("minItems", "maxItems"): "{} to {} items",
    ("minimum",): "at least {}",
    ("maximum",): "at most {}",
    ("exclusiveMinimum",): "more than {}",
    ("exclusiveMaximum",): "less than {}",
    ("minLength",): "at least {} characters",
    ("maxLength",): "at most {} characters",
    ("minItems",): "at least {} items",
    ("maxItems",): "at most {} items",
    ("pattern",): "matches {}",
}
"""Limits that some providers refuse in a schema; said in the description, enforced when the answer is read."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def json_schema(model: type[BaseModel], name: str | None = None) -> ResponseSchema:
    """The schema of a model: references inlined, every object closed, every property required, no refused keyword.

    Args:
        model: the form of the answer.
        name: what providers call it; the model's name when None.

    Raises:
        TypeError: the model has a part that cannot be said to all providers (recursion, free keys, unions of objects).
    """
    name = name or model.__name__
    if not _NAME.fullmatch(name):
        raise TypeError(f"{name!r} is no name for a schema: letters, digits, _ and - only")
    raw = model.model_json_schema(mode="validation")
    return ResponseSchema(name, _node(raw, raw.get("$defs", {}), (name,)))


def _node(raw: Mapping[str, Any], defs: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    if "$ref" in raw:
        target = str(raw["$ref"]).removeprefix("#/$defs/")
        if f"${target}" in path:
            raise TypeError(f"{_where(path)}: refers to itself")
        # The description of a model or an enumeration is its docstring, written for our readers.
        named = {key: value for key, value in defs[target].items() if key != "description"}
        return _node({**named, **{k: v for k, v in raw.items() if k != "$ref"}}, defs, (*path, f"${target}"))
    said, limits = _limits(raw)
    unsaid = raw.keys() - limits - _KEPT - _DROPPED
    if unsaid:
        raise TypeError(f"{_where(path)}: {min(unsaid)!r} cannot be said to every provider")
    out: dict[str, Any] = {}
    if raw.get("type") == "object":
        out |= _object(raw, defs, path)
    for key in ("type", "enum"):
        if key in raw:
            out[key] = raw[key]
    if "items" in raw:
        out["items"] = _node(raw["items"], defs, (*path, "[]"))
    if "anyOf" in raw:
        out["anyOf"] = _alternatives(raw["anyOf"], defs, path)
    own = "" if len(path) == 1 else str(raw.get("description", ""))
    description = "; ".join(part for part in (own, said) if part)
    if description:
        out["description"] = description
    return out


def _limits(raw: Mapping[str, Any]) -> tuple[str, set[str]]:
    """The limits of a value in words, and the keywords they were made of."""
    said: list[str] = []
    used: set[str] = set()
    for keys, words in _WORDS.items():
        if used.isdisjoint(keys) and all(key in raw for key in keys):
            said.append(words.format(*(raw[key] for key in keys)))
            used.update(keys)
    return ", ".join(said), used


def _object(raw: Mapping[str, Any], defs: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    if "properties" not in raw or isinstance(raw.get("additionalProperties"), dict):
        raise TypeError(f"{_where(path)}: an object with free keys cannot be closed")
    properties = {key: _node(value, defs, (*path, key)) for key, value in raw["properties"].items()}
    return {"properties": properties, "required": list(properties), "additionalProperties": False}


def _alternatives(options: list[Mapping[str, Any]], defs: Mapping[str, Any], path: tuple[str, ...]) -> list[Any]:
    nodes = [_node(option, defs, path) for option in options]
    if sum(node.get("type") != "null" for node in nodes) != 1:
        raise TypeError(f"{_where(path)}: only 'something or null' is understood by every provider")
    return nodes


def _where(path: tuple[str, ...]) -> str:
    return ".".join(part for part in path if not part.startswith("$"))


def outline(schema: Mapping[str, Any]) -> str:
    """A schema as a model reads it best, in a third of its tokens: `{"score": number (at least -1, at most 1)}`."""
    if "anyOf" in schema:
        kinds = [outline(option) for option in schema["anyOf"]]
        return " or ".join(kinds) + _remark(schema)
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"]) + _remark(schema)
    if schema["type"] == "object":
        inner = ", ".join(f'"{key}": {outline(value)}' for key, value in schema["properties"].items())
        return "{" + inner + "}" + _remark(schema)
    if schema["type"] == "array":
        return f"[{outline(schema['items'])}, …]" + _remark(schema)
    return str(schema["type"]) + _remark(schema)


def _remark(schema: Mapping[str, Any]) -> str:
    return f" ({schema['description']})" if "description" in schema else ""
