"""The rules about what counts: lock files, claims, rows that are run again, progress."""

from __future__ import annotations

from orchestrator.policy.rule import Rule, Severity

__all__ = ["PROGRESS_RULES"]

PROGRESS_RULES = (
    Rule(
        "LOCK-CHANGED",
        Severity.REPORT,
        "A changed lock file is told and counts for nothing: verification uses what is installed.",
        "ask a person to install it, and start the loop again",
        "a dependency added beside the code, and a night of tests that could not import it",
    ),
    Rule(
        "CLAIM-FALSE",
        Severity.REFUSE,
        "What an engineer says of tests, rows, exit codes and commits agrees with what was measured in its turn.",
        "say what the harness will find, or leave it out",
        "`All tests pass` over a log with failures in it",
    ),
    Rule(
        "CLAIM-REVIEW",
        Severity.REPORT,
        "What a supervisor says of the last engineer turn agrees with what was measured in it.",
        "write the next entry from the figures in the prompt",
        "a review that repeated the engineer's count and not the harness's",
    ),
    Rule(
        "ROW-REPEATED",
        Severity.DISCOUNT,
        "A row that failed is run again when something that decides it has changed; until then its result stands.",
        "change the code or the inputs, mark the row `Stochastic: yes`, or write `rerun: reason` behind its step",
        "the same sweep run for the eighth time, on the same code and data, in the hope of another number",
    ),
    Rule(
        "PROGRESS-CODE",
        Severity.DISCOUNT,
        "A production diff changes what the code does: comments, blanks and docstrings alone are no progress.",
        "change what the code does",
        "a reworded comment a turn, with every test green",
    ),
    Rule(
        "PROGRESS-EXECUTED",
        Severity.DISCOUNT,
        "A production diff counts when a mapped test that passes calls a changed function or opens changed data.",
        "map a test that uses what was changed",
        "functions that nothing calls, written because every loop had to touch code",
    ),
    Rule(
        "PROGRESS-TESTS",
        Severity.DISCOUNT,
        "A new test alone counts when it fails on the code that the run started with and passes now.",
        "let the next change be of the code, or test what this run made right",
        "26 loops with a new passing test each, and nothing to test",
    ),
    Rule(
        "PROGRESS-CRITERION",
        Severity.DISCOUNT,
        "Code and tests without a criterion are progress for as many turns as an item may stand still, and no more.",
        "make a row hold, or mend more of its tests; or let a person `clear` the item",
        "a line changed in every loop, in a function whose test was green before and after",
    ),
    Rule(
        "PROGRESS-AGAIN",
        Severity.DISCOUNT,
        "Tests alone are not the progress of an item twice in a row.",
        "let the next change be of the code",
        "a suite that grew while the code stood still",
    ),
)
