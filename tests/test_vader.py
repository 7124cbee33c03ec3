"""The scorer against the stock package: the same floats for any text, in time linear in the text.

Run from the root of the repository: python -m pytest tests/test_vader.py
"""

from __future__ import annotations

import csv
import gzip
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vaderSentiment import vaderSentiment as stock_module  # type: ignore[import-untyped]

from src.worker import vader as vader_module
from src.worker.vader import LexiconError, Scores, Vader

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"

OURS = Vader.load()
STOCK = stock_module.SentimentIntensityAnalyzer()


def stock_scores(text: str) -> Scores:
    scores = STOCK.polarity_scores(text)
    return Scores(scores["neg"], scores["neu"], scores["pos"], scores["compound"])


def assert_same(text: str, vader: Vader = OURS) -> None:
    """Compare representations, since 0.0 == -0.0."""
    assert repr(vader.score(text)) == repr(stock_scores(text)), ascii(text[:500])


# Sentences

_TEXTS: Final = {
    "nothing to score": """
        \u00a0\u2003 | table | a | ... | ! | !!!!!! | ?? | The 8:15 leaves from platform nine | \x00 |
        \x1c\x1d\x1e\x1f | \u200b | \ufeff | 12345 67890
    """,
    "plain words": """
        good | bad | The soup tasted wonderful | My parcel arrived broken and the reply was rude |
        Nice staff, horrible queue | good bad good bad | love hate | Thanks for a terrible, awful, lovely evening |
        happiness | goodness gracious
    """,
    "punctuation around and inside words": """
        good. | ...good... | (good) | "good" | 'good' | *good* | good,bad | good-bad | #good | @good | good's | (no) |
        no. | **ok** | ok | ok. | -good- | _bad_ | good\u2026 | \u201cgood\u201d | good\u2014bad | so-good | !good |
        ?bad? | fed up | fed-up
    """,
    "emphasis by punctuation": """
        The room was good! | The room was good!! | The room was good!!! | The room was good!!!! |
        The room was good!!!!! | The room was bad! | The room was bad!!!!!!!!! | The room was bad? |
        The room was bad?? | The room was bad??? | The room was bad???? | The room was good?? | The room was good??? |
        The room was good?!?!?! | Good ! bad ! | love hate!!! | love, hate; love? hate? | ! ! ! good | fine!!??
    """,
    "capitals": """
        GOOD | GOOD soup | GOOD SOUP | good SOUP | I like it | I LIKE IT | A good one | this is BAD | THIS IS BAD |
        This Is Bad | gOOD Bad | BAD bad | 4GOOD soup | GOOD 4 | GOOD !! | The NO good plan | LoL that was XD |
        LOL that was funny
    """,
    "boosters": """
        very good | VERY good | very GOOD | very VERY GOOD soup | extremely bad | EXTREMELY bad |
        really really really good | really very so good | hardly good | HARDLY good | kinda bad | KINDA bad |
        kind-of good | kindof good | sort-of bad | sorta good | a slightly less annoying wait |
        totally and utterly awful | very much so very good | so good | so bad | so so bad | most | very |
        very very very very | uber cute kitten | it was marginally, almost, occasionally fine | good very |
        very good very bad very | very table good | very table table good | very table table table good |
        very bad good | Considerably worse than the enormous mess
    """,
    "kind of, sort of, just enough": """
        kind of good | it was kind of good | it was a kind of good | that was kind of a bad thing |
        it is sort of bad | we had just enough fun | we all had just enough fun | they are kind of, sort of good |
        sort of kind of good | kind | kind of | Kind OF people | what a kind offer | people of kind heart are kind |
        kind of kind of kind of good | the staff were KIND OF rude | one kind. of good
    """,
    "negation": """
        not good | NOT good | not GOOD soup | not very good | not a good idea | not such a good idea |
        not quite such a good idea | isn't good | isnt good | isn\u2019t good | cannot like it | can't like it |
        can't stand this | nobody didn't not like it | nor good nor bad | neither good nor bad | nothing good |
        without love | despite good weather | seldom good, rarely bad | uh-uh good | uhuh bad | n't good |
        xn'ty good | N'T good | not not good | not not not good | don't you dare like it | hardly not good |
        not hardly good | nope, great | not. good | ain't no good
    """,
    "never so, never this, without doubt": """
        never good | never so good | never this good | never was so good | never so very good | never this very bad |
        never been good | never ever been good | never has it been good | so it good | one table so good |
        we ate this good | we two ate so bad | good table so good | without doubt good | without a doubt good |
        without doubt a good | without any doubt a good | without doubt | there is doubt, good |
        without question good | never doubt good | never so so good
    """,
    "no": """
        no | No! | no good | no table | no no | no no no no | no good no bad | no very good | no big table good |
        no bad or good | no table or good | no table nor good | no table and good | there was no no good | NO good |
        NO GOOD soup | no problem | no problem, no worries, no pain | good no | nO good | no kind of good | no, kind
    """,
    "least": """
        least good | the least good | at least good | very least good | at the very least good | the least bad |
        LEAST bad | At Least bad | good least bad | not least good | at table least good | least least good | least |
        least of all good
    """,
    "idioms": """
        the shit | this new phone is the shit | that new phone is the bomb! | a really bad ass guitar | bad ass |
        one two three bad ass | badass | one two three badass solo | wait by the bus stop | the next bus stop |
        we met at that bus stop yesterday | yeah right | oh well then yeah right | yeah, right, sure |
        that was the kiss of death | with one kiss of death | a view to die for | these cakes are to die for |
        what a beating heart | with a wildly beating heart | good yeah right then bad | not the shit |
        it is not the shit | it was never the bomb | kind of the shit | it was kind of the shit |
        it was sort of bad ass | you all saw the bomb love | you saw the bomb there love |
        like, the shit is the bomb | THE SHIT is on | we say THE SHIT is on | it is the least bad ass thing |
        one two to die for | one two kiss of death | one two the shit table good | one the shit but the bomb |
        here at the bus stop the bus stop | one two kiss of | one two die for
    """,
    "but": """
        but | good but | but good | good but bad | bad but good | good, but bad | good BUT bad | good But. bad |
        good butt bad | good but good | good good but good good | good good good but bad bad bad |
        bad good bad but good bad good | good but bad but good | but but but good |
        good but great but good but great | nice good nice but good nice good nice |
        very good good but good very good | not good but not bad, but good | no but no | no good but no bad |
        the shit here was the shit but the shit was the bomb | all the shit but all the bomb was fine |
        love but very love but VERY love love | (but) good | good b-u-t bad | kind but kind of but kind |
        bus stop but bus stop good
    """,
    "emoticons": """
        :) | :-) | :( | :D | :d | XD | xD | :P | :)) | :). | (: | good :) | good:) | GOOD :( soup | not :) | very :( |
        <3 | </3 | <333 | o.O O_o | :'( | =) | ^_^ | >:( | 8-) and ;-) | ( '}{' ) | :\u00de | d: d= | : )
    """,
    "emoji": """
        😀 | 😀😀😀 | 😀good | good😀 | good 😀 good | 😀 😀 | I 💘 this 😭😭 | 😡! | 🆙 | 🆙🆙🆙🆙🆙 |
        \u00a9 \u00ae 2015 | \u2764 | \u2764\ufe0f | \u2764\ufe0fgood | 👍🏽 | 👩\u200d👩\u200d👧 | 🇩🇪 | 1\ufe0f\u20e3 |
        🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f | not 😀 | not😀 | very😍 | but😀 | 😀but bad |
        💣the 💣 | VERY 😀 | 🈚 🈲 | a\n😀\tb | \u00a0😀\u00a0 | 👞👚🕛 | bad😀ass | no😀 | 😀no
    """,
    "odd Unicode": """
        \u0130 good | \u0130\u0130\u0130 | BAD\u0130 | \u212aind of good | that was \u212aIND OF good | L\u0130KE it |
        \u1e9eGOOD good | \u01c5 good GOOD | \u03a3\u03a3 GOOD \u03c3\u03c2 | good\u0301 | good\u2028bad\u2029good |
        good\u0085bad | good\u200bbad | \ud83d lonely good | \uff47\uff4f\uff4f\uff44 | \uff01\uff1f good |
        good\u3002bad | gut f\u00fcr mich, GOOD f\u00fcr DICH | \u00bfgood? \u00a1bad! |
        \u6f22\u5b57 good \u6f22\u5b57 | \x00good\x00 | good\x0bbad\x0cgood\x1cbad |
        \U0001d420\U0001d428\U0001d428\U0001d41d good | \U0010ffff good
    """,
    "long and mixed": """
        Waited two hours, nobody said sorry, but the pilot was SO kind and the landing was great!!! |
        I never thought I'd say this, but their support is not bad at all :) |
        WHY is this app so SLOW?? It used to be the best, now it is hardly usable... |
        No refund, no reply, no help. Without doubt the worst shop in town!!!!! |
        At least the food wasn't awful; the least friendly waiter ever, though |
        Kind of happy, kind of sad, but mostly just tired 😴😴 |
        yeah right, like they would ever fix the damn thing?!? |
        If only they could, they would. They can't. So sad. Sad! |
        LOVE LOVE LOVE the new design, but hate hate hate the new price 😡 |
        @shop your "help" didn't help & my order's lost &amp; you don't care <3 |
        Perfect. Just perfect. Perfect!!! But perfect is not so perfect, is it??? |
        http://example.org/good?bad=1&ugly=2 is a nice link, isn't it?
    """,
}
SENTENCES: Final = {group: [part.strip(" \n") for part in block.split("|")] for group, block in _TEXTS.items()} | {
    "blanks": ["", " ", "  ", "\n", "\n\t \r\n", " good ", "\ngood bad\n"]
}


@pytest.mark.parametrize("group", SENTENCES)
def test_sentences_score_as_in_the_stock_package(group: str) -> None:
    for sentence in SENTENCES[group]:
        assert_same(sentence)


def test_every_entry_of_the_lexicons_scores_as_in_the_stock_package() -> None:
    for entry in [*STOCK.lexicon, *STOCK.emojis]:
        assert_same(entry)
        assert_same(f"one two not {entry} SOUP")


def test_word_lists_are_those_of_the_stock_package() -> None:
    boosters = vader_module._BOOSTERS | {" ".join(pair): boost for pair, boost in vader_module._BOOSTER_PAIRS.items()}
    idioms = {" ".join(words): valence for words, valence in vader_module._IDIOMS.items()}
    assert boosters == stock_module.BOOSTER_DICT
    assert {word for word in stock_module.NEGATE if "n't" not in word} == vader_module._NEGATIONS
    assert idioms | {"badass": 1.5} == stock_module.SPECIAL_CASES


def test_lexicon_is_as_the_rules_assume() -> None:
    assert all(STOCK.lexicon.values()), "a rating of 0 would be taken for an unrated word"
    assert max(map(len, STOCK.lexicon)) <= vader_module._MEMO_CHARS
    assert not {"but", "least", "of"} & STOCK.lexicon.keys()


# Fuzzing

_RULE_WORDS = """
    but but but least at very never so this without doubt no or nor kind of sort just enough not isn't don't n't cannot
    despite the shit bomb bad ass badass bus stop yeah right kiss of death to die for beating heart
"""
_ROLES = _RULE_WORDS.split()
_RATED = sorted(word for word in STOCK.lexicon if word.isalpha())
_EMOTICONS = sorted(word for word in STOCK.lexicon if not any(char.isalpha() for char in word))
_EMOJI = sorted(char for char in STOCK.emojis if len(char) == 1)
_ODD = [
    "\u0130",
    "\u212aind",
    "\ufe0f",
    "\u200d",
    "\u2019",
    "\u00df",
    "\u01c5",
    "\ud83d",
    "\u03a3",
    "\x00",
    "I",
    "A",
    "4",
]
_SPACES = [" ", " ", " ", " ", " ", "  ", "\n", "\t", "", "\u00a0", "\u2028", "\x1c", ", ", "-"]
_CASES: list[Callable[[str], str]] = [str, str, str, str.upper, str.title, str.swapcase]
_EDGES = ["", "", "", "", "!", "?", ".", "...", "!!!", "??", '"', "'", "(", ")", "#", "\u2026"]

words = st.one_of(
    st.sampled_from(_ROLES),
    st.sampled_from(["good", "bad", "great", "kind", "no", "love", "hate"]),  # few values, so equal ones meet
    st.sampled_from(_RATED),
    st.sampled_from(sorted(stock_module.BOOSTER_DICT)),
    st.sampled_from(stock_module.NEGATE),
    st.sampled_from(["table", "one", "a", "x", "went", "an", "I"]),
    st.sampled_from(_EMOTICONS),
    st.sampled_from(_EMOJI),
    st.sampled_from(_ODD),
    st.text(max_size=4),
)
pieces = st.builds(
    lambda word, case, before, after, space: before + case(word) + after + space,
    words,
    st.sampled_from(_CASES),
    st.sampled_from(_EDGES),
    st.sampled_from(_EDGES),
    st.sampled_from(_SPACES),
)
bare_words = st.sampled_from([*_ROLES, "good", "bad", "great", "GOOD", "very", "hardly", "table", "table"])


def fuzz(examples: int) -> settings:
    """The same examples in every run, and no files left behind."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@fuzz(1200)
@given(st.lists(pieces, max_size=25).map("".join))
def test_any_mixture_scores_as_in_the_stock_package(text: str) -> None:
    assert_same(text)


@fuzz(1200)
@given(st.lists(bare_words, min_size=2, max_size=14).map(" ".join))
def test_dense_rules_score_as_in_the_stock_package(text: str) -> None:
    assert_same(text)


@fuzz(400)
@given(st.text(max_size=60))
def test_any_text_scores_as_in_the_stock_package(text: str) -> None:
    assert_same(text)


def test_equal_valences_around_but() -> None:
    """Long runs of few values: the first equal one is changed, again and again."""
    chance = random.Random(20140601)
    for _ in range(400):
        vocabulary = chance.sample(["good", "bad", "very", "not", "table", "great", "GOOD", "worse", "the shit"], 4)
        assert_same(" ".join(chance.choices([*vocabulary, "but"], [4, 4, 2, 2, 1], k=chance.randrange(5, 120))))


# Linear time

HOSTILE: dict[str, Callable[[int], str]] = {
    "emoji": lambda n: "😀" * n,
    "different emoji": lambda n: "".join(_EMOJI[i % len(_EMOJI)] for i in range(n)),
    "emoji glued to words": lambda n: "😀good" * n,
    "but": lambda n: "but " * n,
    "good but": lambda n: "good but " * n,
    "equal words after but": lambda n: "but " + "good " * n,
    "different values around but": lambda n: " ".join(["but", *(_RATED[i * 7 % len(_RATED)] for i in range(n)), "but"]),
    "new words": lambda n: " ".join(f"w{i}" for i in range(n)),
    "rated words": lambda n: " ".join(_RATED[i % len(_RATED)] for i in range(n)),
    "boosters and negations": lambda n: "NOT very never so good " * n,
    "no": lambda n: "no " * n,
    "kind of": lambda n: "kind of " * n,
    "idioms": lambda n: "one two the shit to die for " * n,
    "one word": lambda n: "a" * (40 * n),
    "one negation": lambda n: "good " + "n't" * (20 * n) + " good",
    "one word that grows in lower case": lambda n: "\u0130" * (10 * n),
    "exclamations": lambda n: "good " + "!" * (40 * n),
    "questions": lambda n: "good " + "?" * (40 * n),
    "exclamations apart": lambda n: "! " * n,
    "brackets": lambda n: "(" * (20 * n) + "good" + ")" * (20 * n),
    "blanks": lambda n: " " * (40 * n),
    "non-ASCII, no emoji": lambda n: "\u6f22" * (20 * n),
}


def best_time(text: str, repeats: int = 5) -> float:
    """Seconds of the fastest of several runs, none of which finds its tokens in the memo."""
    times = []
    for _ in range(repeats):
        OURS._memo.clear()
        start = time.process_time()
        OURS.score(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("family", HOSTILE)
def test_time_is_linear_in_the_text(family: str) -> None:
    make = HOSTILE[family]
    short, long = best_time(make(5_000)), best_time(make(20_000))
    # Linear is 4, quadratic 16. What takes next to nothing is fast enough, whatever the ratio says of it.
    assert long < 9 * short or long < 0.005


@pytest.mark.parametrize("family", HOSTILE)
def test_hostile_text_scores_as_in_the_stock_package(family: str) -> None:
    assert_same(HOSTILE[family](60))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("😀" * 5_000, 0.3, id="5,000 emoji"),
        pytest.param("but " * 3_000, 0.3, id="3,000 but"),
        pytest.param("good but " * 1_500, 0.3, id="3,000 words around but"),
        pytest.param(" ".join(_RATED[:3_000]), 0.3, id="3,000 rated words"),
        pytest.param("never so very good table " * 4_000, 2.0, id="20,000 words"),
        pytest.param("a" * 1_000_000, 0.5, id="1 MB of one letter"),
        pytest.param("!" * 10_000, 0.3, id="10,000 exclamation marks"),
        pytest.param("?" * 10_000, 0.3, id="10,000 question marks"),
    ],
)
def test_hostile_text_is_scored_in_time(text: str, seconds: float) -> None:
    assert best_time(text, repeats=3) < seconds


# Memory, threads, loading


def test_memo_is_bounded() -> None:
    vader = Vader.load()
    for start in range(0, 3 * vader_module._MEMO_TOKENS, 1_000):
        vader.score(" ".join(f"word{i}" for i in range(start, start + 1_000)))
        assert 0 < len(vader._memo) <= vader_module._MEMO_TOKENS


def test_long_tokens_are_not_kept() -> None:
    vader = Vader.load()
    vader.score("good" + "!" * 10_000 + " " + "a" * 10_000)
    assert not vader._memo


def test_threads_share_one_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vader_module, "_MEMO_TOKENS", 20)  # so that it is emptied all the time
    vader = Vader.load()
    sentences = [sentence for group in SENTENCES.values() for sentence in group]
    expected = [repr(stock_scores(sentence)) for sentence in sentences]

    def run(_: int) -> list[str]:
        return [repr(vader.score(sentence)) for sentence in sentences]

    with ThreadPoolExecutor(8) as pool:
        assert all(result == expected for result in pool.map(run, range(40)))
    assert len(vader._memo) <= 20 + 8


def test_loading_imports_neither_the_package_nor_requests() -> None:
    code = (
        "import sys; from src.worker.vader import Vader; Vader.load().score('good');"
        "assert not {'vaderSentiment', 'requests'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    with pytest.raises(LexiconError, match="vaderSentiment is not installed"):
        Vader.load()


@pytest.mark.parametrize(
    ("lexicon", "emoji", "reason"),
    [
        (None, "😀\tgrin", "No such file"),
        ("good\t1.9", None, "No such file"),
        ("", "😀\tgrin", "empty"),
        ("good 1.9", "😀\tgrin", "without a tab"),
        ("good\tfine", "😀\tgrin", "could not convert"),
        ("good\t1.9", "😀", "without a tab"),
    ],
)
def test_broken_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lexicon: str | None, emoji: str | None, reason: str
) -> None:
    for name, content in (("vader_lexicon.txt", lexicon), ("emoji_utf8_lexicon.txt", emoji)):
        if content is not None:
            (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.setattr(
        vader_module, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    with pytest.raises(LexiconError, match=reason):
        Vader.load()


# Development data


@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
@pytest.mark.parametrize(
    ("name", "column", "step"),
    [
        ("airline_stream", "text", 1),
        ("sentiment_tweeteval_val", "text", 1),
        ("sentiment_semeval17", "text", 15),
        ("intent_play_store", "review", 2),
        ("intent_app_reviews", "review", 2),
        ("intent_suggestions", "text", 4),
    ],
)
def test_development_data_scores_as_in_the_stock_package(name: str, column: str, step: int) -> None:
    """All texts of the first files, every `step`-th of the large ones."""
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        texts = [row[column] for row in csv.DictReader(file)]
    assert texts
    for text in texts[::step]:
        assert_same(text)
