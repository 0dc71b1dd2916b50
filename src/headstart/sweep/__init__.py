"""What holds across the jobs of one command: its directory, its parent run, isolation, resume, the end."""
