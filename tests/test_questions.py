"""The template's front door: what may be answered, and what is said to an answer that may not."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest
import yaml

from tests.projects import VERSION, environment, render, run
from tests.variants import (
    ROOT,
    Answers,
    all_variants,
    asked,
    choices,
    code_of,
    combinations_of,
    covering_set,
    product,
    questions,
)

SOURCES = ROOT / "template"


def copy(template: Path, folder: Path, **answers: str) -> subprocess.CompletedProcess[str]:
    """Run `copier copy` as a person does, with every question answered or left at its default."""
    data = [f"--data={name}={value}" for name, value in answers.items()]
    command = [sys.executable, "-m", "copier", "copy", "--defaults", f"--vcs-ref={VERSION}", *data]
    return subprocess.run(
        [*command, str(template), str(folder)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


REFUSALS = [
    ({"project_name": " "}, 'Enter a name, such as "Order Service"'),
    ({"project_name": "x" * 61}, "at most 60 characters"),
    ({"project_name": "a\tb"}, "without tabs or line breaks"),
    ({"project_slug": "Order Service"}, "Use lower-case letters, digits and single hyphens"),
    ({"project_slug": "a--b"}, "Use lower-case letters"),
    ({"project_slug": "x" * 61}, "at most 60 characters"),
    ({"project_slug": "fastapi"}, '"fastapi-service"'),
    ({"project_description": "x" * 301}, "at most 300 characters"),
    ({"project_description": "a\nb"}, "without tabs or line breaks"),
    ({"user_name": "x" * 101}, "at most 100 characters"),
    ({"user_name": "a\nb"}, "without tabs or line breaks"),
    ({"user_email": "nobody"}, "an e-mail address, such as"),
    ({"user_email": 'a"b@example.com'}, "an e-mail address, such as"),
    ({"lifecycle": "magic"}, "Invalid choice"),
    ({"database": "oracle"}, "Invalid choice"),
    ({"cache": "memcached"}, "Invalid choice"),
    ({"websockets": "socket.io"}, "Invalid choice"),
    ({"jobs": "celery"}, "Invalid choice"),
    ({"jobs": "postgresql", "database": "sqlite"}, "needs `database: postgresql`"),
    ({"examples": "ture"}, "Invalid choice"),
    ({"docker": "ture"}, "Invalid choice"),
    ({"ci": "jenkins"}, "Invalid choice"),
]


@pytest.mark.parametrize(("answers", "said"), REFUSALS)
def test_a_bad_answer_is_refused_and_the_allowed_are_named(
    template: Path, tmp_path: Path, answers: dict[str, str], said: str
) -> None:
    done = copy(template, tmp_path / "project", **answers)
    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "project").exists()


def test_every_question_has_a_bad_answer_above() -> None:
    assert {name for answers, _ in REFUSALS for name in answers} == asked()


def test_questions_fit_a_terminal() -> None:
    """In 80 columns, with the marks that Copier puts before them."""
    for name in asked():
        question = questions()[name]
        assert len(f"@@ {question['help']}") <= 80, name
        for label, choice in question.get("choices", {}).items():
            refused = (
                jinja2.Template(choice["validator"]).render() if isinstance(choice, dict) else ""
            )
            assert len(f" - {label} ({refused})" if refused else f" » {label}") <= 80, label


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Order Service", "order-service"),
        ('Café 3000 "Ünï"', "cafe-3000-ueni"),
        ("O'Brien's \"best\" \\ {{ x }} {% y %}", "obriens-best-x-y"),
        ("3rd", "3rd"),
        ("class", "class"),
        ("test", "test"),
        ("fastapi", "fastapi-service"),
        ("redis", "redis-service"),
        ("注文 🚀", "service"),
        ("x" * 60, "x" * 60),
    ],
)
def test_odd_names_and_descriptions_work(
    template: Path, tmp_path: Path, name: str, slug: str
) -> None:
    description = "It \"quotes\", 'quotes' \\ {{ braces }} {% if %} # <b> \N{ROCKET}"
    project = render(
        template,
        tmp_path / "a path with spaces",
        project_name=name,
        project_description=description,
        user_name='Zoë "Q" O\'Neil \\',
        user_email="zoe@example.com",
        database="none",
    )
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert (metadata["name"], metadata["description"]) == (slug, description)
    assert metadata["authors"] == [{"name": 'Zoë "Q" O\'Neil \\', "email": "zoe@example.com"}]
    assert literals(project / "app/settings.py")["service_name"] == name
    assert literals(project / "app/application.py")["description"] == description
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert (answers["project_name"], answers["project_description"]) == (name, description)
    run(project, sys.executable, "-m", "ruff", "check", ".")
    run(project, sys.executable, "-m", "ruff", "format", "--check", ".")


def literals(file: Path) -> dict[str, object]:
    """Return the strings in a module by the attribute or the argument that they are given to."""
    found: dict[str, object] = {}
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value))
                | ast.keyword(arg=str(name), value=ast.Constant(value=value))
            ):
                found[name] = value
    return found


def test_authors_are_optional(template: Path, tmp_path: Path) -> None:
    for number, (answers, authors) in enumerate(
        [
            ({}, None),
            ({"user_name": "Zoë"}, [{"name": "Zoë"}]),
            ({"user_email": "z@example.com"}, [{"email": "z@example.com"}]),
        ]
    ):
        project = render(template, tmp_path / str(number), **answers)
        metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        assert metadata.get("authors") == authors


def test_an_answer_to_no_question_is_an_error(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no questions of copier\.yml: databse"):
        render(template, tmp_path, databse="none")


def test_copy_into_an_existing_repository_leaves_its_git_alone(
    template: Path, tmp_path: Path
) -> None:
    run(tmp_path, "git", "init", "--quiet")
    before = {path: path.read_bytes() for path in (tmp_path / ".git").rglob("*") if path.is_file()}
    assert copy(template, tmp_path).returncode == 0
    after = {path: path.read_bytes() for path in (tmp_path / ".git").rglob("*") if path.is_file()}
    assert before == after


def test_no_trust_is_needed() -> None:
    """Tasks, migrations and Jinja extensions run code: people would have to pass `--trust`."""
    keys = yaml.safe_load((ROOT / "copier.yml").read_text()).keys()
    assert not keys & {"_tasks", "_migrations", "_jinja_extensions"}


def test_answers_hold_no_secret(rendered_answers: dict[str, object]) -> None:
    assert rendered_answers.keys() - {"_commit", "_src_path"} == asked()


@pytest.fixture
def rendered_answers(template: Path, tmp_path: Path) -> dict[str, object]:
    project = render(template, tmp_path / "p")
    answers: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert not (project / ".env").exists()
    assert not (project / "uv.lock").exists()
    return answers


def test_sources_use_every_question_and_nothing_else() -> None:
    filters = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"  # Copier always loads them
    environment = jinja2.Environment(extensions=[filters], autoescape=False)  # noqa: S701
    used: set[str] = set()
    for path in SOURCES.rglob("*"):
        texts = [path.relative_to(SOURCES).as_posix()]
        if path.suffix == ".jinja":
            texts.append(path.read_text())
        for text in texts:
            used |= jinja2.meta.find_undeclared_variables(environment.parse(text))
    for question in questions().values():
        for text in (str(question.get("default", "")), question.get("validator", "")):
            used |= jinja2.meta.find_undeclared_variables(environment.parse(text))
    assert used - {"_copier_conf", "_copier_answers"} == questions().keys()


def test_sources_are_nearly_all_plain_python() -> None:
    """Few lines of the rendered sources stand between conditions."""
    lines = tags = 0
    for path in SOURCES.rglob("*"):
        if path.is_file() and path.name.removesuffix(".jinja").endswith(".py"):
            text = path.read_text().splitlines()
            lines += len(text)
            tags += sum("{%" in line for line in text)
    assert tags / lines < 0.03, f"{tags} of {lines} lines have a tag"


def triples(variants: Iterable[Answers]) -> set[tuple[tuple[str, Any], ...]]:
    return set().union(*(combinations_of(each, 3) for each in variants))


def test_the_covering_set_covers_every_triple() -> None:
    assert triples(all_variants()) == triples(product(choices()))
    covered = triples(map(code_of, covering_set(all_variants())))
    assert covered == triples(map(code_of, all_variants()))
    made_up = [
        {"a": a, "b": b, "c": c, "d": d} for a in "12" for b in "123" for c in "12" for d in "12"
    ]
    chosen = covering_set(made_up)
    assert len(chosen) < len(made_up)
    assert triples(chosen) == triples(made_up)
