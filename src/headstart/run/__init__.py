"""One run as a story, from its configuration to its results."""
