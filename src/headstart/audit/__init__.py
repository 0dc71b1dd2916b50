"""What is doubtful about a data set, found before anything is trained on it."""
