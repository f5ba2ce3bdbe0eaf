"""What is known of models: context windows and prices, as of `AS_OF`.

Sources: the vendors' model and pricing pages (platform.claude.com, developers.openai.com). Prices change often; a model
that is not listed works, with an unknown price.
"""

from typing import Literal

from perfcrew.llm.base import Usage
from perfcrew.records.base import Record

AS_OF = "2026-11-23"
MILLION = 1_000_000


class Model(Record):
    """A model: tokens, and US dollars per million tokens."""

    name: str
    provider: Literal["anthropic", "openai"]
    context: int
    """Tokens of input and output together."""
    max_output: int = 128_000
    usd_input: float
    usd_output: float
    usd_cached: float
    """Reading from the cache."""
    usd_cache_write: float
    """Writing to the cache, at its shortest lifetime."""
    long_above: int | None = None
    """Above this many input tokens the whole request costs more."""
    long_input: float = 1.0
    """How many times more its input and cache cost."""
    long_output: float = 1.0
    """How many times more its output costs."""

    def usd(self, usage: Usage) -> float:
        """What a request cost, in US dollars."""
        long = self.long_above is not None and usage.input_tokens > self.long_above
        fresh = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
        given = (
            fresh * self.usd_input
            + usage.cached_tokens * self.usd_cached
            + usage.cache_write_tokens * self.usd_cache_write
        )
        taken = usage.output_tokens * self.usd_output
        return (given * (self.long_input if long else 1) + taken * (self.long_output if long else 1)) / MILLION


def _claude(name: str, usd: tuple[float, float, float, float], long: tuple[int, float] | None = None) -> Model:
    return Model(
        name=name,
        provider="anthropic",
        context=1_000_000,
        usd_input=usd[0],
        usd_output=usd[1],
        usd_cached=usd[2],
        usd_cache_write=usd[3],
        long_above=long[0] if long else None,
        long_input=long[1] if long else 1.0,
        long_output=long[1] if long else 1.0,
    )


def _gpt(name: str, usd: tuple[float, float, float, float]) -> Model:
    return Model(
        name=name,
        provider="openai",
        context=1_050_000,
        usd_input=usd[0],
        usd_output=usd[1],
        usd_cached=usd[2],
        usd_cache_write=usd[3],
        long_above=272_000,
        long_input=2.0,
        long_output=1.5,
    )


# name: input, output, cache read, cache write
MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _claude("claude-fable-5-2", (8, 40, 0.20, 10)),
        _claude("claude-opus-5-5", (4, 20, 0.20, 5)),
        _claude("claude-opus-5", (5, 25, 0.50, 6.25)),
        _claude("claude-sonnet-5-5", (2, 10, 0.10, 2.5)),
        _claude("claude-haiku-5-5", (0.10, 0.50, 0.01, 0.125), long=(100_000, 5.0)),
        _gpt("gpt-6.2-astra", (8, 40, 0.40, 10)),
        _gpt("gpt-6.2-sol", (2, 10, 0.10, 2.5)),
        _gpt("gpt-6.1-sol", (2, 10, 0.10, 2.5)),
        _gpt("gpt-6-astra", (10, 50, 1.00, 12.5)),
        _gpt("gpt-6-luna", (0.10, 0.50, 0.01, 0.125)),
    )
}


def find(model: str) -> Model | None:
    """What is known of a model, by its full name (`provider/name`); None for a stranger or another provider's name."""
    wire, _, name = model.partition("/")
    known = MODELS.get(name)
    return known if known is not None and wire.removesuffix("-chat") == known.provider else None


def price(model: str, usage: Usage) -> float | None:
    """What a request cost in US dollars, at list price; None where the price is unknown."""
    known = find(model)
    return None if known is None else known.usd(usage)
