"""The benchmarks measure what they say, and refuse what is not the work."""

import asyncio
import itertools
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop

from benchmarks import growth, requests, sockets, works
from benchmarks.goals import GOALS, Goal
from benchmarks.lab import LIFECYCLES, Lab, a_user
from benchmarks.load import WrongAnswer, drive, request
from benchmarks.measure import Effort
from benchmarks.measure import load as loaded_for
from benchmarks.records import Record, Records, read
from benchmarks.report import (
    DOCUMENT,
    PLOTS,
    RESULTS,
    plot,
    plot_depth,
    tables,
    with_layers,
    write_report,
)
from benchmarks.subjects import settings
from tests import tcp

Answer = Callable[[int], bytes]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """Yield the URL of a server that sends `answer(n)` to the n-th request, in small pieces."""
    numbers = iter(range(1_000_000))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                sent = answer(next(numbers))
                for start in range(0, len(sent), 7):
                    writer.write(sent[start : start + 7])
                    await asyncio.sleep(0)
                await writer.drain()

    async with tcp.listening(connected) as port:
        yield f"http://127.0.0.1:{port}"


def load(answer: Answer, status: int = 200) -> int:
    """Return how many requests were counted of those that the server answered."""

    async def run() -> int:
        async with serving(answer) as url:
            written = request(url, "/", headers={"Accept": "*/*"})
            done = await drive(url, lambda: written, status, connections=2, seconds=0.1)
        assert all(0 < each < 1 for each in done.latencies)
        assert 0 < len(done.latencies) < done.requests
        return done.requests

    return asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        ),
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_each_answer_counts_once_and_whole(answer: bytes) -> None:
    answered = []

    def count(number: int) -> bytes:
        answered.append(number)
        return answer

    assert load(count) == len(answered) > 2


def test_an_answer_without_a_body_ends_with_its_head() -> None:
    assert load(lambda _: b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304) > 2


def test_another_status_is_no_answer() -> None:
    def fail_once(number: int) -> bytes:
        status = "500 Internal Server Error" if number == 5 else "200 OK"
        return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()

    with pytest.raises(WrongAnswer, match="500 Internal"):
        load(fail_once)


def test_a_goal_is_judged_by_ratios_within_a_round() -> None:
    """The second round was slow for both; medians of each by itself would say 1.2."""
    records = Records(
        [
            Record("part", "work", "own", {"cpu": [10.0, 100.0, 12.0]}, 32),
            Record("part", "work", "other", {"cpu": [20.0, 200.0, 24.0]}, 32),
        ]
    )
    own, other = ("part", "work", "own", 32), ("part", "work", "other", 32)
    assert Goal("", "cpu", other, own, at_least=2.0).judged(records) == (
        "2.00 (2.00 - 2.00)",
        "met",
    )
    assert Goal("", "cpu", other, own, at_least=2.1).judged(records)[1] == "**missed**"
    assert Goal("", "cpu", own, other, at_most=0.4).judged(records)[1] == "**missed**"
    assert Goal("", "cpu", own, ("part", "work", "nobody", 32)).judged(records)[1] == "not measured"


def test_measurements_are_shown_as_ratios() -> None:
    records = Records(
        Record("postgresql", "profile", name, {"cpu": cpu, "p99": [25_000.0]}, 32)
        for name, cpu in (("depends", [250.0, 1000.0]), ("limit", [100.0, 400.0]))
    )
    rows = {title: rows for title, _, rows in tables(records)}["PostgreSQL, 32 connections"]
    shown = {row[1]: row[2:] for row in rows}
    assert shown["CPU"] == ["250 us", "**2.50** (2.50 - 2.50), 625 us"]
    assert shown["p99"] == ["25 ms", "**1.00** (1.00 - 1.00), 25 ms"]
    assert ">0.40</text>" in plot(records)


def test_the_cpu_of_each_lifecycle_is_plotted_over_depth() -> None:
    records = Records(
        Record("dependencies", f"{depth} deep", name, {"cpu": [depth * cost]}, 32)
        for name, cost in (("depends", 50.0), ("dishka", 25.0))
        for depth in (1, 12)
    )
    drawn = plot_depth(records)
    assert re.findall(r'points="(.+)"', drawn) == [
        "108.3,296.7 640.0,40.0",
        "108.3,308.3 640.0,180.0",
    ]
    assert re.findall(r">(depends|dishka|600)<", drawn) == ["600", "depends", "dishka"]


def test_layers_are_parts_of_their_own_subject() -> None:
    layers = {"asyncpg": [30.0, 60.0], "logging": [10.0, 20.0], "Clean IoC": [0.0, 0.0]}
    records = Records([Record("profile", "profile", "depends", layers, 32)])
    (rows,) = (rows for title, _, rows in tables(records) if "where the CPU goes" in title)
    assert rows == [
        ["asyncpg", "**0.75** (0.75 - 0.75), 45 us"],
        ["logging", "**0.25** (0.25 - 0.25), 15 us"],
        ["Clean IoC", ""],
    ]


def test_the_published_report_is_that_of_the_published_figures(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "results.json", tmp_path)
    write_report(tmp_path)
    for name in ("README.md", *PLOTS):
        assert (RESULTS / name).read_text() == (tmp_path / name).read_text(), (
            "run python -m benchmarks.report"
        )
    records = read(RESULTS / "results.json")[1]
    assert with_layers(DOCUMENT.read_text(), records) == DOCUMENT.read_text()


def test_the_document_shows_layers_by_their_cost() -> None:
    document = "before\n<!-- layers: x -->\nstale\n<!-- /layers -->\nafter\n"
    layers = {"logging": [3.0], "asyncpg": [25.0], "Clean IoC": [0.0]}
    records = Records([Record("profile", "profile", "depends", layers, 32)])
    assert with_layers(document, records).splitlines() == [
        "before",
        "<!-- layers: x -->",
        "|  | `depends` |",
        "| --- | --- |",
        "| asyncpg | 25 |",
        "| logging | 3 |",
        "| Clean IoC |  |",
        "<!-- /layers -->",
        "after",
    ]
    assert with_layers(document, Records([])) == document


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield Lab(tmp_path_factory.mktemp("lab"), stack)


def test_all_subjects_do_the_work_on_postgresql(lab: Lab) -> None:
    url = lab.database("works", users=30)
    projects = {name: lab.project(name, database="postgresql") for name in LIFECYCLES}
    token = lab.token(projects["depends"], url, a_user(url))
    own = settings(url)
    subjects = [
        lab.start("limit", projects["depends"], "limit", **own),
        *(lab.start(name, project, "rendered", **own) for name, project in projects.items()),
        lab.start("usual", projects["depends"], "usual", **own),
    ]
    same = (works.LIVEZ, works.PROFILE, works.PAGE, works.STREAM)
    requests.check(subjects[:3], same, token)
    every = (*same, works.NOT_FOUND, works.NOT_VALID, works.REGISTER)
    for subject, work in itertools.product(subjects, every):
        assert loaded_for(work.runner(subject, token), 2, 0.1)["cpu"] > 0


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_the_slice_for_measurements_works(lab: Lab, lifecycle: str) -> None:
    project = lab.project(lifecycle, database="none", cache="memory", websockets="memory")
    subject = lab.start(lifecycle, project, "rendered", BENCH_ROUTES="2")
    own = (works.SCOPED, works.CLIENT, works.COMPUTED, works.KEPT, works.NOT_MODIFIED)
    runners = [
        *(work.runner(subject, "") for work in own),
        *(
            growth.get(subject, path)
            for path in ("/bench/routes/1", "/bench/deep/12", "/bench/wide")
        ),
    ]
    for runner in runners:
        assert loaded_for(runner, 2, 0.1)["cpu"] > 0
    assert uvloop.run(sockets.fill(subject, 5, 3, stalled=False))["delivered"] == 1


def test_shapes_of_data_access_are_compared_on_sqlite(lab: Lab) -> None:
    shapes = requests.shapes(lab, Effort(1, 0.1))
    assert {(each.work, each.subject) for each in shapes} >= {
        ("a row by its key", "as rendered"),
        ("an insert", "as rendered"),
    }


def test_a_page_under_the_container_has_a_lower_bound() -> None:
    bounds = {
        name: next(goal.at_least for goal in goals if goal.text.startswith("a page of 20"))
        for name, goals in GOALS.items()
    }
    assert bounds == {"depends": 0.3, "clean-ioc": 0.28, "dishka": 0.3}
