"""A tmux pane as an SVG picture: how docs/demo.svg was made.

Run ``firstbad demo --bug c`` in a tmux pane of 120 columns, then
``tmux capture-pane -pe -S - | uv run python docs/record.py TITLE docs/demo.svg``.
"""

import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

title, target = sys.argv[1:]
console = Console(record=True, width=120, file=StringIO(), force_terminal=True)
console.print(Text.from_ansi(sys.stdin.read().rstrip("\n")))
console.save_svg(target, title=title)
Path(target).write_text(Path(target).read_text().rstrip() + "\n")
