"""What everything else stands on: errors, console, paths, atomic files, signals, the environment."""
