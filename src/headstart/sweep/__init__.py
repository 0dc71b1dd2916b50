"""Sweeps: the jobs of one command, each in its own process, with a common directory, parent run and comparison."""
