"""Bodies in the OpenAPI document, of routes that read them by themselves: strictly, with the limits of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def json_body(
    properties: Mapping[str, Any],
    *,
    required: Sequence[str] = (),
    closed: bool = False,
    example: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`openapi_extra` of a route whose body is one JSON object.

    Args:
        properties: JSON Schema of each field.
        closed: other fields are refused; else they are those of a task's type, or ignored.
    """
    schema: dict[str, Any] = {"type": "object"}
    if closed:
        schema["additionalProperties"] = False
    if required:
        schema["required"] = list(required)
    schema["properties"] = dict(properties)
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = dict(example)
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
