"""The results of runs: their types, the one writer and the one reader of results.json, and finding earlier runs."""

from headstart.results.file import load_results, plain_results, read_results, write_results
from headstart.results.types import SCHEMA_VERSION, RunResults

__all__ = ["SCHEMA_VERSION", "RunResults", "load_results", "plain_results", "read_results", "write_results"]
