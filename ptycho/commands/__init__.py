"""What the subcommands do, each in a module with `run(args) -> int`; their flags stand in `ptycho.cli`."""

__all__: list[str] = []
