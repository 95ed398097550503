"""Every check by name: `nox` runs the tests, `nox -l` lists what else there is."""

import nox

nox.needs_version = ">=2025.10"
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "virtualenv"

PROJECT = nox.project.load_toml("pyproject.toml")
TESTS = nox.project.dependency_groups(PROJECT, "tests")


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and type the template's own code, and lint its plain sources."""
    session.install(*TESTS)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


def pytest(session: nox.Session, *arguments: str) -> None:
    session.install(*TESTS)
    # More processes than the two cores that this is meant for: half of the time a suite waits.
    session.run("pytest", "-n", "4", *arguments, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Render all variants; lint, type and run the suites of a set with every triple of answers."""
    pytest(session)


@nox.session
def quick(session: nox.Session) -> None:
    """The same for a handful of variants, in a few minutes."""
    pytest(session, "--quick")


@nox.session
def matrix(session: nox.Session) -> None:
    """Lint, type and run the suite of every variant; `-- --python 3.13` on that Python alone."""
    rendered = "tests/test_rendered.py"
    lint = f"{rendered}::test_lint_format_and_types"
    dependencies = f"{rendered}::test_dependencies_are_declared_and_used"
    pytest(session, "--matrix", "tests/test_suites.py", lint, dependencies)


@nox.session
def newest(session: nox.Session) -> None:
    """Run suites with every pair of answers on the newest Python and on pre-releases."""
    pytest(session, "--newest", "tests/test_suites.py")


@nox.session
def switches(session: nox.Session) -> None:
    """Every switch of every answer in every variant, and the suites after each kind of switch."""
    pytest(session, "--switches", "tests/test_updates.py")


@nox.session
def browser(session: nox.Session) -> None:
    """The example page in a real browser: install Chromium first."""
    pytest(session, "tests/browser_chat.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure rendered services, the limit, the usual way and a peer; `-- --quick`: ten minutes."""
    session.install(*TESTS)
    session.run("python", "-m", "benchmarks", *session.posargs)
