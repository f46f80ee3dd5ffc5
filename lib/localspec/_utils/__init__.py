"""Cellar: checks of values, files, artifacts, checkpoints, hardware, cards. Nothing is public."""
