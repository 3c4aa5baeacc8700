"""Agents: one Protocol, and the programs that play a role behind it."""

__all__: list[str] = []
