"""`ptycho fetch`: bring a data set into the cache."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ptycho.config import find_cache_folder
from ptycho.data.catalog import find_source
from ptycho.data.fetch import fetch
from ptycho.progress import Progress

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Fetch ``args.name`` and print where it lies."""
    source = find_source(args.name)
    archive = Path(args.archive) if args.archive else None
    with Progress(sys.stderr) as progress:
        path = fetch(source, find_cache_folder(), progress.line, archive)
    result = {"name": source.name, "path": str(path), "sha256": source.sha256, "licence": source.licence}
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if args.json else f"{path}\n")
    return 0
