"""The rules about items that stand still, or would begin anew what stands still."""

from __future__ import annotations

from orchestrator.policy.rule import Rule, Severity

__all__ = ["DWELL_RULES"]

DWELL_RULES = (
    Rule(
        "DWELL-CRITERION",
        Severity.REFUSE,
        "Once an item stands still, Do Now works on a criterion that is open.",
        "give `Implement:` with a mapped test that exists, or an open row's `Run:` or `Test:` as the plan has it; "
        "or choose another focus",
        "a focus at dwell 9 whose handoffs asked for one more analysis",
    ),
    Rule(
        "DWELL-STILL",
        Severity.BLOCK,
        "An item is worked on for four iterations without progress and no more, or as its limits say.",
        "a person's `clear` lets it go on; a return condition that comes to be met gives it two iterations",
        "26 iterations and 3,600 lines spent on one script, with a new passing test each time",
        fixed=True,
    ),
    Rule(
        "DWELL-ESCALATION",
        Severity.BLOCK,
        "An item that went on and still made no progress is out of reach.",
        "only a person's `clear` lets it go on",
        "items reopened again and again by whoever had not finished them",
        fixed=True,
    ),
    Rule(
        "DWELL-TWIN",
        Severity.BLOCK,
        "What an item could not do in its iterations is not begun again under another name.",
        "clear the item that stands still, or give this one criteria of its own",
        "a focus renamed, and its dwell back at 0",
        fixed=True,
    ),
    Rule(
        "DWELL-PROPOSAL",
        Severity.BLOCK,
        "What a supervisor adds to the ledger is a proposal.",
        "`reopen` takes it up",
        "work invented when none was left, and criteria that hold by themselves",
        fixed=True,
    ),
)
