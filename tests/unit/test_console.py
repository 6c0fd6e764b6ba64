"""What a run prints: progress, scores, paths and its summary."""

import io
import math

import pytest
from rich.console import Console

from mt_dnn.tracking import console as console_module
from mt_dnn.tracking.console import print_next, summary
from mt_dnn.tracking.progress import EvaluationWork, Progress
from mt_dnn.tracking.score_table import ScoreRow, print_scores_table


def screen(width=80, *, terminal=False):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_remaining_time_is_of_this_process_and_not_of_the_run_resumed():
    clock = Clock()
    progress = Progress(100, 2, step=40, console=screen(), clock=clock)
    assert progress.remaining() is None
    clock.now += 20.0
    progress.advance(50, epoch=1)
    assert progress.remaining() == pytest.approx(100.0)  # 2 s a step, 50 to go


def test_remaining_time_has_the_evaluations():
    clock = Clock()
    work = EvaluationWork(lambda step: {10: 300, 50: 100}[step], rows_per_update=10)
    progress = Progress(100, 2, work=work, console=screen(), clock=clock)
    clock.now += 10.0
    progress.advance(10, epoch=1)
    # 1 s an update; a row costs a third of 1 / 10 s until one has been evaluated.
    assert progress.remaining() == pytest.approx(90.0 + 300 / 30)
    clock.now += 40.0
    with progress.evaluation("rte") as advance:
        advance(80, 200)
        advance(200, 200)
    clock.now += 20.0
    progress.evaluated(20.0)
    progress.advance(50, epoch=1)
    assert progress.remaining() == pytest.approx(50.0 + 100 * 20 / 200)


def test_an_evaluation_is_shown_on_a_terminal_only():
    for terminal in (False, True):
        console = screen(terminal=terminal)
        progress = Progress(10, 1, console=console)
        with progress, progress.evaluation("rte") as advance:
            advance(20, 60)
            if progress._bar:
                progress._bar.refresh()
        with progress.evaluation("rte_test") as advance:  # after training, the bar has stopped
            advance(1, 3)
        shown = console.file.getvalue()
        assert ("evaluating rte " in shown) == terminal
        assert ("20/60" in shown) == terminal
        assert ("evaluating rte_test" in shown) == terminal


def test_losses_of_more_than_four_tasks_are_below_the_line():
    clock, console = Clock(), screen()
    progress = Progress(100, 2, console=console, clock=clock)
    progress.log(50, epoch=1, losses={f"task_{i}": i / 10 for i in range(5)})
    assert console.file.getvalue().splitlines() == [
        "step  50/100  epoch 1/2  0:00:00 elapsed, 0:00:00 left",
        "  task_0 0.0000  task_1 0.1000  task_2 0.2000",
        "  task_3 0.3000  task_4 0.4000",
    ]


def test_progress_in_a_file_is_a_line_per_log_point_and_nothing_else():
    clock, console = Clock(), screen()
    with Progress(100, 2, console=console, clock=clock) as progress:
        for step in range(1, 51):
            progress.advance(step, epoch=1)
        clock.now += 65.0
        progress.log(50, epoch=1, losses={"rte": 0.6931, "sst": 0.5}, examples_per_second=12.3)
        progress.print("[brackets] stay")
    assert console.file.getvalue().splitlines() == [
        "step  50/100  epoch 1/2  12 examples/s  rte 0.6931  sst 0.5000  "
        "0:01:05 elapsed, 0:01:05 left",
        "[brackets] stay",
    ]


def test_progress_on_a_terminal_fits_it_whatever_the_number_of_tasks():
    clock, console = Clock(), screen(terminal=True)
    with Progress(750, 3, console=console, clock=clock) as progress:
        clock.now += 50.0
        losses = {f"a_task_with_a_name_{i}": 0.5 for i in range(9)}
        progress.log(300, epoch=2, losses=losses, examples_per_second=123.0)
    plain = Console(file=io.StringIO(), width=80, color_system=None)
    assert progress._bar is not None
    plain.print(progress._bar.get_renderable())
    bar, note = plain.file.getvalue().splitlines()
    assert bar.startswith("epoch 2/3 ")
    assert bar.rstrip().endswith("300/750 0:00:50, 0:01:15 left")
    assert note.startswith("123 examples/s  a_task_with_a_name_0 0.5000")
    assert max(len(bar), len(note)) <= 80
    assert "300/750" in console.file.getvalue()


def test_progress_of_other_processes_is_silent():
    for terminal in (False, True):
        console = screen(terminal=terminal)
        with Progress(10, 1, enabled=False, console=console) as progress:
            progress.log(5, epoch=1, losses={"rte": 1.0})
            progress.print("x")
        assert console.file.getvalue() == ""


def test_scores_table_is_aligned_and_within_80_columns():
    console = screen()
    rows = [
        ScoreRow("sst_dev", "accuracy", 83.214, 50.0, 500),
        ScoreRow("sst_dev", "f1", math.nan, 0.0, 500, in_average=False),
        ScoreRow("d" * 60, "m" * 40, 81.9, None, None),
    ]
    print_scores_table(rows, average=82.55, console=console)
    printed = console.file.getvalue().splitlines()
    assert max(map(len, printed)) <= 80
    (first,) = [line for line in printed if "accuracy" in line]
    assert first.split() == ["sst_dev", "accuracy", "83.21", "50.00", "500"]
    (second,) = [line for line in printed if "f1" in line]
    assert second.split() == ["(f1)", "-", "0.00", "500"]
    (average,) = [line for line in printed if line.strip().startswith("average")]
    assert average.index("82.55") == first.index("83.21")


def test_test_sets_and_sets_that_do_not_select_are_apart():
    console = screen()
    rows = [
        ScoreRow("rte", "ACC", 83.214, 50.0, 500, interval=(79.0, 87.04)),
        ScoreRow("ax", "ACC", 40.0, 50.0, 500, group="not selecting"),
        ScoreRow("rte_test", "ACC", 80.0, 50.0, 500, group="test"),
    ]
    print_scores_table(rows, average=83.214, console=console)
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    order = ["rte", "average", "not selecting", "ax", "test", "rte_test"]
    places = [next(i for i, line in enumerate(lines) if line.startswith(word)) for word in order]
    assert "the data sets above the average selected the model" in lines
    assert places == sorted(places)
    assert "83.21 [79.0, 87.0]" in lines[places[0]]
    assert "[low, high]: 95% confidence interval" in lines
    assert max(map(len, lines)) <= 80


def test_paths_that_exist_and_commands_are_printed_whole(tmp_path):
    (tmp_path / "best").mkdir()
    command = "python predict.py --run runs/x " + "--option [value] " * 10 + "last"
    console = screen()
    print_next(tmp_path, {"predict": command}, console=console)
    printed = console.file.getvalue().splitlines()
    assert f"Run: {tmp_path}" in printed
    assert f"  {command}" in printed
    assert any(line.startswith("  best") for line in printed)
    assert not any(line.startswith("  checkpoints") for line in printed)


def test_summary_wraps_values_beside_their_names():
    console = screen(40)
    summary({"encoder": "[tiny] " + "w" * 50, "run": "runs/x"}, title="Run x", console=console)
    printed = console.file.getvalue().splitlines()
    assert max(map(len, printed)) <= 40
    assert printed[0] == "Run x"
    assert printed[1].startswith("  encoder  [tiny]")


def test_commands_are_those_of_the_way_in(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py"])
    assert console_module.command("predict").endswith("predict.py")
    assert console_module.command("compare").endswith("-m mt_dnn.cli compare")
    monkeypatch.setattr("sys.argv", ["own.py"])
    assert console_module.command("compare") == "mt-dnn compare"
