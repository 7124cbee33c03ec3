"""Phrases to an automaton: the notation of the vocabularies, and matching at a cost of one look-up per word.

`family.name weight` begins a rule; the indented lines below hold its phrases, one per line or separated by commas; a
line indented further, or beginning with `|`, continues the one above. A phrase is words with spaces between:
    `a|b`      either word                         `crash/es/ed`   crash, crashes, crashed
    `{name}`   a class of words                    `x?`            x or nothing
    `~3`       up to three words of any kind       `^`             first in the phrase: only where a sentence begins
Gaps never step over punctuation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PUNCTUATION: Final = frozenset(".!?,;:()…\n")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Phrases that mean one thing. `weight` in 0..1: the chance, read alone, that the family is meant."""

    family: str
    name: str
    weight: float
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A state of the automaton. `default` is taken by any word without an edge of its own, never by punctuation."""

    edges: Mapping[str, State]
    default: State | None
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Automaton:
    """The states behind a first word: for phrases that may begin anywhere and for those that open a sentence."""

    anywhere: Mapping[str, State]
    at_start: Mapping[str, State]


def compile_phrases(vocabulary: str, classes: str) -> Automaton:
    """The automaton of all phrases of a vocabulary; `classes` holds one word class per line, its name first."""
    known = {name: words for name, _, words in (line.partition(" ") for line in _unfolded(classes))}
    anywhere, at_start = _Node(), _Node()
    for rule in _rules(vocabulary):
        for phrase in rule.phrases:
            elements = phrase.removeprefix("^").split()
            _plant(at_start if phrase.startswith("^") else anywhere, elements, rule, known)
    states = _States()
    roots = (states.of(frozenset({node})) for node in (anywhere, at_start))
    return Automaton(*(root.edges for root in roots))


def follow(tokens: Sequence[str], start: int, state: State, found: dict[tuple[Rule, int], int]) -> None:
    """Note in `found` where the longest match of each rule ends that begins with the word at `start`."""
    position, last = start + 1, len(tokens)
    current: State | None = state
    while current is not None:
        for rule in current.rules:
            found[rule, start] = position
        if position == last:
            return
        token = tokens[position]
        follower = current.edges.get(token)
        if follower is None and current.default is not None and token not in PUNCTUATION:
            follower = current.default
        current = follower
        position += 1


class _Node:
    """A node of the tree of phrases before it is made deterministic. `wild` is reached by any word."""

    __slots__ = ("edges", "rules", "wild")

    def __init__(self) -> None:
        self.edges: dict[frozenset[str], _Node] = {}
        self.wild: _Node | None = None
        self.rules: set[Rule] = set()


def _plant(root: _Node, elements: Sequence[str], rule: Rule, classes: Mapping[str, str]) -> None:
    frontier = [root]
    for element in elements:
        if element.startswith("~"):
            for _ in range(int(element[1:])):
                # Each word of the gap may be missing: what comes next may start from any node reached so far.
                frontier += [_wild(node) for node in frontier if node.wild is None or node.wild not in frontier]
            continue
        optional = element.endswith("?") and element != "?"
        words = _words(element.removesuffix("?") if optional else element, classes)
        reached = [node.edges.setdefault(words, _Node()) for node in frontier]
        frontier = frontier + reached if optional else reached
    for node in frontier:
        node.rules.add(rule)


def _wild(node: _Node) -> _Node:
    if node.wild is None:
        node.wild = _Node()
    return node.wild


def _words(element: str, classes: Mapping[str, str]) -> frozenset[str]:
    """The words that an element stands for: classes looked up, endings spelt out."""
    words: set[str] = set()
    for part in element.split("|"):
        if part.startswith("{"):
            words |= _words(classes[part[1:-1]], classes)
        elif part.startswith("/"):
            words.add(part)
        else:
            stem, *endings = part.split("/")
            words.update((stem, *(stem + ending for ending in endings)))
    return frozenset(words)


def _rules(vocabulary: str) -> Iterator[Rule]:
    heading = ""
    phrases: list[str] = []
    for line in (*_unfolded(vocabulary), ""):
        if line.startswith(" "):
            phrases += [phrase for phrase in map(str.strip, line.split(",")) if phrase]
            continue
        if heading:
            full_name, _, weight = heading.partition(" ")
            family, _, name = full_name.partition(".")
            yield Rule(family, name, float(weight or 1.0), tuple(phrases))
        heading, phrases = line, []


def _unfolded(text: str) -> Iterator[str]:
    """The lines of a text with continuations joined and empty ones left out."""
    pending = ""
    for line in filter(str.strip, text.splitlines()):
        stripped = line.strip()
        if stripped.startswith("|"):
            pending += stripped
        elif line.startswith(" " * 8):
            pending += " " + stripped
        else:
            if pending:
                yield pending
            pending = line
    if pending:
        yield pending


class _States:
    """Subset construction, so that matching needs one look-up per word; what is equal is made once.

    Phrases end alike, and states that differ in their rules alone go on alike: of the vocabulary's 6,800 sets of nodes
    4,800 are different states with 2,400 different tables of edges. They take 2.9 MB, not 5.4.
    """

    def __init__(self) -> None:
        self._of_nodes: dict[frozenset[_Node], State] = {}
        self._of_content: dict[tuple[int, State | None, tuple[Rule, ...]], State] = {}
        self._tables: dict[int, list[dict[str, State]]] = {}

    def of(self, nodes: frozenset[_Node]) -> State:
        """Ends, because nodes form trees: what is reached from a node lies deeper."""
        known = self._of_nodes.get(nodes)
        if known is not None:
            return known
        wild = frozenset(node.wild for node in nodes if node.wild is not None)
        targets: dict[str, set[_Node]] = {}
        for node in nodes:
            for words, child in node.edges.items():
                for word in words:
                    targets.setdefault(word, set(wild)).add(child)
        edges = self._table({word: self.of(frozenset(children)) for word, children in targets.items()})
        default = self.of(wild) if wild else None
        rules = tuple(
            sorted({rule for node in nodes for rule in node.rules}, key=lambda rule: (rule.family, rule.name))
        )
        content = (id(edges), default, rules)  # the table of an id is kept as long as the id: in `_tables`
        state = self._of_nodes[nodes] = self._of_content.setdefault(content, State(edges, default, rules))
        return state

    def _table(self, edges: dict[str, State]) -> dict[str, State]:
        """This table, or the one equal to it that was made before. By hash: keys that hold all words take 10 MB."""
        alike = self._tables.setdefault(hash(frozenset(edges.items())), [])
        for table in alike:
            if table == edges:
                return table
        alike.append(edges)
        return edges
