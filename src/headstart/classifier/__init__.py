"""The saved classifier: save, load, predict, export, serve."""
