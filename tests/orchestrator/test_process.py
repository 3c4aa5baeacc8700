"""Real children: limits, logs, and that nothing of them is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import ProcessError
from orchestrator.lineage import make_mark, process_identity, sweep_orphans
from orchestrator.process import ChildResult, Ending, Limits, run_child

ENV = {"PATH": os.defpath}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")

Run = Callable[..., ChildResult]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a Python script as a child in a fresh folder, within ten seconds unless told otherwise."""

    def run(
        script: str, *, wall_s: float = 10, silence_s: float | None = None, cap: int = 1 << 20, **more: object
    ) -> ChildResult:
        return run_child(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=ENV,
            log=tmp_path / "child.log",
            limits=Limits(wall_s, silence_s, cap),
            **more,
        )

    return run


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 10 s"
        time.sleep(0.01)


def test_output_of_both_streams_goes_to_the_log_byte_for_byte(run: Run) -> None:
    result = run(
        "import os, sys\n"
        "os.write(1, 'é'.encode()[:1]); os.write(2, 'é'.encode()[1:]); os.write(1, b'\\xff\\0\\r\\n')\n"
        "sys.exit(3)"
    )
    assert (result.ending, result.code, result.ok) == (Ending.EXITED, 3, False)
    assert result.log.read_bytes() == b"\xc3\xa9\xff\0\r\n"
    assert result.log_bytes == 6


def test_output_is_in_the_log_while_the_child_runs(run: Run, tmp_path: Path) -> None:
    result = run(
        "import time\n"
        "print('first', flush=True)\n"
        "while open('child.log').read() != 'first\\n': time.sleep(0.005)\n"
        "print('second')"
    )
    assert result.ok
    assert (tmp_path / "child.log").read_text() == "first\nsecond\n"


def test_stdin_is_given_and_then_ends(run: Run) -> None:
    prompt = os.urandom(1 << 18)
    result = run("import sys, os; os.write(1, str(len(sys.stdin.buffer.read())).encode())", stdin=prompt)
    assert result.log.read_text() == str(len(prompt))


def test_a_child_that_does_not_read_its_stdin_is_no_obstacle(run: Run) -> None:
    assert run("pass", stdin=b"x" * (1 << 20)).ok


def test_the_environment_is_the_given_one_and_a_mark(run: Run) -> None:
    result = run("import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'))")
    assert result.log.read_text() == "['ORCHESTRATOR_PARENT', 'PATH']\n"


def test_the_child_leads_its_own_session(run: Run) -> None:
    result = run("import os; print(os.getsid(0) == os.getpid() == os.getpgid(0))")
    assert result.log.read_text() == "True\n"


@pytest.mark.parametrize("program", ["no-such-program", "/", "with\0null"])
def test_a_program_that_cannot_start_is_a_result_with_its_reason_in_the_log(program: str, tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    result = run_child([program], cwd=tmp_path, env=ENV, log=log, limits=Limits(5))
    assert (result.ending, result.code) == (Ending.NOT_STARTED, None)
    assert log.read_bytes().startswith(f"[orchestrator] not started: {program}: ".encode())


def test_an_empty_command_and_a_limit_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="expected a program"):
        run_child([], cwd=tmp_path, env=ENV, log=tmp_path / "log", limits=Limits(5))
    with pytest.raises(ProcessError, match="silence_s: expected a positive number, came 0"):
        Limits(1, 0)


def test_spaces_newlines_and_other_letters_pass_through_paths_and_arguments(tmp_path: Path) -> None:
    folder = tmp_path / "a b\nç"
    folder.mkdir()
    argv = [
        sys.executable,
        "-c",
        "import os, sys; print(os.getcwd(), sys.argv[1], sep='|', end='')",
        "x y\n$HOME ü",
    ]
    result = run_child(argv, cwd=folder, env=ENV | {"PYTHONUTF8": "1"}, log=folder / "l o\ng", limits=Limits(10))
    assert result.log.read_text() == f"{folder}|x y\n$HOME ü"


def test_a_child_that_takes_too_long_is_ended_and_the_log_says_so(run: Run) -> None:
    result = run("import time; print('half a line', end='', flush=True); time.sleep(60)", wall_s=0.5)
    assert (result.ending, result.code) == (Ending.WALL, -signal.SIGTERM)
    first, last = result.log.read_text().splitlines()
    assert first == "half a line"
    assert last == "[orchestrator] ended after 0.5 s: the wall limit of 0.5 s"
    assert result.log_bytes == len("half a line")


def test_a_silent_child_is_ended_and_a_talking_one_is_not(run: Run) -> None:
    talks = "import time\nfor _ in range(6): print('.', flush=True); time.sleep(0.1)\n"
    result = run(talks, silence_s=0.4)
    assert result.ok
    result = run(talks + "time.sleep(60)", silence_s=0.4)
    assert result.ending is Ending.SILENCE
    *_, before, last = result.log.read_text().split("\n")[:-1]
    assert before == "."
    assert last == f"[orchestrator] ended after {result.seconds:.1f} s: no output for 0.4 s"


def test_half_a_line_before_a_crash_is_kept(run: Run) -> None:
    result = run("import os; os.write(1, b'{\"half'); os.kill(os.getpid(), 9)")
    assert (result.ending, result.code) == (Ending.EXITED, -signal.SIGKILL)
    assert result.log.read_bytes() == b'{"half'


def test_a_flood_is_cut_at_the_cap_and_the_child_ended(run: Run) -> None:
    result = run("import os\nwhile True: os.write(1, b'0123456789' * 1000)", cap=100_001)
    assert result.ending is Ending.OUTPUT
    assert result.seconds < 5
    *_, last = result.log.read_bytes().splitlines()
    assert last == f"[orchestrator] ended after {result.seconds:.1f} s: more than 100001 bytes of output".encode()
    assert result.log_bytes == 100_001
    assert result.log.stat().st_size == 100_001 + len(b"\n") + len(last) + len(b"\n")


@pytest.mark.parametrize("cap", range(65_535, 65_540))
def test_the_cap_never_splits_a_character(run: Run, cap: int) -> None:
    result = run("import os\nfor _ in range(9): os.write(1, 'é€😀'.encode() * 9999)", cap=cap)
    assert result.ending is Ending.OUTPUT
    assert cap <= result.log_bytes <= cap + 3
    result.log.read_bytes().decode()


def test_a_last_word_beyond_the_cap_is_an_ending_by_output_too(run: Run) -> None:
    assert run("import os; os.write(1, b'x' * 1001)", cap=1000).ending is Ending.OUTPUT
    assert run("import os; os.write(1, b'x' * 1000)", cap=1000).ending is Ending.EXITED


@LINUX
def test_a_long_last_word_is_kept_whole(run: Run) -> None:
    result = run(
        "import fcntl, os; fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20); os.write(1, b'x' * 900_000)",
        on_started=lambda pid: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT),
    )
    assert (result.ok, result.log_bytes) == (True, 900_000)


def test_a_child_is_stopped_when_asked(run: Run) -> None:
    started: list[int] = []
    result = run("import time; time.sleep(60)", should_stop=lambda: bool(started), on_started=started.append)
    assert result.ending is Ending.STOPPED
    assert not is_alive(started[0])
    assert result.seconds < 5


def test_a_child_that_ignores_the_request_to_end_is_killed(run: Run) -> None:
    result = run(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True); time.sleep(60)",
        wall_s=1,
    )
    assert (result.ending, result.code) == (Ending.WALL, -signal.SIGKILL)


def test_a_child_may_say_goodbye_when_it_is_asked_to_end(run: Run) -> None:
    result = run(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('x' * 200_000), sys.exit(0)))\n"
        "print('on', flush=True); time.sleep(60)",
        wall_s=1,
    )
    assert (result.ending, result.code) == (Ending.WALL, 0), "an end by us wins over a later success"
    assert "x" * 200_000 in result.log.read_text()


def test_a_child_that_closes_its_output_early_is_waited_for(run: Run, tmp_path: Path) -> None:
    result = run("import os, time; os.close(1); os.close(2); time.sleep(0.3); open('done', 'w')")
    assert result.ok
    assert (tmp_path / "done").exists()


@LINUX
def test_a_child_whose_first_thread_has_ended_is_alive_and_is_ended(run: Run) -> None:
    result = run(
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)",
        wall_s=0.5,
    )
    assert (result.ending, result.code) == (Ending.WALL, -signal.SIGTERM)


def test_an_error_of_the_caller_ends_the_child(run: Run) -> None:
    started: list[int] = []

    def stop() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("import time; time.sleep(60)", should_stop=stop, on_started=started.append)
    assert not is_alive(started[0])


def test_a_log_that_cannot_be_written_is_an_error_and_the_child_is_ended(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    started: list[int] = []
    with pytest.raises(ProcessError, match="No space left"):
        run_child(
            ["/bin/sh", "-c", "echo x; sleep 60"],
            cwd=tmp_path,
            env=ENV,
            log=full,
            limits=Limits(10),
            on_started=started.append,
        )
    assert not is_alive(started[0])


def test_a_background_job_that_keeps_the_output_open_does_not_hold_the_turn(tmp_path: Path) -> None:
    result = run_child(
        ["/bin/sh", "-c", "sleep 60 & echo $!; exit 0"],
        cwd=tmp_path,
        env=ENV,
        log=tmp_path / "log",
        limits=Limits(10),
    )
    assert result.ok
    assert result.seconds < 5
    assert not is_alive(int(result.log.read_text()))


FORKER = """
import os, signal, subprocess, sys, time
{before}
told, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {inside}
        print(os.getpid(), flush=True)
        os.close(tell)
        time.sleep(60)
    os._exit(0)
os.close(tell)
os.read(told, 1)
{after}
"""


@LINUX
@pytest.mark.parametrize("end", ["sys.exit(0)", "os.kill(os.getpid(), 9)", "time.sleep(60)"])
def test_a_process_that_left_the_session_is_ended_with_its_leader(run: Run, end: str) -> None:
    result = run(FORKER.format(before="", inside="", after=end), wall_s=1)
    assert not is_alive(int(result.log.read_text().split()[0]))


@LINUX
@pytest.mark.slow
def test_a_deserter_that_ignores_the_request_to_end_is_killed(run: Run) -> None:
    inside = "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.close(0)"
    result = run(FORKER.format(before="", inside=inside, after=""))
    assert result.ok
    assert not is_alive(int(result.log.read_text()))


@LINUX
def test_children_of_deserters_are_ended_too_and_no_zombie_stays(run: Run) -> None:
    result = run(FORKER.format(before="", inside="os.fork()", after=""))
    pids = [int(pid) for pid in result.log.read_text().split()]
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@LINUX
def test_other_children_of_the_caller_are_left_alone(run: Run) -> None:
    with (
        subprocess.Popen(["sleep", "60"]) as ours,
        subprocess.Popen(["sleep", "60"], start_new_session=True) as apart,
    ):
        time.sleep(0.02)  # start times are told apart by the kernel's clock tick
        try:
            later: list[subprocess.Popen[bytes]] = []
            result = run(
                FORKER.format(before="", inside="", after=""),
                on_started=lambda _: later.append(subprocess.Popen(["sleep", "60"])),
            )
            assert result.ok
            assert [child.poll() for child in (ours, apart, *later)] == [None] * 3
        finally:
            for child in (ours, apart, *later):
                child.kill()
                child.wait()


@LINUX
def test_waiting_costs_no_processor_time(run: Run) -> None:
    before = time.process_time()
    run("import time; time.sleep(1)", should_stop=lambda: False, silence_s=5)
    assert time.process_time() - before < 0.1


HARNESS = """
import sys
from pathlib import Path
from orchestrator.lineage import process_identity
from orchestrator.process import Limits, run_child
folder = Path(sys.argv[1])

def started(pid):
    (folder / "new").write_text(f"{pid} {process_identity(pid)}")
    (folder / "new").rename(folder / "started")

run_child([sys.executable, "-c", (folder / "agent.py").read_text()], cwd=folder, env={}, log=folder / "log",
          limits=Limits(60), on_started=started)
"""


def kill_a_harness(folder: Path, agent: str) -> tuple[int, str, list[int]]:
    """Start a harness whose agent prints its processes' ids, kill -9 it; what was recorded, and the ids."""
    (folder / "agent.py").write_text(agent)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", HARNESS, str(folder)], cwd=root, start_new_session=True) as harness:
        log = folder / "log"
        wait_for(lambda: (folder / "started").exists() and log.exists() and "ready" in log.read_text())
        harness.kill()
    pid, identity = (folder / "started").read_text().split()
    return int(pid), identity, [int(word) for word in log.read_text().split() if word.isdigit()]


@LINUX
def test_what_a_killed_harness_left_is_found_and_ended(tmp_path: Path) -> None:
    unmarked = "print(subprocess.Popen(['/bin/sleep', '60'], env={}, start_new_session=True).pid, flush=True)"
    agent = FORKER.format(before="print(os.getpid(), flush=True)", inside=unmarked, after="print('ready', flush=True)")
    pid, identity, pids = kill_a_harness(tmp_path, agent + "\ntime.sleep(60)")
    assert len(pids) == 3
    assert all(map(is_alive, pids))
    assert set(sweep_orphans(pid, identity)) == set(pids)
    assert not any(map(is_alive, pids))
    assert sweep_orphans(pid, identity) == ()


@LINUX
def test_deserters_are_found_after_their_leader_and_their_harness_are_gone(tmp_path: Path) -> None:
    agent = FORKER.format(before="print(os.getpid(), flush=True)", inside="", after="print('ready', flush=True)")
    pid, identity, pids = kill_a_harness(tmp_path, agent + "\ntime.sleep(60)")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    (deserter,) = set(pids) - {pid}
    assert sweep_orphans(pid, identity) == (deserter,)
    assert not is_alive(deserter)


@LINUX
def test_a_recycled_number_and_another_boot_are_never_touched() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        identity = process_identity(stranger.pid)
        assert identity is not None
        boot, start, mark = identity.split(":")
        assert sweep_orphans(stranger.pid, f"{boot}:{int(start) - 1}:{mark}") == ()
        assert sweep_orphans(stranger.pid, f"another-boot:{start}:{mark}") == ()
        assert sweep_orphans(stranger.pid, None) == ()
        assert stranger.poll() is None
        assert sweep_orphans(stranger.pid, identity) == (stranger.pid,)


@LINUX
def test_the_caller_is_never_swept_even_if_it_carries_the_mark() -> None:
    script = (
        "import os; from orchestrator.lineage import process_identity, sweep_orphans\n"
        "print(sweep_orphans(os.getpid(), process_identity(os.getpid())))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env=make_mark(),
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == (b"()\n", 0), done.stderr


def test_an_identity_that_is_none_is_an_error() -> None:
    with pytest.raises(ProcessError, match="expected an identity"):
        sweep_orphans(1, "12345")


@LINUX
def test_no_child_makes_a_file_that_nobody_can_keep(run: Run) -> None:
    done = run(
        "import time\n"
        "time.sleep(0.2)\n"
        "with open('sparse', 'wb') as file:\n"
        "    file.truncate(10**9)\n"
        "    try:\n"
        "        file.truncate(10**12)\n"
        "    except OSError as error:\n"
        "        print(error.strerror)\n"
    )
    assert done.log.read_text() == "File too large\n"
