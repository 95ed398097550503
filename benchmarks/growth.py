"""How cost grows: with routes, with the depth of dependencies, with rows."""

from collections.abc import Iterator

from benchmarks.lab import LIFECYCLES, Lab, a_user
from benchmarks.load import request
from benchmarks.measure import Effort, Runner, loaded
from benchmarks.records import Record
from benchmarks.subjects import Subject, settings

ROUTES = (10, 100, 500)
DEPTHS = (1, 2, 4, 8, 12)
ROWS = (1000, 1_000_000)


def routes(lab: Lab, effort: Effort) -> Iterator[Record]:
    """The last of many routes of a slice, and of as many in a bare application and its router."""
    projects = {name: lab.project(name, database="none") for name in LIFECYCLES}
    bare = projects["depends"]
    for number in ROUTES:
        path = f"/bench/routes/{number - 1}"
        more = {"BENCH_ROUTES": str(number)}
        subjects = {
            "bare": lab.start(f"bare-{number}", bare, "bare", **more),
            "router": lab.start(f"router-{number}", bare, "bare", **more, BENCH_ROUTER="1"),
            **{
                name: lab.start(f"{name}-{number}", project, "rendered", **more)
                for name, project in projects.items()
            },
        }
        runners = {name: get(subject, path) for name, subject in subjects.items()}
        yield from loaded("routes", f"the last of {number} routes", runners, effort)


def dependencies(lab: Lab, effort: Effort) -> Iterator[Record]:
    """A route whose dependency needs one that needs one ..., and one that needs 30."""
    subjects = [
        lab.start(f"{name}-deep", lab.project(name, database="none"), "rendered")
        for name in LIFECYCLES
    ]
    paths = {f"{depth} deep": f"/bench/deep/{depth}" for depth in DEPTHS}
    for work, path in (paths | {"12 deep, 30 wide": "/bench/wide"}).items():
        runners = {
            name: get(subject, path) for name, subject in zip(LIFECYCLES, subjects, strict=True)
        }
        yield from loaded("dependencies", work, runners, effort)


def rows(lab: Lab, effort: Effort) -> Iterator[Record]:
    """A page of 20 from the middle of a table."""
    project = lab.project("depends", database="postgresql")
    runners = {}
    for number in ROWS:
        url = lab.database(f"rows_{number}", users=number)
        middle = a_user(url)
        subject = lab.start(f"rows-{number}", project, "rendered", **settings(url))
        token = lab.token(project, url, middle)
        path = f"/users?size=20&cursor={middle}"
        runners[f"{number}"] = get(subject, path, token=token)
    yield from loaded("rows", "a page of 20", runners, effort)


def get(subject: Subject, path: str, token: str = "") -> Runner:
    """Return how a subject is asked for a path."""
    written = request(subject.url, path, headers={"Authorization": f"Bearer {token}"})
    return Runner(subject, lambda: written, 200)
