"""One holder at a time, and a dead one holds nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import LockError
from orchestrator.lock import hold_lock

ROOT = Path(__file__).parents[2]
HOLDER = """
import os, sys
from pathlib import Path
from orchestrator.errors import LockError
from orchestrator.lock import hold_lock
try:
    with hold_lock(Path(sys.argv[1]), holder={"pid": os.getpid()}):
        print("held", flush=True)
        sys.stdin.read()
except LockError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


def hold_in_another_process(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its input ends, or says why it does not."""
    argv = [sys.executable, "-c", HOLDER, str(path)]
    return subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_holder_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.lock"
    with hold_lock(path, holder={"pid": 4711, "start": "abc", "host": "here", "workspace": "/a b"}):
        with hold_in_another_process(path) as second:
            said = second.stdout.read()
        assert second.returncode == 75
        assert "held by pid 4711, start abc, host here, workspace /a b" in said


def test_a_lock_that_was_let_go_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.lock"
    for number in (1, 2):
        with hold_lock(path, holder={"pid": 10 ** (6 - number)}):
            assert path.read_text() == f'{{"pid": {10 ** (6 - number)}}}\n', "a shorter name leaves nothing of a longer"


def test_an_error_inside_lets_the_lock_go(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.lock"
    with pytest.raises(KeyError), hold_lock(path, holder={}):
        raise KeyError
    with hold_lock(path, holder={}):
        pass


def test_a_lock_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.lock"
    with hold_in_another_process(path) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockError, match=f"held by pid {holder.pid}"), hold_lock(path, holder={}):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with hold_lock(path, holder={"pid": 1}):
            assert path.read_text() == '{"pid": 1}\n'


def test_a_child_of_the_holder_does_not_hold_the_lock_on(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.lock"
    with hold_lock(path, holder={}):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with hold_lock(path, holder={}):
            pass
    finally:
        child.kill()
        child.wait()


def test_of_processes_that_race_for_the_lock_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.lock"
    racers = [hold_in_another_process(path) for _ in range(4)]
    said = [racer.stdout.readline() for racer in racers]
    for racer in racers:
        racer.communicate()
    assert sorted(racer.returncode for racer in racers) == [0, 75, 75, 75]
    assert said.count("held\n") == 1


def test_a_lock_file_that_says_nothing_readable_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.lock"
    with hold_lock(path, holder={}):
        path.write_bytes(b"\xff[")
        with pytest.raises(LockError, match="has not written a name"), hold_lock(path, holder={}):
            pass
