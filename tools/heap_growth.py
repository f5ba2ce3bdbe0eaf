"""V8's heap snapshots and sampling profiles, summed up: which constructor grew, which function allocated."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.node_profile import frame_of
from tools.stacks import parse_stacks

_ANONYMOUS = {"(string)": ("string", "concatenated string", "sliced string"), "(code)": ("code",),
              "(array)": ("array",), "(number)": ("number", "bigint")}  # fmt: skip
_KINDS = {kind: name for name, kinds in _ANONYMOUS.items() for kind in kinds}


@dataclass(frozen=True)
class Grown:
    """A constructor's objects, or a call site's, and what they grew by: kB (1,000 bytes) and objects a request.

    Objects are counted by constructor only.
    """

    name: str
    kb: float
    objects: float | None = None
    own: bool = False
    """A call site in the target's own code."""


def sum_snapshot(snapshot: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Constructor to number of objects and bytes of their own; strings, arrays and code by their kind in brackets.

    The format is that of V8's `heap-snapshot-generator`, as developer tools read it: `nodes` is one flat list, the
    fields of each node being named in `meta`.
    """
    meta = snapshot["snapshot"]["meta"]
    fields, kinds = meta["node_fields"], meta["node_types"][0]
    width = len(fields)
    kind_at, name_at, size_at = (fields.index(name) for name in ("type", "name", "self_size"))
    nodes, strings = snapshot["nodes"], snapshot["strings"]
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for at in range(0, len(nodes), width):
        kind = kinds[nodes[at + kind_at]]
        if kind in ("hidden", "synthetic"):
            continue
        name = strings[nodes[at + name_at]] if kind in ("object", "native") else _KINDS.get(kind, f"({kind})")
        entry = found[name]
        entry[0] += 1
        entry[1] += nodes[at + size_at]
    return {name: (count, size) for name, (count, size) in found.items()}


def compare_snapshots(pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], requests: int) -> list[Grown]:
    """What grew from each process's first sums to its second, by constructor, the most first."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for before, after in pairs:
        for sign, sums in ((-1, before), (1, after)):
            for name, (count, size) in sums.items():
                counts[name] += sign * count
                sizes[name] += sign * size
    each = max(requests, 1)
    grown = [Grown(name, size / 1000 / each, counts[name] / each) for name, size in sizes.items() if size > 0]
    return sorted(grown, key=lambda one: (-one.kb, one.name))


def sum_sampling(profiles: Iterable[Mapping[str, Any]], root: str, requests: int) -> list[Grown]:
    """Sampled bytes by the target's innermost function, or by the one that allocates where none of the target's called.

    V8 knows the line on which a function begins.
    """
    sizes: Counter[str] = Counter()
    owned: set[str] = set()

    def walk(node: Mapping[str, Any], stack: str) -> None:
        name = node["callFrame"]["functionName"]
        here = stack if name == "(root)" else ";".join(filter(None, [stack, frame_of(node)]))
        if node["selfSize"] and (read := parse_stacks(f"{here} 1", root)):
            frames = read[0][0]
            own = next((frame for frame in reversed(frames) if frame.own), frames[-1])
            site = f"{own.path}:{own.line} {own.name}"
            sizes[site] += node["selfSize"]
            if own.own:
                owned.add(site)
        for child in node.get("children", ()):
            walk(child, here)

    for profile in profiles:
        walk(profile["head"], "")
    each = max(requests, 1)
    found = (Grown(site, size / 1000 / each, own=site in owned) for site, size in sizes.items())
    return sorted(found, key=lambda one: (-one.kb, one.name))
