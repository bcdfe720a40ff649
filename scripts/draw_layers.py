"""Draws docs/layers.svg, the picture of the layers. `python scripts/draw_layers.py > docs/layers.svg`"""

BOXES = (
    # x, y, width, height, fill, title, lines
    (20, 60, 120, 60, "#f4f4f5", "client", ("pie run, pie.client,", "HTTP, WebSocket")),
    (190, 60, 120, 60, "#f4f4f5", "server", ("launch, stream,", "message, cancel")),
    (360, 20, 400, 110, "#dbeafe", "application", ()),
    (360, 160, 400, 110, "#dcfce7", "control", ()),
    (360, 310, 400, 100, "#fef3c7", "inference", ()),
    (376, 52, 112, 62, "#eff6ff", "inferlet", ("your program in", "a wasm sandbox")),
    (504, 52, 112, 62, "#eff6ff", "inferlet", ("forks pages,", "calls tools")),
    (632, 52, 112, 62, "#eff6ff", "inferlet", ("samples its", "own way")),
    (376, 192, 112, 62, "#f0fdf4", "queues", ("order, conflicts,", "priorities")),
    (504, 192, 112, 62, "#f0fdf4", "pools", ("leases, sharing,", "copy on write")),
    (632, 192, 112, 62, "#f0fdf4", "planner", ("one pass for", "all inferlets")),
    (376, 342, 112, 52, "#fffbeb", "handlers", ("copy, mask, …",)),
    (504, 342, 112, 52, "#fffbeb", "model", ("one flat batch",)),
    (632, 342, 112, 52, "#fffbeb", "pages", ("keys and values",)),
)
ARROWS = (
    (140, 90, 190, 90, "", 0),
    (310, 90, 360, 90, "", 0),
    (470, 130, 470, 160, "command", 8),
    (650, 160, 650, 130, "result", 8),
    (470, 270, 470, 310, "pass", 8),
    (650, 310, 650, 270, "arrays", 8),
)
NOTES = (
    (20, 160, "host process: one asyncio loop,"),
    (20, 178, "guests are fibers on it"),
    (20, 340, "driver process: owns the device,"),
    (20, 358, "executes passes in order"),
)


def box(x: int, y: int, w: int, h: int, fill: str, title: str, lines: tuple[str, ...]) -> str:
    parts = [
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="{fill}" stroke="#71717a"/>',
        f'<text x="{x + 10}" y="{y + 20}" class="t">{title}</text>',
    ]
    parts += [
        f'<text x="{x + 10}" y="{y + 38 + 15 * n}" class="s">{line}</text>' for n, line in enumerate(lines)
    ]
    return "\n".join(parts)


def arrow(x1: int, y1: int, x2: int, y2: int, label: str, shift: int) -> str:
    ends = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
    line = f'<line {ends} stroke="#3f3f46" stroke-width="1.5" marker-end="url(#a)"/>'
    return line + (
        f'<text x="{x1 + shift}" y="{(y1 + y2) // 2 + 4}" class="s">{label}</text>' if label else ""
    )


def main() -> None:
    print('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 430" font-family="sans-serif">')
    print("<style>.t{font-size:14px;font-weight:bold;fill:#18181b}.s{font-size:11px;fill:#3f3f46}</style>")
    print(
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#3f3f46"/></marker></defs>'
    )
    print('<rect width="780" height="430" fill="white"/>')
    print("\n".join(box(*b) for b in BOXES))
    print("\n".join(arrow(*a) for a in ARROWS))
    print("\n".join(f'<text x="{x}" y="{y}" class="s">{text}</text>' for x, y, text in NOTES))
    print("</svg>")


if __name__ == "__main__":
    main()
