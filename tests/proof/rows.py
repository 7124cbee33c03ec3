"""The promises, in the order in which they were made. Each names what proves it; nothing here is a result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One promise. `tests` are words for pytest, `figures` are `benchmark:figure` of bench/out, `measure` is a function
    of measures.py. `short` says what the proof does not cover."""

    part: str
    promise: str
    tests: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    measure: str = ""
    short: str = ""

    @property
    def name(self) -> str:
        return f"{self.part}: {self.promise}"

    def commands(self) -> list[str]:
        """What a reader types to see it."""
        benchmarks = dict.fromkeys(one.partition(":")[0] for one in self.figures)
        return [
            *([f"pytest {' '.join(self.tests)}"] if self.tests else []),
            *(f"make bench ARGS={name}" for name in benchmarks),
            *([f"python -m tests.proof --measure {self.measure}"] if self.measure else []),
        ]


_QUEUE = "The queue"
_MODELS = "Language models"
_ANALYSIS = "Analysis"
_INSIGHT = "Insight"
_EVALUATION = "Evaluation"
_TRADES = "Trades and the web"
_JANITOR = "The janitor"
_FACE = "REST, dashboard, deployment"
_WHOLE = "The whole"

ROWS: tuple[Row, ...] = (
    Row(
        "One process",
        "6,242 posts replayed twice: every row accounted for, nothing stored twice; memory of the worker <= 130 MB",
        measure="replay",
    ),
    Row(
        "One process",
        "A worker killed with SIGKILL in the middle of a replay: the same totals",
        ("tests/test_cli_replay.py",),
    ),
    Row("One process", "`import src.worker.app` takes <= 0.6 s of an idle machine", measure="import_time"),
    Row("One process", "… and loads nothing heavy", ("tests/test_app.py", "-k", "light")),
    Row(
        "One process",
        "A malformed item of each kind is dead-lettered with the field's name, the next good one is processed",
        ("tests/test_worker_path.py", "-k", "malformed"),
    ),
    Row(
        _QUEUE,
        "20,000 tasks, a worker killed every second, servers restarted: 0 lost, 0 doubled, three seeds",
        ("tests/chaos/test_chaos.py", "--run-chaos"),
    ),
    Row(
        _QUEUE,
        "10,000 bad items between 1,000 good ones: all good done, all bad in the dead letters",
        ("tests/chaos/test_flood.py", "--run-chaos"),
    ),
    Row(
        _QUEUE,
        "Outages, a crowded brand, a worker that freezes or dies of its task",
        ("tests/chaos/test_outages.py", "tests/chaos/test_dedicated.py", "--run-chaos"),
    ),
    Row(
        _QUEUE,
        "No-op with result records: 3 times the fastest Python library, faster than BullMQ, 0.25 of the raw loop",
        figures=("queue:promise.noop*",),
    ),
    Row(
        _QUEUE, "From XADD to the start of a task at 200 a second: p99 <= 2 ms", figures=("queue:promise.latency p99",)
    ),
    Row(_QUEUE, "Two processes do 1.6 times the work of one", figures=("queue_scaling:work.2",)),
    Row(_QUEUE, "A backlog costs the worker no memory", figures=("queue_backlog:added_by_the_backlog",)),
    Row(_MODELS, "All nine providers against doubles nobody here wrote", ("tests/test_llm_verdict.py",)),
    Row(_MODELS, "… and against odd answers: one request per attempt, always", ("tests/test_llm_wire.py",)),
    Row(
        _MODELS,
        "50 asks while the first provider refuses: all answered, <= 60 requests; a hung one leaves time for the second",
        ("tests/test_llm_adapter.py", "-k", "fifty or hung"),
    ),
    Row(
        _MODELS,
        "The event loop is never held up while providers are built",
        ("tests/test_llm_wire.py", "-k", "do_not_block"),
        ("llm:loop_lag.*",),
    ),
    Row(_MODELS, "CPU that our loop adds to a call", figures=("llm:cpu.added",)),
    Row(_MODELS, "Memory with three providers; after 5,000 calls", figures=("llm:memory.three*", "llm:memory.after*")),
    Row(
        _ANALYSIS, "VADER: the same figures as the stock package, faster", figures=("vader:differences*", "vader:speed")
    ),
    Row(_ANALYSIS, "Long texts do not hold anybody up", figures=("vader:5000*", "vader:3000*")),
    Row(_ANALYSIS, "Cold sentiment is at least VADER's", figures=("analysis:cold.*.mRec",)),
    Row(
        _ANALYSIS,
        "What is learned from 500 and 2,000 verdicts",
        figures=("analysis:learned.airline.500*", "analysis:learned.airline.2000*"),
    ),
    Row(
        _ANALYSIS,
        "The cascade at a tenth of the calls",
        figures=(
            "analysis:cascade.calls",
            "analysis:cascade.kept",
            "analysis:cascade.over_chance",
            "analysis:cascade.actionable_recall",
        ),
    ),
    Row(_ANALYSIS, "Intents", figures=("analysis:intent.*.learned.*",), short="churn and purchase: no labelled data"),
    Row(_ANALYSIS, "CPU per mention", figures=("analysis:cpu.*",)),
    Row(
        _ANALYSIS,
        "Event-loop lag and memory under full load",
        figures=("analysis_load:lag_p99", "analysis_load:peak_rss"),
    ),
    Row(_ANALYSIS, "Re-posts are found", figures=("dedup:near.*",)),
    Row(
        _INSIGHT,
        "Spikes on the development series, one set of parameters for all",
        figures=("detect:nab_score", "detect:false_alarms"),
    ),
    Row(
        _INSIGHT,
        "The airlines' week: a give-away is a spike and no crisis",
        ("tests/test_insight_path.py", "-k", "airline"),
        ("detect:crisis.*",),
    ),
    Row(
        _INSIGHT,
        "Synthetic stories: one author, viral praise, an hour old, hours of complaints",
        ("tests/test_crisis_detector.py", "tests/test_insight.py"),
    ),
    Row(
        _INSIGHT,
        "Any order, in one go or in two halves around a restart: the same events",
        ("tests/test_insight_path.py", "tests/test_topics_path.py"),
    ),
    Row(_INSIGHT, "Clusters on Banking77, beside TF-IDF", figures=("cluster:banking77.local.ari",)),
    Row(_INSIGHT, "No mention is lost between clusters", ("tests/test_clustering.py",)),
    Row(
        _INSIGHT,
        "What neighbours read, field by field, in strict JSON",
        (
            "tests/test_chunk_result.py",
            "tests/test_insight_outputs.py",
            "tests/test_publication.py",
            "tests/test_publication_redis.py",
            "tests/test_leads.py",
        ),
    ),
    Row(
        _EVALUATION,
        "Every figure equals SciPy's, statsmodels', pingouin's, krippendorff's or brute force",
        (
            "tests/test_stats_agreement.py",
            "tests/test_stats_basic.py",
            "tests/test_stats_confidence.py",
            "tests/test_stats_dimensions.py",
            "tests/test_stats_ranks.py",
            "tests/test_analysis_run.py",
            "tests/test_analysis_report.py",
        ),
    ),
    Row(
        _EVALUATION,
        "Runs without an effect seldom show one (2,000 of them)",
        ("tests/test_stats_null.py", "--run-slow"),
    ),
    Row(
        _EVALUATION,
        "Time of the scripts as processes",
        figures=("evaluation:health_check", "evaluation:analyze_basic*", "evaluation:probe beside the import"),
    ),
    Row(
        _EVALUATION,
        "2,000 broken inputs per script: one document each, no traceback, no key",
        ("tests/test_eval_fuzz.py",),
    ),
    Row(
        _TRADES,
        "A hostile site: refused or bounded with a named problem, the worker alive",
        (
            "tests/test_web_fetch.py",
            "tests/test_web_addresses.py",
            "tests/test_web_scan_site.py",
            "tests/test_web_scan_failures.py",
            "tests/test_acceptance_trades.py",
        ),
    ),
    Row(
        _TRADES,
        "Bluesky's answers: pages, deleted posts, missing fields, limits, faults: all mentions once",
        (
            "tests/test_bluesky_client.py",
            "tests/test_bluesky_posts.py",
            "tests/test_bluesky_search.py",
            "tests/test_bluesky_stream.py",
        ),
        short="never run against the real network",
    ),
    Row(
        _TRADES,
        "Each task type through Redis, with a scripted model and with none",
        (
            "tests/test_trade_complaints.py",
            "tests/test_trade_crisis.py",
            "tests/test_trade_launches.py",
            "tests/test_trade_leads.py",
            "tests/test_trade_suggestions.py",
            "tests/test_trade_once.py",
            "tests/test_web_scan.py",
            "tests/test_competitor_detection.py",
        ),
    ),
    Row(
        _JANITOR,
        "200,000 mentions over 120 days: smaller, byte for byte, the same figures, bounded memory",
        figures=(
            "janitor:ratio*",
            "janitor:memory",
            "janitor:figures_unchanged",
            "janitor:restored*",
            "janitor:mentions",
        ),
    ),
    Row(
        _JANITOR,
        "Killed at 20 random points: nothing lost or counted twice",
        ("tests/test_archive_kill.py", "--run-slow"),
    ),
    Row(_JANITOR, "Two at once: one works, the other says so", ("tests/test_janitor.py", "-k", "of_two_at_once")),
    Row(_FACE, "The dashboard in a real browser", ("tests/browser",)),
    Row(_FACE, "REST against its own OpenAPI document", ("tests/test_rest_schema.py",)),
    Row(_FACE, "Prometheus' own tool reads rules, metrics and dashboards", ("tests/test_deploy_prometheus.py",)),
    Row(
        _FACE,
        "Compose and Kubernetes files against their schemas",
        ("tests/test_deploy.py",),
        short="no engine: nothing was started",
    ),
    Row(_FACE, "Every route is refused without a key, or with too small a one", ("tests/test_rest_access.py",)),
    Row(_WHOLE, "Hours of everything at once", measure="soak"),
    Row(_WHOLE, "Lines of src that the suite runs", measure="coverage"),
    Row(_WHOLE, "Mutations of the pure modules that tests notice", measure="mutation"),
    Row(_WHOLE, "Nothing is left for later in src and workers", measure="leftovers"),
)
