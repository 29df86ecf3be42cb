"""`python -m dnaml` is the command `dnaml`."""

import sys

from dnaml.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
