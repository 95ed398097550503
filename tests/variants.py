"""Every variant of the template, generated from `copier.yml` itself."""

import itertools
import random
import shlex
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import jinja2
import yaml

ROOT = Path(__file__).parents[1]
BESIDE = ("docker", "ci")
"""Questions whose answers put files beside the code and change none of it."""
Answers = dict[str, Any]
T = TypeVar("T")


@cache
def questions() -> dict[str, dict[str, Any]]:
    """Return what `copier.yml` asks or derives, by name."""
    loaded = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {name: question for name, question in loaded.items() if not name.startswith("_")}


def asked() -> set[str]:
    """Return the names that a person may answer; the others are derived."""
    return {name for name, question in questions().items() if question.get("when") is not False}


def choices() -> dict[str, list[Any]]:
    """Return the values of each question that has a closed set of them."""
    found: dict[str, list[Any]] = {}
    for name in questions():
        if name in asked() and "choices" in questions()[name]:
            offered = questions()[name]["choices"].values()
            found[name] = [each["value"] if isinstance(each, dict) else each for each in offered]
    return found


def is_offered(variant: Mapping[str, Any]) -> bool:
    """Tell whether every choice is offered beside the others: its validator has nothing to say."""
    return not any(
        jinja2.Template(choice["validator"]).render(variant)
        for name, value in variant.items()
        for choice in questions()[name]["choices"].values()
        if isinstance(choice, dict) and choice["value"] == value
    )


def product(values: Mapping[str, Sequence[Any]]) -> list[Answers]:
    """Return every combination of values of questions, except for refused ones."""
    variants = (
        dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())
    )
    return [variant for variant in variants if is_offered(variant)]


@cache
def _all_variants() -> tuple[Answers, ...]:
    values = choices()
    codes = product({name: values[name] for name in values if name not in BESIDE})
    beside = product({name: values[name] for name in BESIDE})
    met: set[Hashable] = set()
    chosen = []
    for code in codes:
        candidates = [code | each for each in beside]
        best = max(candidates, key=lambda each: len(combinations_of(each, 3) - met))
        met |= combinations_of(best, 3)
        chosen.append(best)
    return tuple(chosen)


def all_variants() -> list[Answers]:
    """Return every combination of answers that change code, except for refused ones.

    Each has some answer to the questions in `BESIDE`, so that every triple of answers occurs.
    """
    return list(_all_variants())


def code_of(variant: Mapping[str, Any]) -> Answers:
    """Return the answers of a variant that change its code."""
    return {name: value for name, value in variant.items() if name not in BESIDE}


def combinations_of(variant: Mapping[str, Any], strength: int) -> set[tuple[tuple[str, Any], ...]]:
    """Return each set of `strength` answers that a variant has."""
    return set(itertools.combinations(sorted(variant.items()), strength))


def covering_set(variants: Sequence[Answers], strength: int = 3) -> list[Answers]:
    """Return few variants in which every combination of `strength` answers of `variants` occurs.

    Of answers that change no code, every combination of one less.
    """
    strength = min(strength, len(variants[0]))
    less = max(strength - 1, 1)
    return covering(
        variants,
        [
            combinations_of(code_of(each), strength) | combinations_of(each, less)
            for each in variants
        ],
    )


def covering(those: Sequence[T], features: Sequence[Iterable[Hashable]]) -> list[T]:
    """Return few of `those` that have between them every feature that any of them has.

    Greedy, from several orders: the first of equals decides much. Return the smallest set found.
    """
    numbers: dict[Hashable, int] = {}
    bits = [
        sum(1 << number for number in {numbers.setdefault(each, len(numbers)) for each in of_one})
        for of_one in features
    ]
    found = []
    for seed in range(50):
        order = list(range(len(those)))
        random.Random(seed).shuffle(order)  # noqa: S311
        left = (1 << len(numbers)) - 1
        chosen = []
        while left:
            best = max(order, key=lambda index: (bits[index] & left).bit_count())
            chosen.append(best)
            left &= ~bits[best]
        found.append(sorted(chosen))
    return [those[index] for index in min(found, key=len)]


Pair = tuple[Answers, Answers]
"""Two variants that differ in one answer: a switch there, and a switch back."""


@cache
def pairs() -> list[Pair]:
    """Return all pairs that differ in one answer about code, and few that differ in another."""
    found = [
        (one, code_of(other) | {name: one[name] for name in BESIDE})
        for one, other in itertools.combinations(all_variants(), 2)
        if len(code_of(one).items() ^ code_of(other).items()) == 2
    ]
    features = [combinations_of(each, 2) for each in all_variants()]
    for variant in covering(all_variants(), features):
        for name in BESIDE:
            found += [
                (variant | {name: before}, variant | {name: after})
                for before, after in itertools.combinations(choices()[name], 2)
                if variant[name] in (before, after)
            ]
    return found


@cache
def covering_pairs() -> list[Pair]:
    """Return few pairs in which every switch of an answer occurs beside every other answer."""
    those = pairs()
    return covering(
        those,
        [
            {(kind_of(pair), shared) for shared in pair[0].items() & pair[1].items()}
            for pair in those
        ],
    )


def kind_of(pair: Pair) -> tuple[str, Any, Any]:
    """Return the question whose answer is switched, the answer before and the one after."""
    one, other = pair
    name = next(name for name in one if one[name] != other[name])
    return name, one[name], other[name]


def name_of_pair(pair: Pair) -> str:
    """Return a pair's name in test ids: `depends-sqlite-examples=no-database=postgresql`."""
    name, _, after = kind_of(pair)
    return f"{name_of(pair[0])}-{name}={str(after).lower()}"


def name_of(variant: Mapping[str, Any]) -> str:
    """Return a variant's name in test ids and folders, such as `depends-sqlite-examples=no`."""
    parts = []
    for name, value in variant.items():
        parts.append(
            f"{name}={'yes' if value else 'no'}" if isinstance(value, bool) else f"{value}"
        )
    return "-".join(parts)


def command_for(variant: Mapping[str, Any], *options: str) -> str:
    """Return the command that renders a variant and runs its suite, with options of `uv run`."""
    data = " ".join(f"-d {name}={str(value).lower()}" for name, value in variant.items())
    render = f"copier copy --vcs-ref HEAD --defaults {data} . ../variant"
    return f"{render} && cd ../variant && uv run {shlex.join(options)} pytest"


def least(name: str) -> Any:
    """Return the choice of a question that adds the least: none, no, or the first."""
    values = choices()[name]
    return next((value for value in ("none", False) if value in values), values[0])


def focused(*names: str, **answers: Any) -> list[Answers]:
    """Return the variants of the named questions beside `answers`; the rest is the least."""
    assert {*names, *answers} <= choices().keys()
    return product(
        {
            name: offered if name in names else [answers.get(name, least(name))]
            for name, offered in choices().items()
        }
    )


def with_answer(variants: Iterable[Answers], **answers: Any) -> list[Answers]:
    """Return those variants that have the answers."""
    return [variant for variant in variants if answers.items() <= variant.items()]
