"""Cellar: checks of values, files, artifacts, checkpoints and hardware. Nothing here is public."""
