"""A CPU profile as rows for detectors and as a digest to read: pure functions of summed stacks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from perfcrew.records.facts import Row
from tools.stacks import Hot, Profile, parse_stacks

TOP = 10


def hot_rows(gil: Profile, wall: Profile, busy: float, cpu_ms: float) -> list[Row]:
    """The target's functions for detectors: shares of CPU and of requests' time, innermost own work first.

    `cpu_share` is of CPU samples, and `time_share` of one core's clock: the part of end-to-end time that a CPU-bound
    request spends there. `cpu_ms` is Python's CPU time a request.
    """
    places = sorted(gil.own, key=lambda place: -gil.own[place].inner)[:TOP]
    places += [place for place in sorted(wall.own, key=lambda place: -wall.own[place].inner)[:5] if place not in places]
    rows: list[Row] = []
    for place in places:
        cpu, clock = gil.own.get(place), wall.own.get(place)
        known = cpu or clock
        assert known is not None
        line = cpu.line if cpu and cpu.line else clock.line if clock else 0
        inner = _part(cpu.inner if cpu else 0, gil.total)
        rows.append({
            "path": known.path, "name": known.name, "line": line,
            "cpu_share": inner, "cpu_total": _part(cpu.samples if cpu else 0, gil.total),
            "time_share": inner * min(busy, 1.0), "ms": inner * cpu_ms,
            "serial_share": _part(_serial(gil, known), gil.total),
            "wall_share": _part(clock.inner if clock else 0, wall.total),
            "loop_share": _part(wall.loop.get(place, 0), wall.loop_total),
            "loop_cpu_share": _part(gil.loop.get(place, 0), wall.loop_total),
        })  # fmt: skip
    return rows


def _serial(profile: Profile, hot: Hot) -> int:
    return profile.serialising.get(f"{hot.path} {hot.name}", 0)


def overall(gil: Profile, wall: Profile) -> dict[str, float]:
    """What detectors read of the whole profile."""
    serial = sum(gil.serialising.values())
    return {
        "samples": gil.total,
        "serial_share": _part(serial, gil.total),
        "framework_share": _part(gil.without_own, gil.total),
        "database_share": _part(sum(hot.database for hot in gil.own.values()), gil.total),
        "loop_database_share": _part(wall.loop_database, wall.loop_total),
        "pool_wait_share": _part(wall.pool_wait, wall.total),
    }


def _part(samples: int, total: int) -> float:
    return samples / total if total else 0.0


def title_profile(raw: Mapping[str, Any], gil: Profile, busy: float) -> str:
    """One line: how busy, and where most."""
    hottest = max(gil.own.values(), key=lambda hot: hot.inner, default=None)
    where = f"; most in {hottest.place} ({_part(hottest.inner, gil.total):.0%})" if hottest else ""
    language = {"python": "Python", "node": "Node"}[raw["runtime"]]
    return f"{raw['workload']} on {raw['arm']}: {language} busy {busy:.0%} of a core{where}"


def line_rows(gil: Profile) -> list[Row]:
    """The target's busiest lines: `own` share with it innermost of the target's, `total` with it on the stack."""
    ranked = sorted(gil.lines.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))[:TOP]
    return [
        {"path": path, "line": line, "name": name, "own": _part(own, gil.total), "total": _part(whole, gil.total)}
        for (path, line, name), (own, whole) in ranked
    ]


def native_rows(text: str, root: str) -> list[Row]:
    """C functions by their own share, with the line of the target's that they worked for."""
    spent: Counter[tuple[str, str]] = Counter()
    total = 0
    for frames, count in parse_stacks(text, root):
        total += count
        leaf = frames[-1]
        if leaf.own or leaf.path.endswith(".py") or leaf.path.startswith("<"):
            continue
        caller = next((frame for frame in reversed(frames) if frame.own), None)
        spent[f"{leaf.name} ({leaf.path.rpartition('/')[2]})",
              f"{caller.path}:{caller.line} {caller.name}" if caller else ""] += count  # fmt: skip
    return [
        {"name": name, "caller": caller, "share": count / total} for (name, caller), count in spent.most_common(TOP)
    ]


def render_profile(
    raw: Mapping[str, Any], gil: Profile, wall: Profile, busy: float, cpu_ms: float, native: Sequence[Row] = ()
) -> str:
    """The digest: CPU by own function, line, endpoint and package, time by own function, the hottest stack."""
    whole = overall(gil, wall)
    held = "Python held its lock" if raw["runtime"] == "python" else "V8 was at work"
    lines = [
        f"{raw['workload']} on {raw['arm']} under load, {gil.total} CPU and {wall.total} time samples at "
        f"{raw['rate']} Hz; {held} {busy:.0%} of the time, {cpu_ms:.1f} ms a request. Shares of CPU samples unless "
        "said otherwise.",
        *_cost(raw["overhead"]),
        f"in database libraries called by the target {whole['database_share']:.0%}, serialising "
        f"{whole['serial_share']:.0%}, framework without the target {whole['framework_share']:.0%}, requests "
        f"waiting for a pooled connection {whole['pool_wait_share']:.0%} of their time",
        "\nBy deepest frame's package: " + _listed(gil.packages, gil.total, 8),
        "\nThe target's functions, cumulative (of it: innermost, without and inside database libraries):",
    ]
    ranked = sorted(gil.own.values(), key=lambda hot: (-hot.samples, -hot.inner))
    lines += [
        f"  {_part(hot.samples, gil.total):4.0%} ({_part(hot.inner, gil.total):.0%}, "
        f"{_part(hot.database, gil.total):.0%})  {hot.place}"
        for hot in ranked[:TOP]
    ]
    inmost = sorted((hot for hot in gil.own.values() if hot.lines), key=lambda hot: -hot.inner)
    lines += [f"  busiest lines of {hot.path} {hot.name}: {_busy_lines(hot)}" for hot in inmost[:3]]
    if gil.endpoints:
        lines.append("\nBy route: " + _listed(gil.endpoints, gil.total, 6))
    lines += ["\nSelf time, all code: " + _listed(gil.self_time, gil.total, TOP)]
    if gil.serialising:
        lines.append("Serialising on behalf of: " + _listed(gil.serialising, gil.total, 4))
    clock: dict[str, int] = {hot.place: hot.inner + hot.database for hot in wall.own.values()}
    lines.append("\nRequests' time, waiting included, by innermost own function: " + _listed(clock, wall.total, 6))
    if wall.loop or wall.loop_database:
        lines.append(
            f"Holding the event loop, share of its clock: database libraries "
            f"{_part(wall.loop_database, wall.loop_total):.0%}; {_listed(wall.loop, wall.loop_total, 5)}"
        )
    if raw.get("without_c"):
        lines.append(f"\nC functions are not known: {raw['without_c']}")
    if native:
        lines.append("\nC functions, own time (for):")
        lines += [
            f"  {row['share']:4.0%}  {row['name']} ({row['caller'] or 'no line of the target'})" for row in native[:6]
        ]
    stack, count = gil.hottest
    lines.append(f"Hottest stack ({_part(count, gil.total):.0%}): {stack}")
    return "\n".join(lines)


def _listed(counts: Any, total: int, most: int) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])[:most]
    return "; ".join(f"{name} {_part(count, total):.0%}" for name, count in ranked if count) or "nothing"


def _busy_lines(hot: Hot) -> str:
    whole = sum(hot.lines.values())
    return ", ".join(f"line {line} {count / whole:.0%}" for line, count in hot.lines.most_common(3))


def _cost(overhead: Mapping[str, float]) -> list[str]:
    if not overhead:
        return []
    return [
        f"the profiler's cost, beside load without it: {overhead['rps_loss']:+.0%} of requests a second lost, "
        f"{overhead['cpu_added']:+.0%} CPU a request (rounds of a second or two: within about 5 % is nothing)"
    ]
