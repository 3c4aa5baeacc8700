"""Runnable rows of a plan: the harness runs them itself, each into an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.config import known_secrets
from orchestrator.evidence.commands import resolve_command, split_test, words_of
from orchestrator.evidence.criteria import check_expectation
from orchestrator.evidence.hubs import FILE_LIMIT
from orchestrator.evidence.testing import TestBench, run_tests
from orchestrator.facts import RowResult, RowVerdict, TestRun
from orchestrator.policy.rules import breach
from orchestrator.process import Ending, Limits, last_line, run_child
from orchestrator.records.plan import Row
from orchestrator.secrets import redact_file

__all__ = ["RowInputs", "run_row"]


@dataclass(frozen=True)
class RowInputs:
    """Where a row writes and what it may read.

    Attributes
    ----------
    hub : Path
        The row's own folder, empty when it starts; `{hub}` in its command.
    artifacts : Path
        Holds a folder for every row it needs; `{artifacts}` in its command.
    log : Path
        What the command prints.
    saved : mapping of str to Path
        What an earlier run wrote, by name: it is put into `hub`, and the row's `Recheck:` is run instead of its `Run:`.
    """

    hub: Path
    artifacts: Path
    log: Path
    saved: Mapping[str, Path] = field(default_factory=dict)


def _run_command(row: Row, bench: TestBench, inputs: RowInputs) -> tuple[int | None, str]:
    """Exit code and the reason it failed, empty when it did not."""
    folders = {"hub": str(inputs.hub), "artifacts": str(inputs.artifacts)}
    argv, environment = resolve_command(words_of((row.recheck if inputs.saved else row.run) or ""), folders)
    notes = bench.scratch / "origins"
    env = {**bench.environment, **environment}
    env["PYTHONPATH"] = f"{_noting_origins(bench, notes)}{os.pathsep}{env['PYTHONPATH']}"
    sandbox = bench.sandbox.opened(read=[inputs.artifacts], write=[inputs.hub, notes])
    result = run_child(
        sandbox.wrap(argv, bench.checkout.root, env),
        cwd=bench.checkout.root,
        env=env,
        log=inputs.log,
        limits=Limits(wall_s=row.limit_s or bench.seconds),
        should_stop=bench.should_stop,
    )
    if result.ending is Ending.NOT_STARTED:
        return None, last_line(inputs.log).removeprefix("[orchestrator] not started: ")
    if result.ending is not Ending.EXITED:
        return result.code, f"ended by the harness ({result.ending.value}) after {result.seconds:.0f} s"
    if result.code != 0:
        return result.code, f"exit code {result.code}: {last_line(inputs.log)}"
    record = notes / "foreign"
    foreign = record.read_text(errors="replace").splitlines() if record.is_file() else ["the note of it is gone"]
    found = [
        breach("EVIDENCE-ORIGIN", f"not imported from the checkout: {file}").text for file in dict.fromkeys(foreign)
    ]
    return 0, "; ".join(found)


def _noting_origins(bench: TestBench, folder: Path) -> Path:
    """Prepare a folder that has Python processes, on whose path it is, note what they import from elsewhere."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("origins.py"), folder / "sitecustomize.py")
    record = folder / "foreign"
    record.touch()
    asked = {"root": str(bench.checkout.root), "started": time.time(), "record": str(record)}
    (folder / "origins.json").write_text(json.dumps(asked), encoding="utf-8")
    return folder


def _why_tests_do_not_pass(tests: TestRun) -> str:
    """Return why the run does not satisfy the row; a skip is allowed only for the nodes the plan names."""
    if tests.note:
        return tests.note
    if tests.skipped_nodes:
        return f"skipped, so not passed: {', '.join(tests.skipped_nodes)}"
    return "" if tests.ok else f"{tests.counted} of {tests.collected}"


def _verdict(row: Row, code: int | None, reason: str, tests: TestRun | None, inputs: RowInputs) -> RowResult:
    expects = tuple(check_expectation(text, inputs.hub) for text in row.expects)
    missed = [
        f"{result.text} (found {result.found})"
        for result in expects
        if not (result.decided if row.hypothesis else result.holds)
    ]
    if tests and not reason:
        reason = _why_tests_do_not_pass(tests)
    if missed and not reason:
        reason = ("decides nothing: " if row.hypothesis else "does not hold: ") + "; ".join(missed)
    verdict = RowVerdict.FAILED if reason else RowVerdict.VERIFIED
    return RowResult(row.id, verdict, reason, exit_code=code, expects=expects, tests=tests)


def run_row(row: Row, bench: TestBench, tree: str, inputs: RowInputs) -> RowResult:
    """Run a row on `tree`: its command, its tests, then its expectations on what that run wrote."""
    started = time.monotonic()
    shutil.rmtree(inputs.hub, ignore_errors=True)
    inputs.hub.mkdir(parents=True)
    for name, stored in inputs.saved.items():
        (inputs.hub / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stored, inputs.hub / name)
    code: int | None = None
    reason = ""
    tests = None
    if row.run:
        reason = bench.show(tree)
        if not reason:
            code, reason = _run_command(row, bench, inputs)
    if row.test and not reason:
        options, selectors = split_test(row.test)
        tests = run_tests(replace(bench, allow_skip=row.allow_skip), options + selectors, tree, inputs.hub)
        code = tests.exit_code
    for path in inputs.hub.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= FILE_LIMIT:  # no larger one is committed
            redact_file(path, known_secrets())
    result = _verdict(row, code, reason, tests, inputs)
    return replace(result, seconds=round(time.monotonic() - started, 3))
