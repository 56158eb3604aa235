"""How help shows examples."""


def examples(*commands: str) -> str:
    """The end of a command's help."""
    return "\n".join(["Examples:", *(f"  {command}" for command in commands)])
