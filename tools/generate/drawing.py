"""Boxes, lines and words as SVG: what the pictures in docs/ are drawn with."""

from xml.sax.saxutils import escape

INK = "#24292f"
PAPER = "#ffffff"
FONT = "DejaVu Sans, Arial, sans-serif"
TEXT_PX = 13
LINE_PX = 17


class Drawing:
    """A picture of *width* x *height* that grows by calls; text() gives the file."""

    def __init__(self, width, height, title):
        self._size = (width, height)
        self._title = title
        self._parts = []

    def box(self, x, y, width, height, head, lines=(), fill="#f6f8fa", dashed=False):
        """A rectangle with a bold *head* and *lines* below it."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" '
                           f'fill="{fill}" stroke="{INK}"{dash}/>')
        count = len(lines) + (1 if head else 0)
        at = y + height / 2 - (count - 1) * LINE_PX / 2 + TEXT_PX * 0.36
        if head:
            self.words(x + width / 2, at, head, bold=True)
            at += LINE_PX
        for line in lines:
            self.words(x + width / 2, at, line)
            at += LINE_PX

    def words(self, x, y, text, anchor="middle", bold=False, colour=INK, size=TEXT_PX):
        """*text* on the base line *y*."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" '
                           f'font-size="{size}"{weight}>{escape(text)}</text>')

    def line(self, points, arrow=False, colour=INK, width=1.5):
        """A line through *points*, with a head at its end for an *arrow*."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                           f'stroke-width="{width}"/>')
        if arrow:
            (x0, y0), (x, y) = points[-2:]
            length = max(abs(x - x0), abs(y - y0)) or 1
            dx, dy = (x - x0) / length, (y - y0) / length
            back = (x - 9 * dx, y - 9 * dy)
            corners = ((x, y), (back[0] + 4.5 * dy, back[1] - 4.5 * dx),
                       (back[0] - 4.5 * dy, back[1] + 4.5 * dx))
            head = " ".join(f"{a:g},{b:g}" for a, b in corners)
            self._parts.append(f'<polygon points="{head}" fill="{colour}"/>')

    def text(self):
        """The file."""
        width, height = self._size
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'font-family="{FONT}" role="img">',
            f"<title>{escape(self._title)}</title>",
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>', *self._parts,
            "</svg>", ""])
