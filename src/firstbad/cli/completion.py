"""``completion``: the shell's own completion of our commands, options and revisions."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_PROGRAM, VARIABLE = "firstbad", "_FIRSTBAD_COMPLETE"
_CLASSES: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
# git's completion calls this function for `git firstbad`; its own words are moved so that ours sees `firstbad`.
_GIT = r"""
_git_firstbad() {
    local COMP_WORDS=("firstbad" "${words[@]:__git_cmd_idx+1}") COMP_CWORD=$((cword - __git_cmd_idx))
    _firstbad_completion firstbad
}
"""


@click.command(epilog="Example: firstbad completion bash > ~/.local/share/bash-completion/completions/firstbad")
@click.argument("shell", type=click.Choice(list(_CLASSES)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options and revisions.

    \b
    bash: eval "$(firstbad completion bash)"         in ~/.bashrc
    zsh:  eval "$(firstbad completion zsh)"          in ~/.zshrc
    fish: firstbad completion fish | source          in ~/.config/fish/config.fish
    """
    made = _CLASSES[shell]
    source = made(context.find_root().command, {}, _PROGRAM, VARIABLE).source()
    click.echo(source.rstrip("\n") + ("\n" + _GIT if shell == "bash" else "\n"), nl=False)


COMMANDS = (completion,)
