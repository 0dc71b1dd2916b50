"""What a run found, as types, and where runs left it."""
