"""Promises of the reply: text without thoughts, one vocabulary of stops, tokens counted once. Nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage

from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Reply, Stop, Target, Usage
from src.worker.llm.providers import PROVIDERS, UsageRule
from src.worker.llm.reply import check, to_reply
from src.worker.llm.usage import from_metadata, from_openai


def reply(provider: str, content: Any, raw: Any = None, *, usage: Any = None, **metadata: Any) -> Reply:
    message = AIMessage(content=content, response_metadata=metadata, usage_metadata=usage)
    return to_reply(message, PROVIDERS[provider], Target(provider, "asked"), 0.5, raw)


@pytest.mark.parametrize(
    ("provider", "word", "stop"),
    [
        ("openai", "stop", Stop.COMPLETE),
        ("openai", "length", Stop.LENGTH),
        ("openai", "content_filter", Stop.FILTERED),
        ("openai", "tool_calls", Stop.TOOL),
        ("anthropic", "end_turn", Stop.COMPLETE),
        ("anthropic", "stop_sequence", Stop.COMPLETE),
        ("anthropic", "max_tokens", Stop.LENGTH),
        ("anthropic", "tool_use", Stop.TOOL),
        ("anthropic", "refusal", Stop.REFUSED),
        ("gemini", "STOP", Stop.COMPLETE),
        ("gemini", "MAX_TOKENS", Stop.LENGTH),
        *(("gemini", word, Stop.FILTERED) for word in "SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII".split()),
        ("gemini", "OTHER", Stop.UNKNOWN),
        ("deepseek", "insufficient_system_resource", Stop.SYSTEM),
        ("xai", "length", Stop.LENGTH),
        ("ollama", "length", Stop.LENGTH),
    ],
)
def test_every_providers_word_for_stopping_has_its_place_in_one_vocabulary(
    provider: str, word: str, stop: Stop
) -> None:
    found = reply(provider, "x", finish_reason=word)
    assert (found.stop, found.raw_stop) == (stop, word)


def test_a_word_that_is_not_known_is_kept_and_not_guessed() -> None:
    found = reply("openai", "x", finish_reason="bored")
    assert (found.stop, found.raw_stop) == (Stop.UNKNOWN, "bored")
    assert check(found) is None


@pytest.mark.parametrize(
    ("stop", "text", "kind"),
    [
        (Stop.COMPLETE, "x", None),
        (Stop.COMPLETE, "", Kind.EMPTY),
        (Stop.UNKNOWN, "", Kind.EMPTY),
        (Stop.TOOL, "", Kind.EMPTY),
        (Stop.LENGTH, "x", Kind.TRUNCATED),
        (Stop.LENGTH, "", Kind.TRUNCATED),
        (Stop.REFUSED, "I cannot", Kind.REFUSED),
        (Stop.FILTERED, "half an ans", Kind.REFUSED),
        (Stop.SYSTEM, "half", Kind.SERVER),
    ],
)
def test_what_keeps_a_reply_from_being_an_answer_is_said(stop: Stop, text: str, kind: Kind | None) -> None:
    assert check(Reply(Target("openai", "m"), text, stop, None, None, 0.1)) is kind


def test_parts_are_joined_and_thoughts_stay_out() -> None:
    parts = [
        {"type": "thinking", "thinking": "secretly"},
        {"type": "reasoning", "reasoning": "secretly"},
        {"type": "text", "text": "secretly", "thought": True},
        {"type": "text", "text": "One."},
        "Two.",
        {"type": "tool_use", "name": "x"},
        {"type": "text", "text": None},
    ]
    assert reply("gemini", parts, finish_reason="STOP").text == "One.\nTwo."
    assert reply("openai", "\n  kept  as it is\n", finish_reason="stop").text == "kept  as it is"


def test_a_blocked_question_is_filtered_with_its_reason() -> None:
    found = reply("gemini", "", prompt_feedback={"block_reason": "SAFETY"}, model_name="g")
    assert (found.stop, found.raw_stop, check(found)) == (Stop.FILTERED, "SAFETY", Kind.REFUSED)


def test_a_refusal_is_read_from_the_field_that_has_it() -> None:
    message = AIMessage(content="", additional_kwargs={"refusal": "No."}, response_metadata={"finish_reason": "stop"})
    found = to_reply(message, PROVIDERS["openai"], Target("openai", "m"), 0.1)
    assert (found.refusal, found.stop) == ("No.", Stop.REFUSED)
    raw = {"choices": [{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]}
    found = reply("groq", "", raw)
    assert (found.refusal, found.stop) == ("No.", Stop.REFUSED)


@pytest.mark.parametrize("provider", ["groq", "nvidia", "mistral"])
def test_the_model_that_answered_is_read_from_the_body_and_never_the_one_that_was_asked(provider: str) -> None:
    raw = {"choices": [{"finish_reason": "stop"}], "model": "served"}
    assert reply(provider, "x", raw, model_name="asked").served_model == "served"
    assert reply(provider, "x", {"choices": [{}]}, model_name="asked", finish_reason="stop").served_model is None


@pytest.mark.parametrize("raw", [None, [], {}, {"choices": []}, {"choices": None}, {"choices": ["x"]}])
@pytest.mark.parametrize("provider", ["groq", "nvidia", "mistral"])
def test_a_body_without_choices_is_malformed_whatever_the_adapter_made_of_it(provider: str, raw: Any) -> None:
    with pytest.raises(LLMError) as caught:
        reply(provider, "", raw, finish_reason="stop")
    assert caught.value.kind is Kind.MALFORMED


def test_a_message_of_nothing_at_all_is_malformed_and_not_empty() -> None:
    with pytest.raises(LLMError) as caught:
        reply("gemini", "", finish_reason="")
    assert caught.value.kind is Kind.MALFORMED
    assert check(reply("gemini", "", finish_reason="STOP")) is Kind.EMPTY


# --- usage ---------------------------------------------------------------------------------------------------------


def metadata(given: int, output: int, total: int, *, reasoning: int = 0, **into: int) -> dict[str, Any]:
    return {
        "input_tokens": given,
        "output_tokens": output,
        "total_tokens": total,
        "input_token_details": into,
        "output_token_details": {"reasoning": reasoning},
    }


@pytest.mark.parametrize(
    ("given", "rule", "usage"),
    [
        (metadata(16, 7, 23, cache_read=3, cache_creation=2), UsageRule.AS_GIVEN, Usage(16, 7, 3, 2)),
        (
            metadata(16, 7, 23, cache_read=3, cache_creation=0, ephemeral_5m_input_tokens=2),
            UsageRule.AS_GIVEN,
            Usage(16, 7, 3, 2),
        ),
        # The adapter added 2 of reasoning to 7. The total says whether they were in the 7 already.
        (metadata(11, 9, 18, reasoning=2), UsageRule.REASONING_ADDED, Usage(11, 7, reasoning_tokens=2)),
        (metadata(11, 9, 20, reasoning=2), UsageRule.REASONING_ADDED, Usage(11, 9, reasoning_tokens=2)),
        (metadata(11, 9, 0, reasoning=2), UsageRule.REASONING_ADDED, Usage(11, 9, reasoning_tokens=2)),
        (metadata(11, 7, 18, reasoning=2), UsageRule.AS_GIVEN, Usage(11, 7, reasoning_tokens=2)),
        (metadata(11, 7, 20, reasoning=2), UsageRule.AS_GIVEN, Usage(11, 9, reasoning_tokens=2)),
        (metadata(0, 0, 0), UsageRule.AS_GIVEN, None),
        (None, UsageRule.AS_GIVEN, None),
        ({"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}, UsageRule.AS_GIVEN, Usage(5, 1)),
        # A gateway that counts cached input beside the input: parts stay parts.
        (metadata(5, 1, 6, cache_read=50), UsageRule.AS_GIVEN, Usage(5, 1, 5)),
    ],
)
def test_tokens_are_counted_once_whoever_counted(given: Any, rule: UsageRule, usage: Usage | None) -> None:
    assert from_metadata(given, rule) == usage


def test_an_openai_style_usage_is_read_from_the_body() -> None:
    body = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    assert from_openai(body) == Usage(11, 7)
    assert from_openai(body | {"prompt_cache_hit_tokens": 4}) == Usage(11, 7, 4)
    assert from_openai(body | {"prompt_tokens_details": {"cached_tokens": 3}}) == Usage(11, 7, 3)
    reasoning = {"completion_tokens_details": {"reasoning_tokens": 2}}
    assert from_openai(body | reasoning | {"total_tokens": 20}) == Usage(11, 9, reasoning_tokens=2)
    for nothing in (None, {}, "x", {"prompt_tokens": 0, "completion_tokens": 0}):
        assert from_openai(nothing) is None
