"""The report as a page for people, with a picture of memory, lag and queue over time. Written by the run alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

_MARKS = {True: "yes", False: "**no**", None: "not judged"}
IMAGE = "images/soak.svg"
Row = tuple[Any, ...]


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """`path` and the picture beside it."""
    image = path.parent / IMAGE
    image.parent.mkdir(parents=True, exist_ok=True)
    _draw(image, found)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_lines(found)) + "\n", "utf-8")


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    machine, cpu, accepted = found["machine"], found["cpu"], found["accepted"]
    yield "# Soak: everything at once"
    yield ""
    yield "Written by `SOAK_REPORT=docs/soak.md make soak`, not by hand. What is run and judged stands in `tests/soak`."
    yield ""
    passed = all(one["passed"] is not False for one in found["checks"])
    began = datetime.fromisoformat(found["began"]).strftime("%Y-%m-%d %H:%M UTC")
    yield (
        f"{began}, {found['minutes']:g} minutes, seed {found['seed']}: **{'passed' if passed else 'FAILED'}**."
        f" Worker {machine['worker']} at commit {machine['commit']}, Python {machine['python']}, {machine['system']},"
        f" {machine['cores']} cores ({machine['cpu']}), {machine['memoryGB']} GB, shared with Redis, SecantusDB, the"
        " doubles, the browser and the harness."
    )
    yield ""
    yield from _table(("judged", "found", "wanted", "passed"), (
        (one["name"], one["found"], one["wanted"], _MARKS[one["passed"]]) for one in found["checks"]
    ))  # fmt: skip
    yield ""
    yield f"![Memory, event loop lag and queue over the run]({IMAGE})"
    yield ""
    yield "## Load"
    yield (
        f"{accepted['tasks']:,} tasks with {accepted['mentions']:,} mentions of 50 brands. {accepted['history']:,}"
        " chunks of ten wait when the run begins: what all brands have said in the week before. Then come"
        f" {found['rate']:g} mentions a second, half of them of one brand."
        f" {found['figures']['mentionsStored']:,} of all are stored, the others repeat what was said before."
        f" {found['figures']['malformed']:,} malformed items, {accepted['bursts']} bursts of angry authors;"
        f" {found['llmFaults']:.0%} of the models' answers are faults. The worker took {cpu['workerMedian']:.0%} of a"
        f" core (median), the machine was {cpu['machineMedian']:.0%} busy."
    )
    yield ""
    yield from _table(("task type", "succeeded"), sorted(found["figures"]["succeededByType"].items()))
    yield ""
    doors = ", ".join(f"{name} {count:,}" for name, count in sorted(accepted["chunksByDoor"].items()))
    yield f"Chunks by door: {doors}. Pushes and requests without a reply, sent again: {accepted['lostReplies']}."
    yield ""
    insight = ", ".join(f"{name} {count:,}" for name, count in sorted(found["insight"].items()))
    yield f"Documents at the end: {insight}."
    yield ""
    yield from _events(found)


def _events(found: Mapping[str, Any]) -> Iterator[str]:
    yield "## Restarts"
    yield from _table(("after, s", "what", "away, s"), (
        (f"{one['at']:.0f}", one["what"], one["awaySec"]) for one in found["timeline"]
    ))  # fmt: skip
    yield ""
    yield "## Warnings and errors of the worker, each with its cause"
    yield from _table(("level", "message", "cause", "lines"), (
        (one["level"], one["message"], one["cause"] or "**none**", one["count"]) for one in found["log"]
    ))  # fmt: skip
    yield ""
    readers = found["readers"]
    statuses = ", ".join(f"{count:,} with {status}" for status, count in sorted(readers["answers"].items()))
    live = ", ".join(f"{name} {count:,}" for name, count in sorted(readers["liveEvents"].items()))
    yield "## Readers"
    yield (
        f"REST: {statuses} (404: nothing known of that brand yet); median {readers['medianMs']} ms, p99"
        f" {readers['p99Ms']} ms, slowest {readers['slowestMs']} ms; {readers['inOutages']} failed in outages."
        f" Live events: {live}. Ends told on `worker:events`: {readers['endsTold']:,}, twice:"
        f" {readers['endsToldTwice']}. Dashboard open in {readers['browser']}."
    )


def _table(head: Row, rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"


def _draw(path: Path, found: Mapping[str, Any]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "soak"  # the same run gives the same bytes
    from matplotlib import pyplot

    samples = found["samples"]
    minutes = [one["at"] / 60 for one in samples]
    figure, (top, middle, bottom) = pyplot.subplots(3, 1, sharex=True, figsize=(9, 6), layout="constrained")
    top.plot(minutes, [one["rss_mb"] for one in samples], label="RSS", color="#2457a6")
    top.plot(minutes, [one["uss_mb"] for one in samples], label="USS", color="#7aa2d6", linewidth=0.8)
    top.set_ylabel("memory, MB")
    top.set_ylim(bottom=0)
    middle.plot(minutes, [one["fds"] for one in samples], label="file descriptors", color="#2e7d4f")
    middle.plot(minutes, [one["threads"] for one in samples], label="threads", color="#b5651d")
    middle.set_ylim(bottom=0)
    bottom.plot(minutes, [one["queue"] for one in samples], label="tasks waiting", color="#8a3b8f", linewidth=0.9)
    bottom.set_xlabel("minutes")
    for axes in (top, middle, bottom):
        for fault in found["timeline"]:
            axes.axvspan(fault["at"] / 60, (fault["at"] + fault["awaySec"]) / 60, color="#c0392b", alpha=0.25)
        axes.axvline(found["warmUpSec"] / 60, color="#888888", linestyle=":", linewidth=0.8)
        axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
