"""What is known of models: context windows, prices and abilities, as of `AS_OF`, and what users know better.

Sources: the vendors' model and pricing pages (platform.claude.com, developers.openai.com). Prices change often; a model
that is not listed works, with an unknown price. Users change and add entries in `[models.table]` of perfcrew.toml or
with PERFCREW_MODEL_TABLE.
"""

from collections.abc import Mapping
from typing import Literal

from perfcrew.llm.base import Usage
from perfcrew.records.base import Record
from perfcrew.records.models import ModelFacts

AS_OF = "2026-11-23"
MILLION = 1_000_000


class Model(Record):
    """A model: tokens, and US dollars per million tokens; None is unknown."""

    name: str
    provider: Literal["anthropic", "openai"]
    context: int | None = None
    """Tokens of input and output together."""
    max_output: int = 128_000
    usd_input: float | None = None
    usd_output: float | None = None
    usd_cached: float | None = None
    """Reading from the cache; when unknown, as fresh input."""
    usd_cache_write: float | None = None
    """Writing to the cache, at its shortest lifetime; when unknown, as fresh input."""
    long_above: int | None = None
    """Above this many input tokens the whole request costs more."""
    long_input: float = 1.0
    """How many times more its input and cache cost."""
    long_output: float = 1.0
    """How many times more its output costs."""
    strict: bool = True
    """Arguments of tools can be held to their schemas."""
    parallel: bool = True
    """It may call several tools in one turn."""
    thinking: bool = False
    """It thinks before it answers when asked to."""

    def usd(self, usage: Usage) -> float | None:
        """What a request cost, in US dollars; None where a price is unknown."""
        if self.usd_input is None or self.usd_output is None:
            return None
        cached = self.usd_input if self.usd_cached is None else self.usd_cached
        written = self.usd_input if self.usd_cache_write is None else self.usd_cache_write
        long = self.long_above is not None and usage.input_tokens > self.long_above
        fresh = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
        given = fresh * self.usd_input + usage.cached_tokens * cached + usage.cache_write_tokens * written
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
        thinking=True,
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


class Catalogue:
    """The table of models with a user's own entries over it.

    Args:
        own: facts by full name (`provider/name`); each entry changes a known model or makes a new one.
    """

    def __init__(self, own: Mapping[str, ModelFacts] | None = None) -> None:
        self._own = {model: _changed(model, facts) for model, facts in (own or {}).items()}

    def find(self, model: str) -> Model | None:
        """What is known of a model, by its full name; None for a stranger or another provider's name."""
        return self._own.get(model) or _listed(model)

    def price(self, model: str, usage: Usage) -> float | None:
        """What a request cost in US dollars, at list price; None where the price is unknown."""
        known = self.find(model)
        return None if known is None else known.usd(usage)

    def gaps(self, model: str) -> str | None:
        """What is not known of a model, and how to say it, in one line; None where nothing is missing."""
        known = self.find(model)
        missing = [
            what
            for what, absent in (
                ("price", known is None or known.usd_input is None or known.usd_output is None),
                ("context window", known is None or known.context is None),
            )
            if absent
        ]
        if not missing:
            return None
        told = f"model {model}: its {' and its '.join(missing)} {'is' if len(missing) == 1 else 'are'} not known"
        return f'{told}; say it in perfcrew.toml: [models.table."{model}"]'


def _listed(model: str) -> Model | None:
    wire, _, name = model.partition("/")
    known = MODELS.get(name)
    return known if known is not None and wire.removesuffix("-chat") == known.provider else None


def _changed(model: str, facts: ModelFacts) -> Model:
    wire, _, name = model.partition("/")
    known = _listed(model) or Model(name=name, provider="anthropic" if wire == "anthropic" else "openai")
    return known.model_copy(update=facts.model_dump(exclude_none=True))


LISTED = Catalogue()
"""The table as it is."""
find = LISTED.find
price = LISTED.price
