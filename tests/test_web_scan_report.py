"""Reports of web scans: nothing is quoted that does not stand on a page, nothing is judged where nobody judged."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.worker.brand_terms import BrandTerms
from src.worker.llm.answers import BadAnswer
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.operations.web import LISTS as ANSWER_LISTS
from src.worker.llm.operations.web import WEB_INSIGHTS, WebInsights, grounded
from src.worker.models import Sentiment, SentimentLabel
from src.worker.pipeline.web_passages import GAP, excerpt, named_on, sentences_naming, snippet
from src.worker.pipeline.web_quotes import Quotable
from src.worker.pipeline.web_report import LISTS as REPORT_LISTS
from src.worker.pipeline.web_report import Rank, Sentence, counted_report, empty_report, judged_report
from tests.web_scan_helpers import findings, page

ACME = BrandTerms.build("acme", aliases=["Acme Corp"], keywords=["widget"])
NO_MODEL = LLMError(Kind.NO_KEY, "no language model is configured")
LISTS = ("key_themes", "opportunities", "risks", "recommended_actions")

NEWS = page(
    "https://www.news.example/acme",
    "Markets were quiet on Monday.\n\nAcme’s new app isn’t as slow as the old one, says Jane Roe — it “flies”.\n"
    "Prices rise by 5% in May.\n\nSales fell to -3 from 12.",
    title="Acme ships an app",
)
BLOG = page(
    "https://blog.example/1", "I went to the ACME shop in Köln. It was closed!\n\nアクメの新しいアプリは速いです。"
)


# -- quotations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quotation", "shown"),
    [
        ("Acme's new app isn't as slow as the old one", "Acme’s new app isn’t as slow as the old one"),
        ('"acme’s NEW app  isn\'t as slow"', "Acme’s new app isn’t as slow"),
        ("says Jane Roe - it 'flies'.", "says Jane Roe — it “flies”."),
        ("Prices rise by 5% in May", "Prices rise by 5% in May."),
        ("it flies prices rise by 5% in May...", "it “flies”. Prices rise by 5% in May."),
        ("Acme ships an app", "Acme ships an app"),
        ("Sales fell to -3 from 12", "Sales fell to -3 from 12."),
    ],
)
def test_a_quotation_is_shown_as_the_page_writes_it(quotation: str, shown: str) -> None:
    found = Quotable([(NEWS.text, NEWS.title or "")]).find(quotation, 0)
    assert found is not None
    assert found.text == shown


@pytest.mark.parametrize(
    "quotation",
    [
        "Acme’s new app is as slow as the old one",
        "Acme’s new app as slow as the old one",
        "Prices rise by 5 in May",
        "Prices rise by 15% in May",
        "Sales fell to 3 from 12",
        "Acme’s new app […] it flies",
        "Acme’s new app ... it flies",
        "Acme app flies",
        "new app",
        "…",
        "",
        "rices rise by 5% in May",
        "Markets were quiet on Monday in Köln",
    ],
)
def test_what_does_not_stand_on_the_page_in_one_piece_is_no_quotation(quotation: str) -> None:
    assert Quotable([(NEWS.text, NEWS.title or "")]).find(quotation, 0) is None


def test_a_quotation_is_found_on_the_page_it_stands_on_whatever_number_was_given() -> None:
    both = Quotable([(NEWS.text,), (BLOG.text,)])
    for number in (0, 1, 7, None):
        found = both.find("I went to the Acme shop", number)
        assert found is not None
        assert (found.page, found.text) == (1, "I went to the ACME shop")
    found = both.find("新しいアプリは速い", 1)
    assert found is not None
    assert found.text == "新しいアプリは速い"


def test_title_and_text_are_not_read_as_one_sentence() -> None:
    assert Quotable([("Acme is great", "they are wrong")]).find("great they are wrong", 0) is None


@given(
    st.lists(st.sampled_from(["acme", "Is", "not", "5%", "-3", "déjà", "中", "don’t", "x"]), min_size=1, max_size=30),
    st.data(),
)
def test_every_piece_of_a_page_is_found_and_a_word_more_is_not(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    piece = " ".join(words[start:end])
    found = Quotable([(text,)]).find(piece, 0)
    if found is not None:
        assert found.text in text
    if end - start >= 3:
        assert found is not None
        assert Quotable([(text,)]).find(f"{piece} zebra", 0) is None


def test_hostile_pages_and_quotations_cost_little() -> None:
    began = time.process_time()
    both = Quotable([("a " * 250_000,), ("-" * 200_000 + "“" * 200_000,)])
    assert both.find("a " * 299 + "b", 0) is None
    assert both.find("- " * 300, 1) is None
    assert both.find("a " * 301, 0) is None
    assert time.process_time() - began < 20


# -- passages ----------------------------------------------------------------------------------------------------------


def test_a_page_names_the_brand_by_its_names_not_by_its_keywords() -> None:
    assert named_on(NEWS, ACME)
    assert named_on(page("https://a.example/", "nothing", title="At ACME-CORP"), ACME)
    assert not named_on(page("https://a.example/", "A widget for everybody, says Acmeister"), ACME)


def test_sentences_that_name_the_brand_are_word_for_word() -> None:
    assert sentences_naming(NEWS, ACME) == ["Acme’s new app isn’t as slow as the old one, says Jane Roe — it “flies”."]
    many = page("https://a.example/", "Acme wins. It is Acme Corp. of Ohio that won! " * 3 + "\nAcme\n" + "acme " * 200)
    assert sentences_naming(many, ACME) == ["It is Acme Corp. of Ohio that won!"]


def test_an_excerpt_is_the_part_that_speaks_of_the_brand() -> None:
    text = "\n\n".join(
        ["First paragraph.", *["Filler. " * 40] * 20, "Acme is named here.", "And after.", *["x. " * 90] * 20]
    )
    shown = excerpt(
        page("https://a.example/", text, title="T", published_at=datetime(2026, 2, 3, tzinfo=UTC)), ACME, 600
    )
    assert shown.splitlines()[:2] == ["T | a.example | 2026-02-03", "First paragraph."]
    assert GAP in shown
    assert "Acme is named here.\nAnd after." in shown
    assert len(shown) <= 600


def test_an_excerpt_of_one_endless_paragraph_is_cut_around_the_name() -> None:
    shown = excerpt(page("https://a.example/", "word " * 50_000 + "Acme is named here " + "word " * 50_000), ACME, 600)
    assert "Acme is named here" in shown
    assert len(shown) <= 600
    assert "Acme is named here" in snippet(page("https://a.example/", "word " * 999 + "Acme is named here"), ACME, 100)


def test_hostile_texts_cost_little() -> None:
    began = time.process_time()
    for text in (
        "." * 200_000,
        ". " * 100_000,
        "!\n" * 100_000,
        "\n" * 200_000,
        "acme" * 50_000,
        ".\t" + " " * 200_000,
    ):
        hostile = page("https://a.example/", text)
        named_on(hostile, ACME), sentences_naming(hostile, ACME), excerpt(hostile, ACME, 3000)
    assert time.process_time() - began < 20


# -- the model's answer ------------------------------------------------------------------------------------------------


def answer(**changes: Any) -> WebInsights:
    document = {
        "known": True,
        "summary": "Acme ships an app.",
        "sentiment": "positive",
        "key_themes": [{"text": "new app", "pages": [0, 1, 0]}],
        "notable_mentions": [
            {"source": "Jane Roe", "highlight": "it “flies”. Prices rise", "sentiment": "positive", "page": 0},
            {
                "source": "A Famous Paper",
                "highlight": "I went to the Acme shop in Köln",
                "sentiment": "neutral",
                "page": 0,
            },
            {
                "source": "Jane Roe",
                "highlight": "Acme is the best company in the world",
                "sentiment": "positive",
                "page": 0,
            },
            {"source": "x", "highlight": "i went to the ACME shop in Köln", "sentiment": "mixed", "page": 1},
        ],
        "opportunities": [],
        "risks": [{"text": "prices", "pages": [0]}],
        "recommended_actions": [],
        **changes,
    }
    read: WebInsights = WEB_INSIGHTS.read(json.dumps(document))
    return read


def test_a_report_keeps_only_what_stands_on_pages_and_says_where() -> None:
    report = judged_report(findings(NEWS, BLOG), answer(), {"provider": "p", "model": "m", "cost_usd": None})
    document = report.document
    assert report.rank is Rank.JUDGED
    assert document["notable_mentions"] == [
        {
            "source": "Jane Roe",
            "highlight": "it “flies”. Prices rise",
            "sentiment": "positive",
            "url": "https://www.news.example/acme",
            "source_index": 0,
        },
        {
            "source": "blog.example",  # the page knows of no famous paper
            "highlight": "I went to the ACME shop in Köln.",
            "sentiment": "neutral",
            "url": "https://blog.example/1",
            "source_index": 1,
        },
    ]
    assert document["citations"] == {"kept": 2, "dropped": 1, "repeated": 1}
    assert (document["key_themes"], document["evidence"]["key_themes"]) == (["new app"], [[0, 1]])
    assert (document["risks"], document["evidence"]["risks"]) == (["prices"], [[0]])
    assert (document["degraded"], document["reason"], document["tier"]) == (False, None, 3)
    assert set(document) >= {"summary", "sentiment", *LISTS, "notable_mentions", "sources", "errors", "generated_at"}


def test_characters_that_nobody_sees_hide_no_quotation() -> None:
    hidden = page("https://a.example/", "Acme\u200b is a won\u00adder\u00adful\u2060 company, they say.")
    quoted = {"source": "x", "highlight": "Acme is a wonderful company", "sentiment": "positive", "page": 0}
    one = answer(notable_mentions=[quoted], key_themes=[], risks=[])
    (mention,) = judged_report(findings(hidden), one, {}).document["notable_mentions"]
    assert mention["highlight"] == "Acme is a wonderful company"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"key_themes": [{"text": "x", "pages": [2]}]}, r"key_themes\[0\]: there is no page 2, they are 0 to 1"),
        (
            {"notable_mentions": [{"source": "x", "highlight": "y", "sentiment": "mixed", "page": 9}]},
            r"notable_mentions\[0\]: there is no page 9",
        ),
        ({"known": False}, "known: is false, but key_themes is not empty"),
    ],
)
def test_an_answer_that_rests_on_no_page_is_sent_back(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadAnswer, match=problem):
        grounded(answer(**changes), 2)


def test_the_report_has_the_lists_of_the_answer() -> None:
    assert LISTS == ANSWER_LISTS == REPORT_LISTS


def test_every_part_of_an_answer_names_its_pages() -> None:
    with pytest.raises(BadAnswer, match="pages"):
        answer(risks=[{"text": "prices", "pages": []}])


def test_a_model_that_finds_nothing_about_the_brand_makes_an_empty_report() -> None:
    nothing = answer(known=False, notable_mentions=[], **{name: [] for name in LISTS})
    assert judged_report(findings(NEWS), grounded(nothing, 1), {}).rank is Rank.EMPTY


# -- without a model ---------------------------------------------------------------------------------------------------


def sentence(text: str, score: float, source: int = 0) -> Sentence:
    label = (
        SentimentLabel.POSITIVE
        if score > 0.05
        else SentimentLabel.NEGATIVE
        if score < -0.05
        else SentimentLabel.NEUTRAL
    )
    return Sentence(source, text, Sentiment(label, score))


def test_without_a_model_a_report_counts_quotes_and_judges_nothing() -> None:
    sentences = [sentence("Acme wins again.", 0.6), sentence("Acme is a firm.", 0.0), sentence("Acme loses.", -0.2, 1)]
    report = counted_report(findings(NEWS, BLOG, read=3), sentences, {"new app": [0, 1]}, NO_MODEL)
    document = report.document
    assert report.rank is Rank.COUNTED
    assert (document["degraded"], document["tier"]) == (True, 2)
    assert document["reason"] == "MISSING_API_KEY: no language model is configured"
    assert document["summary"] == (
        "2 of 3 pages read name Acme, in 3 sentences: 1 positive, 1 neutral, 1 negative. Counted, not judged."
    )
    assert (document["key_themes"], document["evidence"]["key_themes"]) == (["new app"], [[0, 1]])
    assert document["opportunities"] == document["risks"] == document["recommended_actions"] == []
    assert [one["highlight"] for one in document["notable_mentions"]] == [one.text for one in sentences]
    assert document["notable_mentions"][2]["url"] == "https://blog.example/1"


@pytest.mark.parametrize(
    ("scores", "mood"),
    [
        ([], "neutral"),
        ([0.0, 0.0, 0.0], "neutral"),
        ([0.5, 0.0, 0.0, 0.0], "neutral"),
        ([0.5, 0.5, 0.0, 0.0], "positive"),
        ([0.5, 0.5, 0.5, -0.5], "positive"),
        ([0.5, 0.5, -0.5], "mixed"),
        ([-0.5, 0.0], "negative"),
    ],
)
def test_the_mood_of_a_counted_report_is_that_of_its_sentences(scores: list[float], mood: str) -> None:
    sentences = [sentence(f"Acme {n}", score) for n, score in enumerate(scores)]
    assert counted_report(findings(NEWS), sentences, {}, NO_MODEL).document["sentiment"] == mood


def test_one_long_article_is_not_the_whole_counted_report() -> None:
    sentences = [sentence(f"Acme {n}", 0.9) for n in range(50)] + [sentence("Acme on the blog", 0.1, 1)]
    mentions = counted_report(findings(NEWS, BLOG), sentences, {}, NO_MODEL).document["notable_mentions"]
    assert [one["source_index"] for one in mentions] == [0, 0, 0, 1]


def test_that_nothing_names_the_brand_is_said_and_nothing_is_filled_in() -> None:
    for report, said in (
        (empty_report(findings(read=2, tried=3)), "None of the 2 pages read names Acme."),
        (empty_report(findings(read=1)), "The one page read does not name Acme."),
        (empty_report(findings()), "The search found no page about Acme."),
    ):
        assert report.rank is Rank.EMPTY
        assert report.document["summary"] == said
        assert report.document["sentiment"] == "neutral"
        assert not any(report.document[name] for name in (*LISTS, "notable_mentions", "sources"))
        assert (report.document["status"], report.document["degraded"]) == ("complete", False)
