"""The two pages."""

from storefront.assets import STATIC

PRODUCTS = 12
_HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'


def shop() -> str:
    """The page with the problems."""
    return f"""{_HEAD}<title>Shop</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/theme.css">
<script src="/static/bundle.js"></script>
</head><body><main><h1>Shop</h1><div id="hero"></div>
<p>Tea, coffee and what belongs to them.</p>
<img src="/static/offer.png" alt="An offer">
<p>Offers of the week.</p>
<button id="sort">Sort</button> <input id="search" placeholder="Search">
<div id="list"></div></main></body></html>"""


def twin() -> str:
    """The page without them."""
    theme = (STATIC / "theme.css").read_text()
    rows = '<div class="product">…</div>' * PRODUCTS
    return f"""{_HEAD}<title>Twin</title>
<link rel="icon" href="data:,">
<style>{theme}</style>
</head><body><main><h1>Shop</h1>
<div id="hero"><img src="/static/hero.svg" alt="Tea" width="480" height="320" fetchpriority="high"></div>
<p>Tea, coffee and what belongs to them.</p>
<img src="/static/offer.svg" alt="An offer" width="160" height="120">
<p>Offers of the week.</p>
<button id="sort">Sort</button> <input id="search" placeholder="Search">
<div id="list">{rows}</div></main><script src="/static/twin.js" defer></script></body></html>"""
