"""Agents that do not end as they should, in a whole run: what becomes of the turn, and that nothing outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Finished, Project
from .test_sandbox import environment_of, left_of, run

Make = Callable[[str], Project]
Actor = Callable[[str], str]

FIX = "MEAN-FIX-001"
FOR_EVER = "[sys.executable, '-c', 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)']"

# What the engineer does beside its work, and what is said of its turn; none: the turn counts.
DEEDS = {
    "leaves a child in its group": (f"subprocess.Popen({FOR_EVER})", ""),
    "leaves a child in a session of its own": (f"subprocess.Popen({FOR_EVER}, env={{}}, start_new_session=True)", ""),
    "leaves a grandchild that nobody waits for": (
        f"subprocess.run(['sh', '-c', 'nohup setsid sleep 600 >/dev/null 2>&1 &']); subprocess.Popen({FOR_EVER})",
        "",
    ),
    "forks again and again": ("[os._exit(0) for _ in range(40) if os.fork() and os.setsid]", ""),
    "leaves a background job on its output": ("subprocess.run(['sh', '-c', 'sleep 600 & yes | head -c 99 &'])", ""),
    "closes its output early": ("os.close(1); os.close(2); import time; time.sleep(0.3)", ""),
    "does not end when it is asked to": (
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
        "agent command: ended (wall) after",
    ),
    "falls silent": ("import time; time.sleep(600)", "agent command: ended (silence) after"),
    "prints half a line and dies": ("os.write(1, b'{half a li'); os.kill(os.getpid(), 9)", "agent command: exit code"),
    "prints without end": (
        "while True: os.write(1, b'0123456789abcde ' * 65536)",
        "agent command: ended (output) after",
    ),
}
QUICK = {
    "leaves a child in a session of its own",
    "leaves a background job on its output",
    "prints half a line and dies",
}


def play(project: Project, actor: str, *arguments: str) -> Finished:
    return run(project, "--agent-command", actor, "--focus", FIX, "--iterations", "1", *arguments)


@pytest.mark.parametrize(
    ("deed", "sandbox"),
    [
        pytest.param(deed, sandbox, marks=[] if deed in QUICK and sandbox == "auto" else pytest.mark.slow)
        for deed in DEEDS
        for sandbox in ("auto", "off")
    ],
)
def test_nothing_outlives_the_turn_of_an_agent_that(
    deed: str, sandbox: str, make_project: Make, make_actor: Actor
) -> None:
    code, said = DEEDS[deed]
    project = make_project("good")
    actor = make_actor(f"def ralph():\n    right()\n    say('Did it.')\n    print('begun', flush=True)\n    {code}\n")
    limits = {
        "does not end when it is asked to": ["--turn-minutes", "0.05"],
        "falls silent": ["--silence-minutes", "0.03"],
    }
    started = time.monotonic()
    done = play(project, actor, "--sandbox", sandbox, *limits.get(deed, []))
    assert time.monotonic() - started < 60, "600 s is what a child would last"
    assert left_of(project) == []
    assert done.focus(FIX)["verified"] == ([] if said else ["A1"]), done.said
    assert said in done.said
    turn = project.root / ".orchestrator/turns/run-1/0002-ralph"
    log = (turn / "agent.log").read_bytes()
    assert log.startswith(b"begun\n")
    assert len(log) < 65 << 20
    if said:
        assert "+    return sum(values) / len(values)" in (turn / "abandoned.patch").read_text()
        assert Project(project.work).git("status", "--porcelain") == ""
    if deed == "prints half a line and dies":
        assert log == b"begun\n{half a li"


@pytest.mark.parametrize("sandbox", ["auto", pytest.param("off", marks=pytest.mark.slow)])
def test_what_an_agent_writes_outside_is_in_no_commit(sandbox: str, make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    places = [project.root / "calc.py", project.root / "new.txt", project.root.parent / "elsewhere.txt"]
    actor = make_actor(
        f"def ralph():\n    right()\n    say('Did it.')\n    for place in {[str(place) for place in places]}:\n"
        "        try:\n            open(place, 'a').write('# mine')\n"
        "        except OSError as error:\n            print(type(error).__name__, flush=True)\n"
    )
    done = play(project, actor, "--sandbox", sandbox)
    assert done.focus(FIX)["verified"] == ["A1"], done.said
    assert "# mine" not in project.git("show", "loop/run-1:calc.py")
    assert "new.txt" not in project.git("ls-tree", "-r", "--name-only", "loop/run-1")
    has_walls = "sandbox: none" not in done.said
    written = [place.name for place in places if place.exists() and "# mine" in place.read_text()]
    assert written == ([] if has_walls else ["calc.py", "new.txt", "elsewhere.txt"])


HOOKS = (
    "post-checkout",
    "reference-transaction",
    "post-index-change",
    "pre-commit",
    "post-commit",
    "pre-push",
    "post-merge",
)


@pytest.mark.slow
def test_no_hook_filter_of_output_or_helper_of_the_user_runs_in_the_harness_own_git(make_project: Make) -> None:
    project = make_project("good")
    home, marker = project.root.parent, project.root.parent / "called"
    program = home / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{marker}'\nexit 1\n")
    program.chmod(0o755)
    (home / "hooks").mkdir()
    for hooks in (home / "hooks", project.root / ".git/hooks"):
        for name in HOOKS:
            (hooks / name).unlink(missing_ok=True)
            (hooks / name).symlink_to(program)
    settings = {
        "core.hooksPath": home / "hooks",
        **dict.fromkeys(("core.fsmonitor", "core.pager", "core.editor", "diff.external", "gpg.program"), program),
        **dict.fromkeys(("core.askPass", "credential.helper", "diff.tool", "core.sshCommand"), program),
        "commit.gpgSign": "true",
        "push.default": "matching",
    }
    for key, value in settings.items():
        subprocess.run(["git", "config", "--file", home / ".gitconfig", key, str(value)], check=True)
    subprocess.run(["git", "init", "-q", "--bare", home / "remote"], env={"PATH": os.environ["PATH"]}, check=True)
    project.git("remote", "add", "origin", str(home / "remote"))
    assert run(project).code == 0
    for words in (["status"], ["doctor"], ["report", "--out", str(home / "pages")], ["prune", "--dry-run"]):
        argv = [sys.executable, "-P", "-m", "orchestrator", *words]
        assert subprocess.run(argv, cwd=project.root, env=environment_of(project), capture_output=True).returncode == 0
    assert not marker.exists(), marker.read_text()
    refs = subprocess.run(
        ["git", "for-each-ref"], cwd=home / "remote", capture_output=True, env={"PATH": os.environ["PATH"]}
    )
    assert refs.stdout == b"", "nothing is pushed"


def test_left_of_finds_what_it_is_to_find(make_project: Make, tmp_path: Path) -> None:
    project = make_project("good")
    work = project.root / ".orchestrator"
    work.mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=work, env={}) as child:
        try:
            assert left_of(project) == [child.pid]
        finally:
            child.kill()
