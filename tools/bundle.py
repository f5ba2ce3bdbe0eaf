"""What a page's scripts and style sheets weigh, file by file and, where source maps tell, module by module.

Modules come from source-map-explorer where it is installed, else from what the build left beside the sources (an
esbuild metafile, webpack's stats). Without either the files' sizes stand alone, and the digest says what is missing.
"""

import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from perfcrew.errors import InstrumentError
from perfcrew.records.evidence import Evidence
from perfcrew.records.facts import Row, pack_rows
from perfcrew.records.target import Workload
from tools.arm import Arm, start_arm
from tools.browser import find_chromium, open_browser
from tools.lease import quiet_lease
from tools.lighthouse import packages_of
from tools.node_programs import find_program, run_program
from tools.page_network import show_address
from tools.page_visit import act_all, load, open_tab, page_path, settle
from tools.payload import ENCODINGS, pack
from tools.requests import Asked, decode, open_client, send
from tools.workspace import Workspace

QUIET_S = 1.0
EXPLORE_S = 90.0
MAX_FILES, MAX_MODULES = 8, 14
TYPES = ("Script", "Stylesheet")
STATS = ("meta.json", "metafile.json", "stats.json", "webpack-stats.json")
"""Names under which builds leave esbuild's metafile or webpack's stats."""
STATS_BYTES = 64 << 20
_SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__"})
_NAMED_MAP = re.compile(rb"(?://|/\*)[#@] sourceMappingURL=(\S+?)\s*(?:\*/)?\s*\Z")
_NOT_MODULES = ("[EOLs]", "[sourceMappingURL]")
_PACKAGE = re.compile(r"(?:^|/)node_modules/((?:@[^/]+/)?[^/]+)")


async def measure_bundle(workspace: Workspace, commit: str, workload: Workload, arm: str) -> Evidence:
    """Sizes of what a page workload loads and runs. Holds the quiet lease and starts an arm of its own.

    Raises:
        InstrumentError: no browser, or the page does not load, or a step finds nothing to act on.
    """
    find_chromium(workspace.programs)
    async with quiet_lease(workspace), start_arm(workspace, commit, arm) as running:
        urls = await _list_files(workspace, running, workload)
        scratch = workspace.folder / "bundle" / secrets.token_hex(4)
        scratch.mkdir(parents=True)
        try:
            files = await _fetch(running, urls, scratch)
            modules, source, note = await _find_modules(workspace, running, files, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    raw = {
        "kind": "bundle", "workload": workload.name, "arm": arm, "source": source, "note": note,
        "file": files, "module": modules,
    }  # fmt: skip
    return conclude_bundle(workspace, workload, arm, raw)


async def _list_files(workspace: Workspace, arm: Arm, workload: Workload) -> list[tuple[str, int]]:
    """Scripts and style sheets of the arm's own that the page loads, with their bytes on the wire."""
    assert workload.page is not None
    async with (
        open_browser(workspace) as browser,
        open_tab(browser, workload.page, throttled=False) as (tab, _, log),
    ):
        await load(tab, arm.url + page_path(workload))
        await settle(tab, log, QUIET_S)
        await act_all(tab, workload)
    wire: dict[str, int] = {}
    for entry in log.requests:
        if entry["type"] in TYPES and entry["status"] == 200 and entry["url"].startswith(arm.url):
            wire.setdefault(entry["url"], int(entry["bytes"]))
    return sorted(wire.items(), key=lambda item: -item[1])


async def _fetch(arm: Arm, urls: Sequence[tuple[str, int]], scratch: Path) -> list[Row]:
    """Each file's sizes; scripts with a source map are left in `scratch` beside it as `<number>.js` and `.js.map`."""
    rows: list[Row] = []
    async with open_client(arm.url) as client:
        for number, (url, wire) in enumerate(urls):
            body, headers = await _get(client, url)
            named = headers.get("sourcemap") or _map_name(body)
            row: Row = {"url": show_address(url), "plain": len(body), "wire": wire, **pack(body), "map": 0}
            if named and not named.startswith("data:"):
                mapped = await _get_map(client, urljoin(url, named))
                if mapped is not None:
                    # The explorer follows the name in the file, which is the name on the server.
                    line = f"\n//# sourceMappingURL={number}.js.map".encode()
                    (scratch / f"{number}.js").write_bytes(_NAMED_MAP.sub(b"", body) + line)
                    (scratch / f"{number}.js.map").write_bytes(mapped)
                    row["map"] = 1
            elif named:
                (scratch / f"{number}.js").write_bytes(body)
                row["map"] = 1
            rows.append(row)
    return rows


async def _get(client: httpx.AsyncClient, url: str) -> tuple[bytes, httpx.Headers]:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        answer = await send(client, Asked("GET", path, path), {"accept-encoding": "gzip"})
    except httpx.HTTPError as error:
        raise InstrumentError(f"{show_address(url)}: {type(error).__name__} {error}".rstrip()) from error
    return decode(answer) if answer.status == 200 else b"", answer.headers


def _map_name(body: bytes) -> str | None:
    found = _NAMED_MAP.search(body[-4096:])
    return found[1].decode("utf-8", "replace") if found else None


async def _get_map(client: httpx.AsyncClient, url: str) -> bytes | None:
    if urlsplit(url).netloc != urlsplit(str(client.base_url)).netloc:
        return None
    body, _ = await _get(client, url)
    try:
        return body if isinstance(json.loads(body), dict) else None
    except ValueError:
        return None


async def _find_modules(
    workspace: Workspace, arm: Arm, files: Sequence[Row], scratch: Path
) -> tuple[list[Row], str, str]:
    """Modules with their bytes, where they come from, and what kept us from knowing more."""
    mapped = [number for number, row in enumerate(files) if row["map"] and (scratch / f"{number}.js").exists()]
    note = ""
    if mapped:
        try:
            return await _explore(workspace, arm, files, mapped, scratch), "source maps", ""
        except InstrumentError as error:
            note = str(error)
    elif files:
        note = "no source maps: let the build write them (they need not be published to users)"
    for path, sizes in read_stats(arm.workdir):
        return _rank(sizes), path, ""
    return [], "", note


async def _explore(
    workspace: Workspace, arm: Arm, files: Sequence[Row], mapped: Sequence[int], scratch: Path
) -> list[Row]:
    program = await find_program(workspace, "source-map-explorer", packages_of(arm.place))
    names = [f"{number}.js" for number in mapped]
    done = await run_program(
        workspace, program, [*names, "--json", str(scratch / "modules.json"), "--no-border-checks"], scratch,
        timeout=EXPLORE_S,
    )  # fmt: skip
    try:
        told = json.loads((scratch / "modules.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InstrumentError(f"source-map-explorer could not read the source maps: {done.last_line[:160]}") from None
    return _rank(
        {
            (PurePosixPath(name).as_posix(), str(files[int(PurePosixPath(result["bundleName"]).stem)]["url"])): size
            for result in told["results"]
            for name, entry in result["files"].items()
            if name not in _NOT_MODULES and (size := int(entry["size"] if isinstance(entry, dict) else entry))
        }
    )


def read_stats(folder: Path) -> Iterator[tuple[str, dict[tuple[str, str], int]]]:
    """Bytes by module and output file from each build report below a folder; the newest first."""
    found = [
        path
        for name in STATS
        for path in folder.rglob(name)
        if not _SKIPPED & set(path.relative_to(folder).parts) and path.stat().st_size < STATS_BYTES
    ]
    for path in sorted(found, key=lambda path: (-path.stat().st_mtime, path.as_posix())):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        sizes = dict(_esbuild(told)) or dict(_webpack(told)) if isinstance(told, dict) else {}
        if sizes:
            yield path.relative_to(folder).as_posix(), sizes


def _esbuild(told: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], int]]:
    """esbuild's metafile: bytes of each input in each output."""
    outputs = told.get("outputs")
    for output, entry in (outputs if isinstance(outputs, Mapping) else {}).items():
        for name, part in entry.get("inputs", {}).items():
            if part.get("bytesInOutput"):
                yield (name, output), int(part["bytesInOutput"])


def _webpack(told: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], int]]:
    """webpack's stats: sizes of modules before they are minified."""
    modules = told.get("modules")
    for module in islice(modules if isinstance(modules, list) else [], 100_000):
        inner = module.get("modules") or [module]
        for entry in inner:
            if entry.get("name") and entry.get("size"):
                yield (str(entry["name"]).split("!")[-1].removeprefix("./"), "before minification"), int(entry["size"])


def _rank(sizes: Mapping[tuple[str, str], int]) -> list[Row]:
    total = sum(sizes.values()) or 1
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"name": name, "file": file, "bytes": size, "share": round(size / total, 4), "package": _package(name)}
        for (name, file), size in ordered
    ]


def _package(name: str) -> str | None:
    found = _PACKAGE.search(name)
    return found[1] if found else None


def conclude_bundle(workspace: Workspace, workload: Workload, arm: str, raw: dict[str, Any]) -> Evidence:
    """The evidence of sizes."""
    files, modules = raw["file"], raw["module"]
    sums = {name: sum(int(row[name]) for row in files) for name in ("plain", "wire", *ENCODINGS)}
    return Evidence(
        id=f"bundle@{workload.name}/{arm}",
        kind="bundle",
        title=f"{workload.name} on {arm}: {len(files)} scripts and style sheets, {sums['plain']:,} B, "
        f"{sums['wire']:,} B on the wire",
        digest=render_bundle(workload.name, arm, raw, sums),
        artifact=workspace.artifacts.put_json(raw),
        facts={
            **sums,
            "files": len(files),
            **pack_rows("file", files[:MAX_FILES]),
            **pack_rows("module", modules[:MAX_MODULES]),
        },
    )


def render_bundle(workload: str, arm: str, raw: Mapping[str, Any], sums: Mapping[str, int]) -> str:
    """The digest: files by size on the wire, then modules."""
    files, modules = raw["file"], raw["module"]
    lines = [
        f"{workload} on {arm}: {len(files)} scripts and style sheets, {sums['plain']:,} B plain, {sums['wire']:,} B on "
        f"the wire; compressed they have gzip {sums['gzip']:,} B, br {sums['br']:,} B, zstd {sums['zstd']:,} B."
    ]
    lines += [
        f"{row['url']}: plain {row['plain']:,} B, wire {row['wire']:,} B, gzip {row['gzip']:,} B, br {row['br']:,} B"
        for row in files[:MAX_FILES]
    ]
    if len(files) > MAX_FILES:
        lines.append(f"and {len(files) - MAX_FILES} smaller files")
    if modules:
        lines.append(f"By module, from {raw['source']} ({len(modules)} modules):")
        lines += [
            f"{row['share']:.0%} {row['bytes']:,} B {row['name']} in {row['file']}" for row in modules[:MAX_MODULES]
        ]
    if raw["note"]:
        lines.append(f"Modules unknown: {raw['note']}")
    return "\n".join(lines)
