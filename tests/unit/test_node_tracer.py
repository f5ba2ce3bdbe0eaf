"""The tracer inside a Node target: it sees requests and statements, changes nothing, and breaks nothing.

The drivers here are stand-ins with the files and the ways of pg, mysql2 and better-sqlite3; tests/e2e/test_orders.py
has the real pg.
"""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.event_loop import read_lags, sum_holds
from tools.inject.perfcrew_tracer.fingerprint import fingerprint, statement_id
from tools.launch import NODE_TRACER
from tools.pool import sum_checkouts
from tools.process import run
from tools.process_output import Finished
from tools.traces import Trace, read_trace

NODE = shutil.which("node")
pytestmark = [pytest.mark.app, pytest.mark.skipif(NODE is None, reason="node is not installed")]

SERVER = """
const http = require('node:http')
const { Client, Pool } = require('pg')
const crypto = require('node:crypto')
const pool = new Pool()

async function look (id) { return pool.query('SELECT name FROM items WHERE id = $1', [id]) }
function burn (ms) {
  const end = Date.now() + ms
  while (Date.now() < end) crypto.pbkdf2Sync('a', 'b', 2000, 8, 'sha1')
}

const answers = {
  '/loop': async () => { for (const id of [1, 2, 3, 4, 5, 6]) await look(id) },
  '/both': async () => { await Promise.all([look(1), look(2)]) },
  '/callback': () => new Promise((resolve, reject) => pool.query('SELECT 1', [], (error) => {
    if (error) return reject(error)
    pool.query('SELECT 2 AS two', (inner, result) => (inner ? reject(inner) : resolve(result)))
  })),
  '/transaction': async () => {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query({ text: 'UPDATE items SET name = $1', values: ['x'] })
    await client.query('COMMIT')
    client.release()
  },
  '/fails': () => look('fail').catch((error) => error.message),
  '/burns': async () => burn(150),
  '/quiet': async () => {}
}

const server = http.createServer(async (request, response) => {
  const path = decodeURIComponent(request.url.split('?')[0])
  if (!answers[path]) { response.statusCode = 404; return response.end('no') }
  response.write('one')
  await answers[path]()
  response.end(Buffer.from('two'))
})

server.listen(0, '127.0.0.1', async () => {
  const base = `http://127.0.0.1:${server.address().port}`
  for (const path of process.argv.slice(2)) {
    if (path.includes('+')) {
      const both = await Promise.all(path.split('+').map((one) => fetch(base + one).then((answer) => answer.text())))
      console.log(both.join(' '))
    } else {
      const answer = await fetch(base + path)
      console.log(answer.status, await answer.text())
    }
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  server.closeAllConnections()
  server.close()
})
"""
PG_CLIENT = """
class Client {
  query (config, values, callback) {
    if (typeof values === 'function') callback = values
    const text = config.text ?? config
    const value = Array.isArray(values) ? values[0] : undefined
    const error = value === 'fail' ? new Error('no such item') : null
    const done = (settle) => setTimeout(settle, 2)
    if (callback) return void done(() => callback(error, error ? undefined : { rowCount: 1, text }))
    return new Promise((resolve, reject) => done(() => (error ? reject(error) : resolve({ rowCount: 3, text }))))
  }
}
module.exports = Client
"""
PG_POOL = """
const Client = require('../pg/lib/client')
const waiting = []
let free = [new Client()]
const hand = () => { while (free.length && waiting.length) waiting.shift()(undefined, free.pop()) }

class Pool {
  get totalCount () { return 1 }
  get idleCount () { return free.length }
  get options () { return { max: 1 } }

  connect (callback) {
    const give = (call) => { waiting.push((error, client) => {
      client.release = () => { free.push(client); hand() }
      call(error, client)
    }); process.nextTick(hand) }
    if (callback) return give(callback)
    return new Promise((resolve) => give((error, client) => resolve(client)))
  }

  query (text, values, callback) {
    if (typeof values === 'function') { callback = values; values = undefined }
    let settle
    const result = callback ? undefined : new Promise((resolve, reject) => {
      settle = (error, value) => (error ? reject(error) : resolve(value))
    })
    this.connect((error, client) => client.query(text, values, (problem, value) => {
      client.release()
      ;(callback ?? settle)(problem, value)
    }))
    return result
  }
}
module.exports = Pool
"""
FILES = {
    "server.js": SERVER,
    "node_modules/pg/lib/client.js": PG_CLIENT,
    "node_modules/pg/lib/index.js": "module.exports = { Client: require('./client'), Pool: require('pg-pool') }",
    "node_modules/pg/package.json": '{"name": "pg", "main": "lib/index.js"}',
    "node_modules/pg-pool/index.js": PG_POOL,
    "node_modules/pg-pool/package.json": '{"name": "pg-pool", "main": "index.js"}',
}


def plant(folder: Path, **more: str) -> Path:
    for name, text in {**FILES, **more}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


async def run_node(
    folder: Path, *words: str, trace: Path | None = None, options: str = "", more: Mapping[str, str] | None = None
) -> Finished:
    environment = {"PATH": f"{Path(str(NODE)).parent}:{os.defpath}", "NODE_OPTIONS": options, **(more or {})}
    if trace:
        environment["PERFCREW_TRACE"] = str(trace)
        environment["NODE_OPTIONS"] = f'--require "{NODE_TRACER}" {options}'.rstrip()
    return await run([str(NODE), *words], cwd=folder, environment=environment, timeout=60)


async def traced(folder: Path, *paths: str) -> tuple[list[str], Trace]:
    done = await run_node(plant(folder), "server.js", *paths, trace=folder / "trace")
    assert done.ok, done.err
    assert done.err == ""
    return done.out.splitlines(), read_trace(folder / "trace")


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(SERVER.splitlines(), 1) if text in line)


async def test_requests_are_seen_as_they_are(tmp_path: Path) -> None:
    answers, trace = await traced(tmp_path, "/quiet?a=%20b", "/nowhere")
    assert answers == ["200 onetwo", "404 no"]
    seen = [(line["method"], line["path"], line["query"], line["status"], line["bytes"]) for line in trace.requests]
    assert seen == [("GET", "/quiet", "a=%20b", 200, 6), ("GET", "/nowhere", "", 404, 2)]
    assert all(line["statements"] == [] and line["ms"] > 0 for line in trace.requests)


async def test_a_loop_through_a_pool_is_seen_at_the_line_that_asks(tmp_path: Path) -> None:
    _, trace = await traced(tmp_path, "/loop")
    (request,) = trace.requests
    statements = request["statements"]
    assert len(statements) == 6
    assert {statement["id"] for statement in statements} == {statement_id("SELECT name FROM items WHERE id = ?")}
    assert len({statement["params"] for statement in statements}) == 6
    assert {statement["site"] for statement in statements} == {f"server.js:{line_of('async function look')} look"}
    caller = f"server.js:{line_of('/loop')} "
    assert all(caller in statement["via"] + " " for statement in statements)
    assert all(statement["rows"] == 1 and 1 <= statement["ms"] < 1000 for statement in statements)
    (text,) = trace.texts.values()
    assert [sample["params"] for sample in text["samples"]] == [[1], [2], [3]]


async def test_requests_that_share_a_pool_keep_their_own_statements(tmp_path: Path) -> None:
    _, trace = await traced(tmp_path, "/quiet", "/loop+/both+/callback+/quiet")
    counts = {line["path"]: len(line["statements"]) for line in trace.requests}
    assert counts == {"/quiet": 0, "/loop": 6, "/both": 2, "/callback": 2}


async def test_transactions_and_failures(tmp_path: Path) -> None:
    answers, trace = await traced(tmp_path, "/transaction", "/fails")
    assert answers == ["200 onetwo"] * 2
    changed, failed = (line["statements"] for line in trace.requests)
    assert [trace.texts[statement["id"]]["fingerprint"] for statement in changed] == ["UPDATE items SET name = ?"]
    assert changed[0]["rows"] == 3
    assert [statement["rows"] for statement in failed] == [None]


async def test_what_burns_on_the_loop_is_named(tmp_path: Path) -> None:
    _, trace = await traced(tmp_path, "/quiet", "/burns", "/loop")
    held = {line["path"]: sum(entry["ms"] for entry in line["blocked"]) for line in trace.requests}
    assert held["/quiet"] == held["/loop"] == 0
    assert held["/burns"] > 50
    (request,) = (line for line in trace.requests if line["path"] == "/burns")
    worst = max(request["blocked"], key=lambda entry: float(entry["ms"]))
    # V8 tells the line only of what the function computes itself; else it is where the function begins.
    first = line_of("function burn")
    assert worst["site"] in {f"server.js:{line} burn" for line in range(first, first + 3)}


async def test_a_target_behaves_alike_with_and_without(tmp_path: Path) -> None:
    paths = ("/loop", "/callback", "/transaction", "/fails", "/nowhere", "/loop+/both")
    plain = await run_node(plant(tmp_path), "server.js", *paths)
    with_it = await run_node(tmp_path, "server.js", *paths, trace=tmp_path / "trace")
    assert (plain.code, plain.out, plain.err) == (with_it.code, with_it.out, with_it.err)


REJECTED = """
const { Pool } = require('pg')
process.on('unhandledRejection', (error) => console.log('unhandled', error.message))
require('node:http').createServer((request, response) => {
  if (request.url === '/lost') new Pool().query('SELECT $1', ['fail'])
  else new Pool().query('SELECT $1', ['fail']).catch(() => {})
  setTimeout(() => response.end(), 20)
}).listen(0, '127.0.0.1', async function () {
  for (const path of ['/caught', '/lost']) await fetch(`http://127.0.0.1:${this.address().port}${path}`)
  this.closeAllConnections()
  this.close()
})
"""


async def test_only_rejections_that_nobody_handles_are_unhandled(tmp_path: Path) -> None:
    plant(tmp_path, **{"rejected.js": REJECTED})
    for trace in (None, tmp_path / "trace"):
        done = await run_node(tmp_path, "rejected.js", trace=trace)
        assert done.out.splitlines() == ["unhandled no such item"], done.err


MODULE = """
import http from 'node:http'
import pg from 'pg'
const pool = new pg.Pool()
const server = http.createServer(async (request, response) => {
  await pool.query('SELECT 1')
  response.end()
})
server.listen(0, '127.0.0.1', async () => {
  await fetch(`http://127.0.0.1:${server.address().port}/`)
  server.closeAllConnections()
  server.close()
})
"""


async def test_ecmascript_modules_are_followed_too(tmp_path: Path) -> None:
    done = await run_node(plant(tmp_path, **{"server.mjs": MODULE}), "server.mjs", trace=tmp_path / "trace")
    assert done.ok, done.err
    (request,) = read_trace(tmp_path / "trace").requests
    assert [statement["site"] for statement in request["statements"]] == ["server.mjs:6"]


MYSQL = {
    "node_modules/mysql2/package.json": '{"name": "mysql2", "main": "index.js"}',
    "node_modules/mysql2/index.js": "exports.createPool = () => new (require('./lib/base/pool.js'))()",
    "node_modules/mysql2/lib/base/connection.js": """
const { EventEmitter } = require('node:events')
module.exports = class Connection {
  query (command) {
    const asked = Object.assign(new EventEmitter(), command)
    setTimeout(() => { command.done(null, [{ a: 1 }, { a: 2 }]); asked.emit('end') }, 2)
    return asked
  }
}
""",
    "node_modules/mysql2/lib/base/pool.js": """
const Connection = require('./connection.js')
module.exports = class Pool {
  getConnection (callback) { setTimeout(() => callback(null, new Connection()), 1) }
  query (sql, values, done) { this.getConnection((error, one) => one.query({ sql, values, done })) }
}
""",
    "node_modules/better-sqlite3/package.json": '{"name": "better-sqlite3", "main": "lib/database.js"}',
    "node_modules/better-sqlite3/lib/database.js": """
class Statement {
  all () { return [1, 2, 3] }
  get () { return undefined }
  run () { return { changes: 2 } }
  iterate () { return [][Symbol.iterator]() }
}
module.exports = class Database { prepare () { return new Statement() } exec () {} }
""",
    "drivers.js": """
const Database = require('better-sqlite3')
const pool = require('mysql2').createPool()
require('node:http').createServer((request, response) => {
  const database = new Database()
  database.prepare('SELECT * FROM a WHERE b = ?').all(1)
  database.prepare('SELECT * FROM a WHERE b = :b').get({ b: 7n })
  database.prepare('DELETE FROM a').run()
  database.exec('BEGIN')
  pool.query('SELECT a FROM t WHERE d < ?', [new Date(0)], () => response.end())
}).listen(0, '127.0.0.1', async function () {
  await fetch(`http://127.0.0.1:${this.address().port}/`)
  this.closeAllConnections()
  this.close()
})
""",
}


async def test_other_drivers(tmp_path: Path) -> None:
    done = await run_node(plant(tmp_path, **MYSQL), "drivers.js", trace=tmp_path / "trace")
    assert done.ok, done.err
    trace = read_trace(tmp_path / "trace")
    (request,) = trace.requests
    seen = [(trace.texts[each["id"]]["fingerprint"], each["rows"]) for each in request["statements"]]
    assert seen == [
        ("SELECT * FROM a WHERE b = ?", 3), ("SELECT * FROM a WHERE b = ?", 0), ("DELETE FROM a", 2),
        ("SELECT a FROM t WHERE d < ?", 2),
    ]  # fmt: skip
    samples = [sample["params"] for text in trace.texts.values() for sample in text["samples"]]
    assert samples == [[1], {"b": {"Decimal": "7"}}, [], [{"datetime": "1970-01-01T00:00:00.000Z"}]]
    assert request["statements"][3]["ms"] >= 1


async def test_a_folder_that_cannot_be_written_costs_lines_only(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("a file where a folder should be")
    done = await run_node(plant(tmp_path), "server.js", "/loop", "/burns", trace=tmp_path / "trace")
    assert (done.out.splitlines(), done.err) == (["200 onetwo"] * 2, "")


async def test_without_a_folder_it_does_nothing(tmp_path: Path) -> None:
    script = "console.log(Object.keys(require.cache).length)"
    done = await run_node(tmp_path, "-e", script, options=f'--require "{NODE_TRACER}"')
    assert done.out.strip() == "1"


async def test_a_worker_process_writes_a_file_of_its_own(tmp_path: Path) -> None:
    cluster = """
const cluster = require('node:cluster')
if (cluster.isPrimary) {
  cluster.fork().on('exit', (code) => process.exit(code))
} else {
  require('node:http').createServer((request, response) => response.end()).listen(0, '127.0.0.1', async function () {
    await fetch(`http://127.0.0.1:${this.address().port}/`)
    setTimeout(() => process.exit(0), 50)
  })
}
"""
    done = await run_node(plant(tmp_path, **{"cluster.js": cluster}), "cluster.js", trace=tmp_path / "trace")
    assert done.ok, done.err
    assert [line["path"] for line in read_trace(tmp_path / "trace").requests] == ["/"]


def test_fingerprints_are_the_python_tracers(tmp_path: Path) -> None:
    words = ["SELECT", " a", " = ", "'it''s'", "$1", "$12", "?", ":name", "%s", "%(x)s", "12", "-3.5e7", "t1",
             "::int", "::timestamp with time zone", "::text[]", "(", ")", ", ", "(1, 2)", "\n", "  ", "-- note\n",
             "/* x */", ";", "`b`", '"c"', "IN", "VALUES"]  # fmt: skip
    texts: list[str] = []

    @settings(max_examples=300, database=None, derandomize=True)
    @given(st.lists(st.sampled_from(words), max_size=14))
    def collect(parts: list[str]) -> None:
        texts.append("".join(parts))

    collect()
    script = (
        f"const {{ fingerprint, statementId }} = require({json.dumps(str(NODE_TRACER.parent / 'fingerprint.cjs'))});"
        "const texts = JSON.parse(require('node:fs').readFileSync('texts.json', 'utf8'));"
        "console.log(JSON.stringify(texts.map((text) => [fingerprint(text), statementId(fingerprint(text))])))"
    )
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    done = asyncio.run(run_node(tmp_path, "-e", script))
    assert json.loads(done.out) == [[fingerprint(text), statement_id(fingerprint(text))] for text in texts]


async def test_waits_for_a_pooled_connection_are_told(tmp_path: Path) -> None:
    words = ("server.js", "/loop+/both", "/transaction")
    done = await run_node(plant(tmp_path), *words, trace=tmp_path / "trace", more={"PERFCREW_WATCH": "pool"})
    assert (done.ok, done.err) == (True, "")
    (path,) = (tmp_path / "trace").glob("*.jsonl")
    lines = [("1", json.loads(line)) for line in path.read_text().splitlines()]
    seen = sum_checkouts(lines, 0, time.time())
    assert [len(seen["requests_ms"]), len(seen["checkouts"])] == [3, 9]
    # One connection for two requests: what comes second waits for what the first asks.
    assert max(seen["waits_ms"]) > 2
    assert set(seen["full"]) == {1}
    assert seen["pools"] == ["pg Pool: keeps 1, 1 at most"]


async def test_what_is_watched_in_python_alone_leaves_node_in_peace(tmp_path: Path) -> None:
    done = await run_node(
        plant(tmp_path), "server.js", "/loop", trace=tmp_path / "trace", more={"PERFCREW_WATCH": "count"}
    )
    assert (done.out, done.err) == ("200 onetwo\n", "")
    assert not (tmp_path / "trace").exists()


async def test_a_late_loop_is_measured_with_the_stack_that_held_it(tmp_path: Path) -> None:
    wait = "  await new Promise((resolve) => setTimeout(resolve, 700))\n  server.closeAllConnections()"
    lingering = SERVER.replace("  server.closeAllConnections()", wait)
    folder = plant(tmp_path, **{"server.js": lingering})
    environment = {"PERFCREW_WATCH": "loop"}
    words = ("server.js", "/quiet", "/burns", "/quiet")
    done = await run_node(folder, *words, trace=tmp_path / "trace", more=environment)
    assert done.ok, done.err
    (path,) = (tmp_path / "trace").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    seen = read_lags(lines, 0, time.time())
    assert max(seen["lags_ms"]) > 100
    assert sorted(seen["lags_ms"])[len(seen["lags_ms"]) // 4] < max(seen["lags_ms"]) / 2
    holds = sum_holds(seen["held"], str(folder))
    worst = max((hold for hold in holds if "burn" in hold.site), key=lambda hold: hold.ms)
    # V8 tells a line of what computes itself, compiled code at times that of a statement before; of what only calls,
    # the line at which it begins.
    body = range(line_of("function burn"), line_of("while (Date.now()") + 1)
    assert worst.site in {f"server.js:{line} burn" for line in body}
    assert worst.own and worst.ms > 100
    assert worst.state == "computing"
