"""What a sentence claims, so that it can be compared with a fact: test counts, commits, paths, exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.records.foreign.words import plain

__all__ = ["ClaimKind", "Said", "read_claims"]


class ClaimKind(StrEnum):
    """What a claim is about."""

    COUNTS = "counts"
    COMMIT = "commit"
    PATH = "path"
    EXIT_CODE = "exit code"
    DWELL = "dwell"
    MANIFEST = "manifest"
    TURN = "turn"


@dataclass(frozen=True)
class Said:
    """One claim.

    Attributes
    ----------
    text : str
        The words that make the claim.
    about : str
        The words around them that tell what was counted or run.
    counts : mapping
        Numbers by what they count: passed, failed, errors, skipped, xfailed, xpassed, collected, tests; `of` is the
        number behind a slash.
    every : bool
        It says that no test failed.
    value : str
        The commit, the path or the exit code.
    firm : bool
        It is said of the present and as a fact: only then can a fact contradict it.
    part : bool
        A word in front of the tests picks some of them: `4 new tests`, `12 lazy loading tests`.
    """

    kind: ClaimKind
    text: str
    about: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    every: bool = False
    value: str = ""
    firm: bool = True
    part: bool = False


_WORDS = {
    "passed": r"pass(?:ed|es|ing)?|succeed(?:ed|s)?|green",
    "failed": r"fail(?:ed|s|ing|ures?)?|red",
    "errors": r"error(?:s|ed)?",
    "skipped": r"skip(?:ped|s)?",
    "xfailed": r"xfail(?:ed|s)?",
    "xpassed": r"xpass(?:ed|es)?",
    "collected": r"collected",
}
_LONGEST = 12_000
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d{1,7}"
_OUTCOME = "|".join(f"(?P<{name}>{word})" for name, word in _WORDS.items())
_PLAIN_OUTCOME = "|".join(_WORDS.values())
_MANY = (
    rf"(?<![\w.,:#/§=+-])(?P<n>{_NUMBER})(?:\s?/\s?(?P<of>{_NUMBER})|\s+(?:out\s+)?of\s+(?:the\s+)?(?P<of_>{_NUMBER}))?"
)
_BEHIND = re.compile(
    rf"{_MANY}(?P<mid>(?:\s+(?!(?:{_PLAIN_OUTCOME}|and|or|but|with|in|as|that|which)\b)[a-z_`][\w`.:\[\]-]*){{0,5}})"
    rf"(?:\s+(?:(?:are|were|all|now|still|have|has|was|is|being|newly)\s+){{0,2}}(?:{_OUTCOME}))(?![\w-])",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    rf"(?<![\w.-])(?:{_OUTCOME}|(?P<tests>total(?:\stests)?(?!\W+\d+\s+(?:{_PLAIN_OUTCOME})\b(?!\s*[:=]))))[\"'`]?\s?(?:[:=]\s?|\s(?=(?:{_NUMBER})\s(?:tests?|items?)\b))"
    rf"(?P<n>{_NUMBER})(?:\s?/\s?(?P<of>{_NUMBER}))?(?![\w.]*\w)",
    re.IGNORECASE,
)
_COLLECTS = re.compile(rf"\bcollect(?:s|ing)\s+(?P<n>{_NUMBER})\s+(?:tests?|items?)\b", re.IGNORECASE)
_TESTS = re.compile(rf"{_MANY}\s+(?:[a-z]\w*\s+)?(?P<tests>tests?|items?)\b", re.IGNORECASE)
_RATIO = re.compile(rf"(?<![\w.,:#/§=-])(?P<n>{_NUMBER})\s?/\s?(?P<of>{_NUMBER})(?![\w/%]|[.,-]\d)")
_EVERY = re.compile(
    r"\ball\s+(?:(?!(?:but|except|but)\b)[\w`/.:,-]+\s+){0,5}?(?:tests?|selectors?|suites?|cases?|nodes?)\s+"
    r"(?:[\w`/.:()-]+\s+){0,3}?(?:pass(?:ed|es|ing)?|green|succeed(?:ed)?)\b"
    r"|\ball\s+(?:green|pass(?:ed|ing)?)\b|\b(?:no|zero|0)\s+(?:test\s+)?(?:failures|tests?\s+fail(?:ed|s|ing)?)\b"
    r"|\beverything\s+(?:pass(?:ed|es)|is\s+green)\b"
    r"|\b(?:the\s+|full\s+|whole\s+|entire\s+|test\s+)+suite\s+(?:is\s+|now\s+)*(?:pass(?:ed|es|ing)?|green)\b"
    r"|(?<!new )(?<!more )(?<!other )(?<!these )(?<!those )(?<!which )"
    r"\btests?\s+(?:all\s+|now\s+|are\s+)*(?:pass(?:ed|es|ing)?|green)\b"
    r"(?!\s+(?:(?:through|past|the|its)\s+)*[\w-]+\s+(?:phase|stage|step|gate)\b)",
    re.IGNORECASE,
)
# Between the parts of one count: `14 collected, 13 passed (1 skipped)`.
_JOINT = re.compile(
    r"[\s,;:/&+()|=—–\[\]-]*(?:(?:and|with|of which|in total|total|tests?|items?)\b[\s,:(]*)*", re.IGNORECASE
)
_NO_PART = re.compile(
    r"(?:\s*\b(?:tests?|cases?|mapped|selected|targeted|items?|pytest|all|total|selectors?|nodes?)\b)*\s*",
    re.IGNORECASE,
)
_IS_NAME = re.compile(
    r"(?:phase|step|stage|gate|attempt|loop|task|iteration|option|hypothes[ie]s|criteri(?:on|a)|row|chunk|run|issue|"
    r"section|turn|cycle|round|arm|part|tier|level|python|version|line|job|case|batch|epoch|no\.?|nr\.?)s?\s*#?$|"
    r"\b(?:fix|resolv|repair|clear|unblock|address)(?:ed|es|ing|s)?\s+(?:all\s+|the\s+|another\s+)*$",
    re.IGNORECASE,
)
_OF_TESTS = re.compile(r"\b(?:tests?|cases?|nodes?|selectors?|checks|items?|smokes?)\b|::|\btest_", re.IGNORECASE)
_STATED = re.compile(r"(?:;|(?<=[\w)`*])\.)\s+|\s\|\s")
_WISHED = re.compile(
    r"\b(?:should|must|shall|will|would|expect(?:s|ed|ing|ation)?|until|ensur(?:e|es|ing)|requir(?:e|es|ed)|goals?|target(?:s|ing)?|"
    r"needs?|verify|validate|confirm|check|if|once|unless|whether|could|might|aims?|so that|plan(?:s|ned) to|"
    r"to\s+(?:make|get|see|have|reach|show|prove|keep|restore)|next(?:\s+actions?|\s+steps?)?(?=:)|todo|criteria)\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:previous(?:ly)?|prior|before|earlier|baseline|originally|initial(?:ly)?|pre-?existing|(?:down|up|improved)?\s?from\s+\d+|"
    r"at\s+base|upstream|old|last\s+(?:turn|loop|run|time)|no\s+longer|used\s+to|known|red|without|not|never|but|except|"
    r"claim(?:s|ed)?|says?|said|report(?:s|ed)\s+by|in\s+theory|approximately|over|more\s+than|at\s+least|up\s+to)\b|→|->|=>|~\d(?![\d.]*\s?(?:s|m|h|sec|min)\b)|≥|≤|>\s?\d",
    re.IGNORECASE,
)
_NOT_NEW = re.compile(r"\bno\s+new\s+(?:test\s+)?(?:failures?|regressions?)|\bpre-?existing\b", re.IGNORECASE)
_QUOTED = re.compile(r"\bclaim(?:s|ed)?:?\s+(?:'[^']*'|\"[^\"]*\"|“[^”]*”)")
_STRUCK = re.compile(r"~~[^~]*~~")
# Hex words, and the words before them that say what they are.
_HEX = re.compile(
    r"(?P<hex>(?<![\w./#@%=-])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}(?![\w-]|[./]\w)"
    r"|(?:(?<=ralph_last_commit=)|(?<=[Cc]ommit )|(?<=[Cc]ommit `))[0-9a-f]{7,40}\b)"
    r"|(?P<commit>\b(?i:commit(?:s|ted)?|HEAD|revisions?|cherry-?pick(?:ed)?|git show)\b|ralph_last_commit=)"
    r"|(?P<digest>\b(?i:sha-?(?:1|2|224|256|384|512)|sha\d*sum|md5(?:sum)?|checksums?|digests?|hash(?:es|ed)?"
    r"|fingerprints?|blobs?|trees?|uuid|etag|upstream|submodule|fork|vendored)\b)"
)
_EXIT = re.compile(
    r"(?<![\w.])(?:exit(?:ed|s)?(?:[ _-]?(?:code|status))?|return[ _-]?code|status code|rc)`?"
    r"\s*(?:with|of|was|is|[:=])?\s*(?:code\s+)?`?(?P<code>\d{1,3})(?![\w.]*\w|/)",
    re.IGNORECASE,
)
_FILE = re.compile(r"(?<![\w/.@-])(?P<path>[\w.~][\w.+@~:=\[\]{},-]*(?:/[\w.+@~:=\[\]{},-]+)*/?)")
_ARTIFACT = re.compile(
    r".*\.(?:log|txt|xml|json|jsonl|csv|md|png|pdf|svg|npz|npy|h5|hdf5|html|patch|diff|yaml|yml|py|sh|toml)"
)


def _atoms(text: str) -> Iterator[tuple[int, int, dict[str, int], str]]:
    """Yield every number that counts tests: where it stands, what it counts, the words between."""
    taken = -1
    found = [match for pattern in (_BEHIND, _BEFORE, _COLLECTS, _TESTS, _RATIO) for match in pattern.finditer(text)]
    for match in sorted(found, key=lambda match: match.start()):  # of those at one place, the first pattern's
        if match.start() < taken or _IS_NAME.search(text[max(match.start() - 40, 0) : match.start()]):
            continue
        groups = match.groupdict()
        name = next((name for name in (*_WORDS, "tests") if groups.get(name)), "")
        name = name or ("collected" if match.re is _COLLECTS else "passed")
        number, of = (
            int(each.replace(",", "")) if each else None for each in (match["n"], groups.get("of") or groups.get("of_"))
        )
        counts = {name: number or 0} | ({} if of is None else {"of": of})
        if of is not None and (number or 0) > of:
            continue
        taken = match.end()
        sort = (
            "ratio"
            if match.re is _RATIO
            else "tests"
            if match.re is _TESTS
            else "loose"
            if groups.get("mid", "").strip()
            else ""
        )
        sort = "part" if sort == "loose" and _OF_TESTS.search(match["mid"]) else sort
        sort = "" if sort == "part" and _NO_PART.fullmatch(match["mid"]) else sort
        yield match.start(), match.end(), counts, sort


def _groups(text: str) -> Iterator[tuple[int, int, dict[str, int], bool]]:
    """Join the numbers that belong to one count; the last value tells whether it is of some tests only."""
    groups: list[tuple[int, int, dict[str, int], set[str]]] = []
    for start, end, counts, sort in _atoms(text):
        if groups and _JOINT.fullmatch(text[groups[-1][1] : start]) and not counts.keys() & groups[-1][2].keys():
            first, _, known, sorts = groups[-1]
            groups[-1] = (first, end, known | counts, sorts | {sort})
        else:
            groups.append((start, end, counts, {sort}))
    counted = bool(_EVERY.search(text)) or any({"", "part"} & sorts for *_, sorts in groups)
    for start, end, counts, sorts in groups:
        whole = {"passed", "collected", "tests"} & counts.keys() or counts == {"failed": 0}
        whole = whole or "test" in text[start : end + 6].lower()
        if ({"", "part"} & sorts or ("ratio" in sorts and counted)) and counts.keys() != {"errors"}:
            yield start, end, counts, "part" in sorts or not whole


def _about(text: str, start: int, end: int, before: int, after: int) -> str:
    """Return what tells of which tests a count is: the words before it, and a bracket or `in …` behind it."""
    behind = text[end:after]
    named = re.match(r"[\s:,—–-]*(?:\([^()]*\)|(?:in|for|from|of|on|via|including)\s[^,;]*)", behind)
    about = named[0] if named and not _NOT_NEW.search(named[0]) else ""
    return f"{text[before:start]} {text[start:end]} {about}"


def _count_claims(text: str) -> Iterator[Said]:
    groups = list(_groups(text))
    everies = list(_EVERY.finditer(text))
    bounds = [0, *(end for _, end, *_ in groups)]
    nexts = [*(start for start, *_ in groups[1:]), len(text)]
    for (start, end, counts, part), before, after in zip(groups, bounds, nexts, strict=False):
        near = [match for match in everies if match.start() < end + 12 and match.end() > start - 12]
        everies = [match for match in everies if match not in near]
        told = text[before:end] + _NOT_NEW.sub("", text[end : end + 30])  # of the failures, not of the count
        left = re.search(r"\bfrom\s[^.;]*$", text[before:start]) and re.search(r"\bto\b", text[end:after])
        firm = not _PAST.search(told) and not left
        fails = any(counts.get(name) for name in ("failed", "errors")) or _NOT_NEW.search(text[end:after])
        clean = any(not match[0].lower().startswith("test") for match in near) or counts == {"failed": 0}
        about = _about(text, start, end, before, after)
        every = clean and not fails
        yield Said(ClaimKind.COUNTS, text[start:end].strip(), about, counts, every=every, firm=firm, part=part)
    firm = not everies or not (_PAST.search(text) or _NOT_NEW.search(text))
    yield from (Said(ClaimKind.COUNTS, match[0].strip(), text, every=True, firm=firm) for match in everies)


def _commit_claims(text: str) -> Iterator[Said]:
    last = None
    for match in _HEX.finditer(text):
        if match.lastgroup != "hex":
            last = match.lastgroup
        elif last != "digest":
            yield Said(ClaimKind.COMMIT, match[0], text, value=match[0], firm=last == "commit")


def _paths(token: str) -> Iterator[str]:
    """Yield the paths of a token: ``a/{b,c}.log`` is two, a line number behind a colon is none of it."""
    token = token.rstrip(".,:;")
    braces = re.fullmatch(r"([^{}]*)\{([^{}]*)\}([^{}]*)", token)
    if braces:
        yield from (f"{braces[1]}{part.strip()}{braces[3]}" for part in braces[2].split(",") if part.strip())
    elif not set(token) & set("{}=~,"):
        yield re.sub(
            r"(?<=\.\w)(?:::.*|:\d[\d,:-]*)$|(?<=\.\w\w)(?:::.*|:\d[\d,:-]*)$|(?<=\.\w\w\w)(?::\d[\d,:-]*)$", "", token
        )


def _path_claims(text: str) -> Iterator[Said]:
    for match in _FILE.finditer(text):
        if text[max(match.start() - 3, 0) : match.start()].endswith(("://", "$", "<", "*", "$" + "{")):
            continue
        if (
            text[match.end() : match.end() + 1] in {"*", "<", "$", "("}
            or "://" in text[match.start() : match.end() + 3]
        ):
            continue
        for path in _paths(match["path"]):
            is_file, is_folder = _ARTIFACT.fullmatch(path), path.endswith("/") and path.count("/") > 1
            if (is_file or is_folder) and ".." not in path.split("/"):
                yield Said(ClaimKind.PATH, path, text, value=path)


def read_claims(line: str) -> tuple[Said, ...]:
    """Return what a line of prose claims, in its order; what it hopes for, plans or quotes is no claim.

    Parameters
    ----------
    line : str
        One line, with or without markup; the end of one that is longer than any real one is not read.
    """
    text = _QUOTED.sub(" ", _STRUCK.sub(" ", plain(line[:_LONGEST]))).replace("**", "").replace("__", "")
    found: list[Said] = []
    for sentence in _STATED.split(text):
        if _OUTCOME_WORD.search(sentence) and not _WISHED.search(_until_count(sentence)):
            found += _count_claims(sentence)
        found += _commit_claims(sentence)
        found += [
            Said(
                ClaimKind.EXIT_CODE, match[0], sentence, value=str(int(match["code"])), firm=not _PAST.search(sentence)
            )
            for match in _EXIT.finditer(sentence)
            if not re.search(
                r"\b(?:should|must|will|expect\w*|if|until|when|non-?zero)\b", sentence[: match.start()], re.IGNORECASE
            )
        ]
    return (*found, *_path_claims(text))


_OUTCOME_WORD = re.compile(rf"\b(?:{_PLAIN_OUTCOME}|collects?|collecting)\b", re.IGNORECASE)


def _until_count(sentence: str) -> str:
    """Return the part of a sentence up to its last outcome: what follows does not make it a wish."""
    last = max((match.end() for match in _OUTCOME_WORD.finditer(sentence)), default=0)
    return sentence[:last]
