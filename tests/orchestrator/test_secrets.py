"""Keys and passwords reach no log, hub or commit, and what only looks a little like one is left alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import child_environment, known_secrets, resolve_config
from orchestrator.process import Limits, run_child
from orchestrator.secrets import Redactor, find_secrets, redact, redact_file, redact_text

from .conftest import HARNESS, Project
from .test_sandbox import environment_of, run

Make = Callable[[str], Project]
Actor = Callable[[str], str]

# Put together here, so that none stands in this file.
SECRETS = {
    "AWS access key": "AKIA" + "Q3EGRIBTCXOPLK2Z",
    "AWS secret key": "aws_secret_access_key = " + "wJalr/XUtnFEMI7K+MDENGbPxRfiCYzQmKeYa1b2",
    "GitHub token": "ghp_" + "a1B2c3D4e5" * 4,
    "GitLab token": "glpat-" + "x9Y8z7W6v5U4t3S2r1Q0",
    "model provider's key": "sk-ant-" + "api03-" + "a1B2c3D4e5" * 5,
    "Slack token": "xoxb-" + "123456789012-abcdefABCDEF",
    "Slack hook": "https://hooks.slack.com/services/" + "T0123ABCD/B0123ABCD/" + "a1B2c3D4e5" * 2,
    "Google key": "AIza" + "a1B2c3D" * 5,
    "Hugging Face token": "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
    "npm token": "npm_" + "a1B2c3D4e5" * 3 + "a1B2c3",
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmc" + "a1B2c3D4e5" * 6,
    "JSON web token": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0." + "a1B2c3D4e5",
    "authorization header": "AUTHORIZATION: basic " + "eC1hY2Nlc3MtdG9rZW46Z2hzX2FiY2RlZg==",
    "private key": "-----BEGIN RSA "
    + "PRIVATE KEY-----\n"
    + "MIIEowIBAAKCAQEA7\n" * 9
    + "-----END RSA PRIVATE KEY-----",
    "password in a URL": "https://me:" + "hunter22x@" + "pypi.example.org/simple",
}
TOKEN = SECRETS["GitHub token"]


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_is_found_with_its_line_and_replaced(kind: str) -> None:
    text = f'first\n{{"it": "{SECRETS[kind]}"}}\nlast\n'
    (found,) = find_secrets(text.encode())
    assert (found.kind, found.line) == (kind, 2)
    shown = redact_text(text)
    assert found.value.decode() not in shown
    assert f"[redacted: {kind}]" in shown
    assert shown.startswith("first\n")
    assert shown.endswith("\nlast\n")
    assert redact_text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "dbce7715c1d4a7c28a48f684dacc7d343fbc5d06fe993d6ea31714ffb5c68d3d da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sk-fake sk-learn task-0123456789abcdefghij disk-1-of-the-machine-that-was-long-ago sk-a-b-c-d-e-f-g-h-1-j-k-l",
        "AKIA" + "IOSFODNN7EXAMPLE and AKIA" + "0123",
        "https://user:password@host https://me:${TOKEN}@host git@github.com:a/b.git http://127.0.0.1:8000/a@b",
        "-----BEGIN RSA PRIVATE KEY----- and -----BEGIN CERTIFICATE-----\nMIIE" + "a" * 100,
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    ],
)
def test_what_only_looks_a_little_like_a_secret_is_left_alone(text: str) -> None:
    assert find_secrets(text.encode()) == ()
    assert redact_text(text) == text


def test_this_repository_raises_no_alarm() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HARNESS, capture_output=True).stdout.split(b"\0")[:-1]
    if not listed:
        pytest.skip("not in a checkout")
    paths = [HARNESS / name.decode() for name in listed]
    found = {p.name: [(s.kind, s.line) for s in find_secrets(p.read_bytes())] for p in paths if p.is_file()}
    assert {name: secrets for name, secrets in found.items() if secrets} == {}


PIECES = [
    *SECRETS.values(),
    "a value\nof the\nenvironment",
    "word",
    " ",
    "\n",
    "é€😀",
    "x" * 70,
    "\x00\xff",
    "=",
    "-----BEGIN ",
]


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=12), cuts=st.lists(st.integers(1, 90), min_size=1, max_size=30)
)
def test_however_a_stream_is_cut_no_secret_in_it_gets_through(pieces: list[str], cuts: list[int]) -> None:
    known = [b"a value\nof the\nenvironment"]
    data = " ".join(pieces).encode()
    redactor, shown, at = Redactor(known), b"", 0
    for size in cuts * len(data):
        shown += redactor.feed(data[at : at + size])
        at += size
        if at >= len(data):
            break
    shown += redactor.flush()
    for secret in find_secrets(data, known):
        assert secret.value not in shown
    if not find_secrets(data, known):
        assert shown == data
    assert shown == redact(data, known)


def test_a_secret_that_is_printed_in_two_writes_is_not_in_the_log(tmp_path: Path) -> None:
    parts = (TOKEN[:9], f"{TOKEN[9:]} end")
    script = f"import os, time\nfor part in {parts}: os.write(1, part.encode()); time.sleep(0.2)"
    result = run_child([sys.executable, "-c", script], cwd=tmp_path, env={}, log=tmp_path / "log", limits=Limits(10))
    assert result.log.read_text() == "[redacted: GitHub token] end"
    assert result.redacted == 1
    assert result.log_bytes == len("[redacted: GitHub token] end")


def test_values_of_variables_that_say_so_are_secret_whatever_they_look_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", "horse battery")
    monkeypatch.setenv("KEYBOARD_LAYOUT", "german-nodeadkeys")
    monkeypatch.setenv("SSL_KEY_FILE", "/etc/ssl/key.pem")
    monkeypatch.setenv("MAX_TOKENS", "100000000")
    known = known_secrets({"DB_PASSWORD": "correct staple", "PASSWORD": "short"})
    assert {b"horse battery", b"correct staple"} <= set(known)
    assert not {b"german-nodeadkeys", b"/etc/ssl/key.pem", b"100000000", b"short"} & set(known)
    assert redact(b"a horse battery, twice: horse battery", known).count(b"[redacted: value of the environment]") == 2


def test_a_child_sees_the_allowlist_and_keys_only_with_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"AWS_SECRET": "x", "MY_KEY": "y", "MY_FOLDER": "z", "GIT_ASKPASS": "a", "LANG": "C"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "orchestration.yaml").write_text("pass_env: [MY_KEY, MY_FOLDER]\n")
    config = resolve_config(tmp_path, {})
    with_network, without = (set(child_environment(config, tmp_path, network=on)) for on in (True, False))
    assert {"MY_KEY", "MY_FOLDER", "LANG", "PATH"} <= with_network
    assert with_network - without == {"MY_KEY"} | {
        name for name in with_network if name.startswith(("PIP_", "SSL_", "REQ", "HTTP"))
    }
    assert not {"AWS_SECRET", "GIT_ASKPASS"} & with_network


def test_a_file_without_a_secret_is_not_written_and_a_linked_one_stays(tmp_path: Path) -> None:
    kept, linked = tmp_path / "kept", tmp_path / "linked"
    kept.write_text(TOKEN)
    linked.hardlink_to(kept)
    redact_file(linked)
    assert (kept.read_text(), linked.read_text()) == (TOKEN, "[redacted: GitHub token]")
    inode = linked.stat().st_ino
    redact_file(linked)
    assert linked.stat().st_ino == inode


LEAKY = """
key = os.environ["MY_AGENT_KEY"]

def galph():
    print("my key is", key, "and", TOKEN)
    supervise(facts, work)

def ralph():
    right()
    print("{" + chr(34) + "key" + chr(34) + ": " + key + "}", end="")
    write("settings.py", "# nothing\\nTOKEN = '" + TOKEN + "'\\n")
    write("keys/" + TOKEN + ".txt", "x")
    write("old.py", (work / "old.py").read_text() + "# more\\n")
    if item["implement"]:
        write(item["hub"] + "agent/notes.txt", "key " + key)
        write(item["hub"] + "agent/harmless.txt", "no key")
    say("Used " + key + ".")
"""


@pytest.fixture
def leaked(make_project: Make, make_actor: Actor) -> tuple[Project, str]:
    """A run of an agent that spreads two secrets, and what the run said."""
    project = make_project("good")
    project.write("old.py", f"TOKEN = {SECRETS['Google key']!r}\n")
    report = (project.root / "report.py").read_text()
    project.write(
        "report.py",
        f"{report}key = {TOKEN[:9]!r} + {TOKEN[9:]!r}\nprint(key)\nopen(sys.argv[1] + '/log.txt', 'w').write(key)\n",
    )
    project.commit()
    actor = make_actor(f"TOKEN = {TOKEN!r}\n{LEAKY}")
    done = run(
        project,
        "--agent-command",
        actor,
        MY_AGENT_KEY="the magic words",
        ORCHESTRATOR_PASS_ENV="MY_AGENT_KEY,PYTEST_DISABLE_PLUGIN_AUTOLOAD",  # noqa: S106 -- names of variables
    )
    assert done.focus("MEAN-FIX-001")["verified"] == ["A1"], done.said
    return project, done.said


@pytest.mark.slow
def test_a_secret_that_an_agent_spreads_is_in_no_log_hub_patch_commit_or_page(leaked: tuple[Project, str]) -> None:
    project, said = leaked
    history = project.git("log", "-p", "--all", "main..", "--branches", "--not", "main")
    home = project.root / ".orchestrator"
    files = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    pages = project.root.parent / "pages"
    made = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator", "report", "--out", pages],
        cwd=project.root,
        env=environment_of(project),
    )
    assert made.returncode == 0
    for secret in (TOKEN, "the magic words"):
        assert secret not in said
        assert secret not in history
        assert [path for path in (*files, *pages.rglob("*.html")) if secret.encode() in path.read_bytes()] == []
        assert secret not in project.git("ls-tree", "-r", "--name-only", "loop/run-1")
    log = (home / "turns/run-1/0001-galph/agent.log").read_text()
    assert log == "my key is [redacted: value of the environment] and [redacted: GitHub token]\n"


def test_what_brings_a_secret_is_put_back_with_its_line_and_the_rest_of_the_turn_counts(
    leaked: tuple[Project, str],
) -> None:
    project, said = leaked
    assert "settings.py: was put back (line 2 holds a secret, GitHub token): read it from the environment" in said
    assert "keys/[redacted: GitHub token].txt: was put back (its name holds a secret)" in said
    assert "agent/notes.txt: was put back (line 1 holds a secret, value of the environment" in said
    assert "[SECRET-COMMITTED]" in said
    assert "its output held a secret: it was replaced in the log" in said
    assert "[SECRET-PRINTED]" in said
    names = project.git("ls-tree", "-r", "--name-only", "loop/run-1").splitlines()
    assert not {"settings.py", "keys"} & set(names)
    assert [name for name in names if name.endswith("agent/harmless.txt")]
    assert project.git("show", "loop/run-1:old.py").endswith("# more"), "what stood there before is nobody's fault"
    (log,) = [name for name in names if name.endswith("A1/log.txt")]
    assert project.git("show", f"loop/run-1:{log}") == "[redacted: GitHub token]"
    assert project.command("orchestrator", "audit", ".").returncode == 0


def test_a_handoff_that_holds_a_secret_is_sent_back_and_the_reason_does_not_show_it(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    actor = make_actor(
        f"def galph():\n    supervise(facts, work)\n    if not facts['refusals']:\n"
        f"        write('input.md', (work / 'input.md').read_text() + {TOKEN!r} + chr(10))\n"
    )
    done = run(project, "--agent-command", actor, "--iterations", "1", "--focus", "MEAN-FIX-001")
    assert done.focus("MEAN-FIX-001")["verified"] == ["A1"], done.said
    assert (
        "holds a secret, GitHub token" in (project.root / ".orchestrator/turns/run-1/0002-galph/prompt.md").read_text()
    )
    assert TOKEN not in project.git("log", "-p", "main..loop/run-1")
    assert TOKEN not in (project.root / ".orchestrator/journal.jsonl").read_text()
