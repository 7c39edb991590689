"""A tmux pane as an SVG picture: how docs/demo.svg was made.

Run ``firstbad demo --bug c`` in a tmux pane of 120 columns, then
``tmux capture-pane -pe -S - | uv run python docs/record.py TITLE docs/demo.svg``.
"""

import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

title, target = sys.argv[1:]
console = Console(record=True, width=128, file=StringIO(), force_terminal=True)
console.print(Text.from_ansi(sys.stdin.read().rstrip("\n")))
console.save_svg(target, title=title)
# A picture in a repository fetches no fonts: the reader's own monospaced one does.
picture = re.sub(r"@font-face \{.*?\}\s*", "", Path(target).read_text(), flags=re.DOTALL)
Path(target).write_text(re.sub(r"<!--.*?-->", "", picture).replace("Fira Code", "ui-monospace").rstrip() + "\n")
