"""What the figures should be, and whether they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.records import Records

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio and its bound: at least, or at most."""

    text: str
    measure: str
    over: Key
    under: Key
    at_least: float | None = None
    at_most: float | None = None

    def judged(self, records: Records) -> tuple[str, str]:
        """Return the value as it is shown, and `met`, `missed` or `not measured`."""
        found = records.ratio(self.measure, self.over, self.under)
        if found is None:
            return "", "not measured"
        shown = f"{found.median:.2f} ({found.low:.2f} - {found.high:.2f})"
        met = (self.at_least is None or found.median >= self.at_least) and (
            self.at_most is None or found.median <= self.at_most
        )
        return shown, "met" if met else "**missed**"


PROFILE, PAGE, INSERT = (("postgresql", work) for work in ("profile", "page", "register"))
TITLES = {PROFILE: "`GET /profile`", PAGE: "a page of 20", INSERT: "insert"}

_PAGE_OF_CONTAINER = 0.28
"""A page resolves two more objects than a profile: the container makes each of them."""


def _goals(name: str) -> Iterator[Goal]:
    """Yield those of one lifecycle."""
    for work, subject, least, of in (
        (PROFILE, "limit", 0.3, "of the limit"),
        (PAGE, "limit", 0.3, "of the limit"),
        (INSERT, "limit", 0.3, "of the limit"),
        (PROFILE, "usual", 5, "times the usual way"),
        (PAGE, "usual", 5, "times the usual way"),
        (PROFILE, "peer", 3, "times the peer"),
        (PAGE, "peer", 2.5, "times the peer"),
        (("sqlite", "profile"), "usual", 1.5, "times the usual way"),
    ):
        title = TITLES.get(work, "SQLite, `GET /profile`")
        text = f"{title}: requests per CPU-second, at least {least:g} {of}"
        if (work, subject) == (PAGE, "limit"):
            text += f" (`clean-ioc`: {_PAGE_OF_CONTAINER:g})"
            least = _PAGE_OF_CONTAINER if name == "clean-ioc" else least
        yield Goal(text, "cpu", (*work, subject, 32), (*work, name, 32), at_least=least)
    shell, cache = ("shell", "scoped"), ("cache", name)
    stalled, well = ("broadcast", "500 sockets, one stalled"), ("broadcast", "500 sockets")
    yield Goal(
        "A route without a database, with all middleware and a scope:"
        " at most 1.35 of bare FastAPI's CPU",
        *("cpu", (*shell, name, 32), (*shell, "bare", 32)),
        at_most=1.35,
    )
    yield Goal(
        "`GET /profile`: p99 at 32 connections, at most 0.7 of the usual way's",
        *("p99", (*PROFILE, name, 32), (*PROFILE, "usual", 32)),
        at_most=0.7,
    )
    yield Goal(
        "p99 of 499 sockets beside a stalled one: at most 1.2 of the p99 without it",
        *("p99", (*stalled, name), (*well, name)),
        at_most=1.2,
    )
    yield Goal(
        "A hit of the cache: a route that costs 1 ms takes at least 5 times as much",
        *("cpu", (*cache, "computed", 32), (*cache, "kept", 32)),
        at_least=5,
    )
    yield Goal(
        "A 304: at most 1.0 of a hit",
        *("cpu", (*cache, "304", 32), (*cache, "kept", 32)),
        at_most=1.0,
    )
    yield Goal(
        "From nothing to the first response: at most 1.3 of importing FastAPI and SQLAlchemy",
        *("wall", ("starts", "start", name), ("starts", "start", "libraries")),
        at_most=1.3,
    )


def _goals_of_clean_ioc() -> Iterator[Goal]:
    for work, title in TITLES.items():
        yield Goal(
            f"{title}: at most 1.15 of the CPU of `depends`",
            *("cpu", (*work, "clean-ioc", 32), (*work, "depends", 32)),
            at_most=1.15,
        )


def _goals_of_dishka() -> Iterator[Goal]:
    for work, title in (
        (PROFILE, TITLES[PROFILE]),
        (("shell", "scoped"), "A route without a database, with a scope"),
        (("dependencies", "12 deep, 30 wide"), "A route whose dependencies are 12 deep, 30 wide"),
    ):
        yield Goal(
            f"{title}: at most 0.97 of the CPU of `depends`",
            *("cpu", (*work, "dishka", 32), (*work, "depends", 32)),
            at_most=0.97,
        )


_ROWS = ("rows", "a page of 20")
_OF_ROWS = Goal(
    "A page of 1,000,000 rows: at most 1.1 of the CPU of one of 1,000",
    *("cpu", (*_ROWS, "1000000", 32), (*_ROWS, "1000", 32)),
    at_most=1.1,
)
GOALS = {
    "depends": [*_goals("depends"), _OF_ROWS],
    "clean-ioc": [*_goals("clean-ioc"), *_goals_of_clean_ioc()],
    "dishka": [*_goals("dishka"), *_goals_of_dishka()],
}
