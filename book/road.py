"""Draw the road from a network to statistics; `python book/road.py` writes it to `book/_static`.

Two layouts of the same panels, for wide and for narrow screens. The background is opaque, so that
the drawing reads the same in light and in dark mode (and in the README).
"""

from pathlib import Path

INK, PALE, PAPER = "#24292f", "#9aa4ae", "#fdfdfb"
CLUSTERS = ("#0072b2", "#e69f00", "#009e73")
PANEL_W, PANEL_H = 160, 192
STATIC = Path(__file__).parent / "_static"
# three layers of units: place in the panel and cluster of each
UNITS = [(26, y, c) for y, c in ((50, 0), (76, 0), (102, 1), (128, 2))]
UNITS += [(80, y, c) for y, c in ((37, 0), (63, 0), (89, 1), (115, 2), (141, 2))]
UNITS += [(134, y, c) for y, c in ((63, 0), (89, 1), (115, 2))]


def _text(x: float, y: float, text: str, size: int = 14, weight: str = "normal") -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="middle" '
        f'fill="{INK}">{text}</text>'
    )


def _edges(within: float, between: float, pale_only: bool = False) -> str:
    lines = []
    for x, y, c in UNITS:
        for x2, y2, c2 in UNITS:
            if x2 - x == 54:
                colour = PALE if pale_only or c != c2 else CLUSTERS[c]
                width = within if c == c2 else between
                lines.append(
                    f'<line x1="{x}" y1="{y}" x2="{x2}" y2="{y2}" stroke="{colour}" '
                    f'stroke-width="{width}"/>'
                )
    return "".join(lines)


def _dots(fills: list[str]) -> str:
    return "".join(
        f'<circle cx="{x}" cy="{y}" r="7" fill="{fill}" stroke="{INK}" stroke-width="1.2"/>'
        for (x, y, _), fill in zip(UNITS, fills, strict=True)
    )


def network() -> str:
    """Draw the units and their connections."""
    return _edges(1, 1, pale_only=True) + _dots([PAPER] * len(UNITS))


def graph() -> str:
    """Draw edges of different weight."""
    return _edges(3.2, 0.7, pale_only=True) + _dots(["#d8dee4"] * len(UNITS))


def clusters() -> str:
    """Draw the units in the colours of their clusters."""
    return _edges(2.4, 0.5) + _dots([CLUSTERS[c] for _, _, c in UNITS])


def lesions() -> str:
    """Draw a cluster's units of one layer crossed out."""
    hit = [(x, y) for x, y, c in UNITS if x == 80 and c == 2]
    fills = [PAPER if (x, y) in hit else CLUSTERS[c] for x, y, c in UNITS]
    crosses = "".join(
        f'<path d="M{x - 10} {y - 10}l20 20m0 -20l-20 20" stroke="#c1121f" stroke-width="3"/>'
        for x, y in hit
    )
    return _edges(1, 0.5, pale_only=True) + _dots(fills) + crosses


def visualizations() -> str:
    """Draw an invented 8x8 image."""
    rows = ("01233210", "12455421", "13566531", "02467642", "00247631", "01356420", "02454200")
    rows += ("01221000",)
    shades = [
        "#f1f3f5",
        "#d9dee3",
        "#bcc5ce",
        "#9aa7b4",
        "#758697",
        "#52677b",
        "#33495e",
        "#1a2c3d",
    ]
    return "".join(
        f'<rect x="{32 + 12 * j}" y="{41 + 12 * i}" width="12" height="12" '
        f'fill="{shades[int(value)]}"/>'
        for i, row in enumerate(rows)
        for j, value in enumerate(row)
    )


def statistics() -> str:
    """Draw one true value beside a histogram of random ones."""
    heights = (1, 2, 4, 5, 4, 2, 1)
    bars = "".join(
        f'<rect x="{52 + 13 * i}" y="{132 - 13 * h}" width="11" height="{13 * h}" fill="{PALE}"/>'
        for i, h in enumerate(heights)
    )
    axis = f'<path d="M18 132H146" stroke="{INK}" stroke-width="1.5"/>'
    true = f'<path d="M32 132V62" stroke="{CLUSTERS[2]}" stroke-width="4"/>'
    return bars + axis + true + _text(32, 54, "true", 13) + _text(97, 54, "random", 13)


PANELS = {
    "network": ("Network", network, ("trained on a task",)),
    "graph": ("Graph", graph, ("edges: weights, or", "correlated activations")),
    "clusters": ("Clusters", clusters, ("tightly linked inside,", "loosely to the rest")),
    "lesions": ("Lesions", lesions, ("silence a cluster:", "what gets worse?")),
    "visualizations": (
        "Visualizations",
        visualizations,
        ("an image made to", "excite the cluster"),
    ),
    "statistics": ("Statistics", statistics, ("against random sets", "of as many units")),
}


def panel(name: str, x: float, y: float) -> str:
    """Return one panel with its upper left corner at (x, y)."""
    title, draw, caption = PANELS[name]
    lines = "".join(_text(80, 168 + 17 * i, line) for i, line in enumerate(caption))
    heading = _text(80, 19, title, 18, "bold")
    return f'<g transform="translate({x} {y})">{heading}{draw()}{lines}</g>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return an arrow from one point to another."""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{INK}" stroke-width="2.5" '
        'marker-end="url(#tip)"/>'
    )


def drawing(width: int, height: int, body: list[str]) -> str:
    """Return a complete SVG with an opaque background."""
    tip = 'viewBox="0 0 8 8" refX="6" refY="4" markerWidth="5" markerHeight="5" orient="auto"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" '
            "font-family=\"system-ui, 'DejaVu Sans', sans-serif\">",
            "<title>From a network to statistics</title>",
            f'<defs><marker id="tip" {tip}><path d="M0 0L8 4L0 8z" fill="{INK}"/></marker></defs>',
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" '
            f'fill="{PAPER}" stroke="#d0d7de"/>',
            *body,
            "</svg>\n",
        ]
    )


def wide() -> str:
    """Lay the panels out from left to right."""
    low, high, middle = 14, 14 + PANEL_H + 12, 14 + PANEL_H / 2 + 6
    columns = [8 + 192 * i for i in range(5)]
    body = [
        panel(name, columns[i], middle) for i, name in enumerate(("network", "graph", "clusters"))
    ]
    body += [panel("lesions", columns[3], low), panel("visualizations", columns[3], high)]
    body.append(panel("statistics", columns[4], middle))
    across = middle + 90
    body += [arrow(x + 158, across, x + 190, across) for x in columns[:2]]
    for side in (-1, 1):
        near, far = across + side * 28, across + side * 62
        body.append(arrow(columns[2] + 158, near, columns[3] - 2, far))
        body.append(arrow(columns[3] + 158, far, columns[4] + 4, near))
    return drawing(5 * 192 - 16, 2 * PANEL_H + 40, body)


def tall() -> str:
    """Lay the panels out from top to bottom."""
    left, right, centre = 8, 192, 100
    rows = [12 + (PANEL_H + 34) * i for i in range(4)]
    body = [panel("network", left, rows[0]), panel("graph", right, rows[0])]
    body += [panel("clusters", centre, rows[1]), panel("statistics", centre, rows[3])]
    body += [panel("lesions", left, rows[2]), panel("visualizations", right, rows[2])]
    body.append(arrow(left + 158, rows[0] + 90, right + 8, rows[0] + 90))
    below = PANEL_H + 4
    body.append(arrow(right + 50, rows[0] + below, centre + 110, rows[1] - 2))
    for x, start in ((left + 80, centre + 50), (right + 80, centre + 110)):
        body.append(arrow(start, rows[1] + below, x, rows[2] - 2))
        body.append(arrow(x, rows[2] + below, start, rows[3] - 2))
    return drawing(360, rows[3] + PANEL_H + 12, body)


DRAWINGS = {"road.svg": wide, "road-tall.svg": tall}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (STATIC / name).write_text(draw(), encoding="utf-8")
