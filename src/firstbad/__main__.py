"""``python -m firstbad``."""

from firstbad.cli import main

main()
