"""Posts with known re-posts of twelve kinds, and with near-copies that are none; made from development texts, seeded.

Originals are different texts (by their plain words). Every re-post names the original it was made of; a hard negative
is an original of its own that looks like another: a template with another flight, price or day, or a pair of sentences
that people judged not to say the same. `python -m bench dedup` and the tests measure on them; no file is written.
"""

from __future__ import annotations

import csv
import gzip
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SOURCES = ("airline_stream", "sentiment_semeval17", "intent_suggestions")
MIN_CHARS = 30
"""Shorter posts ("thanks!") have no known origin: two people write them."""

_HANDLES = ["newsdesk", "jo_miller", "the_real_kim", "travelfan88", "MarcW", "anna_k", "DailyBuzz", "sunny_side"]
_TAGS = ["news", "fail", "travel", "mustread", "WOW", "customerservice", "NowPlaying", "monday"]
_EMOJI = ["😀", "😂", "🔥", "👍", "😡", "😍", "🎉", "✈️", "💯", "🙏🏽"]
_COMMENTS = ["This!", "So true:", "Wow.", "lol", "Must read:", "Same here,", "THIS 👇"]
_FILLERS = ["really", "just", "so", "actually", "now", "also", "again", "please"]
_TEMPLATES = [
    "{brand} flight {n} from Boston to Denver is delayed again, nobody at the gate knows anything",
    "Looking at a price of ${n} for the {brand} upgrade this week, what do you all think about that?",
    "Update to version {v} of the {brand} app is out now with fixes for login and check-in",
    "{brand} sale ends on {day}, all fares at half price if you book through the website",
    "Waited {n} minutes on hold with {brand} support this morning and then the line was dropped",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@dataclass(frozen=True)
class Labelled:
    """One post. `origin` is the id of the post it repeats; an original names itself."""

    id: str
    text: str
    origin: str
    kind: str


def make(count: int, *, seed: int, repost_share: float = 0.5, sources: tuple[str, ...] = SOURCES) -> list[Labelled]:
    """`count` posts in random order, originals before their re-posts; of the originals a tenth are hard negatives."""
    rng = Random(seed)
    originals = _originals(round(count * (1 - repost_share)), rng, sources)
    repeated = [post for post in originals if post.kind == "original"]
    posts: list[tuple[float, Labelled]] = [(rng.random(), post) for post in originals]
    places = {post.id: place for place, post in posts}
    for number in range(count - len(originals)):
        # A few posts are repeated often, most once or never.
        post = repeated[int(len(repeated) * rng.random() ** 2)]
        kind = list(KINDS)[number % len(KINDS)]
        copy = Labelled(f"r{number}", KINDS[kind](post.text, rng), post.id, kind)
        posts.append((rng.uniform(places[post.id], 1.0), copy))
    return [post for _, post in sorted(posts, key=lambda pair: pair[0])]


def texts(name: str, column: str = "text") -> Iterator[str]:
    """A column of a development file, HTML entities as they are there."""
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row[column]


def non_paraphrases() -> Iterator[tuple[str, str]]:
    """Pairs of sentences that look alike and that people judged different."""
    with gzip.open(DATA / "paraphrase_pairs.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] == "0":
                yield row["text1"], row["text2"]


def _originals(count: int, rng: Random, sources: tuple[str, ...]) -> list[Labelled]:
    hard = [*_templates(count // 20, rng), *(text for pair in non_paraphrases() for text in pair)][: count // 10]
    pool = [text for name in sources for text in texts(name)]
    rng.shuffle(pool)
    out: list[Labelled] = []
    seen: set[str] = set()
    for kind, candidates in (("hard negative", hard), ("original", pool)):
        for text in candidates:
            plain = _plain(text)
            if len(plain) >= MIN_CHARS and plain not in seen and len(out) < count:
                seen.add(plain)
                out.append(Labelled(f"o{len(out)}", text, f"o{len(out)}", kind))
    return out


def _plain(text: str) -> str:
    """What makes two originals one text, by an own rule and not by the one that is measured."""
    text = re.sub(r"https?://\S+|@\w+|\bRT\b", " ", html.unescape(text.replace("\\u002c", ",").replace("\\u2019", "'")))
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _templates(count: int, rng: Random) -> list[str]:
    fill = {"n": lambda: rng.randint(10, 9_999), "v": lambda: f"{rng.randint(1, 9)}.{rng.randint(0, 40)}"}
    return [
        rng.choice(_TEMPLATES).format(brand="Acme", n=fill["n"](), v=fill["v"](), day=rng.choice(_DAYS))
        for _ in range(count)
    ]


# -- twelve kinds of re-posts ----------------------------------------------------------------------------------------


def _case(text: str, rng: Random) -> str:
    return rng.choice([str.upper, str.lower, str.title])(text)


def _retweet(text: str, rng: Random) -> str:
    return f"RT @{rng.choice(_HANDLES)}: {text}"


def _comment(text: str, rng: Random) -> str:
    return f"{rng.choice(_COMMENTS)} {rng.choice(['RT', 'MT', ''])} @{rng.choice(_HANDLES)}: {text}"


def _via(text: str, rng: Random) -> str:
    return f"{text} via @{rng.choice(_HANDLES)}"


def _link(text: str, rng: Random) -> str:
    new = f"http://t.co/{rng.randrange(36**6):x}"
    return re.sub(r"https?://\S+", new, text) if "http" in text else f"{text} {new}"


def _hashtags(text: str, rng: Random) -> str:
    return f"{text} " + " ".join(f"#{tag}" for tag in rng.sample(_TAGS, rng.randint(1, 2)))


def _punctuation(text: str, rng: Random) -> str:
    if rng.random() < 0.5:
        return text + rng.choice(["!!!", " ...", "?!", "."])
    words = html.unescape(text).split(" ")
    return " ".join(word if "http" in word else word.strip(".,!?;:\"'()") + rng.choice(["", "", ","]) for word in words)


def _emoji(text: str, rng: Random) -> str:
    return f"{text} {''.join(rng.choices(_EMOJI, k=rng.randint(1, 3)))}"


def _cut(text: str, rng: Random) -> str:
    keep = round(len(text) * rng.uniform(0.6, 0.9))
    return text[:keep] + rng.choice(["…", "...", "… http://t.co/x1y2"])


def _markup(text: str, rng: Random) -> str:
    escaped = html.escape(html.unescape(text), quote=True)
    return rng.choice([f"“{text}”", f"<p>{escaped}</p>", escaped.replace(" ", "  "), f'"{text}"\n'])


def _edited(text: str, rng: Random) -> str:
    words = text.split(" ")
    for _ in range(rng.randint(1, 2)):
        place = rng.randrange(len(words))
        longer = [at for at, word in enumerate(words) if len(word) > 4 and word.isalpha()]
        if rng.random() < 0.5 and longer:  # a typing error
            place = rng.choice(longer)
            at = rng.randrange(1, len(words[place]) - 1)
            word = words[place]
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        else:
            words.insert(place, rng.choice(_FILLERS))
    return " ".join(words)


KINDS: dict[str, Callable[[str, Random], str]] = {
    "exact": lambda text, _: text,
    "case": _case,
    "retweet": _retweet,
    "comment": _comment,
    "via": _via,
    "link": _link,
    "hashtags": _hashtags,
    "punctuation": _punctuation,
    "emoji": _emoji,
    "cut": _cut,
    "markup": _markup,
    "edited": _edited,
}
