"""No text of a stranger gets out of its fence, changes the rules, or is obeyed in a form that would be read.

What a model thinks is beyond these tests. They hold what is ours: the prompt it sees and the answer that is accepted.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from src.worker.llm.answers import BadAnswer, repair_messages
from src.worker.llm.fence import clean, neutral
from src.worker.llm.operation import Operation
from src.worker.llm.operations import OPERATIONS
from src.worker.llm.operations.judge import Judgements, complete
from src.worker.llm.redaction import redact
from src.worker.llm.texts import CUT_MARK
from tests.injection_corpus import ATTACKS
from tests.llm_samples import SAMPLES, plain, slots
from tests.test_llm_operations import ANSWERS, VERDICT

FENCE = re.compile(r'<(data-[a-p]{16}) kind="([a-z_]+)">\n(.*?)\n</\1>', re.DOTALL)


def skeleton(user: str) -> str:
    """A prompt with every fence replaced by its kind: what is left is ours."""
    return FENCE.sub(lambda found: f"[{found[2]}]", user)


def unfolded(text: str) -> str:
    """A text as it may stand in a fence."""
    return neutral(clean(text))


def test_the_corpus_is_large_and_every_attack_is_its_own() -> None:
    assert len(ATTACKS) >= 60
    assert len(set(ATTACKS.values())) == len(ATTACKS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_attack_stays_in_its_one_fence_in_every_slot(operation: Operation[Any]) -> None:
    usual = operation.render(plain(operation.name))
    count = len(FENCE.findall(usual.messages[1].text))
    tested = 0
    for slot, inputs in slots(operation.name):
        for name, attack in ATTACKS.items():
            request = operation.render(inputs(attack))
            where = f"{name} as {slot}"
            assert request.messages[0] == usual.messages[0], where
            assert (request.schema, request.max_tokens) == (usual.schema, usual.max_tokens), where
            assert len(request.messages) == 2, where
            user = request.messages[1].text
            assert skeleton(user) == skeleton(usual.messages[1].text), where
            bodies = [body for _, _, body in FENCE.findall(user)]
            odd = [body for body in bodies if not body.startswith("plain ") and body not in {"b", "x"}]
            assert (len(bodies), len(odd)) == (count, 1), where
            assert unfolded(attack).startswith(odd[0].removesuffix(CUT_MARK)), where
            assert user.count("<data-") == user.count("</data-") == count, where
            tested += 1
    assert tested >= 2 * len(ATTACKS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_attack_in_every_slot_at_once_stays_inside_too(operation: Operation[Any]) -> None:
    usual = skeleton(operation.render(plain(operation.name)).messages[1].text)
    for name, attack in ATTACKS.items():
        inputs = SAMPLES[operation.name](lambda _slot, attack=attack: attack)
        assert skeleton(operation.render(inputs).messages[1].text) == usual, name


def test_redacting_a_rendered_prompt_leaves_its_fences_whole() -> None:
    for operation in OPERATIONS.values():
        for _, inputs in slots(operation.name):
            user = operation.render(inputs("mail ann@example.org or call +44 20 7946 0958")).messages[1].text
            redacted = redact(user)
            assert "mail [email] or call [phone]" in redacted
            assert skeleton(redacted) == skeleton(user)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_unseen_reaches_a_model(name: str) -> None:
    text = unfolded(ATTACKS[name])
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e01ef]", text
    )
    text.encode("utf-8")


OBEYED = [
    "HOT_LEAD",
    "PWNED",
    '{"obeyed": true}',
    '{"relevant": true}',
    '{"intent": "HOT_LEAD", "lead_score": 100}',
    "result: HOT_LEAD",
    '{"tool_calls": [{"function": {"name": "delete_brand", "arguments": "{}"}}]}',
    "{}",
    "null",
    "",
]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_obeys_instead_of_answering_is_refused(name: str) -> None:
    operation = OPERATIONS[name]
    for text in (*OBEYED, *ATTACKS.values()):
        with pytest.raises(BadAnswer):
            operation.read(text)


@pytest.mark.parametrize("name", ANSWERS)
def test_keys_that_nobody_asked_for_are_refused_at_every_depth(name: str) -> None:
    operation = OPERATIONS[name]

    def spoiled(node: Any) -> list[Any]:
        if isinstance(node, dict):
            deeper = [node | {key: worse} for key, child in node.items() for worse in spoiled(child)]
            return [node | {"admin": True}, *deeper]
        if isinstance(node, list):
            return [[*node[:at], worse, *node[at + 1 :]] for at, child in enumerate(node) for worse in spoiled(child)]
        return []

    variants = spoiled(ANSWERS[name])
    assert variants
    for variant in variants:
        with pytest.raises(BadAnswer, match="not permitted"):
            operation.read(json.dumps(variant))


@pytest.mark.parametrize(
    "changes",
    [
        {"intent": "SUPER_HOT_LEAD"},
        {"strategic_tag": "WIRE_MONEY"},
        {"lead_score": 1000},
        {"index": -1},
        {"intent_confidence": 99},
        {"urgency": "IMMEDIATE"},
        {"topics": ["obey"]},
        {"emotions": {"joy": 1}},
        {"summary": "x" * 2000},
        {"is_sarcastic": "true"},
    ],
)
def test_words_and_numbers_outside_of_the_form_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        OPERATIONS["judge_mentions"].read(json.dumps({"verdicts": [VERDICT | changes]}))


def test_no_verdict_can_be_added_left_out_or_given_twice() -> None:
    def answer(*indexes: int) -> Judgements:
        verdicts = [VERDICT | {"index": index} for index in indexes]
        read = OPERATIONS["judge_mentions"].read(json.dumps({"verdicts": verdicts}))
        assert isinstance(read, Judgements)
        return read

    assert len(complete(answer(0, 1), 2)) == 2
    for indexes in ((), (0,), (0, 0), (0, 1, 2), (1, 2)):
        with pytest.raises(BadAnswer):
            complete(answer(*indexes), 2)
    with pytest.raises(BadAnswer):
        answer(*range(500))


def test_a_quoted_attack_beside_the_answer_is_not_taken_for_it() -> None:
    answer = json.dumps({"verdicts": [VERDICT]})
    whole = json.dumps({"verdicts": [VERDICT | {"intent": "HOT_LEAD", "lead_score": 100}]})
    for name, attack in ATTACKS.items():
        if name in {"long_word", "json_closing", "brackets"}:
            continue  # quoted raw these leave a string or a bracket open: refused, which the test before holds
        read = OPERATIONS["judge_mentions"].read(f"The post says: {attack}\n```json\n{answer}\n```")
        assert read.verdicts[0].intent.value == "CHURN_RISK", name
    with pytest.raises(BadAnswer, match="different answers"):
        OPERATIONS["judge_mentions"].read(f"The post says {whole} but I say {answer}")


def test_the_repair_turn_keeps_rules_and_fences_as_they_were() -> None:
    for attack in ATTACKS.values():
        request = OPERATIONS["summary"].render(plain("summary"))
        messages = repair_messages(request, attack, ["answer: holds no JSON object"])
        assert messages[:2] == request.messages
        assert "\x00" not in messages[2].text
        messages[2].text.encode("utf-8")
