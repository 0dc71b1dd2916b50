"""Basics that every other package uses: errors, console, paths, atomic files, signals, the environment."""
