"""Read HTML that the library makes."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects elements, and pieces of text outside of style and script."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.skipped = False
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.skipped = tag in ("style", "script")

    def handle_endtag(self, tag):
        self.skipped = False

    def handle_data(self, data):
        if not self.skipped:
            self.text.append(data)

    def all(self, tag: str) -> list[dict]:
        """Return the attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]
