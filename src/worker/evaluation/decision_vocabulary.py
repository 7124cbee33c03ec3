"""Words by which `decision.py` reads an answer: English, German, French, Spanish, with the commonest of some others.

All in lower case and without accents, as `decision_text` writes them. Lists of words of a kind, no sentences: what a
sentence means follows from the kinds that stand around a number.
"""

from __future__ import annotations

from typing import Final

NUMBER_WORDS: Final = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "null": 0,
    "eins": 1,
    "zwei": 2,
    "drei": 3,
    "vier": 4,
    "funf": 5,
    "fuenf": 5,
    "sechs": 6,
    "sieben": 7,
    "neun": 9,
    "zehn": 10,
    "deux": 2,
    "trois": 3,
    "quatre": 4,
    "cinq": 5,
    "sept": 7,
    "huit": 8,
    "uno": 1,
    "dos": 2,
    "tres": 3,
    "cuatro": 4,
    "cinco": 5,
    "seis": 6,
    "siete": 7,
    "ocho": 8,
    "nueve": 9,
    "diez": 10,
    "dois": 2,
    "quatro": 4,
    "quattro": 4,
    "cinque": 5,
    "twee": 2,
    "drie": 3,
    "vijf": 5,
    "anderthalb": 1.5,
    "zweieinhalb": 2.5,
    "dreieinhalb": 3.5,
    "viereinhalb": 4.5,
}
CJK_NUMBERS: Final = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6}
ROMAN: Final = {"II": 2, "III": 3, "IV": 4, "V": 5}

RATING_NOUNS: Final = frozenset(
    "take view opinion call inclination rating ratings mine score answer choice decision judgment judgement "
    "response vote verdict selection conclusion grade stance evaluation assessment support preference boxed "
    "code pick position estimate bewertung wertung antwort wahl entscheidung note punktzahl urteil "
    "einschatzung entscheid reponse choix jugement evaluacion respuesta calificacion puntuacion puntaje "
    "eleccion valoracion decision voto resposta nota escolha avaliacao antwoord keuze beoordeling risposta "
    "scelta valutazione punteggio".split()
)
CJK_NOUNS: Final = (
    "评分",
    "评级",
    "答案",
    "选择",
    "打分",
    "分数",
    "评价",
    "評価",
    "評点",
    "回答",
    "選択",
    "答え",
    "평가",
    "답",
)

OTHER_MEASURES: Final = frozenset(
    "confidence certainty confident sure difficulty severity urgency risk likelihood probability importance "
    "complexity difficult uncertainty harm realism clarity konfidenz sicherheit confiance confianza".split()
)
"""What is rated beside the decision: `Confidence: 5` is not the code."""

CHOOSING: Final = frozenset(
    "keeping staying award grade commit deserves earns merits warrants choose choosing chose pick picking "
    "picked select selecting selected rate rating rated say saying give giving assign assigning go going "
    "lean leaning opt opting opted settle settling settled land landing landed answer score vote put place "
    "revise revising change changing changed move moving moved raise raising lower lowering update updating "
    "adjust prefer stay stick remain keep am i'm we're mark switch shift shifting rank wahle wahlen gebe "
    "geben nehme nehmen entscheide entscheiden bewerte bewerten vergebe vergeben sage sagen tendiere "
    "choisis choisir choisirais donne donnerais dirais dis opte opterais attribue attribuerais mets "
    "mettrais retiens elijo elegiria elegir doy daria escojo escogeria califico calificaria diria digo "
    "asigno asignaria pondria pongo selecciono seleccionaria opto optaria escolho escolheria dou daria "
    "scelgo sceglierei kies geef".split()
)
FIRST_PERSON_FORMS: Final = frozenset(
    "elijo elegiria doy daria escojo escogeria califico calificaria diria digo asigno asignaria pondria "
    "pongo selecciono seleccionaria opto optaria escolho escolheria dou scelgo sceglierei choisis".split()
)
"""Verbs that carry the speaker in their ending."""
CHANGING: Final = frozenset(
    "change changing changed move moving moved revise revising revised raise raising raised lower lowering "
    "lowered update updating updated adjust adjusting adjusted shift shifting shifted switch switching "
    "switched go went gone andere geandert wechsle passe change cambio cambiado".split()
)
FIRST_PERSON: Final = frozenset(
    "i we my me ich wir meine mein je nous ma mon yo mi eu io ik i'd i'll i'm i've we'd".split()
)
OTHER_VOICES: Final = frozenset(
    "you your you'd you'll they them their they'd he she his her people others other someone somebody "
    "anyone everyone everybody many most some few one who utilitarian utilitarians kantian colleague friend "
    "user average typical humans human others' society critics experts respondents andere manche viele man "
    "leute otros algunos muchos gente certains beaucoup autres gens".split()
)

LEADS_IN: Final = frozenset(
    "l'option zu zur que is as a an of at be to with the it this that for on toward towards remains stays "
    "now number option code value level score rating about around approximately roughly exactly precisely "
    "simply just clearly therefore thus still solid firm strong clear full definite tentative cautious "
    "reluctant moderate soft confident probably likely definitely certainly perhaps maybe hence becomes "
    "would was instead then rather closer final say scenario dilemma case ist ware lautet bleibt das die "
    "der den eine einer ein mit bei fur auf est es sera seria serait de du un una une el la le los les con "
    "por para sur com uma het e pour a".split()
)
"""Words that may stand right before the number that answers."""
FOLLOWS: Final = frozenset(
    "because since as for given due is was seems feels would here overall on but although though while when "
    "if which that this it i i'd i'm my with based meaning indicating reflecting representing reason "
    "reasoning now instead rather then after again still today not strongly somewhat mildly slightly "
    "neutral mild strong moderate moderately slight reflects captures represents makes fits best works "
    "applies describes matches point points star stars rating score from me we so therefore thus and or in "
    "at by under over than even to without despite considering yet however too might could may does should "
    "means isn't wouldn't doesn't balanced support supports supporting oppose opposing prefer preference "
    "agree agreeing disagree leaning right appropriate correct please thank thanks out vs versus where weil "
    "da denn fur auf als ist ware passt und oder aber mit ich von punkte punkten sterne sternen wahlen "
    "vergeben geben nehmen sagen entscheiden parce car puisque sur pour est dans et ou mais comme avec je "
    "porque ya pues en es por con para y o pero como que yo puntos estrellas points etoiles".split()
)
"""Words that may follow the number that answers. Any other word makes the number a count of things."""
LABEL_WORDS: Final = frozenset(
    "strongly somewhat mildly slightly neutral mild strong moderate moderately slight support supports "
    "oppose prefer preference agree disagree balanced undecided ambivalent lean leaning".split()
)
OWN: Final = frozenset("my the our meine mein ma mon mi".split())

NEGATIONS: Final = frozenset(
    "not never no cannot hardly neither nor without nicht kein keine keinen keiner nie niemals ohne pas "
    "jamais sans nunca tampoco sin nao niet non cant dont wont wouldnt".split()
)
NOT_NEGATING: Final = frozenset(
    "doubt question hesitation only sure doubts hesitating problem less change wait zweifel doute duda help "
    "certain".split()
)
"""`no doubt`, `not only`, `can't help`: what follows holds."""
DOUBTING: Final = frozenset(
    "way chance reason circumstances think believe feel suppose imagine see expect say consider glaube "
    "denke finde crois pense creo pienso".split()
)
"""`I do not think I would choose 5` denies the choosing."""
SET_AGAINST: Final = frozenset(
    "rather instead over versus vs statt anstatt anstelle plutot lieu lugar vez above beyond".split()
)
CONTRASTS: Final = frozenset(
    "but however yet though although while whereas so therefore thus sondern aber jedoch doch mais donc "
    "cependant pero sino aunque porem maar".split()
)
CONCLUDES: Final = frozenset(
    "change sure certain thought thoughts reflection reconsideration therefore thus hence so overall "
    "finally conclusion summary short doubt hesitation question forced pressed pushed then actually "
    "correction edit update updated wait sorry rather final answer fazit also insgesamt donc finalement "
    "finalmente conclusion conclusie specifically accordingly".split()
)
"""Before a colon or a comma: the number that follows is meant."""
CORRECTS: Final = frozenset(
    "actually no wait now correction edit instead rather final finally updated update revised".split()
)
FORCED: Final = frozenset(
    "must forced pressed pushed asked required compelled insisted need needed necessary gezwungen muss "
    "musste obligado force oblige made".split()
)
IFS: Final = frozenset("if wenn falls si whether suppose".split())
UNREAL: Final = frozenset(
    "would i'd could might were we'd wurde ware konnte serait choisirais donnerais elegiria daria seria had".split()
)
PAST: Final = frozenset(
    "start started starting initially originally previously earlier before formerly considered tempted "
    "almost nearly could've initial previous first zunachst anfangs ursprunglich vorher abord initialement "
    "inicialmente antes".split()
)
"""What was thought before, or nearly."""
THOUGHT: Final = frozenset("thought dachte pensais pensaba".split())
REJECTS: Final = frozenset(
    "too not excessive wrong inappropriate extreme overstate overstates mean means imply implies indicate "
    "indicates suggest suggests overly unreasonable far".split()
)
JUDGED_BY: Final = frozenset(
    "is was would seems feels sounds goes might may does isn't wouldn't doesn't ist ware est serait es seria".split()
)
"""Verbs by which a number before them is judged: `5 is too strong`."""
LEGEND: Final = frozenset(
    "= being means meaning indicates indicating represents denotes stands bedeutet signifie significa".split()
)
LIMITS: Final = frozenset(
    "than least most above below under exceeds beyond over minimum maximum mindestens hochstens".split()
)
REFUSING: Final = (
    ("cannot", "rate"), ("can't", "rate"), ("won't", "rate"), ("unable", "to"), ("not", "able"), ("must", "decline"),
    ("decline", "to"), ("refuse", "to"), ("can't", "choose"), ("cannot", "choose"), ("won't", "choose"),
    ("can't", "answer"), ("cannot", "answer"), ("can't", "provide"), ("cannot", "provide"), ("can't", "give"),
    ("cannot", "give"), ("won't", "give"), ("can't", "assign"), ("cannot", "assign"), ("can't", "comply"),
    ("cannot", "comply"), ("won't", "comply"), ("can't", "assist"), ("cannot", "assist"), ("can't", "help"),
    ("cannot", "help"), ("cannot", "take"), ("can't", "take"), ("not", "to"), ("not", "comfortable"),
    ("kann", "nicht"), ("peux", "pas"), ("puedo", "no"), ("no", "puedo"), ("against", "my"), ("not", "appropriate"),
)  # fmt: skip
"""Pairs of neighbouring words of a refusal. Only said beside `other`: a number always beats them."""
