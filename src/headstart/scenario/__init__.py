"""Measures which of the four transfer-learning scenarios a data set is in, and explains why."""
