"""The tables, the goals and the plot, from the JSON file of a run.

python -m benchmarks.report [FOLDER]
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import jinja2

from benchmarks import works
from benchmarks.goals import GOALS, Key
from benchmarks.records import Figure, Records, read
from benchmarks.subjects import PEER

RESULTS = Path(__file__).with_name("results")
TITLES = {work.name: work.title for work in vars(works).values() if isinstance(work, works.Work)}
SUBJECTS = {
    "limit": "the limit",
    "bare": "bare FastAPI",
    "depends": "`depends`",
    "clean-ioc": "`clean-ioc`",
    "usual": "the usual way",
    "peer": "a peer",
}


def write_report(folder: Path) -> None:
    """Write `README.md` and `plot.svg` beside `results.json`."""
    head, records = read(folder / "results.json")
    text = _TEXT.render(
        header=head,
        peer=PEER,
        goals=_goals(records),
        tables=list(tables(records)),
    )
    (folder / "README.md").write_text(text)
    (folder / "plot.svg").write_text(plot(records))


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

OVER = (
    ("postgresql", "limit", "PostgreSQL: CPU of the server for a request, over the limit's"),
    ("sqlite", "usual", "SQLite: CPU of the server for a request, over the usual way's"),
    ("shell", "bare", "Without a database: CPU of the server for a request, over bare FastAPI's"),
)
PLAIN = (
    (
        "shapes",
        "cpu",
        "The shapes that data access could have, on SQLite, in process, in microseconds",
    ),
    ("cache", "cpu p50 p99", "A route that costs 1 ms, in microseconds"),
    (
        "broadcast",
        "cpu p50 p99 delivered",
        "A message to 500 sockets, 20 a second: microseconds a delivery",
    ),
    (
        "sockets",
        "cpu p50 p99 memory",
        "From 10 to 2,000 sockets: microseconds a delivery, bytes a socket",
    ),
    ("routes", "cpu p50", "The last of many routes, in microseconds"),
    ("dependencies", "cpu p50", "Dependencies that need each other, in microseconds"),
    (
        "rows",
        "cpu wall p50",
        "A page from the middle of 1,000 and of 1,000,000 rows, in microseconds",
    ),
    ("starts", "wall cpu", "Start, in seconds"),
    ("memory", "before after", "Memory after 1,000 requests and after 10,000 more, in bytes"),
    ("suites", "wall cpu", "The rendered suite, in seconds"),
    (
        "copier",
        "wall cpu git processes",
        "Copier on the command line, in seconds; git's part, and its processes",
    ),
)


def tables(records: Records) -> Iterator[Table]:
    for part, base, title in OVER:
        show = partial(_over, records, base=base)
        yield title, *_side_by_side(records, part, 32, show)
    for connections in (1, 32):
        show = partial(_latency, records)
        title = "PostgreSQL: p50 / p99 of a request, in milliseconds"
        yield title, *_side_by_side(records, "postgresql", connections, show)
    for work in dict.fromkeys(each.work for each in records.all if each.part == "profile"):
        title = f"PostgreSQL, {TITLES[work]}: where the CPU goes, in microseconds, by samples"
        yield title, *_layers(records, work)
    for part, measures, title in PLAIN:
        yield title, *_plain(records, part, measures.split())


def _side_by_side(
    records: Records, part: str, connections: int, show: Callable[[Key], str]
) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table with a row for each work and a column for each subject."""
    own = [each for each in records.all if (each.part, each.connections) == (part, connections)]
    names = [name for name in SUBJECTS if any(each.subject == name for each in own)]
    head = [f"{connections} connections", *(SUBJECTS[name] for name in names)]
    rows = [
        [TITLES[work], *(show((part, work, name, connections)) for name in names)]
        for work in dict.fromkeys(each.work for each in own)
    ]
    return head, rows


def _over(records: Records, key: Key, base: str) -> str:
    part, work, name, connections = key
    if (record := records.find(*key)) is None:
        return ""
    absolute = f"{Figure.of(record.measures['cpu']).median:,.0f} us"
    ratio = records.ratio("cpu", key, (part, work, base, connections))
    if ratio is None or name == base:
        return absolute
    return f"**{ratio.median:.2f}** ({ratio.low:.2f} - {ratio.high:.2f}), {absolute}"


def _layers(records: Records, work: str) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table with a row for each layer."""
    found = [each for each in records.all if (each.part, each.work) == ("profile", work)]
    head = ["", *(SUBJECTS[each.subject] for each in found)]
    rows = [
        [layer, *(_number(each.measures[layer]) for each in found)] for layer in found[0].measures
    ]
    return head, rows


def _latency(records: Records, key: Key) -> str:
    if (record := records.find(*key)) is None:
        return ""
    p50, p99 = (Figure.of(record.measures[each]).median / 1000 for each in ("p50", "p99"))
    return f"{p50:.1f} / {p99:.1f}"


def _plain(
    records: Records, part: str, measures: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table with a row for each record."""
    rows = [
        [
            SUBJECTS.get(each.work, each.work),
            SUBJECTS.get(each.subject, each.subject),
            *(_number(each.measures.get(measure)) for measure in measures),
        ]
        for each in records.all
        if each.part == part
    ]
    return ["", "", *measures], rows


def _number(values: Sequence[float] | None) -> str:
    if values is None:
        return ""
    median = Figure.of(values).median
    return f"{median:,.0f}" if median >= 100 else f"{median:,.2f}"


def plot(records: Records) -> str:
    """Return an SVG: requests a CPU-second on PostgreSQL, as a part of what the limit does."""
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


_ENVIRONMENT = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701
_TEXT = _ENVIRONMENT.from_string("""\
# What a rendered service costs

Written by `nox -s bench`; [benchmarks/](..) is what it measures with. All subjects of a table answer in turn in one run, on
one interpreter, each in a process of its own with one worker; a figure is the median over the rounds, a ratio the median of the ratios
within a round, with the middle half in parentheses. CPU is the server's own, in user and system mode, without PostgreSQL's.

{% for name, value in header.items() %}
- {{ name }}: {{ value }}
{% endfor %}

- *The limit*: Starlette and a bare asyncpg pool that check the same token and return the same bytes, with nothing around them.
- *`depends`*, *`clean-ioc`*: services as they are rendered, with a cheap password hash and without mails.
- *The usual way*: what tutorials show, with the same features: `def` providers, `lru_cache`, `BaseHTTPMiddleware` for request ids,
  headers and a line of log, an ORM session a request, a pool that pings.
- *A peer*: `{{ peer }}`, as it is rendered with users, SQLAlchemy and loguru; where it has no such route, the next thing that it has
  (its list of rows asks for no token).

## Goals

| goal | `depends` | `clean-ioc` |
| --- | --- | --- |
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
<text x="12" y="24" font-size="15">Requests a CPU-second on PostgreSQL, as a part of the limit's (longer is better)</text>
{% set ns = namespace(y=40) %}
{% set colours = {"limit": "#b0b0b0", "depends": "#00796b", "clean-ioc": "#26a69a", "usual": "#c62828", "peer": "#ef8a62"} %}
{% set names = {"limit": "limit", "depends": "depends", "clean-ioc": "clean-ioc", "usual": "usual way", "peer": "peer"} %}
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


if __name__ == "__main__":
    write_report(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
