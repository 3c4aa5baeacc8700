"""Count logical lines per package and hold the limits of the house style (`make size`)."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Module", "check_sizes", "count_logical_lines", "main", "measure", "render_table"]

MODULE_LOGICAL, MODULE_RAW, MODULE_NAMES = 300, 500, 15
PACKAGE_LOGICAL = {"orchestrator": 13_000, "ptycho": 12_000, "ptycho_torch": 200}

_NOT_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


@dataclass(frozen=True)
class Module:
    """The size of one file; `names` is the length of its `__all__`, None if there is none."""

    path: Path
    logical: int
    raw: int
    names: int | None


def count_logical_lines(source: str) -> int:
    """Count the lines that hold code: no blank lines, no comments, no docstrings.

    Raises
    ------
    SyntaxError
        If the source is not Python.
    """
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NOT_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        # A string that stands as a statement is documentation, wherever it stands.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def measure(root: Path) -> tuple[Module, ...]:
    """Measure every module of the packages under `root`."""
    return tuple(
        _measure_module(path, root) for package in PACKAGE_LOGICAL for path in sorted((root / package).rglob("*.py"))
    )


def check_sizes(modules: Sequence[Module]) -> list[str]:
    """Say what is over a limit, one sentence each."""
    complaints = []
    for module in modules:
        sizes = (
            ("logical lines", module.logical, MODULE_LOGICAL),
            ("lines", module.raw, MODULE_RAW),
            ("public names", module.names or 0, MODULE_NAMES),
        )
        complaints += [
            f"{module.path}: expected at most {limit} {what}, came {size}; give part of it a module of its own"
            for what, size, limit in sizes
            if size > limit
        ]
        if module.names is None and module.path.name != "__main__.py":
            complaints.append(f"{module.path}: expected a literal __all__, came none; list the public names")
    for package, limit in PACKAGE_LOGICAL.items():
        total = _total(modules, package)
        if total > limit:
            complaints.append(f"{package}: expected at most {limit} logical lines, came {total}; take something out")
    return complaints


def render_table(modules: Sequence[Module]) -> str:
    """Render the sizes of all folders, and of the two packages in sum."""
    lines = [f"{'folder':<28}{'modules':>8}{'logical':>9}{'raw':>8}  largest module"]
    for folder in sorted({module.path.parent for module in modules}):
        inside = [module for module in modules if module.path.parent == folder]
        logical, raw = sum(module.logical for module in inside), sum(module.raw for module in inside)
        largest = max(inside, key=lambda module: module.logical)
        lines.append(
            f"{folder.as_posix():<28}{len(inside):>8}{logical:>9}{raw:>8}  {largest.path.name} {largest.logical}"
        )
    for package, limit in PACKAGE_LOGICAL.items():
        lines.append(f"{package} in all: {_total(modules, package)} logical lines of {limit}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, then what is over a limit; 1 if anything is.

    Parameters
    ----------
    argv
        At most one argument, the root of the checkout; by default the one this file lies in.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    modules = measure(root)
    print(render_table(modules))
    complaints = check_sizes(modules)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _measure_module(path: Path, root: Path) -> Module:
    source = path.read_text(encoding="utf-8")
    return Module(path.relative_to(root), count_logical_lines(source), source.count("\n"), _count_names(source))


def _count_names(source: str) -> int | None:
    for node in ast.parse(source).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = getattr(node, "value", None)
            return len(value.elts) if isinstance(value, ast.List | ast.Tuple) else None
    return None


def _total(modules: Iterable[Module], package: str) -> int:
    return sum(module.logical for module in modules if module.path.parts[0] == package)


if __name__ == "__main__":
    sys.exit(main())
