"""What the harness measures itself: test runs, rows, criteria, claims, artifacts."""

__all__: list[str] = []
