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

import keras
import pytest

import keras_otreg
from keras_otreg import engine

PACKAGE = pathlib.Path(keras_otreg.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {
    "engine": 0,
    "starting": 0,
    "checks": 1,
    "saving": 1,
    "files": 2,
    "ot": 2,
    "features": 3,
    "losses": 4,
    "regularizers": 4,
    "class_costs": 4,
    "layers": 5,
    "regression": 6,
    "models": 6,
    "compression": 7,
    "heads": 7,
    "labelling": 7,
    "interpolation": 7,
    "data": 7,
    "callbacks": 7,
    "plots": 7,
    "tuning": 7,
    "experiments": 8,
    "demo": 9,
    "benchmark": 9,
    "workflows": 9,
    "commands": 10,
    "__main__": 11,
    "__init__": 12,
}
HOMES = {
    "tensorflow": (
        "engine/tensorflow.py",
        "callbacks/transport_monitor.py",
        "data/",
        "benchmark/",
        "demo/",
        "experiments/",
    ),
    "jax": ("engine/jax.py",),
    "torch": ("engine/torch.py",),
    "tensorflow_datasets": ("data/",),
    "keras_tuner": ("tuning/",),
    "matplotlib": ("plots/",),
    "jinja2": ("workflows/",),
}
# Outside of the engine, these ask Keras for the name of its backend.
ASK_FOR_THE_BACKEND = (
    # Pictures are prepared in graphs of TensorFlow, whatever the backend.
    "data/preprocessing.py",
    # The name is written into a report.
    "workflows/report.py",
)
ENGINES = ("tensorflow", "jax", "torch")


def place(path):
    return path.relative_to(PACKAGE).as_posix()


def room(path):
    """The room that a file is in, or is."""
    return place(path).removesuffix(".py").split("/")[0]


def where(path, node):
    return f"{place(path)}:{node.lineno}"


@functools.cache
def nodes_of(path):
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports(path):
    """Dotted names that a file imports, at any depth in its code."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [x for x in nodes_of(path) if isinstance(x, kinds)]


def calls(path):
    """All calls in a file, with the function that each names."""
    for node in nodes_of(path):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def lines_of(function):
    """Lines of the body, without the docstring."""
    body = function.body
    has_docstring = ast.get_docstring(function) is not None
    first = body[1] if has_docstring and len(body) > 1 else body[0]
    return function.end_lineno - first.lineno + 1


def files_with(pattern, files=FILES):
    """Files in whose text a pattern is found."""
    texts = ((path, path.read_text(encoding="utf-8")) for path in files)
    return [place(path) for path, text in texts if re.search(pattern, text)]


def test_a_file_fits_in_the_head():
    lengths = {
        place(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in FILES
    }
    assert not {k: n for k, n in lengths.items() if n > 400}


def test_a_function_fits_on_a_screen():
    lengths = {
        where(path, x): lines_of(x) for path in FILES for x in functions(path)
    }
    assert not {k: n for k, n in lengths.items() if n > 45}


def test_nothing_is_printed_or_asserted():
    for path in FILES:
        for node in nodes_of(path):
            assert not isinstance(node, ast.Assert), where(path, node)
        for node, name in calls(path):
            assert name not in ("print", "breakpoint"), where(path, node)


def test_loading_a_file_runs_nothing_that_is_in_it():
    unsafe = r"allow_pickle\s*=\s*True|safe_mode\s*=\s*False"
    assert not files_with(f"{unsafe}|enable_unsafe_deserialization")
    # One file of weights, whose checksum is known.
    unpickles = files_with(r"\b(pickle|joblib|dill|marshal|shelve)\b")
    assert unpickles == ["data/efficientnet_lite0.py"]
    assert not files_with(r"pickle\.loads?\(|pickle\.Unpickler\(")


# These write to memory, or to folders that are put in place in the end.
WRITERS = (
    "files.py",
    "data/samples.py",
    "models/saved_model.py",
    "plots/figure.py",
    "plots/picture.py",
    "workflows/report.py",
)


def test_files_are_written_as_a_whole_or_not_at_all():
    for path in FILES:
        for node, _ in calls(path):
            name = getattr(node.func, "attr", None)
            if name in ("save", "savefig", "write_text", "write_bytes"):
                known = place(path) in WRITERS
                whole = "unfinished" in ast.unparse(node)
                assert known or whole, where(path, node)


def test_nothing_is_left_to_do_and_nothing_private_is_used():
    assert not files_with(r"\b(TODO|FIXME|XXX)\b|keras\.src")


def test_imports_climb_down():
    for path in FILES:
        here = room(path)
        assert here in FLOORS, f"no floor is known for room {here}"
        for name in imports(path):
            root, *parts = name.split(".")
            if root != "keras_otreg" or not parts or here == "__init__":
                continue
            told, there = f"{place(path)}: {name}", parts[0]
            if there == here:
                continue
            assert there in FLOORS, f"{told}: the front door is for users"
            # The rooms under the roof may use each other.
            sideways = FLOORS[here] == FLOORS[there] == FLOORS["data"]
            assert FLOORS[there] < FLOORS[here] or sideways, told
            assert (here, there) != ("features", "ot"), "no transport there"


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def test_every_file_is_reached_from_the_package_or_its_commands():
    files = {module_of(path): path for path in FILES}
    # Commands and some rooms are imported by name, when they are asked for.
    doors = {"__main__", *keras_otreg.__all__}
    doors |= {f"commands.{path.stem}" for path in PACKAGE.glob("commands/*.py")}
    doors |= {f"engine.{name}" for name in ENGINES}
    left, reached = [f"keras_otreg.{door}" for door in doors], set()
    while left:
        name = left.pop()
        if name in files and name not in reached:
            reached.add(name)
            found = [*imports(files[name])]
            # With a module come the packages that it is in.
            parents = [x.rpartition(".")[0] for x in (*found, name)]
            left += [*found, *parents]
    # What nothing imports would be in the wheel for maintainers alone.
    assert not set(files) - reached


def test_a_library_is_imported_only_at_home():
    for path in FILES:
        for library in {name.split(".")[0] for name in imports(path)}:
            homes = HOMES.get(library, ("",))
            assert place(path).startswith(homes), f"{place(path)}: {library}"


def test_only_the_engine_asks_for_the_name_of_the_backend():
    others = [path for path in FILES if room(path) != "engine"]
    found = files_with(r"\bbackend\(\)|import backend\b", others)
    assert sorted(found) == sorted(ASK_FOR_THE_BACKEND)


def test_an_engine_is_asked_only_for_what_all_engines_have():
    for path in FILES:
        if "keras_otreg.engine" in imports(path):
            asked = re.findall(r"\bengine\.(\w+)", path.read_text("utf-8"))
            missing = {x for x in asked if not hasattr(engine.Engine, x)}
            assert not missing, place(path)


def test_the_mathematics_knows_no_layer_and_no_model():
    files = [path for path in FILES if room(path) == "ot"]
    assert files
    assert not files_with(r"keras\.(layers|Model|models|losses)\b", files)


def modules():
    yield keras_otreg
    # Importing their engines loads libraries that Keras does not need here.
    others = {f"keras_otreg.engine.{name}" for name in ENGINES}
    others -= {f"keras_otreg.engine.{keras.backend.backend()}"}
    for found in pkgutil.walk_packages([str(PACKAGE)], "keras_otreg."):
        if found.name.endswith("__main__") or found.name in others:
            continue
        # A room may need a library that is not installed here.
        try:
            yield importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if error.name.split(".")[0] not in HOMES:
                raise


def public_methods(kind):
    kinds = types.FunctionType | property | classmethod
    for key, item in vars(kind).items():
        if isinstance(item, kinds) and not key.startswith("_"):
            yield getattr(kind, key)


def test_every_public_name_exists_and_is_explained():
    explained = (type, types.FunctionType, types.ModuleType)
    for module in modules():
        assert inspect.getdoc(module), module.__name__
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if isinstance(value, explained):
                assert inspect.getdoc(value), public
            if isinstance(value, type):
                assert all(map(inspect.getdoc, public_methods(value))), public


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
