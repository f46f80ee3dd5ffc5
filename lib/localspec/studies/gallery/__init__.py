"""Gallery: a card for every tested subcluster of one network, to filter and to sort."""

from localspec.studies.gallery._html import gallery_html, linked_table
from localspec.studies.gallery._records import (
    Finding,
    Gallery,
    GalleryRecord,
    build_gallery,
    card_anchor,
    gallery_table,
)
from localspec.studies.gallery._sprites import SpriteSheet, sprite_sheet

__all__ = [
    "Finding",
    "Gallery",
    "GalleryRecord",
    "SpriteSheet",
    "build_gallery",
    "card_anchor",
    "gallery_html",
    "gallery_table",
    "linked_table",
    "sprite_sheet",
]
