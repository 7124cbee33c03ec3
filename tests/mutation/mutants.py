"""One change to one module, by mutmut's operators: the text that comes out and where it differs.

mutmut itself cannot run here: it puts its switches into functions by their module's name and refuses names that begin
with `src.` (assertion in `mutmut.stats.record_trampoline_hit`), and it leaves decorated functions and everything at
module level alone, so no property, no table of rules and no default of a dataclass would ever be changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import libcst as cst
from mutmut.mutation.mutators import mutation_operators, operator_string

# Calls whose words are for people reading a log; `len` and `isinstance` of something else only ever raise.
_LOGGED = frozenset({"debug", "info", "warning", "error", "exception"})
_TRIVIAL = frozenset({"len", "isinstance"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module's whole text after one change."""

    text: str
    line: int
    """First line that differs, from 1."""
    before: str
    after: str


class _Finder(cst.CSTVisitor):
    """Collects (node, replacement) over the whole module."""

    def __init__(self) -> None:
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []
        self._wording = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _untouched(node):
            return False
        self._wording += _is_wording(node)
        for kind, operator in mutation_operators:
            if isinstance(node, kind) and not (self._wording and operator is operator_string):
                # Of a string only the first change: that other case is noticed is the same promise.
                changes = list(operator(node))[: 1 if operator is operator_string else None]
                self.found += [(node, changed) for changed in changes]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        self._wording -= _is_wording(original_node)


def _is_wording(node: cst.CSTNode) -> bool:
    """What an exception or a log line says may be said in other words."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.attr.value in _LOGGED
    return isinstance(node, cst.Raise)


def _untouched(node: cst.CSTNode) -> bool:
    """Types, imports, docstrings, decorators: nothing that a test of behaviour could notice."""
    match node:
        case cst.Annotation() | cst.Decorator() | cst.Import() | cst.ImportFrom():
            return True
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return True
        case cst.Call(func=cst.Name(value=name)):
            return name in _TRIVIAL
        case cst.If(test=cst.Name(value="TYPE_CHECKING")):
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value="__all__"))]):
            return True
    return False


def mutants(source: str, *, most: int, seed: str) -> tuple[int, Iterator[Mutant]]:
    """How many changes there are, and a random sample of at most `most` of them, in the order of their lines."""
    module = cst.parse_module(source)
    finder = _Finder()
    module.visit(finder)
    order = list(range(len(finder.found)))
    Random(seed).shuffle(order)  # and not `sample`: of two sizes the smaller is part of the larger
    chosen = sorted(order[:most])
    return len(finder.found), _applied(module, source, [finder.found[index] for index in chosen])


def _applied(module: cst.Module, source: str, changes: list[tuple[cst.CSTNode, cst.CSTNode]]) -> Iterator[Mutant]:
    meant = ast.dump(ast.parse(source))
    for node, changed in changes:
        text = module.deep_replace(node, changed).code  # type: ignore[union-attr]
        try:
            tree = ast.parse(text)
            compile(text, "mutant", "exec")
        except (SyntaxError, ValueError):
            continue  # not a program: nothing that could be delivered
        if ast.dump(tree) != meant:
            yield Mutant(text, *_difference(source, text))


def _difference(old: str, new: str) -> tuple[int, str, str]:
    before, after = old.splitlines(), new.splitlines()
    start = next((at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    cut = [" ".join(line.strip() for line in lines[start : len(lines) - end]) for lines in (before, after)]
    return start + 1, cut[0], cut[1]
