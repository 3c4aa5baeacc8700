"""Copy what a finished run left into `docs/example-run/`: documents, the account of its turns, small evidence."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["main"]

_DOCUMENTS = ("galph_memory.md", "input.md", "docs/fix_plan.md")
_KEPT = {".json", ".md", ".png", ".log", ".xml", ".patch"}
_LIMIT = 2_000_000


def _copy(source: Path, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target.stat().st_size


def _is_kept(path: Path) -> bool:
    """Whether a file goes along: of the pictures all of the star, and of other items those that decide."""
    return path.suffix != ".png" or "RECON-SIEMENS-STAR-001" in path.parts or path.name in {"frc.png", "truth.png"}


def _take_out(target: Path, place: str) -> None:
    """Write `.` for a folder of the machine in every text, and list what that changed anew in the manifests."""
    for path in target.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            text = path.read_text(encoding="utf-8", errors="replace")
            path.write_text(text.replace(place, "."), encoding="utf-8")
    for path in target.rglob("manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for entry in manifest["files"]:
            file = path.parent / entry["path"]
            if file.is_file():
                data = file.read_bytes()
                entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _readme(account: str, turns: str, pictures: list[Path]) -> str:
    shown = "\n".join(f"![{path.stem}]({path.as_posix()})\n" for path in pictures)
    return (
        "# One recorded run of the default plan\n\n"
        "Made by `make loop` and copied by `python tools/example_run.py`. One thing was edited: the folder of the "
        "machine was taken out of logs and results, and the manifests list these files as they are here. "
        "[galph_memory.md](galph_memory.md) and [input.md](input.md) are the supervisor's, "
        "[fix_plan.md](docs/fix_plan.md) shows every attempt, and the hubs stand below `plans/active/`.\n\n"
        f"## How it ended\n```\n{account.strip()}\n```\n\n## Its turns\n```\n{turns.strip()}\n```\n\n"
        f"## Pictures\n{shown}"
    )


def main(argv: list[str] | None = None) -> int:
    """Copy the run that `.orchestrator/current` points at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("account", type=Path, help="what the loop printed (stderr of `make loop`)")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    arguments = parser.parse_args(argv)
    root, run = arguments.root, (arguments.root / ".orchestrator" / "current").resolve()
    target = root / "docs" / "example-run"
    shutil.rmtree(target, ignore_errors=True)
    size = sum(_copy(run / name, target / name) for name in _DOCUMENTS)
    files = [path for path in sorted(run.glob("plans/active/*/**/*")) if path.is_file() and path.suffix in _KEPT]
    plans = {"summary.md", "implementation.md"}
    kept = [p for p in files if ("/reports/" in p.as_posix() or p.name in plans) and _is_kept(p)]
    size += sum(_copy(path, target / path.relative_to(run)) for path in kept)
    turns = subprocess.run(
        ["git", "log", "--reverse", "--format=%s", "--grep=^Turn-Id:"],
        cwd=run,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    account = arguments.account.read_text(encoding="utf-8").replace(str(root), ".")
    pictures = [path.relative_to(run) for path in kept if path.suffix == ".png"]
    (target / "README.md").write_text(_readme(account, turns, pictures), encoding="utf-8")
    _take_out(target, str(root))
    print(f"{target}: {len(kept) + len(_DOCUMENTS)} files, {size / 1e6:.2f} MB")
    if size > _LIMIT:
        print(f"more than {_LIMIT / 1e6:.0f} MB: leave something out", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
