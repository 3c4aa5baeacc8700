"""The rules about test runs: what a process gives away of itself that makes its outcomes worthless."""

from __future__ import annotations

from orchestrator.policy.rule import Rule, Severity

__all__ = ["EVIDENCE_RULES"]

EVIDENCE_RULES = (
    Rule(
        "EVIDENCE-ORIGIN",
        Severity.DISCOUNT,
        "Code under test is source of the checkout, or was installed before.",
        "bring the code into the repository, put its folder on the path (`pythonpath` of pytest, `PYTHONPATH=src` in a "
        "row), or install the package",
        "tests that passed with another copy of the code than the one that was committed",
        fixed=True,
    ),
    Rule(
        "EVIDENCE-OUTCOME",
        Severity.DISCOUNT,
        "A test that is reported as passed ran to its end.",
        "take out what changes reports: the outcome is what the test did",
        "a helpful conftest.py that reported passes",
        fixed=True,
    ),
    Rule(
        "EVIDENCE-EQUAL",
        Severity.DISCOUNT,
        "No class of the production code equals everything.",
        "compare with the value that an instance stands for",
        "a result that passed every assertion of equality",
    ),
    Rule(
        "EVIDENCE-STEADY",
        Severity.DISCOUNT,
        "Tests, and the files beside them, stay as they are while they run.",
        "write into a temporary folder",
        "production code that rewrote its tests when they imported it",
    ),
    Rule(
        "EVIDENCE-BLIND",
        Severity.DISCOUNT,
        "Production code neither reads the tests that run it, by whatever way, nor asks whether it is tested.",
        "let it do the same for everybody",
        "functions that were right under pytest and nowhere else",
    ),
)
