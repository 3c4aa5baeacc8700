"""List what each test file guards: the first line of its docstring, in `docs/development/TEST_SUITE_INDEX.md`."""

from __future__ import annotations

import argparse
import ast
import sys
from itertools import groupby
from pathlib import Path

__all__ = ["main", "render_index"]

INDEX = Path("docs/development/TEST_SUITE_INDEX.md")
HEAD = """# What each test file guards

The first line of each file, listed by `python tools/test_index.py`: edit it there. How tests are written and run \
stands in [TESTING_GUIDE.md](../TESTING_GUIDE.md).
"""


def render_index(root: Path) -> str:
    """Return the index of the test files below ``root / "tests"``.

    Raises
    ------
    ValueError
        If a test file has no docstring.
    """
    tests = root / "tests"
    parts = [HEAD]
    files = sorted(tests.rglob("test_*.py"), key=lambda path: (path.parent, path.name))
    for folder, members in groupby(files, key=lambda path: path.parent):
        parts.append(f"\n## {folder.relative_to(root).as_posix()}\n| file | guards |\n|---|---|\n")
        for path in members:
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            if not docstring:
                raise ValueError(
                    f"{path.relative_to(root).as_posix()}:1: expected a docstring whose first line says what the "
                    "file guards, found none; write one"
                )
            parts.append(f"| `{path.name}` | {docstring.splitlines()[0].replace('|', chr(92) + '|')} |\n")
    return "".join(parts)


def main(argv: list[str] | None = None) -> int:
    """Write the index, or with ``--check`` say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if it would change")
    arguments = parser.parse_args(argv)
    path = arguments.root / INDEX
    try:
        text = render_index(arguments.root)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.check:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return 0
        print(f"{INDEX}: expected the first lines of the test files; run: python tools/test_index.py", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
