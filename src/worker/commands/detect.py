"""`detect spikes FILE` and `detect crisis FILE`: the detectors of the service on a file, without any server."""

from __future__ import annotations

import argparse
from typing import Final

from ..mention_files import FLAGS, NAMES
from .count_file import NAMES as COUNT_NAMES

_SPIKES: Final = """\
Counts of mentions per five minutes (columns brand, timestamp, value; times without a zone are UTC) go in, alarms come
out: brand, timestamp (as in the file), score (deviations above the brand's trailing 14 days). Rows may be in any order;
five minutes without a row count as zero."""
_CRISIS: Final = """\
Mentions (columns text, time, author, brand) go in, events come out: brand, raised_at (UTC), severity (one of
insufficient_history, watch, warning, critical, recovered) and reasons. Rows may be in any order. The mood is the
worker's own judgement of each text, unless --sentiment-column names one that is to be believed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    form = argparse.RawDescriptionHelpFormatter
    spikes = kinds.add_parser("spikes", help="spikes in counts", description=_SPIKES, formatter_class=form)
    crisis = kinds.add_parser("crisis", help="crises in mentions", description=_CRISIS, formatter_class=form)
    for one, kind in ((spikes, "CSV or TSV"), (crisis, "CSV, TSV or JSONL")):
        one.add_argument("file", metavar="FILE", help=f"{kind}, also .gz; - for standard input")
        one.add_argument("--out", required=True, metavar="OUT", help="CSV to write; - for standard output")
        one.add_argument("--brand", metavar="NAME", help="brand of rows that name none")
        one.add_argument("--quiet", action="store_true", help="no progress, problems only")
    for field, names in COUNT_NAMES.items():
        _add_column(spikes, f"--{field}-column", field, names)
    for field, flag in FLAGS.items():
        _add_column(crisis, flag, field, NAMES[field])
    crisis.add_argument("--source", metavar="NAME", help="source of rows that name none, e.g. twitter")
    crisis.add_argument(
        "--sentiment-column", metavar="C", help="believe this column (negative, neutral, positive or -1..1), not us"
    )


def _add_column(parser: argparse.ArgumentParser, flag: str, field: str, names: tuple[str, ...]) -> None:
    known = f"found by itself when named {', '.join(names)}"
    parser.add_argument(flag, metavar="C", dest=f"column_{field}", help=known)


def columns_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Field → column, of the flags that were given."""
    given = {name: value for name, value in vars(arguments).items() if name.startswith("column_") and value is not None}
    return {name.removeprefix("column_"): value for name, value in given.items()}


def run(arguments: argparse.Namespace) -> int:
    if arguments.kind == "spikes":
        from .detect_spikes import detect_spikes

        return detect_spikes(arguments, columns_of(arguments))
    from .detect_crisis import detect_crisis

    return detect_crisis(arguments, columns_of(arguments))
