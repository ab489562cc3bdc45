#!/usr/bin/env python3
"""Draws docs/append.svg from the rows of `cargo bench -p store --bench growth`: plot.py ROWS SVG."""

import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 70, 70, 40, 45


def main(source, target):
    with open(source, encoding="utf-8") as file:
        rows = [[int(field) for field in line.split("\t")] for line in file if line.strip()]
    if len(rows) < 2:
        sys.exit(f"{source}: a curve needs two rows at least")
    low, high = math.log10(rows[0][0]), math.log10(rows[-1][0])

    def x(size):
        return LEFT + (math.log10(size) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value, most):
        return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)

    rates, memory = ceiling(row[1] for row in rows), ceiling(row[3] for row in rows)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        "<title>Records a second and peak memory by the size of the log</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for step in range(5):
        height = y(step, 4)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="#ddd"/>')
        out.append(text(LEFT - 6, height + 4, f"{rates * step // 4:,}", "end", "#1f5fa8"))
        out.append(text(WIDTH - RIGHT + 6, height + 4, f"{memory * step // 4:,}", "start", "#b3541e"))
    for row in rows:
        out.append(text(x(row[0]), HEIGHT - BOTTOM + 18, f"{row[0]:,}", "middle", "#333"))
    out.append(text(WIDTH / 2, HEIGHT - 8, f"records in the log ({rows[0][4]:,} bytes each)", "middle", "#333"))
    out.append(text(LEFT, TOP - 16, "records/s to the published checkpoint", "start", "#1f5fa8"))
    out.append(text(WIDTH - RIGHT, TOP - 16, "peak memory, MiB", "end", "#b3541e"))
    for column, most, colour in ((1, rates, "#1f5fa8"), (3, memory, "#b3541e")):
        places = [(x(row[0]), y(row[column], most)) for row in rows]
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>' for across, down in places]
    out.append("</svg>")
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


def ceiling(values):
    """The next round number that all values fit under."""
    most = max(values)
    unit = 10 ** max(0, len(str(most)) - 1)
    return max(4, -(-most // unit) * unit)


def text(across, down, words, anchor, colour):
    return f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
