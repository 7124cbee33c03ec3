"""What `make newcomer` reads from the pages, and when it says that a page differs from what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.newcomer import pages

ROOT = Path(__file__).resolve().parent.parent


def test_every_command_of_readme_and_tutorial_is_followed() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "tutorial.md"):
        found = pages.steps(page)
        assert len(found) == page.read_text("utf-8").count("```bash\n")
        assert any(step.shown for step in found), "nothing of what is printed would be compared"


def test_blocks_behind_commands_are_what_they_print(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```\na drawing\n```\n1. first\n\n   ```bash\n   one\n   ```\n```\nsays\n```\n"
        '```json\n{"a": 1}\n```\n```bash\ntwo\n```\n'
        "## Another matter\n```\nof its own\n```\n"
    )
    first, second = pages.steps(page)
    assert (first.commands, first.shown, first.documents) == ("one\n", ["says\n"], ['{"a": 1}\n'])
    assert (second.commands, second.shown, second.documents) == ("two\n", [], [])


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        ("mood  198 positive, 111 neutral", None),
        ("mood 197 positive,\n  112 neutral", None),
        ("mood …\nspike", None),
        ("mood …, 111 neutral", None),
        ("mood …, 111 positive", "mood …, 111 positive"),
        ("health 54 of 100\nmood 198 positive", "mood 198 positive"),
        ("mood 190 positive", "mood 190 positive"),
        ("mood 198 negative", "mood 198 negative"),
        ("spike 2025-05-08 score 10.2", None),
        ("spike 2025-05-09 score 10.2", "spike 2025-05-09 score 10.2"),
        ("spike 2025-05-08 score 10.9", "spike 2025-05-08 score 10.9"),
        ("mentions 0414,", None),
        ("mentions 0415,", "mentions 0415,"),
    ],
)
def test_words_are_compared_in_order_and_counts_nearly(shown: str, line: str | None) -> None:
    printed = "mood     198 positive, 111 neutral\nhealth 54 of 100\nspike 2025-05-08 score 10.2\nmentions 0414, 0462"
    assert pages.missing(shown, printed) == line


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        ('{"id": "2", "text": "This is …", "mood": {"score": -0.9}}', None),
        ('{"id": "2", "text": "That is …"}', "text: "),
        ('{"id": "2", "mood": {"score": -0.5}}', "mood.score: "),
        ('{"id": "2", "reasons": ["a"]}', "reasons: "),
        ('{"id": "3"}', "id: "),
    ],
)
def test_an_answer_has_every_field_that_the_page_shows(shown: str, problem: str | None) -> None:
    item = '{"id": "2", "text": "This is it", "mood": {"label": "bad", "score": -0.91}, "reasons": ["a", "b"]}'
    found = pages.differs(shown, f'{{"state": "calm"}}{{"items": [{item}]}}')
    assert (found is None) if problem is None else (found or "").startswith(problem)


def test_an_answer_that_is_no_json_is_a_difference() -> None:
    assert pages.differs('{"id": "2"}', "curl: (7) Failed to connect") == "nothing that is JSON was printed"
