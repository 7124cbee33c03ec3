"""The report of a web scan, in the shape of contract 2.5, with what each part of it rests on. Pure.

The contract's lists of texts stay lists of texts; `evidence` holds, for each text of each list, the numbers of the
`sources` that it rests on. Every notable mention is a quotation that stands on the page it links to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from ..errors import WorkerError
from ..llm.answers import BadAnswer
from ..llm.fence import clean
from ..models import Sentiment, SentimentLabel
from ..times import iso
from ..web.seams import WebPage
from .grounding import foreign_links
from .web_quotes import Quotable

if TYPE_CHECKING:
    from ..llm.operations.web import WebInsights

LISTS: Final = ("key_themes", "opportunities", "risks", "recommended_actions")
NOTABLE_MAX: Final = 10
"""As many as a model may name."""
_PER_PAGE: Final = 3
"""Notable mentions of one page where nobody judged them: a long article must not be the whole report."""
_FELT: Final = 0.25
"""Share of sentences with a mood from which a report has one."""
_MIXED: Final = 0.5
"""The weaker of two moods is so large a part of the stronger: both are there."""


class Rank(IntEnum):
    """How much a report tells."""

    EMPTY = 0
    """No page names the brand."""
    COUNTED = 1
    """Degraded: counted, not judged."""
    JUDGED = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that gave nothing, or a page that could not be read."""

    subject: str
    """`source` or `page`."""
    name: str
    """A source's kind and host; a page's URL."""
    error: WorkerError
    problem: str

    def as_dict(self) -> dict[str, Any]:
        place = "url" if self.subject == "page" else "source"
        return {
            "subject": self.subject,
            place: self.name,
            "problem": self.problem,
            "message": self.error.message,
            "retryable": self.error.retryable,
        }


@dataclass(frozen=True, slots=True)
class SourcePage:
    """A page that names the brand."""

    page: WebPage
    url: str
    """The page's own canonical URL, else where it was read."""
    snippet: str
    published_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "title": self.page.title,
            "source_name": self.page.source_name,
            "snippet": self.snippet,
            "published_at": None if self.published_at is None else iso(self.published_at),
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """What a scan has read, before anybody judges it."""

    brand: str
    """Slug."""
    name: str
    query: str | None
    """None: the task named the pages."""
    generated_at: datetime
    sources: tuple[SourcePage, ...]
    """Pages that name the brand."""
    found: int
    """Different pages that sources and task named."""
    tried: int
    read: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that names the brand, word for word, and its mood by the local analyser."""

    source: int
    text: str
    mood: Sentiment


@dataclass(frozen=True, slots=True)
class Report:
    """`document` is published as it stands."""

    document: dict[str, Any]
    rank: Rank


def empty_report(findings: Findings) -> Report:
    """Nothing that was read names the brand. That is a finding, not a failure."""
    if findings.read == 1:
        said = f"The one page read does not name {findings.name}."
    elif findings.read:
        said = f"None of the {_pages(findings.read)} read names {findings.name}."
    else:
        said = f"The search found no page about {findings.name}."
    if findings.failures:
        said += f" Of sources and pages, {len(findings.failures)} could not be read."
    return Report(_document(findings, said, SentimentLabel.NEUTRAL.value), Rank.EMPTY)


def judged_report(findings: Findings, answer: WebInsights, llm: Mapping[str, Any]) -> Report:
    """A model's answer, without the quotations and links that stand on no page. `llm`: who answered, at what price."""
    mentions, dropped = _verified(findings, answer)
    shown = _shown(findings)
    kept = {name: [one for one in getattr(answer, name) if not foreign_links(one.text, shown)] for name in LISTS}
    astray = sum(len(getattr(answer, name)) - len(kept[name]) for name in LISTS)
    document = _document(findings, answer.summary, answer.sentiment.value)
    document |= {name: [one.text for one in kept[name]] for name in LISTS}
    evidence = {name: [list(dict.fromkeys(one.pages)) for one in kept[name]] for name in LISTS}
    document |= {"notable_mentions": mentions, "evidence": evidence}
    repeated = len(answer.notable_mentions) - len(mentions) - dropped
    document |= {"citations": _citations(mentions, dropped + astray, repeated), "llm": dict(llm), "tier": 3}
    return Report(document, Rank.JUDGED if answer.known else Rank.EMPTY)


def linked_summary(findings: Findings, answer: WebInsights) -> WebInsights:
    """The answer, if its summary gives no link that stands on no page.

    Raises:
        BadAnswer: it does. Quotations and points are left out one by one, a summary only with all of the answer.
    """
    if foreign_links(answer.summary, _shown(findings)):
        raise BadAnswer(["summary: gives a link that stands on none of the pages"])
    return answer


def _shown(findings: Findings) -> list[str]:
    """All that a link can have been taken from."""
    return [text for one in findings.sources for text in (one.url, one.page.final_url, *_texts(one.page))]


def counted_report(
    findings: Findings, sentences: Sequence[Sentence], themes: Mapping[str, Sequence[int]], why: WorkerError
) -> Report:
    """What can be told without a model: quotations and counts. Lists that need judgement stay empty.

    Args:
        themes: phrase → sources that have it.
        why: nobody judged it.
    """
    counts = {label: sum(one.mood.label is label for one in sentences) for label in SentimentLabel}
    document = _document(findings, _counted(findings, counts), _overall(counts))
    mentions = [_quoted(findings, one) for one in _telling(sentences)]
    document |= {
        "key_themes": list(themes),
        "notable_mentions": mentions,
        "evidence": document["evidence"] | {"key_themes": [list(pages) for pages in themes.values()]},
        "citations": _citations(mentions),
        "degraded": True,
        "reason": f"{why.code}: {why.message}",
        "tier": 2,
    }
    return Report(document, Rank.COUNTED)


def _document(findings: Findings, summary: str, sentiment: str) -> dict[str, Any]:
    return {
        "brand": findings.brand,
        "query": findings.query,
        "status": "complete",
        "generated_at": iso(findings.generated_at),
        "summary": summary,
        "sentiment": sentiment,
        **{name: [] for name in LISTS},
        "notable_mentions": [],
        "sources": [one.as_dict() for one in findings.sources],
        "evidence": {name: [] for name in LISTS},
        "citations": _citations(()),
        "pages": {
            "found": findings.found,
            "tried": findings.tried,
            "read": findings.read,
            "naming": len(findings.sources),
        },
        "errors": [one.as_dict() for one in findings.failures],
        "degraded": False,
        "reason": None,
        "tier": None,
        "llm": None,
    }


def _citations(kept: Sequence[Any], dropped: int = 0, repeated: int = 0) -> dict[str, int]:
    """`dropped`: a model quoted, or linked to, what stands on no page."""
    return {"kept": len(kept), "dropped": dropped, "repeated": repeated}


def _verified(findings: Findings, answer: WebInsights) -> tuple[list[dict[str, Any]], int]:
    """Notable mentions that stand on a page, in the page's own writing, each once; and how many stand on none."""
    pages = [one.page for one in findings.sources]
    # Without the characters nobody sees, as the model was shown them.
    quotable = Quotable([tuple(map(clean, _texts(page))) for page in pages])
    kept: dict[tuple[int, str], dict[str, Any]] = {}
    dropped = 0
    for mention in answer.notable_mentions:
        found = quotable.find(mention.highlight, mention.page)
        if found is None:
            dropped += 1
            continue
        named = quotable.stands(mention.source, found.page)
        kept.setdefault(
            (found.page, found.text),
            {
                # Who said it is shown only if the page knows of them.
                "source": mention.source if named else pages[found.page].source_name,
                "highlight": found.text,
                "sentiment": mention.sentiment.value,
                "url": findings.sources[found.page].url,
                "source_index": found.page,
            },
        )
    return list(kept.values()), dropped


def _texts(page: WebPage) -> tuple[str, ...]:
    return page.text, page.title or "", page.author or "", page.source_name


def _quoted(findings: Findings, sentence: Sentence) -> dict[str, Any]:
    source = findings.sources[sentence.source]
    return {
        "source": source.page.source_name,
        "highlight": sentence.text,
        "sentiment": sentence.mood.label.value,
        "url": source.url,
        "source_index": sentence.source,
    }


def _telling(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The sentences with the strongest moods, a few per page, in the order of the pages."""
    chosen: list[int] = []
    per_page: dict[int, int] = {}
    for index in sorted(range(len(sentences)), key=lambda one: (-abs(sentences[one].mood.score), one)):
        source = sentences[index].source
        if per_page.get(source, 0) < _PER_PAGE and len(chosen) < NOTABLE_MAX:
            per_page[source] = per_page.get(source, 0) + 1
            chosen.append(index)
    return [sentences[index] for index in sorted(chosen)]


def _overall(counts: Mapping[SentimentLabel, int]) -> str:
    positive, negative = counts[SentimentLabel.POSITIVE], counts[SentimentLabel.NEGATIVE]
    stronger, weaker = max(positive, negative), min(positive, negative)
    if stronger + weaker <= _FELT * sum(counts.values()):
        return SentimentLabel.NEUTRAL.value
    if weaker >= _MIXED * stronger:
        return "mixed"
    return (SentimentLabel.POSITIVE if positive > negative else SentimentLabel.NEGATIVE).value


def _counted(findings: Findings, counts: Mapping[SentimentLabel, int]) -> str:
    naming, total = len(findings.sources), sum(counts.values())
    said = f"{naming} of {_pages(findings.read)} read {'names' if naming == 1 else 'name'} {findings.name}"
    if not total:
        return f"{said}, none in a whole sentence. Counted, not judged."
    moods = ", ".join(f"{counts[label]} {label.value}" for label in SentimentLabel)
    return f"{said}, in {total} {'sentence' if total == 1 else 'sentences'}: {moods}. Counted, not judged."


def _pages(count: int) -> str:
    return f"{count} page" if count == 1 else f"{count} pages"
