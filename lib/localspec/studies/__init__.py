"""Studies: what a page beyond the first five needs, one folder a page."""
