"""What a public reply in a brand's name must not hold: promises, admissions, requests for personal data, links. Pure.

The words are English, with those for money, guarantees, deadlines and guilt in German, French, Spanish, Portuguese and
Italian; figures, links, addresses and numbers are seen in any language. A reply that only might promise something is
held back as well: another one can be written, a promise cannot be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ..brand_terms import BrandTerms


class Promise(StrEnum):
    """What a reply may not promise in a brand's name."""

    MONEY = "money"
    """Refunds, compensation, discounts, anything for free."""
    TIME = "time"
    """A date, or a time within which something happens."""
    OUTCOME = "outcome"
    """That something is or will be mended, or never happens again; a guarantee."""
    LEGAL = "legal"
    """Guilt, liability, lawyers."""
    DATA = "personal_data"
    LINK = "link"
    """Links, addresses and numbers to call: nobody has checked where they lead."""


_WILL: Final = (
    r"(?:(?:we|you|i|they|it)(?:['’]?ll| will)|we (?:shall|are going to|promise to)"
    r"|our team (?:will|is going to)|will be)"
)
_FEW: Final = r"(?:\W++\w++(?:['’]\w++)*+){0,6}?\W++"
"""At most six words between who promises and what. There is one way only to read whatever stands there: a row of
apostrophes that might be words or gaps took time that grew with a high power of its length."""
_UNIT: Final = r"(?:minute|hour|day|week|month)s?"
_WEEKDAY: Final = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_MONTH: Final = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"

_MONEY: Final = (
    r"\brefund\w*",
    r"\breimburs\w*",
    r"\bcompensat\w*",
    r"\bmoney back\b",
    r"\b(?:vouchers?|coupons?|discounts?|replacements?)\b",
    r"\bcredit(?:ed|ing)? (?:to )?(?:your|the) (?:account|card)\b",
    r"\b(?:store|account|bill) credit\b",
    r"\b\d+ ?% off\b",
    r"\bfor free\b",
    r"\bfree (?:of charge|month|year|trial|upgrade|replacement|shipping)\b",
    r"\bat no (?:extra |additional )?(?:cost|charge)\b",
    r"\bon the house\b",
    r"[$€£¥₹]\s?\d",
    r"\b(?:(?:rück)?erstatt|entschädig|gutschein|kostenlos)\w*",
    r"\b(?:rembours|indemni|gratuit|reembols|rimbors|risarci|descuento|desconto)\w*",
    r"\b(?:gratis|devoluci[oó]n|scont[oi])\b",
)
_TIME: Final = (
    rf"\b(?:within|in) (?:the )?(?:next )?(?:an?|one|two|three|four|five|six|seven|\d+|a few|a couple of)"
    rf"(?:[ –-]+(?:to )?\d+)? ?(?:business |working )?{_UNIT}\b",
    rf"\bby (?:the )?(?:end of|tomorrow|tonight|today|next|{_WEEKDAY})\b",
    rf"\b{_WILL}{_FEW}(?:today|tonight|tomorrow|this week|next week|shortly|soon|immediately|right away|asap)\b",
    r"\bnext (?:week|month|release|update|version|quarter)\b",
    r"\b24/7\b",
    r"\b\d+ ?(?:h|hrs?|hours?|days?)\b",
    r"\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b",
    r"\b20\d\d-\d\d-\d\d\b",
    rf"\b{_MONTH} \d{{1,2}}\b|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b",
    r"\binnerhalb (?:von|der)\b",
    r"\b(?:bis|ab) (?:morgen|montag|freitag|ende)\b",
    r"\bd[’']ici\b|\bsous \d+\b",
    r"\b(?:en|em) \d+ (?:horas|d[ií]as)\b|\bentro \d+ (?:ore|giorni)\b",
)
_OUTCOME: Final = (
    r"\bguarante\w*",
    r"\b(?:we|i) promise\b",
    r"\byou have (?:my|our) word\b",
    r"\brest assured\b",
    rf"\b{_WILL}{_FEW}(?:fix(?:ed)?|repair(?:ed)?|resolved?|solved?|sort(?:ed)?|replaced?|correct(?:ed)?"
    r"|make (?:it|this|things) right|made right|eliminat\w+|ship(?:ped)?|deliver(?:ed)?|restored?|add(?:ed)?"
    r"|launch(?:ed)?)\b",
    r"\b(?:will|won['’]?t|will not|shall) (?:never )?happen again\b",
    r"\bnever (?:happen )?again\b",
    r"\bmake sure (?:it|this|that) (?:never|doesn|does not|won)",
    r"\b(?:has|have) been (?:fixed|resolved|solved)\b",
    r"\b(?:garant|versprech|versprich)\w*",
    r"\bnous promettons\b|\bprometemos\b|\bpromettiamo\b",
)
_LEGAL: Final = (
    r"\b(?:our|my) (?:own )?(?:fault|mistake|error|negligence)\b",
    r"\b(?:we|i) (?:are|am|were|was|take) (?:fully |entirely |solely )?(?:full )?"
    r"(?:liable|responsib\w+|at fault|to blame|negligent|guilty|in the wrong)\b",
    r"\bwe (?:messed|screwed) (?:this |it )?up\b",
    r"\bwe admit\b",
    r"\bliab(?:le|ility)\b|\bnegligen\w+",
    r"\b(?:lawyers?|attorneys?|lawsuits?|legal action|sue[ds]?|settlements?)\b",
    r"\bunsere? (?:schuld|fehler)\b|\bhaftung\b",
    r"\bnotre faute\b|\bnuestra culpa\b|\bnossa culpa\b|\b(?:colpa nostra|nostra colpa)\b",
)
_DATA: Final = (
    rf"\b(?:send|share|give|tell|dm|provide|confirm|reply with)\b{_FEW}(?:password|passcode|pin|card number"
    r"|credit card|account number|social security|ssn|passport|date of birth|birthday|home address|phone number"
    r"|bank details?|e-?mail(?: address)?)\b",
)
_LINK: Final = (
    r"https?://|\bwww\.",
    r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[a-z]{2,}\b",
    r"(?<![\w.-])(?:[a-z0-9-]++\.)+(?:com|net|org|io|co|app|dev|ai|de|fr|es|it|br|uk|me|ly|gl|info)\b",
    r"(?<!\w)\+?\d[\d ().-]{7,}\d(?!\w)",
    r"\]\(",
)
_FOUND: Final[Mapping[Promise, re.Pattern[str]]] = {
    kind: re.compile("|".join(words), re.IGNORECASE)
    for kind, words in (
        (Promise.MONEY, _MONEY),
        (Promise.TIME, _TIME),
        (Promise.OUTCOME, _OUTCOME),
        (Promise.LEGAL, _LEGAL),
        (Promise.DATA, _DATA),
        (Promise.LINK, _LINK),
    )
}
_BRAND_SIGN: Final = "brandname"


def promises(reply: str, brand: str = "") -> tuple[Promise, ...]:
    """What a reply holds that it must not. The brand's name is none of it: some are host names.

    >>> promises("We will refund you within 3 days"), promises("Sorry to hear that, tell us more?")
    ((<Promise.MONEY: 'money'>, <Promise.TIME: 'time'>), ())
    """
    text = BrandTerms.build(brand).mask(reply, _BRAND_SIGN)
    return tuple(kind for kind, found in _FOUND.items() if found.search(text))
