"""`python -m ptycho`."""

import sys

from ptycho.cli import main

sys.exit(main())
