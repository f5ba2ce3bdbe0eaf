"""What the pages load, made at start: pictures, the vendor library, the bundle with its source map."""

import json
import random
import struct
import zlib
from pathlib import Path

STATIC = Path(__file__).parent / "static"
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def make_png(width: int, height: int, seed: int) -> bytes:
    """A picture of coloured noise, which PNG can't make small."""
    noise = random.Random(seed)
    rows = b"".join(b"\0" + bytes(value & 0xF0 for value in noise.randbytes(width * 3)) for _ in range(height))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_svg(width: int, height: int) -> bytes:
    """The same picture's place, drawn in a few shapes."""
    shapes = "".join(
        f'<circle cx="{40 + 61 * n % width}" cy="{30 + 37 * n % height}" r="{18 + n % 9}" fill="#{n * 97 % 4096:03x}"/>'
        for n in range(24)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<rect width="{width}" height="{height}" fill="#f3efe6"/>{shapes}</svg>'
    ).encode()


def make_vendor(functions: int) -> str:
    """A charting library of which the shop calls one function."""
    lines = [
        f"charts.plot{number} = function (series) {{ var out = [], scale = {number % 17 + 1}; "
        "for (var i = 0; i < series.length; i++) { out.push({ x: i * scale, y: series[i] / scale, "
        f'label: "series {number} point " + i }}); }} return out; }};'
        for number in range(functions)
    ]
    return "\n".join(["var charts = {};", *lines])


def _vlq(value: int) -> str:
    value = value << 1 if value >= 0 else (-value << 1) | 1
    text = ""
    while True:
        value, digit = value >> 5, value & 31
        text += _DIGITS[digit | 32 if value else digit]
        if not value:
            return text


def bundle(name: str, sources: dict[str, str]) -> tuple[bytes, bytes]:
    """Sources one after the other in one file, and its source map (version 3), line by line."""
    lines: list[str] = []
    mappings: list[str] = []
    at_source = at_line = 0
    for number, text in enumerate(sources.values()):
        for line, content in enumerate(text.splitlines()):
            lines.append(content)
            mappings.append(_vlq(0) + _vlq(number - at_source) + _vlq(line - at_line) + _vlq(0))
            at_source, at_line = number, line
    lines.append(f"//# sourceMappingURL={name}.map")
    told = {
        "version": 3, "file": name, "names": [], "sources": list(sources), "sourcesContent": list(sources.values()),
        "mappings": ";".join(mappings),
    }  # fmt: skip
    return "\n".join(lines).encode(), json.dumps(told).encode()


def make_assets() -> dict[str, tuple[str, bytes]]:
    """Path to content type and content."""
    shop, twin = (STATIC / "shop.js").read_text(), (STATIC / "twin.js").read_text()
    sources = {"src/vendor/charts.js": make_vendor(1100), "src/prices.js": (STATIC / "prices.js").read_text(),
               "src/shop.js": shop}  # fmt: skip
    code, source_map = bundle("bundle.js", sources)
    theme = (STATIC / "theme.css").read_text()
    unused = "\n".join(
        f".campaign-{n} .card-{n} {{ margin: {n % 30}px; colour: #{n % 4096:03x}; }}" for n in range(700)
    )
    return {
        "/static/bundle.js": ("text/javascript", code),
        "/static/bundle.js.map": ("application/json", source_map),
        "/static/twin.js": ("text/javascript", ((STATIC / "prices.js").read_text() + twin).encode()),
        "/static/theme.css": ("text/css", f"{theme}\n{unused}".encode()),
        "/static/hero.png": ("image/png", make_png(420, 280, 1)),
        "/static/offer.png": ("image/png", make_png(160, 120, 2)),
        "/static/hero.svg": ("image/svg+xml", make_svg(480, 320)),
        "/static/offer.svg": ("image/svg+xml", make_svg(160, 120)),
    }
