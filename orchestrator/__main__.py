"""``python -m orchestrator``."""

import gc

from orchestrator.cli import main

if __name__ == "__main__":
    gc.disable()  # a command ends before there is anything worth collecting
    raise SystemExit(main())
