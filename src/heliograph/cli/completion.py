"""`heliograph completion`."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from heliograph.cli.examples import examples

app = App(
    name="completion",
    help_epilogue="Printed is a script for the shell; it is put where the shell looks for such scripts, and works in "
    "shells that are started from then on.\n\n"
    + examples(
        "heliograph completion bash > ~/.local/share/bash-completion/completions/heliograph",
        'heliograph completion zsh > "${fpath[1]}/_heliograph"',
        "heliograph completion fish > ~/.config/fish/completions/heliograph.fish",
    ),
)


@app.default
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(metavar="SHELL", help="bash, zsh or fish.")], /
) -> None:
    """Print what makes a shell complete commands and flags."""
    print(_whole_app().generate_completion(shell=shell), end="")


def _whole_app() -> App:
    """All commands, imported. One that needs the server, where that is not installed, is there by its name alone."""
    from heliograph.cli.main import app as program  # it imports this module in its turn

    whole = App(name=program.name, version=program.version, version_flags=["--version"], help_flags=["--help", "-h"])
    for name in program:
        if not name.startswith("-"):
            whole.command(_command(program, name), name=name)
    return whole


def _command(program: App, name: str) -> App:
    try:
        return program[name]
    except ImportError:
        return App(name=name)
