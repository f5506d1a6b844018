"""All scenarios with their gates."""

from typing import Final

from scripts.load import crowd, deadline, front, http, latency, loss, people, size, soak
from scripts.load.gates import RATIO, Gate, Scenario

SCENARIOS: Final = (
    Scenario(
        "start",
        front.measure_start,
        (
            *front.gates("spawn → initialize", 0.15, judged="echo"),
            *front.gates("spawn → first rows", 0.75, judged="echo"),
        ),
    ),
    Scenario("repeated", front.measure_repeated, front.gates("`select 1` again, p50", 0.7)),
    Scenario("literals", front.measure_literals, front.gates("row by key, new literal, p50", 0.95)),
    Scenario("shapes", front.measure_shapes, front.gates("new shape, p50", 1.4)),
    Scenario(
        "throughput",
        front.measure_throughput,
        front.gates("time per call, 32 in flight, new literals", 1.0),
    ),
    Scenario("http", http.measure_http, http.GATES),
    Scenario("people", people.measure_people, people.GATES, timeout_s=None),
    Scenario("cpu", front.measure_cpu, front.gates("CPU per `select 1`", 0.5)),
    Scenario("rows", front.measure_rows, front.gates("1,000 rows of 10 columns, p50", 0.65)),
    Scenario("many-rows", front.measure_many_rows, front.gates("10,000 rows of 10 columns, p50", 0.6)),
    Scenario(
        "memory", front.measure_memory, (Gate("memory of an idle server, all processes (PSS)", 85, "MB"),)
    ),
    Scenario(
        "cold-crowd",
        front.measure_cold_crowd,
        (Gate("lookup p95 beside 20 heavy queries on a cold pool, divided by alone", 5, RATIO),),
    ),
    Scenario(
        "sort",
        latency.measure_sort,
        (Gate("first 501 of 5 M sorted, divided by a hand-written LIMIT", 1.3, RATIO),),
    ),
    Scenario(
        "distance",
        latency.measure_distance,
        (Gate("safe read at 10 ms, divided by a plain execute", 1.15, RATIO),),
    ),
    Scenario(
        "deadline",
        deadline.measure_ladder,
        (
            Gate("answer after the deadline, ended by statement_timeout", 50, "ms"),
            Gate("answer after the deadline, ended by the kill", 250, "ms"),
            Gate("backend idle or gone after the deadline", 300, "ms"),
            Gate("slot usable again after the deadline", 400, "ms"),
        ),
    ),
    Scenario(
        "cancel-storm",
        deadline.measure_cancel_storm,
        (
            Gate("nothing runs after the last cancel", 300, "ms"),
            Gate("next answer", None, "ms"),
        ),
    ),
    Scenario(
        "runaways",
        crowd.measure_storm,
        (
            Gate("other calls' p95 beside 4 runaways, divided by alone", 2, RATIO),
            Gate("the same beside 4 that take all processors", None, RATIO),
        ),
    ),
    Scenario(
        "heavy",
        crowd.measure_heavy,
        (
            Gate("lookup p50 beside 20 heavy queries, divided by alone", 5, RATIO),
            Gate("the same through psycopg, without pgmcp", None, RATIO),
        ),
    ),
    Scenario(
        "mixed",
        crowd.measure_mixed,
        (Gate("replies lost or crossed", 0, "replies"), Gate("p95", None, "ms")),
    ),
    Scenario(
        "workers",
        loss.measure_workers,
        (Gate("replacement of a killed worker", 60, "ms"), Gate("memory of a worker (PSS)", 12, "MB")),
    ),
    Scenario(
        "worker-kills",
        loss.measure_kills,
        (Gate("replies lost or crossed", 0, "replies"),),
    ),
    Scenario(
        "front-kill",
        loss.measure_front,
        (
            Gate("workers gone after SIGKILL", 200, "ms"),
            Gate("running backends gone after SIGKILL", 500, "ms"),
        ),
    ),
    Scenario(
        "restart",
        loss.measure_restart,
        (Gate("replies lost or crossed", 0, "replies"), Gate("next answer after the restart", None, "ms")),
    ),
    Scenario(
        "hostile",
        size.measure_hostile,
        (Gate("server's CPU for any 64 KB statement", 200, "ms"),),
    ),
    Scenario(
        "large",
        size.measure_large,
        (
            Gate("server's memory grows by one 1 GB value", 32, "MB"),
            Gate("server's memory grows by 5 M rows", 32, "MB"),
        ),
    ),
    Scenario(
        "soak",
        soak.measure_soak,
        (
            Gate("replies lost or crossed", 0, "replies"),
            Gate("left behind", 0, ""),
            Gate("descriptors more than before", 0, ""),
            Gate("memory more than before", 16, "MB"),
        ),
        timeout_s=None,
    ),
)
