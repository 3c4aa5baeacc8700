"""Progress in a log: what is shown, and in which order."""

import io

from ptycho.progress import Progress


def test_a_line_that_stays_takes_the_place_of_a_state_that_waits() -> None:
    log = io.StringIO()
    with Progress(log) as progress:
        progress.update("step 1")
        progress.update("step 2")
        progress.line("epoch 1")
    assert log.getvalue() == "step 1\nepoch 1\n"


def test_the_last_state_is_always_shown() -> None:
    log = io.StringIO()
    with Progress(log) as progress:
        progress.line("begin")
        for step in (1, 2, 3):
            progress.update(f"step {step}")
    assert log.getvalue() == "begin\nstep 1\nstep 3\n"
