"""Every operation of the contract has one prompt, one schema, one version; no prompt changes unseen."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import pytest

from src.worker.fallback_analysis import MAX_TOPICS
from src.worker.llm.answers import BadAnswer, outline, parse
from src.worker.llm.exchange import Role
from src.worker.llm.fence import DATA_RULE
from src.worker.llm.operation import JSON_RULE, TEXT_RULE, Operation
from src.worker.llm.operations import OPERATIONS
from src.worker.llm.operations.judge import BATCH_MAX, JUDGE_MENTIONS, Judgements, Judging, complete
from src.worker.llm.operations.mentions import Reception, reception_of
from src.worker.llm.operations.parts import INTENTS, TAGS, URGENCIES, ComplaintCategory, Emotions, Topic
from src.worker.llm.operations.replies import Suggestions
from src.worker.llm.tokens import estimate
from src.worker.models import Intent, StrategicTag, Urgency
from src.worker.vocabulary import COMPLAINTS, EMOTIONS, TOPICS
from tests.llm_samples import SAMPLES, plain

ROOT = Path(__file__).resolve().parents[1]

CONTRACT = {
    "summary", "sentiment", "enhanced_analysis", "strategic_analysis", "commercial_intent", "competitor_complaint",
    "launch_detection", "competitor_detection", "web_insights", "response_suggestion", "competitor_mentions",
    "competitor_web_analysis", "web_content", "history_summary",
}  # fmt: skip
OURS = {"judge_mentions", "competitor_complaints", "cluster_label", "decision_explanation"}

# The prompts as they were released: hash of the declaration, and of the user's turn for the inputs of `plain`. Whatever
# changes one of them needs another version, and a line of its own here.
RELEASED: dict[tuple[str, str], tuple[str, str]] = {
    ("summary", "1"): ("cad439182b9fdcd2", "d41827bc9a4254f9"),
    ("sentiment", "1"): ("187451a2931fb435", "d41827bc9a4254f9"),
    ("enhanced_analysis", "1"): ("3f4de1176a2ed1b2", "d41827bc9a4254f9"),
    ("strategic_analysis", "1"): ("bf1b252b120de5d3", "cf1dcc2399138ffd"),
    ("commercial_intent", "1"): ("24dca9fd3b07636b", "01f40c792bf92f1a"),
    ("competitor_complaint", "1"): ("df04ce2c2f235a44", "f6b0f59348bfaa3d"),
    ("competitor_complaints", "1"): ("58bf332e9b3d665e", "d8f2302bb0adfbb0"),
    ("launch_detection", "1"): ("801ac89876b56dbc", "01f40c792bf92f1a"),
    ("competitor_detection", "1"): ("7be4df90b23aa3c8", "a38c294164667d9f"),
    ("web_insights", "2"): ("4f22a34f307e5999", "764d60e8a64535f7"),
    ("response_suggestion", "2"): ("49ff2d0052a0a4b6", "47113ad5cd9effe0"),
    ("competitor_mentions", "1"): ("53571162db4b7270", "5e661f9d1ed3f5f8"),
    ("competitor_web_analysis", "1"): ("12e57098d1f7a4d5", "055325a6659a37a3"),
    ("web_content", "1"): ("145508869e6abed5", "1050537937a609f9"),
    ("history_summary", "1"): ("9c5abfd234a7de0c", "e5c25a4060bdcca7"),
    ("judge_mentions", "1"): ("8448a62344c7032d", "00bfa8ee20abfed6"),
    ("cluster_label", "1"): ("eed5e31e212ae8ad", "d41827bc9a4254f9"),
    ("decision_explanation", "1"): ("08e045ede1b517cb", "12bfd814846701c7"),
}

VERDICT: dict[str, Any] = {
    "index": 0,
    "relevant": True,
    "sentiment": {"label": "negative", "score": -0.7},
    "intent": "CHURN_RISK",
    "intent_confidence": 0.9,
    "strategic_tag": "NONE",
    "emotions": {"joy": 0, "anger": 0.6, "fear": 0, "sadness": 0.1, "surprise": 0, "disgust": 0.2},
    "urgency": "high",
    "is_sarcastic": False,
    "topics": ["bugs", "customer_support"],
    "lead_score": 0,
    "summary": None,
}
_ENTITY = {"name": "Ann", "role": None, "company": "Acme", "confidence": 0.9}
_COMPETITOR = {"name": "Zenith", "industry": None, "website": None, "is_direct_competitor": True, "confidence": 0.8}
_LISTS = {"feature_requests": [], "pain_points": ["slow"], "churn_risks": [], "recommended_actions": ["answer"]}
ANSWERS: dict[str, dict[str, Any]] = {
    "sentiment": {"positive": 0.33, "negative": 0.33, "neutral": 0.33},
    "enhanced_analysis": _LISTS
    | {"sentiment_score": -0.5, "sentiment_label": "negative", "emotions": VERDICT["emotions"], "is_sarcastic": False}
    | {"urgency": "low", "topics": ["pricing"], "language": "en", "lead_score": 5.0}
    | {"entities": {"people": [_ENTITY], "companies": [], "products": []}},
    "strategic_analysis": _LISTS
    | {"relevant": True, "intent": "GENERAL", "strategic_tag": "NONE", "sentiment_score": 0, "summary": "Talk."}
    | {"confidence": 1, "keywords": [], "lead_score": 0},
    "commercial_intent": {"sales_intent": False, "confidence": 0.8, "intent_type": "none", "pain_point": None},
    "competitor_complaint": {"category": "pricing", "specific_issue": "fees", "pain_level": 7},
    "competitor_complaints": {
        "complaints": [{"category": "pricing", "specific_issue": "fees", "pain_level": 7, "index": 0}]
    },
    "launch_detection": {"is_launch": True, "product_name": "X", "success_score": 71, "reason": "It says so."}
    | {"hype_signals": [], "skepticism_signals": [], "reception": "warm"},
    "competitor_detection": {
        "competitors": [
            {
                "name": "Zenith",
                "keywords": ["zenith"],
                "products": [],
                "confidence": 0.7,
                "reason": "Same.",
                "website": None,
            }
        ]
    },
    "competitor_mentions": {
        "competitors": [
            {"name": "Zenith", "industry": "shoes", "is_competitor": True, "relationship": "competitor"}
            | {"mentioned_context": "compared", "confidence": 0.7}
        ]
    },
    "competitor_web_analysis": {
        "summary": "S.",
        "competitors": [_COMPETITOR | {"strengths": [], "weaknesses": ["dear"]}],
    },
    "web_insights": {"known": False, "summary": "Nothing is known.", "sentiment": "neutral", "key_themes": []}
    | {"notable_mentions": [], "opportunities": [], "risks": [], "recommended_actions": []},
    "web_content": {"insights": ["new"], "competitors": ["Zenith"], "opportunities": []},
    "response_suggestion": {"safe": "Thank you.", "engaging": "Tell us more?", "bold": "Ouch."},
    "history_summary": {"summary": "S.", "key_events": ["x"], "themes": [], "sentiment_score": 0.1},
    "judge_mentions": {"verdicts": [VERDICT]},
    "cluster_label": {"label": "Slow app", "summary": "It is slow."},
}


def test_every_operation_of_the_contract_is_there_and_named_once() -> None:
    assert set(OPERATIONS) == CONTRACT | OURS
    assert set(SAMPLES) == set(OPERATIONS)
    assert all(name == operation.name for name, operation in OPERATIONS.items())
    assert set(ANSWERS) == {name for name, one in OPERATIONS.items() if one.answer}
    assert {name for name, one in OPERATIONS.items() if not one.answer} == {"summary", "decision_explanation"}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_changed_prompt_has_another_version(operation: Operation[Any]) -> None:
    turn = operation.render(plain(operation.name)).messages[1].text
    assert RELEASED.get((operation.name, operation.version)) == (operation.prompt_hash[:16], short_hash(turn)), (
        f"the prompt of {operation.name} is not the one released as version {operation.version}"
    )


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_hash_tells_every_part_of_a_question_apart() -> None:
    changes: list[dict[str, Any]] = [
        {"version": "x"}, {"system": "x"}, {"template": "x $brand $texts"}, {"answer": Suggestions}, {"name": "x"},
    ]  # fmt: skip
    label = OPERATIONS["cluster_label"]
    hashes = [replace(label, **change).prompt_hash for change in changes]
    assert len({*hashes, label.prompt_hash}) == len(changes) + 1
    assert replace(label, purpose="x").prompt_hash == label.prompt_hash


def test_hashes_and_prompts_are_the_same_in_every_process() -> None:
    code = "from src.worker.llm.operations import OPERATIONS\nprint(*(one.prompt_hash for one in OPERATIONS.values()))"
    for seed in ("1", "2"):
        out = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert out.stdout.split() == [one.prompt_hash for one in OPERATIONS.values()]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_prompt_says_the_rule_on_data_and_one_form(operation: Operation[Any]) -> None:
    request = operation.render(plain(operation.name))
    system, user = request.messages
    assert (system.role, user.role) == (Role.SYSTEM, Role.USER)
    assert system.text == operation.system_prompt
    assert system.text.count(DATA_RULE) == 1
    if operation.answer is None:
        assert system.text.endswith(TEXT_RULE)
        assert request.schema is None
    else:
        assert request.schema is not None
        assert system.text.endswith(f"{JSON_RULE}\n{outline(request.schema.schema)}")
        assert request.schema.name == operation.name
    # The one form is said by the system message; neither braces nor field names of another one are in the user's turn.
    assert "{" not in operation.template
    assert "json" not in (operation.template + operation.system).lower()
    assert request.temperature == operation.temperature
    assert request.max_tokens is not None
    assert request.max_tokens >= operation.max_tokens
    assert request == operation.render(plain(operation.name))


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_field_named_in_the_rules_exists_in_the_form(operation: Operation[Any]) -> None:
    fields = set() if operation.schema is None else set(re.findall(r'"([a-z_]+)":', outline(operation.schema.schema)))
    named = set(re.findall(r"\b[a-z]+_[a-z_]+\b", operation.system))
    assert named <= fields


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_rules_and_form_leave_room_for_the_material(operation: Operation[Any]) -> None:
    items = BATCH_MAX if operation.size else 0
    rest = operation.max_tokens + operation.tokens_per_item * items
    # A local model is given 16,384 tokens without effort; a batch of verdicts is the longest answer.
    assert estimate(operation.system_prompt) + operation.input_tokens + rest < 16_384
    assert estimate(operation.system_prompt) < 1000


@pytest.mark.parametrize("name", ANSWERS)
def test_a_good_answer_is_read(name: str) -> None:
    operation = OPERATIONS[name]
    text = f"Here it is:\n```json\n{json.dumps(ANSWERS[name], indent=1)}\n```"
    answer = operation.read(text)
    assert operation.answer is not None
    assert isinstance(answer, operation.answer)
    assert answer.model_dump(mode="json") == ANSWERS[name]


@pytest.mark.parametrize("name", ANSWERS)
def test_no_field_of_a_good_answer_can_be_missing_or_joined_by_another(name: str) -> None:
    operation = OPERATIONS[name]
    for field in ANSWERS[name]:
        less = {key: value for key, value in ANSWERS[name].items() if key != field}
        with pytest.raises(BadAnswer):
            operation.read(json.dumps(less))
    with pytest.raises(BadAnswer, match="not permitted"):
        operation.read(json.dumps(ANSWERS[name] | {"extra": 1}))


def test_plain_text_is_put_in_order_and_never_empty() -> None:
    assert OPERATIONS["summary"].read(" Users \n like  it. ") == "Users like it."
    with pytest.raises(BadAnswer, match="empty"):
        OPERATIONS["summary"].read(" \n ")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sentiment", {"positive": 0.9}),
        ("sentiment", {"positive": -0.33}),
        ("competitor_complaint", {"category": "billing"}),
        ("competitor_complaint", {"pain_level": 0}),
        ("competitor_complaint", {"pain_level": 7.5}),
        ("commercial_intent", {"intent_type": "purchase"}),
        ("enhanced_analysis", {"language": "English"}),
        ("enhanced_analysis", {"topics": ["ui"]}),
        ("strategic_analysis", {"lead_score": 101}),
        ("strategic_analysis", {"confidence": "high"}),
        ("response_suggestion", {"bold": ""}),
        ("web_insights", {"sentiment": "bad"}),
        ("launch_detection", {"is_launch": "yes"}),
    ],
)
def test_values_outside_of_their_range_are_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        OPERATIONS[name].read(json.dumps(ANSWERS[name] | changes))


def test_values_are_data_and_never_templates() -> None:
    request = JUDGE_MENTIONS.render(Judging("$count ${brand} {brand} %s", ("$mentions $$ $unknown", "\\1 \\g<0>")))
    assert "$count ${brand} {brand} %s" in request.messages[1].text
    assert "$mentions $$ $unknown" in request.messages[1].text
    for operation in OPERATIONS.values():
        assert Template(operation.template).is_valid()


def test_records_of_a_call_name_operation_version_and_hash() -> None:
    purpose = JUDGE_MENTIONS.purpose_for("acme", "task-1")
    assert (purpose.operation, purpose.brand, purpose.task_id) == ("judge_mentions", "acme", "task-1")
    assert (purpose.prompt_version, purpose.prompt_hash) == (JUDGE_MENTIONS.version, JUDGE_MENTIONS.prompt_hash)


# -- several mentions at once ------------------------------------------------------------------------------------------


def judged(*indexes: int) -> Judgements:
    return parse(json.dumps({"verdicts": [VERDICT | {"index": index} for index in indexes]}), Judgements)


def test_verdicts_come_in_the_order_of_the_mentions() -> None:
    assert [one.index for one in complete(judged(2, 0, 1), 3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("indexes", "problem"),
    [((0, 1), "no verdict for mention 2"), ((0, 1, 2, 2), "2 verdicts for mention 2"), ((0, 1, 2, 3), "no mention 3")],
)
def test_every_mention_has_exactly_one_verdict(indexes: tuple[int, ...], problem: str) -> None:
    with pytest.raises(BadAnswer, match=problem):
        complete(judged(*indexes), 3)


@pytest.mark.parametrize(
    ("label", "score", "fits"),
    [
        ("positive", 0.4, True),
        ("positive", 0, True),
        ("positive", -0.4, False),
        ("negative", 0.1, False),
        ("neutral", 0.3, True),
    ],
)
def test_a_label_does_not_contradict_its_score(label: str, score: float, fits: bool) -> None:
    text = json.dumps({"verdicts": [VERDICT | {"sentiment": {"label": label, "score": score}}]})
    if fits:
        assert parse(text, Judgements).verdicts[0].sentiment.score == score
    else:
        with pytest.raises(BadAnswer, match=r"verdicts\[0\]\.sentiment: label and score contradict"):
            parse(text, Judgements)


def test_the_longest_verdict_fits_its_share_of_tokens() -> None:
    longest = VERDICT | {
        "index": 19,
        "sentiment": {"label": "negative", "score": -0.85},
        "intent": "FEATURE_REQUEST",
        "strategic_tag": "OPPORTUNITY_TO_STEAL",
        "emotions": dict.fromkeys(Emotions.model_fields, 0.25),
        "topics": ["customer_support", "performance", "ui_ux", "onboarding", "integration"],
        "summary": "The author has waited for an answer of the support for three weeks and is going to leave.",
    }
    assert estimate(json.dumps(longest, indent=2)) * 1.2 < JUDGE_MENTIONS.tokens_per_item
    one, two = (JUDGE_MENTIONS.render(Judging("a", ("x",) * count)).max_tokens or 0 for count in (1, 2))
    assert two - one == JUDGE_MENTIONS.tokens_per_item


@pytest.mark.parametrize("count", [0, BATCH_MAX + 1])
def test_a_batch_has_bounds(count: int) -> None:
    with pytest.raises(ValueError, match="mentions are judged at once"):
        Judging("acme", ("x",) * count)


# -- vocabularies ------------------------------------------------------------------------------------------------------


def names(vocabulary: str, family: str) -> set[str]:
    return set(re.findall(rf"^{family}\.(\w+)", vocabulary, re.MULTILINE))


def test_the_model_and_the_local_tier_speak_the_same_words() -> None:
    assert {topic.value for topic in Topic} == names(TOPICS, "topic")
    assert {one.value for one in ComplaintCategory} - {"other"} == names(COMPLAINTS, "complaint")
    assert set(Emotions.model_fields) == names(EMOTIONS, "emotion")
    assert f"at most {MAX_TOPICS} items" in JUDGE_MENTIONS.system_prompt


def test_every_word_of_a_closed_vocabulary_is_explained() -> None:
    assert set(INTENTS) == set(Intent)
    assert set(TAGS) == set(StrategicTag)
    assert set(URGENCIES) == set(Urgency)
    for name in ("judge_mentions", "strategic_analysis"):
        for word in (*Intent, *StrategicTag):
            assert f"- {word.value}: " in OPERATIONS[name].system_prompt


@pytest.mark.parametrize(
    ("score", "band"),
    [(0, "FLOP_RISK"), (39, "FLOP_RISK"), (40, "MODERATE_SUCCESS"), (70, "MODERATE_SUCCESS"), (71, "POTENTIAL_HIT")],
)
def test_the_bands_of_a_launch_are_the_contracts(score: int, band: str) -> None:
    assert reception_of(score) is Reception(band)


def test_suggestions_keep_the_order_of_the_contract() -> None:
    assert Suggestions(safe="a", engaging="b", bold="c").replies == ("a", "b", "c")
