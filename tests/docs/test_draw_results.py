import importlib.util
import pathlib

SCRIPT = pathlib.Path(__file__).parents[2] / "docs" / "draw_results.py"


def test_the_plots_of_the_results_are_drawn_from_the_committed_tables(tmp_path):
    spec = importlib.util.spec_from_file_location("draw_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["cost.png", "small.png", "solvers.png"]
    committed = sorted(path.name for path in module.FOLDER.iterdir())
    assert committed == names
