"""What Lighthouse and build tools report, read by name; and what is said where they are missing."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from target_repo import make_workspace

from perfcrew.errors import InstrumentError
from perfcrew.records.target import Page, Workload
from tools.bundle import conclude_bundle, read_stats
from tools.lighthouse import conclude_lighthouse, failed_audits
from tools.node_programs import find_program, run_program
from tools.workspace import Workspace

SHOP = Workload(name="shop", kind="page", page=Page(path="/shop"))


def audit(title: str, score: float | None, **more: Any) -> dict[str, Any]:
    return {"title": title, "score": score, **more}


def report(**audits: dict[str, Any]) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in audits.items()}
    refs = [{"id": name} for name in (*named, "an-audit-of-another-version")]
    return {"lighthouseVersion": "12.8.2", "audits": named, "categories": {"performance": {"auditRefs": refs}}}


BAD = report(
    interactive=audit("Time to Interactive", 0.4, numericValue=4792.04),
    max_potential_fid=audit("Max Potential FID", 0.1, numericValue=1063.1),
    redirects=audit("Avoid redirects", 0, details={"overallSavingsMs": 580, "items": [{"url": "http://127.0.0.1:1/a"}]}),
    unused_javascript=audit(
        "Reduce unused JavaScript", 0, displayValue="Est savings of 198 KiB", metricSavings={"LCP": 1050, "CLS": 9},
        details={"overallSavingsBytes": 202_782, "items": [{"node": {"selector": "body > script"}}, "odd"]},
    ),
    uses_http2=audit("Use HTTP/2", None),
    dom_size=audit("Avoid an excessive DOM size", 1),
)  # fmt: skip


async def make(tmp_path: Path) -> Workspace:
    return await make_workspace(tmp_path, {"a": ""}, {})


def test_failed_audits_are_ordered_by_what_they_save() -> None:
    rows = failed_audits(BAD)
    assert [row["id"] for row in rows] == ["unused-javascript", "redirects"]
    assert rows[0]["saves_ms"] == 1050 and rows[0]["saves_bytes"] == 202_782 and rows[0]["about"] == "body > script"
    assert rows[1]["about"] == "/a"


async def test_lighthouse_evidence_labels_retired_figures(tmp_path: Path) -> None:
    evidence = conclude_lighthouse(await make(tmp_path), SHOP, "base", BAD)
    assert evidence.id == "lighthouse@shop/base" and evidence.facts["tti_ms"] == 4792.0
    assert "TTI (`interactive`, retired): 4,792 ms" in evidence.digest and evidence.measurements == ()


async def test_a_report_without_anything_is_no_failure(tmp_path: Path) -> None:
    evidence = conclude_lighthouse(await make(tmp_path), SHOP, "base", {"audits": {}, "categories": {}})
    assert evidence.digest.splitlines()[-1] == "none" and evidence.facts == {}


def write(folder: Path, name: str, value: object) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value))


def test_esbuild_and_webpack_reports_are_read(tmp_path: Path) -> None:
    write(tmp_path, "dist/meta.json", {"outputs": {"out.js": {"inputs": {"a.js": {"bytesInOutput": 30}, "b.js": {}}}}})
    os.utime(tmp_path / "dist/meta.json", (1, 1))
    modules = [{"name": "./src/a.js", "size": 10}, {"modules": [{"name": "x!./src/b.js", "size": 5}], "size": 9}]
    write(tmp_path, "stats.json", {"modules": modules})
    write(tmp_path, "node_modules/x/stats.json", {"modules": modules})
    write(tmp_path, "other/meta.json", {"outputs": "nothing of a build"})
    write(tmp_path, "list/stats.json", [1])
    assert list(read_stats(tmp_path)) == [
        ("stats.json", {("src/a.js", "before minification"): 10, ("src/b.js", "before minification"): 5}),
        ("dist/meta.json", {("a.js", "out.js"): 30}),
    ]


async def test_bundle_digest_stays_short(tmp_path: Path) -> None:
    sizes = {"plain": 9000, "wire": 9100, "gzip": 3000, "br": 2500, "zstd": 2800, "map": 1}
    raw = {
        "kind": "bundle", "source": "source maps", "note": "",
        "file": [{"url": f"/static/chunk-{number}.js", **sizes} for number in range(60)],
        "module": [
            {"name": f"src/{number}/{'x' * 60}.js", "file": "/static/chunk-1.js", "bytes": 100, "share": 0.01}
            for number in range(900)
        ],
    }  # fmt: skip
    evidence = conclude_bundle(await make(tmp_path), SHOP, "base", raw)
    assert len(evidence.digest) < 4000 and evidence.facts["plain"] == 540_000
    assert "and 52 smaller files" in evidence.digest and "900 modules" in evidence.digest


def fake_program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def test_programs_are_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = await make(tmp_path / "w")
    on_path, named, own = tmp_path / "usr" / "bin", tmp_path / "named", tmp_path / "own" / "node_modules"
    fake_program(on_path, "node", "exit 0")
    monkeypatch.setenv("PATH", str(on_path))
    with pytest.raises(
        InstrumentError, match="npm install --global lighthouse, or set PERFCREW_NODE_MODULES"
    ) as caught:
        await find_program(workspace, "lighthouse")
    assert "\n" not in str(caught.value)
    system = fake_program(on_path, "lighthouse", "exit 0")
    assert (await find_program(workspace, "lighthouse")).argv == (str(system),)
    fake_program(own / ".bin", "lighthouse", "exit 0")
    assert (await find_program(workspace, "lighthouse", own)).argv == (str(own / ".bin" / "lighthouse"),)
    fake_program(named / ".bin", "lighthouse", "exit 0")
    workspace = replace(workspace, programs={"node_modules": named})
    assert (await find_program(workspace, "lighthouse", own)).argv == (str(named / ".bin" / "lighthouse"),)
    workspace = replace(workspace, programs={"node_modules": tmp_path / "typo"})
    with pytest.raises(InstrumentError, match="PERFCREW_NODE_MODULES names"):
        await find_program(workspace, "lighthouse", own)


async def test_without_node_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = await make(tmp_path / "w")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstrumentError, match="needs Node, which is not on PATH: install it") as caught:
        await find_program(workspace, "source-map-explorer")
    assert "\n" not in str(caught.value)


async def test_programs_see_their_own_folder_and_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    fake_program(tmp_path / "usr" / "bin", "node", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'usr' / 'bin'}{os.pathsep}{os.defpath}")
    workspace = await make(tmp_path / "w")
    fake_program(tmp_path / "named" / ".bin", "source-map-explorer", "env; pwd; echo made > made.txt")
    workspace = replace(workspace, programs={"node_modules": tmp_path / "named"})
    program = await find_program(workspace, "source-map-explorer")
    scratch = workspace.folder / "scratch"
    done = await run_program(workspace, program, [], scratch, timeout=30)
    assert done.ok and "SECRET_OF_OURS" not in done.out and (scratch / "made.txt").exists()
