"""Examples for `--help`, and for the reference: per command, what follows its name. A test parses each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "replay": (
        ("examples/mentions.csv", "all rows of a file, columns found by their names"),
        ("export.csv.gz --brand acme --text-column body --limit 1000 --json", "other columns, the first thousand rows"),
    ),
    "enqueue": (
        ("tasks.jsonl --dry-run", "check only, without any server"),
        ("- --skip-bad", "from standard input; good lines go in although others were refused"),
    ),
    "analyze": (("examples/mentions.csv --out verdicts.jsonl", "one verdict per row, no server needed"),),
    "learn": (("labelled.csv --task sentiment", "columns text,label; negative, neutral or positive"),),
    "queue": (("", "what waits, for how long, and who works"), ("--watch 5", "again every five seconds")),
    "detect": (
        ("crisis examples/outage.csv --out -", "when did it begin, how bad was it, when was it over?"),
        ("spikes counts.csv --out alarms.csv", "counts per five minutes: brand,timestamp,value"),
    ),
    "llm": (("--ask", "does each model answer?"), ("--by brand --days 7", "what each brand has cost in a week")),
    "dead": (
        ("list --brand acme --limit 5", "the newest five of a brand"),
        ("replay --code STORAGE_UNAVAILABLE", "everything that failed with this code, once more"),
    ),
    "dedup": (("examples/mentions.csv --out duplicates.csv", "id,duplicate_of; empty: the first of its kind"),),
    "keys": (
        ("new --name dashboard --role read --days 90", "a key that may read for ninety days"),
        ("list --file /etc/worker/keys", "whose keys there are, and until when"),
    ),
    "page": (("https://example.com/news/1", "what the worker reads of a page"),),
    "cluster": (("examples/mentions.csv --out clusters.csv --k 4", "id,cluster,label; without --k it is chosen"),),
    "doctor": (("", "everything but the models' answers"), ("--ask --json", "with them, for a script")),
    "brands": (("", "all brands"), ("acme", "one of them: mood, health, crisis, spikes")),
    "completion": (
        ("bash", "a function `worker` and its completion"),
        ("zsh --name bw", "another short name"),
    ),
}


def epilog(prog: str, command: str) -> str:
    """The examples of a command as they are typed; empty for a command that has none."""
    found = EXAMPLES.get(command, ())
    lines = [f"  # {what}\n  {prog} {command} {words}".rstrip() for words, what in found]
    return "examples:\n" + "\n".join(lines) + "\n\n" if lines else ""
