"""Gallery: a card for every tested subcluster of one network, to filter and to sort."""

from localspec.studies.gallery._html import gallery_html, linked_table
from localspec.studies.gallery._records import build_gallery, gallery_table

__all__ = [
    "build_gallery",
    "gallery_html",
    "gallery_table",
    "linked_table",
]
