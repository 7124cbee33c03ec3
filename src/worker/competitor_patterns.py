"""How people say that two companies are to be chosen between: patterns over the sentences of `competitor_names`. Data.

In the notation `B` is the brand, `U` the brand or the "you" it is spoken to with, `N` one name, `L` a list of names,
`X` a list in which the brand and a name stand. Gaps are counted and never cross a comma or the end of a sentence, so
every pattern is linear in the text. A pattern is strong when whoever writes so has two rivals in mind, and weak when
people write the same of towns, friends and partners: weak ones support a name and never find one alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .competitor_names import BRAND, FIRST_NAME, NAMES_MAX, YOU


class Direction(StrEnum):
    """Which way the writer goes, or would."""

    LEAVING = "leaving_us_for_them"
    JOINING = "leaving_them_for_us"
    NONE = "compared"


class Needs(StrEnum):
    """Where the brand must be named beside what the pattern itself asks for."""

    NOTHING = "nothing"
    SENTENCE = "sentence"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to say it. Group `n` of the expression holds the names."""

    name: str
    expression: re.Pattern[str]
    strong: bool
    direction: Direction
    needs: Needs


_SIGNS: Final = f"{chr(FIRST_NAME)}-{chr(FIRST_NAME + NAMES_MAX - 1)}"
_N: Final = f"[{_SIGNS}]"
_ANY: Final = f"[{BRAND}{_SIGNS}]"
_JOINED: Final = r"(?:(?: ,)? (?:and|or|&|/|vs|versus)| ,)"
_PAIRED: Final = r"(?:(?: ,)? (?:and|or|&|/|vs|versus|to|with)| ,)"
_SEP: Final = r"(?: ,)?(?: and| or| &| /| vs| versus| to| with)? "
_DET: Final = r"(?:the |my |our |a |an |using |flying |with |on |at |something like )?"
_DET_NAME: Final = rf"(?:(?:my|our|a|an|using|flying|with|on|at|something like) |the (?={_N} [a-z]))?"
"""Before a name "the" belongs to a word after it ("the Globex app"): "the Tube" is no company."""
_WORD: Final = r"[\w'-]+ "
_MACROS: Final = {
    "B": BRAND,
    "U": f"[{BRAND}{YOU}]",
    "N": f"(?P<n>{_N})",
    "N2": _N,
    "L": f"(?P<n>{_N}(?:{_JOINED} {_N}){{0,7}})",
    "X": f"(?P<n>(?=(?:{_ANY}{_SEP}{_DET}){{0,7}}{BRAND}){_ANY}(?:{_PAIRED} {_DET}{_ANY}){{1,7}})",
    "X3": f"(?P<n>(?=(?:{_ANY}{_SEP}){{0,7}}{BRAND}){_ANY}(?:{_JOINED} {_ANY}){{2,7}})",
    "D": _DET,
    "DN": _DET_NAME,
    "WORD": _WORD,
    "G2": f"(?:{_WORD}){{0,2}}",
    "G4": f"(?:{_WORD}){{0,4}}",
    "G6": f"(?:{_WORD}){{0,6}}",
    "BETTER": r"(?:better|cheaper|faster|nicer|easier|safer|stronger|smarter|friendlier|cleaner|simpler|superior)",
    "WORSE": r"(?:worse|slower|pricier|costlier|harder|weaker|dearer|clunkier|uglier|inferior)",
    "COMPARED": r"(?:(?!(?:other|rather|later|earlier|sooner|longer|older|younger|never|over|after|further)\b)"
    r"[a-z]{3,}er|(?:more|less|fewer) \w+(?: \w+)?)",
    "SWITCH": r"(?:switch(?:ed|ing|es)?|migrat(?:e|ed|ing|es)|defect(?:ed|ing)?|convert(?:ed|ing)?|"
    r"swapp?(?:ed|ing)?|port(?:ed|ing)?)",
    "MOVE": r"(?:mov(?:e|ed|ing|es)|chang(?:e|ed|ing)|transferr?(?:ed|ing)?|jump(?:ed|ing)?|went|go|"
    r"going|came|coming|come|shift(?:ed|ing)?|upgraded?|downgraded?)",
    "OBJ": r"(?:(?:my|our|all|the|his|her|their|whole|entire|everything|everyone|me|us|it|over|back|away)"
    r"(?: [\w'-]+){0,2} )?",
    "OVER": r"(?:over |back |away |completely |entirely )?",
    "LEAVE": r"(?:left|leav(?:e|ing|es)|ditch(?:ed|ing)?|dump(?:ed|ing)?|dropp?(?:ed|ing)?|quit(?:ting)?|"
    r"cancell?(?:ed|ing)?|clos(?:ed|ing)|delet(?:ed|ing)|"
    r"uninstall(?:ed|ing)|abandon(?:ed|ing)?|swapp?(?:ed|ing)?|trad(?:e|ed|ing)|replac(?:e|ed|ing)|exchang(?:e|ed|ing))",
    "USE": r"(?:fly|flying|flew|flown|use|using|used|try|trying|tried|book|booking|booked|buy|buying|bought|choose|"
    r"choosing|chose|chosen|pick|picking|picked|take|taking|took|taken|get|getting|got|ride|rent|renting|order|"
    r"ordering|ordered|go|going|gone|went|stick|sticking|stuck|shop|stay|staying|stayed|sign up|signed up|signing up|"
    r"subscribed|subscribing|joined|joining|opened|downloaded|called|hired)",
    "TRY": r"(?:tried|used|tested|testing|evaluat(?:e|ed|ing)|consider(?:ed|ing)?|demoed|reviewed)",
    "LATER": r"(?:instead|next time|from now on|going forward|in future|in the future|only from now)",
    "RIVALS": r"(?:competitors?|rivals?|competition)",
    "OTHERS": r"(?:alternatives?|replacements?|substitutes?)",
    "LIKE": r"(?:, )?(?:like |such as |including |includes? |are |is |namely |e\.g |being |- |: |, )",
}

_S, _W = True, False
_LEAVING, _JOINING, _NONE = Direction.LEAVING, Direction.JOINING, Direction.NONE
_TABLE: Final[tuple[tuple[str, str, bool, Direction, Needs], ...]] = (
    # -- compared
    ("versus", "{B} {G2}(?:vs|versus|v) {DN}{L}", _S, _NONE, Needs.NOTHING),
    ("versus", "{L} {G2}(?:vs|versus|v) {D}{B}", _S, _NONE, Needs.NOTHING),
    ("versus", "{L} (?:vs|versus) {DN}{N2}", _W, _NONE, Needs.POST),
    ("or", "{B} or {L}", _S, _NONE, Needs.NOTHING),
    ("or", "{L}(?: ,)? or {B}", _S, _NONE, Needs.NOTHING),
    ("than", "{U} {G6}{BETTER} (?:than|to) {DN}{L}", _S, _JOINING, Needs.NOTHING),
    ("than", "{U} {G6}{WORSE} (?:than|to) {DN}{L}", _S, _LEAVING, Needs.NOTHING),
    ("than", "{U} {G6}{COMPARED} than {DN}{L}", _S, _NONE, Needs.NOTHING),
    ("than", "{L} {G6}{BETTER} (?:than|to) {D}{U}", _S, _LEAVING, Needs.NOTHING),
    ("than", "{L} {G6}{WORSE} (?:than|to) {D}{U}", _S, _JOINING, Needs.NOTHING),
    ("than", "{L} {G6}{COMPARED} than {D}{U}", _S, _NONE, Needs.NOTHING),
    ("than", "(?:{BETTER}|{WORSE}|{COMPARED}) than {DN}{L}", _W, _NONE, Needs.POST),
    ("as", "as (?!(?:well|soon|far|early|late|long|usual|of)\\b)\\w+ as {DN}{L}", _S, _NONE,
     Needs.POST),
    ("example", "(?:learn|lesson|lessons|page) (?:\\w+ ){0,2}from {L}", _S, _LEAVING, Needs.POST),
    ("example", "{N} (?:would|will|does|do|did) (?:never|not)", _W, _LEAVING, Needs.POST),
    ("example", "(?:like|thank god for|thank goodness for|hello|hi) {N}", _W, _NONE, Needs.POST),
    ("unlike", "unlike {DN}{L}", _S, _NONE, Needs.SENTENCE),
    ("compared", "compar(?:e|es|ed|able|ison) (?:to|with|against) {DN}{L}", _S, _NONE, Needs.SENTENCE),
    ("prefer", "(?:prefer|prefers|preferred|choose|chose|pick|picked|recommend|take|like) {DN}{L} (?:over|to) {U}", _S,
     _LEAVING, Needs.NOTHING),
    ("prefer", "(?:prefer|prefers|preferred|choose|chose|pick|picked|recommend|take|like) {U} (?:over|to) {DN}{L}", _S,
     _JOINING, Needs.NOTHING),
    ("prefer", "rather {G2}{DN}{L} than {D}{U}", _S, _LEAVING, Needs.NOTHING),
    ("prefer", "rather {G2}{D}{U} than {DN}{L}", _S, _JOINING, Needs.NOTHING),
    ("place", "{U} {G6}(?<!left )(?:behind|ahead of) {DN}{L}", _S, _NONE, Needs.NOTHING),
    ("place", "{L} {G6}(?:behind|ahead of) {DN}{U}", _S, _NONE, Needs.NOTHING),
    ("while", "{L} (?:{WORD}){1,10}(?:and|but|while|whereas) {U} (?:does|doesn't|can't|cannot|won't|still|never)", _S,
     _LEAVING, Needs.NOTHING),
    ("while", "{U} (?:{WORD}){1,10}(?:but|while|whereas) {L} (?:does|doesn't|can|can't|has|lets|never|still)", _S,
     _LEAVING, Needs.NOTHING),
    ("while", "(?:{USE}|pay|paying|paid) (?:for |with |on )?{L} (?:when|while|whereas) {U}", _S, _NONE, Needs.NOTHING),
    ("copy", "{U} {G4}(?:cheaper|better|slower|worse|faster|nicer|simpler|poor man's) {L}", _S, _NONE, Needs.NOTHING),
    ("beats", "{L} killer", _S, _JOINING, Needs.POST),
    ("beats", "{L} (?:is|was|are|were) {G2}(?:{BETTER}|{WORSE}|{COMPARED}) (?:but|and|so) {U}",
     _S, _NONE, Needs.NOTHING),
    ("prefer", "{L} over {D}{U}", _S, _LEAVING, Needs.NOTHING),
    ("compared", "{U} against {DN}{L}", _S, _NONE, Needs.NOTHING),
    ("beats", "{L} {G2}(?:beats?|outperforms?|crushes|destroys|overtook|overtakes|>) {D}{U}",
     _S, _LEAVING, Needs.NOTHING),
    ("beats", "{U} {G2}(?:beats?|outperforms?|crushes|destroys|overtook|overtakes|>) {DN}{L}",
     _S, _JOINING, Needs.NOTHING),
    ("instead", "{L} (?:instead of|rather than) {D}{U}", _S, _LEAVING, Needs.NOTHING),
    ("instead", "{U} (?:instead of|rather than) {DN}{L}", _S, _JOINING, Needs.NOTHING),
    # -- leaving for
    ("switch", "(?:{SWITCH}|{MOVE}) {OBJ}from {U} {OVER}(?:to|onto|over to) {DN}{L}", _S, _LEAVING, Needs.NOTHING),
    ("switch", "(?:{SWITCH}|{MOVE}) {OBJ}{OVER}from {DN}{L} {OVER}(?:to|onto|over to) {D}{U}",
     _S, _JOINING, Needs.NOTHING),
    ("switch", "(?:{SWITCH}|{MOVE}) {OVER}to {D}{U} from {DN}{L}", _S, _JOINING, Needs.NOTHING),
    ("switch", "(?:{SWITCH}|{MOVE}) {OVER}to {DN}{L} from {D}{U}", _S, _LEAVING, Needs.NOTHING),
    ("switch", "{SWITCH} {OVER}to {DN}{L}", _S, _LEAVING, Needs.POST),
    ("switch", "{SWITCH} {OVER}from {DN}{L}(?! (?:over |back )?to )", _S, _JOINING, Needs.POST),
    ("move", "{MOVE} {OBJ}{OVER}to {DN}{L}", _W, _LEAVING, Needs.POST),
    ("move", "(?:goodbye|bye|farewell|so long|adios) {U} (?:, )?{G2}{MOVE} {OVER}to {L}", _S, _LEAVING, Needs.NOTHING),
    ("leave", "{LEAVE} {D}{U} {G4}(?:for|in favou?r of|with|and (?:go|going|went|switch|switched|moved) (?:to|with)) "
     "{DN}{L}", _S, _LEAVING, Needs.NOTHING),
    ("leave", "{LEAVE} {D}{U} {G4}and {G2}{USE} {G2}{DN}{L}", _S, _LEAVING, Needs.NOTHING),
    ("leave", "(?:goodbye|bye|farewell|so long|adios) {U} (?:, )?(?:and )?(?:hello|hi|hey) {L}", _S, _LEAVING,
     Needs.NOTHING),
    ("leave", "used to (?:be on|be with|use|fly|have|pay for|subscribe to) {L}", _S, _JOINING, Needs.POST),
    ("leave", "(?:{LEAVE}|sold|returned) (?:my |our |the )?{L} and {G2}(?:{SWITCH}"
     "|{MOVE}|{USE}) {OVER}(?:to |with )?{D}{U}",
     _S, _JOINING, Needs.NOTHING),
    ("leave", "{LEAVE} {DN}{L} {G2}(?:for|in favou?r of|with) {D}{U}", _S, _JOINING, Needs.NOTHING),
    ("business", "(?:business|money|loyalty|dollars|custom) {G2}(?:to|with) {L}", _S, _LEAVING, Needs.POST),
    ("business", "(?:take|takes|taking|took) (?:my|our) {G4}to {L}", _S, _LEAVING, Needs.POST),
    ("reason", "(?:this|which|that) is (?:exactly )?why (?:i|we) {G2}{USE} (?:with |on )?{L}", _S, _LEAVING,
     Needs.POST),
    ("use", "{USE} (?:with |on |w / |a |an )?{L}", _W, _NONE, Needs.POST),
    ("should have", "(?:should|shoulda|shouldve|should've|wish|wished) {G2}{USE} (?:with )?{L}", _S, _LEAVING,
     Needs.POST),
    ("next time", "next time {G4}{USE} to {L}", _W, _LEAVING, Needs.POST),
    ("next time", "next time {G4}{USE} (?:with |on )?{L}", _S, _LEAVING, Needs.POST),
    ("next time", "{USE} (?:with |on |to |for |one with |a |an )?{L} {LATER}", _S, _LEAVING, Needs.POST),
    ("next time", "{LATER} (?:, )?{G4}{USE} (?:with |on )?{L}", _W, _LEAVING, Needs.POST),
    ("go with", "(?:go|going|goes|gone|went) with {L}", _S, _LEAVING, Needs.POST),
    ("stick", "(?:stick|sticking|stuck) (?:with|to) {L}", _W, _LEAVING, Needs.POST),
    ("it is", "{N} (?:it is|from now on|all the way|for the win|ftw)", _W, _LEAVING, Needs.POST),
    # -- called so
    ("alternative", "{OTHERS} (?:to|for) {U} (?:, )?{G2}{LIKE}{L}", _S, _LEAVING, Needs.NOTHING),
    ("alternative", "{OTHERS} (?:to|for) {DN}{L}", _S, _JOINING, Needs.POST),
    ("alternative", "{OTHERS} {LIKE}{L}", _S, _LEAVING, Needs.POST),
    ("alternative", "{L} (?:is|are|was|were|as|looks like|seems|could be|might be) {G4}{OTHERS}", _S, _LEAVING,
     Needs.POST),
    ("rival", "{RIVALS} {LIKE}?{L}", _S, _NONE, Needs.POST),
    ("rival", "{L} (?:is|are|was|were|as|remains?|,) {G4}(?:{B} )?{G2}{RIVALS}", _S, _NONE, Needs.POST),
    ("rival", "{B} {G2}(?:competes?|competing|rivals|vying) (?:\\w+ )?(?:with|against) {L}", _S, _NONE, Needs.NOTHING),
    ("rival", "{L} {G2}(?:competes?|competing|rivals|vying) (?:\\w+ )?(?:with|against) {B}", _S, _NONE, Needs.NOTHING),
    # -- side by side
    ("list", "(?:between|compar(?:e|es|ed|ing)|torn|shortlist(?:ed)?|choos(?:e|ing)|like|such as|including|among|"
     "{TRY}) (?:both |all |out )?{X}", _S, _NONE, Needs.NOTHING),
    ("list", "(?:tried|tested|testing|evaluat(?:e|ed|ing)|consider(?:ed|ing)?|demoed|reviewed) (?:both |all |out )?{L}",
     _S, _NONE, Needs.POST),
    ("list", "{X3}", _W, _NONE, Needs.SENTENCE),
    ("beside", "{B} (?:and|&) {N}", _W, _NONE, Needs.NOTHING),
    ("beside", "{N} (?:and|&) {B}", _W, _NONE, Needs.NOTHING),
)  # fmt: skip


def _compiled(source: str) -> re.Pattern[str]:
    macros = {**_MACROS, "N2": _N}
    return re.compile(
        r"(?<![\w'-])" + re.sub(r"\{([A-Z]+\d?)\}", lambda macro: macros[macro[1]], source) + r"(?![\w'-])"
    )


def patterns() -> tuple[Pattern, ...]:
    """All patterns, compiled; some 30 ms, so off the event loop."""
    return tuple(
        Pattern(name, _compiled(source), strong, direction, needs) for name, source, strong, direction, needs in _TABLE
    )
