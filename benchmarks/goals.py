"""What the figures should be, and whether they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.records import Figure, Records

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


def _on(part: str, work: str) -> Callable[[str], Key]:
    return lambda subject: (part, work, subject, 32)


def _goals() -> list[Goal]:
    profile = _on("postgresql", "profile")
    page = _on("postgresql", "page")
    register = _on("postgresql", "register")
    goals = []
    for name in ("depends", "clean-ioc"):
        for title, work, least in (
            ("`GET /profile`", profile, 0.30),
            ("a page of 20", page, 0.30),
            ("insert", register, 0.30),
        ):
            goals.append(
                Goal(
                    f"`{name}`, {title}: requests a CPU-second, of the limit, at least {least:.2f}",
                    "cpu",
                    work("limit"),
                    work(name),
                    at_least=least,
                )
            )
        for title, work in (("`GET /profile`", profile), ("a page of 20", page)):
            goals.append(
                Goal(
                    f"`{name}`, {title}: at least 5 times the usual way",
                    "cpu",
                    work("usual"),
                    work(name),
                    at_least=5,
                )
            )
        for title, work, least in (("`GET /profile`", profile, 3), ("a page of 20", page, 2.5)):
            goals.append(
                Goal(
                    f"`{name}`, {title}: at least {least} times the peer",
                    "cpu",
                    work("peer"),
                    work(name),
                    at_least=least,
                )
            )
        goals.append(
            Goal(
                f"`{name}`: a route without a database, with the whole shell and a scope, at most 1.35 of bare FastAPI's CPU",
                "cpu",
                ("shell", "scoped", name, 32),
                ("shell", "scoped", "bare", 32),
                at_most=1.35,
            )
        )
        goals.append(
            Goal(
                f"`{name}`, SQLite, `GET /profile`: at least 1.5 times aiosqlite and the ORM as usually written",
                "cpu",
                ("sqlite", "profile", "usual", 32),
                ("sqlite", "profile", name, 32),
                at_least=1.5,
            )
        )
        goals.append(
            Goal(
                f"`{name}`, `GET /profile`: p99 at 32 connections, of the usual way's, at most 0.7",
                "p99",
                profile(name),
                profile("usual"),
                at_most=0.7,
            )
        )
        goals.append(
            Goal(
                f"`{name}`: p99 of 499 sockets beside one that is stalled, at most 1.2 of when all are well",
                "p99",
                ("broadcast", "500 sockets, one stalled", name),
                ("broadcast", "500 sockets", name),
                at_most=1.2,
            )
        )
        goals.append(
            Goal(
                f"`{name}`: a hit of the cache at least 5 times a route that costs 1 ms",
                "cpu",
                ("cache", "computed", name, 32),
                ("cache", "kept", name, 32),
                at_least=5,
            )
        )
        goals.append(
            Goal(
                f"`{name}`: a 304 at most 1.0 of a hit",
                "cpu",
                ("cache", "304", name, 32),
                ("cache", "kept", name, 32),
                at_most=1.0,
            )
        )
        goals.append(
            Goal(
                f"`{name}`: from nothing to the first answer, at most 1.3 of importing FastAPI and SQLAlchemy",
                "wall",
                ("starts", "start", name),
                ("starts", "start", "libraries"),
                at_most=1.3,
            )
        )
    for title, work in (("`GET /profile`", profile), ("a page of 20", page), ("insert", register)):
        goals.append(
            Goal(
                f"`clean-ioc` over `depends`, {title}: at most 1.15 of the CPU",
                "cpu",
                work("clean-ioc"),
                work("depends"),
                at_most=1.15,
            )
        )
    goals.append(
        Goal(
            "A page of 1,000,000 rows, over one of 1,000: at most 1.1 of the CPU",
            "cpu",
            ("rows", "a page of 20", "1000000", 32),
            ("rows", "a page of 20", "1000", 32),
            at_most=1.1,
        )
    )
    return goals


GOALS = _goals()
__all__ = ["GOALS", "Figure", "Goal"]
