"""What agents and rows reach from behind the walls, and what is told where there are none."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.config import resolve_config
from orchestrator.errors import ConfigError
from orchestrator.git import Git
from orchestrator.sandbox import Sandbox, find_sandbox

from .conftest import Finished, Project
from .test_loop import wait_for

Make = Callable[[str], Project]
Actor = Callable[[str], str]

KEY = "the planted key"
FIX, REPORT = "MEAN-FIX-001", "MEAN-REPORT-001"


@pytest.fixture
def walls() -> str:
    """The program that makes walls, tried out."""
    program = shutil.which("bwrap")
    words = ["--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "--dev", "/dev", "--proc", "/proc", "true"]
    if program is None or subprocess.run([program, *words], capture_output=True).returncode:
        pytest.skip("no bubblewrap on the PATH that works here: `make check` installs it where it can")
    return program


def environment_of(project: Project) -> dict[str, str]:
    """What a command of the harness sees, without a folder that agents may write to."""
    return {name: value for name, value in project.environment.items() if name != "ORCHESTRATOR_SANDBOX_WRITE"}


def run(project: Project, *arguments: str, **variables: str) -> Finished:
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", "--json", *arguments]
    done = subprocess.run(
        argv, cwd=project.root, env=environment_of(project) | variables, capture_output=True, text=True, timeout=120
    )
    return Finished(done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr)


SPY = """
import glob, json, os, pathlib, socket, subprocess, sys

def attempt(deed):
    try:
        return repr(deed())
    except Exception as error:
        return f"failed: {type(error).__name__}"

def send(family, address):
    with socket.socket(family) as sender:
        sender.settimeout(3)
        sender.connect(address)
        sender.sendall(b"the planted key")
    return "sent"

def git(*words):
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    return done.returncode, done.stdout[:40]

def environments():
    found = [open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/environ") if os.access(path, os.R_OK)]
    return any(b"the planted key" in text for text in found)

def spy():
    root = pathlib.Path("ROOT")
    above = root.parent
    return {name: attempt(deed) for name, deed in {
        "home": lambda: (above / "key").read_text(),
        "home by its name": lambda: pathlib.Path("~/key").expanduser().read_text(),
        "a sibling": lambda: (above / "sibling" / "key").read_text(),
        "the user's checkout": lambda: (root / "mine.txt").read_text(),
        "the journal": lambda: (root / ".orchestrator/journal.jsonl").read_text(),
        "the loop's folder": lambda: os.listdir(root / ".orchestrator"),
        "its turns": lambda: os.listdir(root / ".orchestrator/turns"),
        "environments": environments,
        "the listener": lambda: send(socket.AF_INET, ("127.0.0.1", PORT)),
        "the abstract socket": lambda: send(socket.AF_UNIX, chr(0) + "SOCKET"),
        "writing above": lambda: (above / "sibling" / "written").write_text("x"),
        "writing to the journal": lambda: (root / ".orchestrator/journal.jsonl").open("a").write("{}"),
        "writing to git": lambda: (root / ".git/written").write_text("x"),
        "writing to the interpreter": lambda: pathlib.Path(sys.prefix, "written").write_text("x"),
        "git config": lambda: subprocess.check_output(["git", "config", "--get", "remote.origin.url"]),
        "git log": lambda: git("log", "--format=%s", "-1", "main"),
        "git commit": lambda: git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-qm", "x"),
        "git push": lambda: git("push", "-q", "REMOTE", "HEAD:refs/heads/pushed"),
    }.items()}
"""


@pytest.fixture
def listener() -> Iterator[tuple[int, str, list[socket.socket]]]:
    """Something that listens on the loopback device, and on a socket without a file."""
    name = f"orchestrator-test-{os.getpid()}"
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        abstract.bind(f"\0{name}")
        for one in (tcp, abstract):
            one.listen()
            one.setblocking(False)
        yield tcp.getsockname()[1], name, [tcp, abstract]


Reached = tuple[dict[str, str], dict[str, str], list[socket.socket], Project]


@pytest.fixture
def reached(
    walls: str, make_project: Make, make_actor: Actor, listener: tuple[int, str, list[socket.socket]]
) -> Reached:
    """What a spying agent and a spying row say that they reached."""
    port, name, sockets = listener
    project = make_project("good")
    project.write("mine.txt", KEY)
    above = project.root.parent
    (above / "key").write_text(KEY)
    (above / "sibling").mkdir()
    (above / "sibling" / "key").write_text(KEY)
    subprocess.run(["git", "init", "-q", "--bare", above / "remote"], check=True)
    project.git("remote", "add", "origin", "https://me:" + "hunter22x@" + "forge.example.org/x")
    places = {"PORT": str(port), "SOCKET": name, "REMOTE": str(above / "remote"), "ROOT": str(project.root)}
    spy = SPY
    for word, place in places.items():
        spy = spy.replace(word, place)
    report = (project.root / "report.py").read_text()
    show = "\nopen(sys.argv[1] + '/spied.json', 'w').write(json.dumps(spy()))\n"
    project.git("stash", "-q", "-u")
    project.write("report.py", spy + report + show)
    project.commit()
    project.git("stash", "pop", "-q")
    actor = make_actor(
        spy + "\ndef ralph():\n    right()\n    write('spied.json', json.dumps(spy()))\n    say('Done.')\n"
    )
    done = run(project, "--agent-command", actor, "--network", "none", PLANTED_SECRET=KEY)
    assert done.code == 0, done.said
    agent = json.loads(project.git("show", "loop/run-1:spied.json"))
    (path,) = [
        p for p in project.git("ls-tree", "-r", "--name-only", "loop/run-1").splitlines() if "A1/spied.json" in p
    ]
    return agent, json.loads(project.git("show", f"loop/run-1:{path}")), sockets, project


def test_neither_an_agent_nor_a_row_reaches_anything_outside(reached: Reached) -> None:
    *spies, sockets, project = reached
    above = project.root.parent
    for told in spies:
        for name in ("home", "home by its name", "a sibling", "the user's checkout", "the journal"):
            assert told[name] == "failed: FileNotFoundError", name
        assert told["environments"] == "False"
        assert told["the listener"] == "failed: ConnectionRefusedError"
        assert told["the abstract socket"] == "failed: ConnectionRefusedError"
        for name in ("writing above", "writing to the journal", "writing to git", "writing to the interpreter"):
            assert told[name] in {"failed: FileNotFoundError", "failed: OSError"}, name
        assert told["git commit"].startswith("(128,")
        assert told["git push"].startswith(("(128,", "(1,"))
        assert told["git config"] == repr(b"https://me:[redacted: password in a URL]@forge.example.org/x\n")
        assert told["git log"] == "(0, 'change\\n')"
    assert set(ast.literal_eval(spies[0]["the loop's folder"])) == {"runs", "turns"}
    assert ast.literal_eval(spies[0]["its turns"]) == ["run-1"]
    assert set(ast.literal_eval(spies[1]["the loop's folder"])) == {"turns", "verify"}
    for one in sockets:
        with pytest.raises(BlockingIOError):
            one.accept()
    assert not list(above.glob("**/written"))
    assert subprocess.run(["git", "-C", above / "remote", "show-ref"], capture_output=True).stdout == b""


def left_of(project: Project) -> list[int]:
    """Living processes that work for a project or in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            mine = os.fsencode(project.root) + b"/.orchestrator" in (folder / "environ").read_bytes()
            mine = mine or (folder / "cwd").readlink().is_relative_to(project.root / ".orchestrator")
        except OSError:
            continue
        if mine:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_everything_behind_the_walls_dies_with_a_killed_harness(
    walls: str, make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    actor = make_actor(
        "def galph():\n    subprocess.Popen(['sleep', '60'], start_new_session=True)\n    write('up', 'x')\n"
        "    import signal, time\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(60)\n"
    )
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", "--agent-command", actor]
    with subprocess.Popen(argv, cwd=project.root, env=environment_of(project), stderr=subprocess.DEVNULL) as loop:
        wait_for((project.root / ".orchestrator/runs/run-1/up").exists)
        left = left_of(project)
        loop.send_signal(signal.SIGKILL)
    assert len(left) == 4, "bubblewrap and its first process, the agent, and the agent's child"
    wait_for(lambda: not left_of(project))
    assert run(project).code == 0


@pytest.mark.slow
def test_an_agent_behind_the_walls_is_asked_to_end_before_it_is_killed(
    walls: str, make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    actor = make_actor(
        "import signal, time\ndef bye(*_):\n    print('goodbye', flush=True)\n    raise SystemExit\n"
        "def galph():\n    signal.signal(signal.SIGTERM, bye)\n    time.sleep(60)\n"
    )
    done = run(project, "--agent-command", actor, "--turn-minutes", "0.02", "--iterations", "1")
    assert "ended (wall) after" in done.said
    log = (project.root / ".orchestrator/turns/run-1/0001-galph/agent.log").read_text()
    assert log.startswith("goodbye\n[orchestrator] ended after")
    assert left_of(project) == []


@pytest.mark.slow
def test_paths_that_a_person_adds_can_be_read_and_those_for_the_agent_written(
    walls: str, make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    read, write = project.root.parent / "to read", project.root.parent / "to write"
    for folder in (read, write):
        folder.mkdir()
        (folder / "text").write_text(KEY)
    actor = make_actor(
        f"read, write_ = pathlib.Path({str(read)!r}), pathlib.Path({str(write)!r})\n"
        "def galph():\n    supervise(facts, work)\n    (write_ / 'mine').write_text((read / 'text').read_text())\n"
        "    try:\n        (read / 'mine').write_text('x')\n    except OSError as error:\n        print(error)\n"
    )
    project.write("orchestration.yaml", f"sandbox_read: [{str(read)!r}, $NOT_SET/x]\nsandbox_write: [~/to write]\n")
    done = run(project, "--agent-command", actor, "--iterations", "1")
    assert done.focus(FIX)["verified"] == ["A1"], done.said
    assert (write / "mine").read_text() == KEY
    assert "Read-only" in (project.root / ".orchestrator/turns/run-1/0001-galph/agent.log").read_text()


NEEDED = """import os, pathlib, sys
folder = pathlib.Path(os.environ["HOME"], "kept")
(folder / sys.argv[1]).write_text("3")
"""

READER = """import json, os, pathlib, sys
folder = pathlib.Path(os.environ["HOME"], "kept")
found = int((folder / "three").read_text())
try:
    (folder / "three").write_text("4")
    found = "written to"
except OSError:
    pass
open(sys.argv[1] + "/report.json", "w").write(json.dumps({"mean": found}))
"""


def test_what_a_need_provides_can_be_read_by_rows_and_not_changed(walls: str, make_project: Make) -> None:
    project = make_project("good")
    project.write("orchestration.yaml", "needs:\n  number: python need.py {name}\nneeds_folder: [$NOT_SET, ~/kept]\n")
    project.write("need.py", NEEDED)
    project.write("report.py", READER)
    plan = f"plans/active/{REPORT}/implementation.md"
    project.write(plan, (project.root / plan).read_text().replace("{hub}`\n", "{hub}`\n  - Needs: number:three\n", 1))
    project.write("docs/fix_plan.md", (project.root / "docs/fix_plan.md").read_text().replace(f"on: {FIX}", "on: None"))
    project.commit()
    done = run(project, "--focus", REPORT)
    assert done.focus(REPORT)["verified"] == ["A1", "B1"], done.said
    assert (project.root.parent / "kept/three").read_text() == "3"


@pytest.mark.slow
def test_the_loop_works_behind_walls_with_everything_in_odd_places(
    walls: str, make_project: Make, tmp_path: Path
) -> None:
    """Called from a linked worktree, in a home that is a link, with a shared clone and an interpreter behind links."""
    project = make_project("good")
    real = tmp_path / "réal home"
    real.mkdir()
    (tmp_path / "home").symlink_to(real)
    shared, linked = real / "shared", Project(real / "a linked\nwörktree")
    project.git("clone", "-q", "--shared", str(project.root), str(shared))
    Project(shared).git("worktree", "add", "-q", "-b", "mine", str(linked.root))
    (linked.root / ".venv").symlink_to(sys.prefix)
    interpreter = linked.root / ".venv/bin" / Path(sys.executable).name
    argv = [interpreter, "-P", "-m", "orchestrator.loop", "--json", "--sandbox", "required"]
    environment = environment_of(project) | {"HOME": str(tmp_path / "home"), "TMPDIR": str(real)}
    done = subprocess.run(argv, cwd=linked.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert linked.git("rev-list", "--count", "mine..loop/run-1") == "6"


@pytest.mark.slow
def test_without_bubblewrap_the_run_its_status_and_the_doctor_say_so(make_project: Make, tmp_path: Path) -> None:
    project = make_project("good")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "")
    bare = {"PATH": str(programs)}
    done = run(project, "--focus", FIX, **bare)
    assert done.code == 0, done.said
    assert (
        "sandbox: none, bubblewrap (bwrap) is not on the PATH; agents and rows reach all" in done.said.split("galph")[0]
    )
    argv = [sys.executable, "-P", "-m", "orchestrator"]
    told = [
        subprocess.run(
            [*argv, *words], cwd=project.root, env=environment_of(project) | bare, capture_output=True, text=True
        )
        for words in (["status", "--json"], ["doctor"])
    ]
    assert json.loads(told[0].stdout)["sandbox"] == "none, bubblewrap (bwrap) is not on the PATH"
    assert "✓ sandbox: none, bubblewrap" in told[1].stdout
    refused = run(project, "--sandbox", "required", **bare)
    assert refused.code == 2
    assert "sandbox: required, but bubblewrap (bwrap) is not on the PATH; install or permit it" in refused.said


@pytest.mark.slow
def test_a_bubblewrap_that_does_not_work_is_as_good_as_none_and_why_is_told(make_project: Make, tmp_path: Path) -> None:
    project = make_project("good")
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    done = run(project, "--focus", FIX, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.code == 0, done.said
    assert "none, bubblewrap does not work here: bwrap: setting up uid map: Permission denied; agents" in done.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sandbox: perhaps", "sandbox must be one of auto, required, off, not 'perhaps'"),
        ("network: some", "network must be one of full, none"),
        ("sandbox_read: [here]", "sandbox_read must be a list of absolute paths"),
    ],
)
def test_settings_that_cannot_be_meant_are_errors(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "orchestration.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        resolve_config(tmp_path, {})


def test_a_bare_off_in_yaml_means_off(make_project: Make) -> None:
    project = make_project("good")
    project.write("orchestration.yaml", "sandbox: off\n")
    config = resolve_config(project.root, {})
    assert config.sandbox == "off"
    assert find_sandbox(config, Git(project.root)) == Sandbox(note="none, as configured")


def test_a_program_that_does_not_exist_is_left_to_fail_as_it_does_without_walls(tmp_path: Path) -> None:
    sandbox = Sandbox(program="bwrap")
    environment = {"PATH": f".:{os.defpath}"}
    assert sandbox.wrap(["no-such-program"], tmp_path, environment) == ["no-such-program"]
    assert sandbox.wrap(["./tool"], tmp_path, environment) == ["./tool"]
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    assert sandbox.wrap(["./tool"], tmp_path, environment)[-2:] == ["--", "./tool"]
    assert sandbox.wrap(["tool"], tmp_path, environment)[-2:] == ["--", "tool"], "found in the child's own folder"
