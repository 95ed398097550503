"""The tables, the goals and the plot, from the JSON file of a run.

python -m benchmarks.report [FOLDER]
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2

from benchmarks import works
from benchmarks.goals import GOALS
from benchmarks.records import Figure, Record, Records, read
from benchmarks.subjects import PEER

RESULTS = Path(__file__).with_name("results")
DOCUMENT = Path(__file__).parents[1] / "docs/what-a-request-costs.md"
_LAYERS = re.compile(r"(<!-- layers[^\n]*\n).*?(<!-- /layers -->)", re.DOTALL)
TITLES = {work.name: work.title for work in vars(works).values() if isinstance(work, works.Work)}
SUBJECTS = {
    "limit": "the limit",
    "bare": "bare FastAPI",
    "router": "bare FastAPI, in a router",
    "depends": "`depends`",
    "clean-ioc": "`clean-ioc`",
    "dishka": "`dishka`",
    "usual": "the usual way",
    "peer": "a peer",
    "kept": "from the cache",
    "304": "not modified",
    "1000": "1,000 rows",
    "1000000": "1,000,000 rows",
    "libraries": "importing FastAPI and SQLAlchemy",
    "imports": "importing the service",
}


def write_report(folder: Path) -> None:
    """Write `README.md` and the plots beside `results.json`.

    The table of layers in `docs/` is that of the published results.
    """
    head, records = read(folder / "results.json")
    text = _TEXT.render(
        header=head,
        peer=PEER,
        goals=_goals(records),
        lifecycles=list(GOALS),
        tables=list(tables(records)),
    )
    (folder / "README.md").write_text(text)
    for name, draw in PLOTS.items():
        (folder / name).write_text(draw(records))
    if folder.resolve() == RESULTS.resolve():
        DOCUMENT.write_text(with_layers(DOCUMENT.read_text(), records))


def with_layers(document: str, records: Records) -> str:
    """Return the document with the CPU of each layer in a `GET /profile`, the costliest first."""
    of_profile = ("profile", works.PROFILE.name)
    found = [each for each in records.all if (each.part, each.work) == of_profile]
    if not found:
        return document
    head = ["", *(SUBJECTS[each.subject] for each in found)]
    rows = []
    for layer in _by_cost(found):
        medians = [Figure.of(each.measures[layer]).median for each in found]
        rows.append([layer, *(f"{each:,.0f}" if each else "" for each in medians)])
    lines = [f"| {' | '.join(each)} |\n" for each in (head, ["---"] * len(head), *rows)]
    return _LAYERS.sub(lambda found: "".join((found[1], *lines, found[2])), document, count=1)


def _by_cost(layers: list[Record]) -> list[str]:
    """Return the names of the layers; what is costly under plain `Depends` comes first."""
    measures = next((each for each in layers if each.subject == "depends"), layers[0]).measures
    return sorted(measures, key=lambda layer: -Figure.of(measures[layer]).median)


def _goals(records: Records) -> list[list[str]]:
    """Return a row for each goal: its text, and what was measured of each lifecycle."""
    texts = dict.fromkeys(goal.text for goals in GOALS.values() for goal in goals)
    judged = {
        name: {goal.text: " ".join(goal.judged(records)).strip() for goal in goals}
        for name, goals in GOALS.items()
    }
    return [[text, *(each.get(text, "") for each in judged.values())] for text in texts]


Table = tuple[str, list[str], list[list[str]]]
"""A title, a head, and rows."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the run: what is shown of it, over which subject."""

    part: str
    title: str
    base: str
    measures: str = "cpu wall p50 p99"
    connections: int = 32
    scale: float = 1
    """Microseconds in what its times are recorded in."""


REQUESTS = "rate cpu wall p50 p99"
SECTIONS = (
    Section("postgresql", "PostgreSQL, 32 connections", "limit", REQUESTS),
    Section("postgresql", "PostgreSQL, 1 connection", "limit", REQUESTS, connections=1),
    Section("sqlite", "SQLite, 32 connections", "usual", REQUESTS),
    Section("sqlite", "SQLite, 1 connection", "usual", REQUESTS, connections=1),
    Section(
        "shapes",
        "Possible shapes of data access, on SQLite, in process",
        "as rendered",
        "cpu wall",
        0,
    ),
    Section("shell", "Without a database, 32 connections", "bare", REQUESTS),
    Section(
        "clients",
        "A route that uses an HTTP client, without a database, 32 connections",
        "usual",
        REQUESTS,
    ),
    Section("cache", "A route that costs 1 ms, 32 connections", "computed", REQUESTS),
    Section(
        "broadcast",
        "A message to 500 sockets, 20 a second: a delivery",
        "usual",
        "cpu p50 p99 delivered",
        0,
    ),
    Section(
        "sockets",
        "From 10 to 2,000 sockets: a delivery, and the memory of a socket",
        "usual",
        "cpu p50 p99 memory",
        0,
    ),
    Section("routes", "The last of many routes, 32 connections", "bare"),
    Section("dependencies", "Dependencies that need each other, 32 connections", "depends"),
    Section(
        "rows", "A page from the middle of 1,000 and of 1,000,000 rows, 32 connections", "1000"
    ),
    Section("starts", "Start", "libraries", "wall cpu", 0, 1e6),
    Section("memory", "Memory", "after 1,000 requests", "memory", 0),
    Section("suites", "The rendered suite, `-n 2`", "depends", "wall cpu", 0, 1e6),
    Section(
        "copier",
        "Copier on the command line; git's part of it, and its processes",
        "start",
        "wall cpu git processes",
        0,
        1e6,
    ),
)
MEASURES = {
    "rate": "requests per CPU-second",
    "cpu": "CPU",
    "wall": "wall",
    "p50": "p50",
    "p99": "p99",
    "git": "git",
    "memory": "memory",
    "delivered": "delivered",
    "processes": "processes",
}
TIMES = {"cpu", "wall", "p50", "p99", "git"}


def tables(records: Records) -> Iterator[Table]:
    for section in SECTIONS:
        yield section.title, *_compared(records, section)
        if section.part == "postgresql" and section.connections == 32:
            for work in dict.fromkeys(each.work for each in records.all if each.part == "profile"):
                title = f"PostgreSQL, {TITLES[work]}: where the CPU goes, by samples, as a share of the subject's own"
                yield title, *_layers(records, work)


def _compared(records: Records, section: Section) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows: for each work a row for each measure, with a column for each subject."""
    own = [
        each
        for each in records.all
        if (each.part, each.connections) == (section.part, section.connections)
    ]
    names = sorted({each.subject: None for each in own}, key=lambda name: name != section.base)
    rows = []
    for work in dict.fromkeys(each.work for each in own):
        title = TITLES.get(work, SUBJECTS.get(work, work))
        for measure in section.measures.split():
            cells = [_cell(records, section, work, name, measure) for name in names]
            rows.append([title, MEASURES[measure], *cells])
            title = ""
    return ["", "", *(SUBJECTS.get(name, name) for name in names)], rows


def _cell(records: Records, section: Section, work: str, name: str, measure: str) -> str:
    """Return the median; beside another than the base its ratio first."""
    key = (section.part, work, name, section.connections)
    record = records.find(*key)
    if record is None or measure not in record.measures:
        return ""
    absolute = _shown(Figure.of(record.measures[measure]).median, measure, section.scale)
    ratio = records.ratio(measure, key, (section.part, work, section.base, section.connections))
    if ratio is None or name == section.base:
        return absolute
    return f"{_with_spread(ratio)}, {absolute}"


def _with_spread(ratio: Figure) -> str:
    return f"**{ratio.median:.2f}** ({ratio.low:.2f} - {ratio.high:.2f})"


def _shown(value: float, measure: str, scale: float) -> str:
    if measure == "memory":
        return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.1f} kB"
    if measure not in TIMES:
        return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
    microseconds = value * scale
    if microseconds < 10_000:
        return f"{microseconds:,.0f} us"
    return f"{microseconds / 1e3:,.0f} ms" if microseconds < 1e6 else f"{microseconds / 1e6:.2f} s"


def _layers(records: Records, work: str) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table with a row for each layer."""
    found = [each for each in records.all if (each.part, each.work) == ("profile", work)]
    totals = [
        [sum(layers) for layers in zip(*each.measures.values(), strict=True)] for each in found
    ]
    rows = []
    for layer in found[0].measures:
        cells = []
        for each, total in zip(found, totals, strict=True):
            values = each.measures[layer]
            if not any(values):
                cells.append("")
                continue
            part = Figure.of([a / b for a, b in zip(values, total, strict=True)])
            cells.append(f"{_with_spread(part)}, {Figure.of(values).median:,.0f} us")
        rows.append([layer, *cells])
    return ["", *(SUBJECTS[each.subject] for each in found)], rows


def plot(records: Records) -> str:
    """Return an SVG: requests per CPU-second on PostgreSQL, relative to the limit."""
    groups = []
    for work in (works.PROFILE, works.PAGE, works.REGISTER, works.LIVEZ):
        bars = []
        for name in SUBJECTS:
            base = ("postgresql", work.name, "limit", 32)
            ratio = records.ratio("cpu", base, ("postgresql", work.name, name, 32))
            if ratio is not None:
                bars.append((name, ratio.median))
        if bars:
            groups.append((work.title.replace("`", ""), bars))
    return _PLOT.render(groups=groups)


def plot_depth(records: Records) -> str:
    """Return an SVG: the CPU of a request over the depth of what its route needs."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for record in records.all:
        if record.part == "dependencies" and (depth := re.fullmatch(r"(\d+) deep", record.work)):
            cpu = Figure.of(record.measures["cpu"]).median
            lines.setdefault(record.subject, []).append((int(depth[1]), cpu))
    ends = [point for points in lines.values() for point in points]
    return _DEPTH_PLOT.render(
        lines=lines,
        deepest=max((depth for depth, _ in ends), default=1),
        highest=max((cpu for _, cpu in ends), default=1),
    )


PLOTS = {"plot.svg": plot, "depth.svg": plot_depth}


_ENVIRONMENT = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701
_TEXT = _ENVIRONMENT.from_string("""\
# What a rendered service costs

`nox -s bench` writes this page with the code in [benchmarks/](..). All subjects of a table answer in turn, in one run, on
one interpreter, each in a process of its own with one worker. The first column of figures has medians over the rounds; every other column has its
ratio to the first (the median of the ratios within a round, with the middle half in parentheses) and its own median. CPU is the server's, in user
and system mode, without PostgreSQL's; wall is the time of the run divided by its requests. Sockets, memory and suites have fewer rounds than the rest.

{% for name, value in header.items() %}
- {{ name }}: {{ value }}
{% endfor %}

- *The limit*: Starlette and a bare asyncpg pool that check the same token and return the same bytes, and do nothing else.
- *`depends`*, *`clean-ioc`*, *`dishka`*: services as rendered, with a cheap password hash and without mails.
- *Bare FastAPI*: routes without a service around them; *in a router*: the same routes, included as the routes of a slice are.
- *The usual way*: what tutorials show, with the same features: `def` providers, `lru_cache`, `BaseHTTPMiddleware` for request ids,
  headers and a log line, an `AsyncSession` per request, a pool that pings.
- *A peer*: `{{ peer }}`, rendered with users, SQLAlchemy and loguru; where it has no such route, the nearest that it has
  (its list of rows asks for no token).

In the tables of where the CPU goes, *the kit* is `app/kit/` and *the code itself* the slices; releases before 0.9 have one row for both.

## Goals

| goal |{% for name in lifecycles %} `{{ name }}` |{% endfor %}

| --- |{% for name in lifecycles %} --- |{% endfor %}

{% for row in goals %}
| {{ row | join(" | ") }} |
{% endfor %}
{% for title, head, rows in tables if rows %}

## {{ title }}

| {{ head | join(" | ") }} |
|{% for _ in head %} --- |{% endfor %}

{% for row in rows %}
| {{ row | join(" | ") }} |
{% endfor %}
{% endfor %}
""")
_PLOT = _ENVIRONMENT.from_string("""\
<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{{ 50 + groups | map('last') | map('length') | sum * 22 + groups | length * 34 }}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="12" y="24" font-size="15">Requests per CPU-second on PostgreSQL, relative to the limit (longer is better)</text>
{% set ns = namespace(y=40) %}
{% set colours = {"limit": "#b0b0b0", "depends": "#00796b", "clean-ioc": "#26a69a", "dishka": "#4db6ac", "usual": "#c62828", "peer": "#ef8a62"} %}
{% set names = {"limit": "limit", "depends": "depends", "clean-ioc": "clean-ioc", "dishka": "dishka", "usual": "usual way", "peer": "peer"} %}
{% for title, bars in groups %}
{% set ns.y = ns.y + 20 %}
<text x="12" y="{{ ns.y }}" font-weight="bold">{{ title }}</text>
{% set ns.y = ns.y + 6 %}
{% for name, value in bars %}
<text x="88" y="{{ ns.y + 14 }}" text-anchor="end">{{ names[name] }}</text>
<rect x="96" y="{{ ns.y + 2 }}" width="{{ "%.1f" | format(580 * value) }}" height="16" fill="{{ colours[name] }}"/>
<text x="{{ "%.1f" | format(102 + 580 * value) }}" y="{{ ns.y + 14 }}">{{ "%.2f" | format(value) }}</text>
{% set ns.y = ns.y + 22 %}
{% endfor %}
{% set ns.y = ns.y + 8 %}
{% endfor %}
</svg>
""")
_DEPTH_PLOT = _ENVIRONMENT.from_string("""\
<svg xmlns="http://www.w3.org/2000/svg" width="760" height="360" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="12" y="24" font-size="15">CPU of a request over the depth of what its route needs (lower is better)</text>
{% set colours = {"depends": "#00796b", "clean-ioc": "#c62828", "dishka": "#1565c0"} %}
<line x1="60" y1="320" x2="640" y2="320" stroke="black"/>
<line x1="60" y1="40" x2="60" y2="320" stroke="black"/>
<text x="54" y="48" text-anchor="end">{{ "%.0f" | format(highest) }}</text>
<text x="54" y="324" text-anchor="end">0</text>
<text x="12" y="184">us</text>
{% for name, points in lines.items() %}
<polyline fill="none" stroke="{{ colours[name] }}" stroke-width="2" points="
{%- for depth, cpu in points %}{{ " " if not loop.first }}{{ "%.1f,%.1f" | format(60 + 580 * depth / deepest, 320 - 280 * cpu / highest) }}{% endfor %}"/>
<text x="648" y="{{ "%.1f" | format(324 - 280 * points[-1][1] / highest) }}" fill="{{ colours[name] }}">{{ name }}</text>
{% endfor %}
{% for depth, _ in lines.values() | first | default([]) %}
<text x="{{ "%.1f" | format(60 + 580 * depth / deepest) }}" y="340" text-anchor="middle">{{ depth }}</text>
{% endfor %}
</svg>
""")


if __name__ == "__main__":
    write_report(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
