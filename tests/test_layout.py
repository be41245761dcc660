"""The layout: imports that go one way, small modules, names that mean one thing."""

import ast
import importlib.metadata
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest
from project_files import DIRECT, NOTEBOOKS, ROOMS, ROOT, names_of, plain

DISTRIBUTIONS = importlib.metadata.packages_distributions()
SOURCES = sorted(
    [*ROOT.glob("*.py"), *(p for name in ("charlm", "tests", "benchmarks") for p in (ROOT / name).rglob("*.py"))]
)
OURS = [*(p for p in SOURCES if ROOT / "tests" not in p.parents), *NOTEBOOKS]

# ---------------------------------------------------------------------------------------------------------------------
# the code


@cache
def code_of(path: Path) -> ast.Module:
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    return ast.parse(path.read_text("utf-8"))


def imports_of(code: ast.Module) -> Iterator[str]:
    """The top-level names that a module imports, wherever in it."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_what_is_imported_is_declared():
    ours = {"charlm", *sys.stdlib_module_names, *(source.stem for source in SOURCES)}
    imported = {
        (name, path) for path in (*SOURCES, *NOTEBOOKS) for name in imports_of(code_of(path)) if name not in ours
    }
    assert [it for it in sorted(imported) if not {plain(p) for p in DISTRIBUTIONS[it[0]]} & set(DIRECT)] == []


# The tests may write a pickle, to attack with.
@pytest.mark.parametrize("path", OURS, ids=names_of)
def test_nothing_is_unpickled(path):
    code = code_of(path)
    assert not {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"} & set(imports_of(code))
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("read_pickle", "to_pickle")
            assert ast.unparse(node) not in ("torch.load", "torch.save")
        elif isinstance(node, ast.ImportFrom) and node.module == "torch":
            assert not {alias.name for alias in node.names} & {"load", "save"}
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False"


def encodings_missed(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the encoding, or with the ends of lines, of the system that it runs on."""
    given = {k.arg: k.value for k in call.keywords}
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "write_text":
        return len(call.args) + ("encoding" in given) < 2 or "newline" not in given
    if name == "read_text":
        return not call.args and "encoding" not in given
    if name == "open" and ast.unparse(call.func) != "os.open":  # which knows bytes alone
        place = 0 if isinstance(call.func, ast.Attribute) else 1  # Path.open(mode), open(path, mode)
        mode = call.args[place] if len(call.args) > place else given.get("mode")
        return "encoding" not in given and not (isinstance(mode, ast.Constant) and "b" in str(mode.value))
    return {"text", "universal_newlines"} & given.keys() != set()


@pytest.mark.parametrize("path", OURS, ids=names_of)
def test_text_has_the_same_bytes_on_every_system(path):
    calls = [node for node in ast.walk(code_of(path)) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls if encodings_missed(call)] == []


# Each module imports only what stands above it. A package's __main__ stands last in it.
PLAIN_ROOMS = [room for room in ROOMS if room not in ("losses", "temperature")]
ORDER = f"""
charlm_core
charlm.printable charlm.command charlm.options
charlm.device charlm.files charlm.corpus charlm.sampling charlm.ngram charlm.text
charlm.protocol charlm.parameters charlm.records charlm.stats
charlm.show charlm.tables charlm.drawing
charlm.runs charlm.runs.identity charlm.runs.files charlm.runs.form charlm.runs.embedded charlm.runs.folder
charlm.runs.inventory
charlm.runs.progress charlm.runs.sweep charlm.runs.__main__
charlm.losses charlm.losses.measures charlm.losses.figures charlm.losses.live
charlm.temperature charlm.temperature.texts charlm.temperature.samples charlm.temperature.measures charlm.temperature.rare
charlm.temperature.across charlm.temperature.claims charlm.temperature.figures
{" ".join(f"charlm.{room} charlm.{room}.measures charlm.{room}.figures" for room in PLAIN_ROOMS)}
charlm.claims charlm.studies charlm.ways charlm.cards charlm.benchmark.__main__
charlm.report charlm.report.execute charlm.report.collect charlm.report.markdown
charlm.report.blocks charlm.report.arrange charlm.report.html charlm.report.pdf charlm.report.stand_in charlm.report.play charlm.report.place
charlm.report.make charlm.report.__main__
generate
""".split()


def path_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def ours_in(path: Path) -> set[str]:
    """The modules of ours that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(code_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= within & set(ORDER) or {node.module}
    return found & set(ORDER)


def room_of(module: str) -> str | None:
    return next((room for room in ROOMS if f"{module}.".startswith(f"charlm.{room}.")), None)


def test_every_module_has_its_place_in_the_order():
    paths = [*ROOT.glob("*.py"), *(ROOT / "charlm").rglob("*.py")]
    assert sorted(map(module_of, paths)) == sorted(["charlm", *ORDER])


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_one_way_from_no_room_to_another_in_modules_to_be_read_in_one_sitting(module):
    imported = ours_in(path_of(module))
    assert imported <= set(ORDER[: ORDER.index(module)])
    if room_of(module):
        assert {room_of(other) for other in imported} <= {room_of(module), None}
    if module.endswith(".measures"):
        assert not {"charlm.show", "charlm.drawing"} & imported
    assert len(path_of(module).read_text("utf-8").splitlines()) <= 450


def test_a_public_name_means_one_thing():
    places = defaultdict(set)
    for module in ORDER:
        for node in code_of(path_of(module)).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                places[node.name].add(module)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for name in (n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)):
                    places[name.id].add(module)
    several = {name: sorted(found) for name, found in places.items() if len(found) > 1 and not name.startswith("_")}
    several.pop("main", None)
    assert several == {}
