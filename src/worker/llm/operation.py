"""What one kind of question to a model is made of: its prompt, the form of its answer, its limits, under a version.

An operation is a declaration. It renders inputs into a `Request` and reads answers; sending is the executor's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any, Final, Generic, TypeVar

from .answers import Answer, BadAnswer, json_schema, outline, parse
from .exchange import Message, Purpose, Request, ResponseSchema, Role
from .fence import DATA_RULE

I = TypeVar("I")  # noqa: E741 - inputs

JSON_RULE: Final = "Answer with one JSON object of this form and nothing else, no prose and no code fence:"
TEXT_RULE: Final = "Answer in plain text: no preamble, no markdown, no quotation marks around it."
INPUT_TOKENS: Final = 6000
"""Tokens of material in one prompt: with rules and the longest answer it stays inside a context of 16,384 tokens."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[I]):
    """A kind of question. Whoever changes the prompt or the form changes `version` too: records go by it."""

    name: str
    version: str
    purpose: str
    """What it is for, in a sentence for people."""
    system: str
    """Role and rules. The rules on data and on the form of the answer are added to it."""
    template: str
    """The user's turn with `$placeholders`. It holds no text that is not ours."""
    fields: Callable[[I], Mapping[str, str]]
    """The placeholders' values. Whatever comes from outside is fenced here."""
    answer: type[Answer] | None
    """The form of the answer; None: plain text."""
    max_tokens: int
    temperature: float
    size: Callable[[I], int] | None = None
    """How many items the answer has to speak of, where that differs."""
    tokens_per_item: int = 0
    """Added to `max_tokens` for every item."""
    input_tokens: int = INPUT_TOKENS
    """Budget of the material, for `texts.fit`."""
    schema: ResponseSchema | None = field(init=False)
    system_prompt: str = field(init=False)
    """The whole system message: the same bytes for every input."""
    prompt_hash: str = field(init=False)
    """SHA-256 over everything that shapes the question but its inputs, in hexadecimal."""

    def __post_init__(self) -> None:
        schema = None if self.answer is None else json_schema(self.answer, self.name)
        form = TEXT_RULE if schema is None else f"{JSON_RULE}\n{outline(schema.schema)}"
        prompt = f"{self.system}\n\n{DATA_RULE}\n\n{form}"
        body = None if schema is None else schema.schema
        hashed = json.dumps([self.name, self.version, prompt, self.template, body], ensure_ascii=True, sort_keys=True)
        object.__setattr__(self, "schema", schema)
        object.__setattr__(self, "system_prompt", prompt)
        object.__setattr__(self, "prompt_hash", hashlib.sha256(hashed.encode()).hexdigest())

    def render(self, inputs: I) -> Request:
        """The question for these inputs. The same inputs give the same bytes."""
        user = Template(self.template).substitute(self.fields(inputs))  # one pass: values are never read as templates
        items = 0 if self.size is None else self.size(inputs)
        return Request(
            (Message(Role.SYSTEM, self.system_prompt), Message(Role.USER, user)),
            max_tokens=self.max_tokens + self.tokens_per_item * items,
            temperature=self.temperature,
            schema=self.schema,
        )

    def read(self, text: str) -> Any:
        """The answer in a model's text: an instance of `answer`, or the text itself with its spaces in order.

        Raises:
            BadAnswer: it does not have the form asked for, or it is empty.
        """
        if self.answer is not None:
            return parse(text, self.answer)
        plain = " ".join(text.split())
        if not plain:
            raise BadAnswer(("answer: is empty",))
        return plain

    def purpose_for(self, brand: str | None = None, task_id: str | None = None) -> Purpose:
        """What goes into the record of a call."""
        return Purpose(self.name, brand, self.version, self.prompt_hash, task_id)
