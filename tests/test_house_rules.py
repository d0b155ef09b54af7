"""The style of the house, where a machine can read it (house.md)."""

import ast
import functools
import importlib
import inspect
import pathlib
import pkgutil
import re
import subprocess
import sys
import types

import pytest

import keras_otreg

PACKAGE = pathlib.Path(keras_otreg.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {
    "starting": 0,
    "checks": 0,
    "saving": 0,
    "backend": 0,
    "control": 0,
    "files": 0,
    "products": 0,
    "replicas": 0,
    "ot": 1,
    "features": 2,
    "losses": 3,
    "regularizers": 3,
    "class_costs": 3,
    "layers": 4,
    "models": 5,
    "data": 6,
    "callbacks": 6,
    "plots": 6,
    "tuning": 6,
    "demo": 7,
    "benchmark": 8,
    "workflows": 8,
    "commands": 9,
    "__main__": 10,
    "__init__": 11,
}
HOMES = {
    "tensorflow": (
        "backend.py",
        "callbacks/transport_monitor.py",
        "control.py",
        "products.py",
        "replicas.py",
        "data/",
        "demo/",
        "benchmark/",
    ),
    "tensorflow_datasets": ("data/",),
    "keras_tuner": ("tuning/",),
    "matplotlib": ("plots/",),
    "jinja2": ("workflows/",),
}


@pytest.fixture(autouse=True)
def fresh_session():
    """No test of this file names a layer: nothing to clear, slowly."""


def place(path):
    return path.relative_to(PACKAGE).as_posix()


def room(path):
    """The room that a file is in, or is."""
    return place(path).removesuffix(".py").split("/")[0]


every_file = pytest.mark.parametrize("path", FILES, ids=place)


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Dotted names that a file imports, at any depth in its code."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [x for x in ast.walk(tree_of(path)) if isinstance(x, kinds)]


@every_file
def test_a_file_fits_in_the_head(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@every_file
def test_a_function_fits_on_a_screen(path):
    for function in functions(path):
        body = function.body
        has_docstring = ast.get_docstring(function) is not None
        first = body[1] if has_docstring and len(body) > 1 else body[0]
        length = function.end_lineno - first.lineno + 1
        assert length <= 45, f"{function.name} has {length} lines"


@every_file
def test_nothing_is_printed_or_asserted(path):
    for node in ast.walk(tree_of(path)):
        assert not isinstance(node, ast.Assert), node.lineno
        called = isinstance(node, ast.Call) and ast.unparse(node.func)
        assert called not in ("print", "breakpoint"), node.lineno


@every_file
def test_loading_a_file_runs_nothing_that_is_in_it(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"allow_pickle\s*=\s*True|safe_mode\s*=\s*False", text)
    assert "enable_unsafe_deserialization" not in text
    # One file of weights, whose checksum is known.
    unpickles = re.search(r"\b(pickle|joblib|dill|marshal|shelve)\b", text)
    assert not unpickles or place(path) == "data/efficientnet_lite0.py"
    assert not re.search(r"pickle\.loads?\(|pickle\.Unpickler\(", text)


# These write to memory, or to folders that are put in place in the end.
WRITERS = (
    "benchmark/soak/life.py",
    "files.py",
    "data/sample_files.py",
    "models/saved.py",
    "plots/inline.py",
    "plots/picture.py",
    "workflows/thumbnails.py",
)


@every_file
def test_files_are_written_as_a_whole_or_not_at_all(path):
    for node in ast.walk(tree_of(path)):
        is_call = isinstance(node, ast.Call)
        name = getattr(node.func, "attr", None) if is_call else None
        if name in ("save", "savefig", "write_text", "write_bytes"):
            known = place(path) in WRITERS
            assert known or "unfinished" in ast.unparse(node), node.lineno


@every_file
def test_nothing_is_left_to_do_and_nothing_private_is_used(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert "keras.src" not in text


@every_file
def test_imports_climb_down(path):
    here = room(path)
    assert here in FLOORS, f"no floor is known for room {here}"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "keras_otreg" or len(parts) == 1 or here == "__init__":
            continue
        there = parts[1]
        if there == here:
            continue
        assert there in FLOORS, f"{name}: the front door is for users"
        # The rooms under the roof may use each other.
        sideways = FLOORS[here] == FLOORS[there] == FLOORS["data"]
        assert FLOORS[there] < FLOORS[here] or sideways, name
        assert (here, there) != ("features", "ot"), "no transport in features"


@every_file
@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_at_home(path, library):
    if any(name.split(".")[0] == library for name in imports(path)):
        assert place(path).startswith(HOMES[library])


@pytest.mark.parametrize(
    "path", [x for x in FILES if room(x) == "ot"], ids=place
)
def test_the_mathematics_knows_no_layer_and_no_model(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"keras\.(layers|Model|models|losses)\b", text)


def modules():
    for found in pkgutil.walk_packages([str(PACKAGE)], "keras_otreg."):
        if not found.name.endswith("__main__"):
            yield found.name


@pytest.mark.parametrize("name", ["keras_otreg", *modules()])
def test_every_public_name_exists_and_is_explained(name):
    # A room may need a library that is not installed here.
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] not in HOMES:
            raise
        pytest.skip(f"{error.name} is not installed")
    assert inspect.getdoc(module)
    for public in getattr(module, "__all__", ()):
        value = getattr(module, public)
        explained = (type, types.FunctionType, types.ModuleType)
        if isinstance(value, explained):
            assert inspect.getdoc(value), public
        if isinstance(value, type):
            missing = [
                key
                for key, item in vars(value).items()
                if isinstance(item, types.FunctionType | property | classmethod)
                and not key.startswith("_")
                and not inspect.getdoc(getattr(value, key))
            ]
            assert not missing, f"{public}: {missing}"


def test_the_package_lists_its_public_names_alone():
    assert dir(keras_otreg) == sorted(keras_otreg.__all__)
    # Also the rooms that are not imported yet.
    assert {"data", "tuning"} < set(dir(keras_otreg))


@pytest.mark.slow
def test_importing_the_package_loads_no_optional_library():
    # Keras itself loads what it finds: only what we add to it counts.
    code = (
        "import sys, keras; before = set(sys.modules); import keras_otreg; "
        "print(*set(sys.modules) - before)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={
            "PYTHONPATH": ":".join([str(PACKAGE.parent), *sys.path]),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    ).stdout
    loaded = {name.split(".")[0] for name in output.split()}
    assert "keras_otreg" in loaded
    optional = {"tensorflow_datasets", "keras_tuner", "matplotlib"}
    assert not loaded & optional
