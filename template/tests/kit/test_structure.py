"""The border of the kit, and imports without cycles.

Everything outside `app/kit` and `tests/kit` is yours. It imports from the kit what the kit exports
in `__all__`; the kit imports nothing of yours.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

import app.kit

ROOT = Path(__file__).parents[2]


class Import(NamedTuple):
    """One imported module, or a name of it."""

    file: Path
    line: int
    module: str
    name: str | None

    def __str__(self) -> str:
        what = f"{self.name} from {self.module}" if self.name else self.module
        return f"{self.file.as_posix()}:{self.line} imports {what}"


class Tree:
    """The Python files of a project by module name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        folders = (each for each in root.iterdir() if any(each.glob("*.py")))
        found = [each for folder in folders for each in folder.rglob("*.py")]
        self.files = {self._name(each): each for each in [*found, *root.glob("*.py")]}

    def _name(self, file: Path) -> str:
        parts = file.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self, module: str) -> Iterator[Import]:
        """Yield all imports of a module, those in functions and under `TYPE_CHECKING` included."""
        path = self.files[module]
        file = path.relative_to(self.root)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (Import(file, node.lineno, each.name, None) for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = module.split(".")[: None if path.name == "__init__.py" else -1]
                prefix = package[: len(package) - node.level + 1] if node.level else []
                source = ".".join([*prefix, *filter(None, [node.module])])
                exported = (self.exports(source) or ()) if source in self.files else ()
                for each in node.names:
                    nested = f"{source}.{each.name}"
                    if nested in self.files and each.name not in exported:
                        yield Import(file, node.lineno, nested, None)
                    else:
                        yield Import(file, node.lineno, source, each.name)

    def exports(self, module: str) -> set[str] | None:
        """Return the content of `__all__`; None if there is none."""
        for node in ast.parse(self.files[module].read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return set(ast.literal_eval(node.value))
        return None

    def kit_breaks(self) -> list[str]:
        """Return what the kit imports of the service."""
        return [
            f"{each}: hand it to the kit as an argument instead"
            for module in self.files
            if _is_in(module, "app.kit")
            for each in self.imports(module)
            # `app` itself is imported before the kit in any case.
            if _is_in(each.module, "app") and not _is_in(each.module, "app.kit")
            if (each.module, each.name) != ("app", None)
        ]

    def owner_breaks(self) -> list[str]:
        """Return what the service imports of the kit that the kit does not export."""
        faults = []
        for module in self.files:
            if _is_in(module, "app.kit") or _is_in(module, "tests.kit"):
                continue
            for each in self.imports(module):
                if not _is_in(each.module, "app.kit") or each.module not in self.files:
                    continue
                exported = self.exports(each.module)
                if exported is None:
                    package = each.module.rpartition(".")[0]
                    faults.append(f"{each}, which has no `__all__`: see what {package} exports")
                elif each.name is not None and each.name not in exported:
                    names = ", ".join(sorted(exported))
                    faults.append(f"{each}, which exports {names}")
        return faults

    def cycles(self) -> list[str]:
        """Return the shortest description of each kind of cycle in `app`: modules, and packages."""
        graph: dict[str, dict[str, Import]] = {}
        for module in self.files:
            if _is_in(module, "app"):
                graph[module] = {}
                for each in self.imports(module):
                    for target in _with_packages(each.module, unlike=module):
                        if target in self.files and target != module:
                            graph[module].setdefault(target, each)
        faults = _cycle(graph)
        for folder in ("app", "app/kit"):
            packages: dict[str, dict[str, Import]] = {}
            for module, targets in graph.items():
                source = self._package(module, folder)
                for target, each in targets.items():
                    used = self._package(target, folder)
                    if source and used and source != used:
                        packages.setdefault(source, {}).setdefault(used, each)
            faults += [each for each in _cycle(packages) if each not in faults]
        return faults

    def _package(self, module: str, folder: str) -> str | None:
        """Return the package in a folder that has the module; None if the module is in none."""
        path = self.files[module].relative_to(self.root)
        depth = len(Path(folder).parts)
        if not path.is_relative_to(folder) or len(path.parts) < depth + 2:
            return None
        return ".".join(path.parts[: depth + 1])


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _with_packages(module: str, unlike: str) -> Iterator[str]:
    """Yield a module and the packages that importing it runs, except those of the importing one."""
    yield module
    parts = module.split(".")
    for length in range(len(parts) - 1, 0, -1):
        package = ".".join(parts[:length])
        if not _is_in(unlike, package):
            yield package


def _cycle(graph: Mapping[str, Mapping[str, Import]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        steps = [str(graph[one][other]) for one, other in pairwise(cycle)]
        path = " -> ".join(cycle)
        remedy = "move what both need into a module that imports neither"
        return ["\n  ".join([f"import cycle {path}: {remedy}", *steps])]
    return []


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree(ROOT)


def test_kit_imports_only_itself(tree: Tree) -> None:
    assert tree.kit_breaks() == []


def test_service_imports_only_exports_of_the_kit(tree: Tree) -> None:
    assert tree.owner_breaks() == []


def test_no_import_cycle_in_app(tree: Tree) -> None:
    assert tree.cycles() == []


def test_map_of_the_kit_names_all_that_is_in_it() -> None:
    folder = ROOT / "app/kit"
    names = {f"{each.parent.name}/" for each in folder.glob("*/__init__.py")}
    names |= {each.name for each in folder.glob("*.py")} - {"__init__.py"}
    lines = [line.split() for line in (app.kit.__doc__ or "").splitlines()]
    assert [line[0] for line in lines if line and line[0].endswith(("/", ".py"))] == sorted(
        names, key=lambda name: (name.endswith(".py"), name)
    )


def written(root: Path, files: Mapping[str, str]) -> Tree:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Tree(root)


def test_kit_that_imports_a_slice_is_found(tmp_path: Path) -> None:
    files = {
        "app/kit/alpha.py": "def f():\n    from app.orders.models import Order\n",
        "app/kit/beta.py": "from app import settings\n",
        "app/kit/fine.py": "import app\nfrom app.kit.alpha import f\n",
        "app/settings.py": "",
        "app/orders/models.py": "",
    }
    remedy = "hand it to the kit as an argument instead"
    assert sorted(written(tmp_path, files).kit_breaks()) == [
        f"app/kit/alpha.py:2 imports Order from app.orders.models: {remedy}",
        f"app/kit/beta.py:1 imports app.settings: {remedy}",
    ]


@pytest.mark.parametrize(
    "file", ["app/orders/service.py", "tests/orders/test_service.py", "scripts/run.py", "dev.py"]
)
def test_import_that_the_kit_does_not_export_is_found(tmp_path: Path, file: str) -> None:
    files = {
        "app/__init__.py": "",
        "app/kit/alpha/__init__.py": '__all__ = ["Alpha", "beta"]\n',
        "app/kit/alpha/beta.py": "",
        "tests/__init__.py": "",
        "tests/kit/test_beta.py": "from app.kit.alpha.beta import Beta\n",
        file: "from app.kit.alpha import Alpha, Gamma, beta\n"
        "from app.kit.alpha.beta import Beta\nimport app.kit.alpha\n",
    }
    remedy = "which has no `__all__`: see what app.kit.alpha exports"
    assert written(tmp_path, files).owner_breaks() == [
        f"{file}:1 imports Gamma from app.kit.alpha, which exports Alpha, beta",
        f"{file}:2 imports Beta from app.kit.alpha.beta, {remedy}",
    ]


@pytest.mark.parametrize(
    "hidden",
    [
        "import app.b.models\n",
        "from app.b import models\n",
        "from ..b.models import B\n",
        "def f():\n    from app.b.models import B\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.b.models import B\n",
    ],
)
def test_cycle_between_modules_is_found(tmp_path: Path, hidden: str) -> None:
    files = {
        "app/__init__.py": "",
        "app/a/models.py": hidden,
        "app/b/models.py": "from app.a.models import A\n",
    }
    (fault, *_) = written(tmp_path, files).cycles()
    assert "app.a.models -> app.b.models" in fault or "app.b.models -> app.a.models" in fault
    assert "app/b/models.py:1 imports A from app.a.models" in fault


def test_cycle_between_packages_without_one_between_modules_is_found(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/orders/service.py": "from app.billing.errors import NotPaid\n",
        "app/orders/models.py": "",
        "app/billing/service.py": "from app.orders.models import Order\n",
        "app/billing/errors.py": "",
    }
    (fault,) = written(tmp_path, files).cycles()
    assert "app.orders -> app.billing" in fault
    assert "app/orders/service.py:1 imports NotPaid from app.billing.errors" in fault


def test_cycle_between_packages_of_the_kit_is_found(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/kit/alpha/one.py": "from app.kit.beta.two import Two\n",
        "app/kit/alpha/two.py": "",
        "app/kit/beta/one.py": "import app.kit.alpha.two\n",
        "app/kit/beta/two.py": "",
    }
    (fault,) = written(tmp_path, files).cycles()
    assert "app.kit.alpha -> app.kit.beta" in fault or "app.kit.beta -> app.kit.alpha" in fault


def test_slice_may_import_a_module_that_imports_the_slice(tmp_path: Path) -> None:
    """`app/wiring.py` makes objects of slices and for slices."""
    files = {
        "app/__init__.py": "",
        "app/wiring.py": "from app.orders.clock import Clock\n",
        "app/orders/clock.py": "",
        "app/orders/routes.py": "from app.wiring import ClockDep\n",
    }
    assert written(tmp_path, files).cycles() == []


def test_package_may_import_its_own_modules(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/kit/alpha/__init__.py": "from app.kit.alpha.one import One\n",
        "app/kit/alpha/one.py": "from app.kit.alpha.two import Two\n",
        "app/kit/alpha/two.py": "",
        "app/slices.py": "from app.kit.alpha import One\n",
        "app/application.py": "from app import slices\n",
    }
    assert written(tmp_path, files).cycles() == []
