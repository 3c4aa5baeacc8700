"""What the house style promises of the whole tree, held by machines."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "ptycho", "ptycho_torch")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/*.md")
DOCUMENTS = sorted(path for pattern in PAGES for path in ROOT.glob(pattern))
CONFIGURATION = ("orchestrator/config.py", "ptycho/config/cache.py")
FRAMEWORKS = {"torch", "tensorflow", "keras", "matplotlib"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run_python(*arguments: str, cwd: Path, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run our interpreter on the checkout's packages, in an environment that holds nothing else."""
    return subprocess.run(
        [sys.executable, *flags, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"], "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# What an import does


def test_importing_the_packages_loads_the_standard_library_only(tmp_path: Path) -> None:
    script = (
        "import sys; before = set(sys.modules); import orchestrator, ptycho\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = run_python("-c", script, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("orchestrator ptycho\n", "", 0)
    assert list(tmp_path.iterdir()) == []


def test_importing_any_module_prints_nothing_writes_nothing_and_loads_no_framework(tmp_path: Path) -> None:
    names = [
        relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in SOURCES
        if path.name != "__main__.py" and not FRAMEWORKS & set(path.relative_to(ROOT).parts)
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {names}: importlib.import_module(name)\n"
        f"loaded = {FRAMEWORKS} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    done = run_python("-c", script, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["orchestrator.loop", "orchestrator", "ptycho"])
def test_help_needs_the_standard_library_only(module: str, tmp_path: Path) -> None:
    done = run_python("-m", module, "--help", cwd=tmp_path, flags=("-S",))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    for command in re.findall(r"^    ([a-z]+)(?: |$)", done.stdout, re.MULTILINE):
        done = run_python("-m", module, command, "--help", cwd=tmp_path, flags=("-S",))
        assert done.returncode == 0, done.stderr
        assert f"{command} " in done.stdout


@pytest.mark.parametrize("module", ["orchestrator.loop", "orchestrator", "ptycho"])
def test_a_mistyped_flag_is_an_error(module: str, tmp_path: Path) -> None:
    done = run_python("-m", module, "--no-such-flag", cwd=tmp_path, flags=("-S",))
    assert done.returncode == 2
    assert done.stdout == ""


# What the sources may not do


def violations(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Name what a module does that none may: read the environment, run a shell, load code from data."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "getenvb" | "chdir"):
                yield node.lineno, f"os.{node.attr}"
            case ast.ImportFrom(module="os", names=names):
                yield from ((node.lineno, f"os.{name.name}") for name in names if name.name in ("environ", "getenv"))
            case ast.keyword(arg="shell" | "allow_pickle", value=ast.Constant(value=True)):
                yield node.value.lineno, f"{node.arg}=True"
            case ast.Import(names=names) if any(name.name in ("pickle", "marshal", "shelve") for name in names):
                yield node.lineno, f"import {names[0].name}"
            case ast.Global():
                yield node.lineno, "global"
            case ast.Call(func=ast.Name(id="exec" | "eval" | "print")):
                yield node.lineno, f"{node.func.id}()"


def test_the_environment_is_read_in_config_and_nothing_runs_a_shell_or_loads_code() -> None:
    found = [
        f"{relative(path)}:{line}: {what}"
        for path in SOURCES
        for line, what in violations(ast.parse(path.read_text(encoding="utf-8")))
        if not (relative(path) in CONFIGURATION and what in ("os.environ", "os.getenv"))
        and not (relative(path) == "ptycho/data/pickled.py" and what == "import pickle")  # runs nothing it names
    ]
    assert found == []


def test_what_is_forbidden_is_found() -> None:
    source = (
        "import os, pickle\nfrom os import environ\nimport pickle\nos.getenv('A')\nos.environ['A']\n"
        "run(shell=True)\nload(allow_pickle=True)\ndef f():\n    global x\n    exec('')\n    os.chdir('/')\n"
    )
    assert {line for line, _ in violations(ast.parse(source))} == {1, 2, 3, 4, 5, 6, 7, 9, 10, 11}


def test_no_module_is_named_after_nothing() -> None:
    vague = re.compile(r"(utils?|misc|helpers?|common)|.*_(v\d+|legacy|old|new)")
    assert [relative(path) for path in SOURCES if vague.fullmatch(path.stem)] == []


def test_every_module_says_what_it_is_for_in_one_line() -> None:
    for path in SOURCES:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, f"{relative(path)}: no docstring"
        assert docstring.splitlines()[0].endswith("."), f"{relative(path)}: the first line is no sentence"


# Sizes


def measure(root: Path) -> subprocess.CompletedProcess[str]:
    return run_python(str(ROOT / "tools/size.py"), str(root), cwd=root)


def test_modules_and_packages_keep_to_their_sizes() -> None:
    done = measure(ROOT)
    assert done.returncode == 0, done.stderr


def test_a_module_over_a_limit_is_named(tmp_path: Path) -> None:
    docs = '"""Doc.\n\nMore.\n"""\n# comment\n\n'
    modules = {
        "orchestrator/fits.py": f'{docs}__all__ = ["a"]\n' + "a = (\n    1,\n)\n" * 99,
        "orchestrator/long.py": f'{docs}__all__ = ["a"]\n' + "a = (\n    1,\n)\n" * 100,
        "orchestrator/tall.py": docs + "__all__ = []\n" + "# why\n" * 500,
        "orchestrator/wide.py": f"__all__ = {[f'name{number}' for number in range(16)]}\n",
        "ptycho/bare.py": "a = 1\n",
        **{f"ptycho/part{number}.py": "__all__ = []\n" + "a = 1\n" * 299 for number in range(41)},
    }
    for name, source in modules.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    done = measure(tmp_path)
    assert done.returncode == 1
    assert [line.partition(";")[0] for line in done.stderr.splitlines()] == [
        "orchestrator/long.py: expected at most 300 logical lines, came 301",
        "orchestrator/tall.py: expected at most 500 lines, came 507",
        "orchestrator/wide.py: expected at most 15 public names, came 16",
        "ptycho/bare.py: expected a literal __all__, came none",
        "ptycho: expected at most 12000 logical lines, came 12301",
    ]
    assert "orchestrator in all: 601 logical lines of 13000" in done.stdout


# The documents


class Block(NamedTuple):
    """A fenced block of a document; `info` is what stands behind the fence."""

    path: Path
    line: int
    info: list[str]
    text: str


def read_blocks(path: Path) -> list[Block]:
    """List the fenced blocks of a document that show commands."""
    text = path.read_text(encoding="utf-8")
    found = re.finditer(r"^```([^\n`]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = [Block(path, text.count("\n", 0, m.start()) + 1, re.split(r"[\s,]+", m[1].strip()), m[2]) for m in found]
    return [block for block in blocks if block.info[0] in ("sh", "bash", "shell", "console")]


def read_commands(block: Block) -> list[list[str]]:
    """List a block's commands as argument lists; in a console block they stand behind a `$`."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.info[0] == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [argv for line in lines if (argv := shlex.split(line, comments=True))]


BLOCKS = [block for path in DOCUMENTS for block in read_blocks(path)]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh repository with what the checkout would commit, as a new user has it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is nothing to clone")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")[:-1]
    clone = tmp_path / "clone"
    for name in map(os.fsdecode, names):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    user = ["-c", "user.name=A Reader", "-c", "user.email=reader@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], [*user, "commit", "-q", "-m", "Clone"]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    return clone


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted({block.path for block in BLOCKS if "no-run" not in block.info}), ids=relative)
def test_the_commands_a_document_shows_run(path: Path, clone: Path) -> None:
    interpreter = Path(sys.executable)
    env = {
        "PATH": f"{interpreter.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(clone.parent),
        "MPLBACKEND": "Agg",
    }
    for block in read_blocks(path):
        if "no-run" in block.info:
            continue
        for argv in read_commands(block):
            where = f"{relative(path)}:{block.line}: {shlex.join(argv)}"
            assert not {"|", ">", "&&", ";", "cd"} & set(argv), f"{where}: needs a shell; mark its block no-run"
            program = str(interpreter) if argv[0] in ("python", "python3", ".venv/bin/python") else argv[0]
            done = subprocess.run(
                [program, *argv[1:]], cwd=clone, env=env, capture_output=True, text=True, check=False, timeout=600
            )
            assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{relative(block.path)}:{block.line}")
def test_make_targets_and_modules_that_documents_name_exist(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for argv in read_commands(block):
        if argv[0] == "make":
            assert {word for word in argv[1:] if "=" not in word and word[0] != "-"} <= targets
        if "-m" in argv and argv[argv.index("-m") + 1].partition(".")[0] in PACKAGES:
            assert importlib.util.find_spec(argv[argv.index("-m") + 1]), shlex.join(argv)


def test_every_phony_target_of_the_makefile_is_there() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    assert set(phony) == set(re.findall(r"^([a-z-]+):(?!=)", text, re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)|<img[^>]* src=\"([^\"]+)\"", text):
        link = target[0] or target[1]
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), f"{relative(path)}: {link} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings], link


@pytest.mark.parametrize(("name", "limit"), [("README.md", 120), ("CONTRIBUTING.md", 60)])
def test_the_first_documents_are_short(name: str, limit: int) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").count("\n")
    assert 0 < lines <= limit


# What is carried


def test_the_prompts_of_all_roles_are_carried(tmp_path: Path) -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["force-include"]["prompts"] == "orchestrator/prompts"
    assert "prompts" in build["sdist"]["include"]
    script = (
        "from orchestrator import roles; from orchestrator.prompts import Prompts, prompt_folders\n"
        "prompts = Prompts(prompt_folders())\n"
        "print(*(len(prompts.sha256(role.prompt)) for role in (roles.SUPERVISOR, roles.ENGINEER)))"
    )
    done = run_python("-c", script, cwd=tmp_path)
    assert done.stdout == "64 64\n", done.stderr


@pytest.mark.slow
@pytest.mark.network
def test_a_wheel_holds_both_packages_and_the_prompts(tmp_path: Path, clone: Path) -> None:
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "."]
    subprocess.run(wheel, cwd=clone, check=True)
    (built,) = tmp_path.glob("*.whl")
    listing = subprocess.run([sys.executable, "-m", "zipfile", "-l", built], capture_output=True, text=True, check=True)
    for name in (
        "orchestrator/loop.py",
        "orchestrator/prompts/supervisor.md",
        "orchestrator/report/templates/report.css",
        "orchestrator/starter/fix_plan.md",
        "ptycho/cli.py",
        "ptycho_torch/inference.py",
    ):
        assert name in listing.stdout
