import dataclasses
import re

import accuracy
import pytest

from keras_otreg.benchmark import reading
from keras_otreg.benchmark.comparison import quick


@pytest.mark.parametrize(
    ("old", "new", "culprit"),
    [
        ("tasks:", "task:", "task"),
        ("labels: 1", "label: 1", "label"),
        ("labels: 1", "labels: 0", "toy: labels"),
        ("labels: 1, ", "", "labels"),
        ("seeds: 2", "seeds: two", "protocol: seeds"),
        ("student: narrow", "student: short", "narrow: student"),
        ("student: narrow", "source_classes: 4", "narrow: source_classes"),
        ("student: narrow", "unlabelled: 0.5", "narrow: unlabelled"),
        ("[0.1, 10.0]", "0.1", "uniform plan"),
        ("uses: plain", "uses: magic", "plain: uses"),
        ("RepresentationTransport", "Teleport", "Teleport"),
        ("plan: identity", "plane: identity", "identity plan"),
        ("plan: identity", "plan: identical", "plan"),
        ("[same network]", "[a miracle]", "needs"),
        ("[0.1, 10.0]", "[0.1, -1.0]", "uniform plan: strengths"),
        ("toy:", "toy: {kind: grand}\n  other:", "toy: kind"),
        ("toy: {", "toy: {methods: [dance], ", "dance"),
        ("toy: {", "toy: {methods: 3, ", "toy: methods"),
        ("toy: {", "toy: {methods: null, ", "toy: methods"),
        ("[0.1, 10.0]", "{1: 2}", "uniform plan: strengths"),
        ("{uses: plain}", "[uses", "YAML"),
        ("  plain:", "  simple:", "protocol: baseline"),
        (
            "RepresentationTransport",
            "Hint\n    loss: Coral",
            "keys of different",
        ),
        ("draws: 1", "draws: 1, seed: abc", "protocol: seed"),
        ("draws: 1", "draws: 1, seed: 1.5", "protocol: seed"),
        ("draws: 1", "draws: 1, seed: -1", "protocol: seed"),
        ("labels: 1,", "labels: 1, target_classes: [a, b],", "target_classes"),
        ("labels: 1,", "labels: 1, target_classes: [5, 2],", "target_classes"),
        ("labels: 1,", "labels: 1, target_classes: [5, 10],", "from 0 to 9"),
        ("labels: 1,", "labels: 1, methods: [head only],", "toy.*baseline"),
        ("{uses: plain}", "{uses: plain, needs: [same network]}", "baseline"),
        ("  toy:", "  5:", r"names.*quotes.*\[5"),
        ("plan: uniform", "solver: TransportProblem", "uniform plan.*solver"),
        ("{plan: uniform}", "[1]", "uniform plan: arguments"),
        ("{plan: uniform}", "{1: 2}", "uniform plan"),
        ("    strengths: [0.1, 10.0]\n", "", "penalties"),
        ("uses: plain", "uses: delta", "strengths.*delta"),
        ("uses: plain", "uses: l2", "strengths.*l2"),
        ("ends: start", "ends: soon", "head only: ends"),
        ("start: random", "start: well", "narrow: start"),
        (", start: random", "", "start: random.*narrow"),
        ("labels: 1,", "labels: 1, ratio: 0,", "toy: ratio"),
        ("trials: 3", "trials: 0", "protocol: trials"),
        ("labels: 1,", "labels: 1, labels: 2,", "'labels'.*repeated.*line 4"),
        ("{uses: plain}", "{uses: plain}\n  plain: {uses: frozen}", "repeated"),
        ("labels: 1,", "kind: folder, labels: 1, frozen_to: 5,", "frozen_to"),
    ],
)
def test_a_mistake_in_the_file_is_named_in_one_line(
    toy, read, tmp_path, old, new, culprit
):
    text = (tmp_path / "tasks.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ValueError, match=culprit) as error:
        read(text.replace(old, new))
    assert "\n" not in str(error.value)


def test_methods_of_unequal_budgets_are_refused(toy, read, tmp_path):
    text = (tmp_path / "tasks.yaml").read_text(encoding="utf-8")
    unequal = "{<<: *transport, strengths: [1.0], arguments"
    with pytest.raises(ValueError, match="as many strengths"):
        read(text.replace("{<<: *transport, arguments", unequal))


@pytest.mark.parametrize("part", ["tasks", "methods"])
def test_nothing_to_compare_is_refused(read, part):
    text = "tasks: {a: {labels: 1}}\nmethods: {plain: {uses: plain}}"
    text = re.sub(f"{part}: .*", f"{part}: {{}}", text)
    with pytest.raises(ValueError, match=f"`{part}`.*at least one name"):
        read(text)


def test_a_key_may_replace_one_that_is_merged(toy):
    assert toy.methods[3].strengths == toy.methods[2].strengths
    assert toy.methods[3].arguments == {"plan": "identity"}


def test_a_whole_number_may_be_written_with_a_point(toy, read, tmp_path):
    text = (tmp_path / "tasks.yaml").read_text(encoding="utf-8")
    assert read(text.replace("seeds: 2", "seeds: 2.0")) == toy


def test_a_method_is_left_out_where_the_task_lacks_what_it_needs(toy):
    same, narrow = toy.tasks
    assert len(list(toy.methods_of(same))) == 4
    names = [method.name for method in toy.methods_of(narrow)]
    assert names == ["plain", "uniform plan"]


def test_our_file_has_every_task_and_method_that_was_asked_for():
    comparison = accuracy.comparison()
    losses = {method.loss for method in comparison.methods}
    uses = {method.uses for method in comparison.methods}
    assert losses >= {
        "CenteredKernelAlignment",
        "Hint",
        "LogitsDistillation",
        "RepresentationTransport",
        "TransportAlignment",
    }
    assert uses >= {"plain", "rates", "lora", "norms", "l2", "delta", "inherit"}
    assert {x.ends for x in comparison.methods} == {
        "start",
        "end",
        "between",
        "kept",
    }
    assert comparison.seeds >= 5
    pictures = [x for x in comparison.tasks if hasattr(x, "frozen_to")]
    assert {x.folder for x in pictures} == {"clothing-small", "grocery"}
    assert {x.labels for x in pictures if x.ratio == 1.0} == {5, 10}
    ratios = {hasattr(x, "frozen_to") for x in comparison.tasks if x.ratio > 1}
    assert ratios == {True, False}


def test_the_packaged_methods_are_ours_on_any_pictures():
    comparison, ours = reading.read(), accuracy.comparison().methods
    assert all(method in ours for method in comparison.methods)
    for task in comparison.tasks:
        assert task.folder == ""
        assert [*comparison.methods_of(task)] == [*comparison.methods]
    assert quick(comparison).tasks


def test_a_quick_comparison_chooses_nothing_and_keeps_the_seeds_few(toy):
    short = quick(toy)
    assert [task.name for task in short.tasks] == ["toy"]
    assert all(len(method.strengths) < 2 for method in short.methods)
    assert len(short.reported_seeds(short.tasks[0])) == 2


def test_a_quick_comparison_keeps_what_it_cannot_do_without(toy):
    slow = tuple(dataclasses.replace(x, quick=False) for x in toy.methods)
    short = quick(dataclasses.replace(toy, methods=slow))
    assert [x.name for x in short.methods] == ["plain", "uniform plan"]


def test_without_a_quick_task_there_is_no_quick_comparison(toy):
    slow = tuple(dataclasses.replace(x, quick=False) for x in toy.tasks)
    with pytest.raises(ValueError, match="quick: true"):
        quick(dataclasses.replace(toy, tasks=slow))


def test_no_draw_is_used_both_to_choose_and_to_report(toy):
    for task in toy.tasks:
        chosen = set(toy.choosing_seeds(task))
        assert chosen
        assert not chosen & set(toy.reported_seeds(task))


def test_what_a_training_depends_on_changes_its_key(toy, read, tmp_path):
    task, method = toy.tasks[0], toy.methods[2]
    text = (tmp_path / "tasks.yaml").read_text(encoding="utf-8")
    other = read(text.replace("steps: 2, quick", "steps: 3, quick"))
    assert toy.key(task, method) != other.key(other.tasks[0], method)
    more = read(text.replace("seeds: 2", "seeds: 3"))
    assert toy.key(task, method) == more.key(more.tasks[0], method)
