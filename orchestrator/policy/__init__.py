"""The rules as pure functions: facts in, verdicts out."""

__all__: list[str] = []
