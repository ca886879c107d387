"""Growth as a drawing: two panels of one SVG, axes with units, nothing to install."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 300, 62, 20, 40, 52
INK, LINE = "#24292f", "#0969da"


@dataclass(frozen=True)
class Panel:
    """One curve with the names of both axes."""

    title: str
    across: str
    up: str
    points: Sequence[Point]

    def draw(self, offset: int) -> str:
        """The panel as an SVG group, moved right by `offset` pixels; both axes begin at zero."""
        most_x = max(x for x, _ in self.points)
        step = _step(max(y for _, y in self.points))
        most_y = step * -(-max(y for _, y in self.points) // step)

        def place(x: float, y: float) -> tuple[float, float]:
            across = LEFT + x / most_x * (WIDTH - LEFT - RIGHT)
            return across, HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM)

        parts = [f'<g transform="translate({offset},0)">']
        parts.append(_text(WIDTH / 2 + 20, 20, self.title, bold=True))
        for n in range(round(most_y / step) + 1):
            _, at = place(0, n * step)
            parts.append(_rule(LEFT, at, WIDTH - RIGHT, at))
            parts.append(_text(LEFT - 6, at + 4, f"{n * step:,g}", anchor="end"))
        for x, _ in self.points:
            at, _ = place(x, 0)
            parts.append(_text(at, HEIGHT - BOTTOM + 16, f"{x:,.0f}", anchor=_anchor(x, most_x)))
        parts.append(_text(WIDTH / 2 + 20, HEIGHT - 12, self.across))
        parts.append(
            f'<g transform="translate(14,{HEIGHT / 2}) rotate(-90)">{_text(0, 0, self.up)}</g>'
        )
        places = [place(x, y) for x, y in self.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
        for (x, y), (_, value) in zip(places, self.points, strict=True):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{LINE}"/>')
            above = y - 9 if y > TOP + 20 else y + 18
            parts.append(_text(x, above, f"{value:,.3g}", anchor=_anchor(x - LEFT, WIDTH / 1.3)))
        return "\n".join([*parts, "</g>"])


def svg(*panels: Panel) -> str:
    """The panels side by side."""
    drawn = "\n".join(panel.draw(number * WIDTH) for number, panel in enumerate(panels))
    width = WIDTH * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}"'
        f' font-family="system-ui, sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>\n{drawn}\n</svg>\n'
    )


def _step(most: float) -> float:
    """A round distance between lines, four to eight of them."""
    size = 1e-6
    while True:
        for factor in (1, 2, 5):
            if most / (size * factor) <= 6:
                return size * factor
        size *= 10


def _anchor(value: float, most: float) -> str:
    return "end" if value > 0.95 * most else "middle"


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1:.1f}" x2="{x2}" y2="{y2:.1f}" stroke="#d0d7de"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "middle", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}"{weight}>{words}</text>'
    )
