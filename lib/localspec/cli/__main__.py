"""Command line for environments without the script: ``python -m localspec.cli``."""

from localspec.cli import main

main(prog_name="localspec")
