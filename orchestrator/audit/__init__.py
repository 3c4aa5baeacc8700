"""The audit: every claim in the documents of a tree, held against what lies in its hubs and in its repository."""

__all__: list[str] = []
