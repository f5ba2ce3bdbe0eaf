'use strict'

// One request as it is traced, and the file that it goes to: the lines that perfcrew_tracer/record.py writes.

const { AsyncLocalStorage } = require('node:async_hooks')
const fs = require('node:fs')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { isMainThread, threadId } = require('node:worker_threads')
const { fingerprint, statementId, shortHash } = require('./fingerprint.cjs')
const { findSite } = require('./sites.cjs')

const MAX_STATEMENTS = 5000
const MAX_SAMPLES = 3
const MAX_TEXT = 20000
const MAX_KNOWN = 2000
// Settings of a connection and bounds of transactions: they ask nothing of the data.
const NO_QUERIES = /^\s*(PRAGMA|BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/i

/** Holds `{ trace, statement }`: the request that runs, and inside a pool the statement that waits for a connection. */
const current = new AsyncLocalStorage()
const inFlight = new Set()
const place = { folder: '', file: null }
const texts = new Map()
const samples = new Map()
let numbers = 0
let hidden = 0

/** Say where traces go and whose source lines count. */
function start (folder, root) {
  place.folder = folder
  require('./sites.cjs').setRoot(root)
}

/** Milliseconds on a clock that stands still while the tracer has work of its own, so that nobody is charged for it. */
function clock () {
  return performance.now() - hidden
}

/** Do work of the tracer's while the clock stands still. */
function unseen (work) {
  const began = performance.now()
  try {
    return work()
  } finally {
    hidden += performance.now() - began
  }
}

/** Call a hook of ours; what it throws never reaches the target. */
function guarded (work, ...given) {
  try {
    return work(...given)
  } catch {
    return null
  }
}

/** One statement of a request: `ms` is the time in the driver, from sending to its answer. */
class Statement {
  constructor (trace, id, params, { site, via }) {
    Object.assign(this, { trace, id, params, site, via, ms: 0, rows: null })
    this.at = clock() - trace.started
  }

  /** Add time in the driver, in milliseconds. */
  spent (milliseconds) {
    this.ms += milliseconds
  }

  /** Add rows that came back or were written. */
  found (rows) {
    if (Number.isInteger(rows) && rows >= 0) this.rows = (this.rows ?? 0) + rows
  }

  line () {
    const { id, at, ms, rows, params, site, via } = this
    return { id, at: round(at), ms: round(ms), rows, params, site, via }
  }
}

/** One request from its arrival to the last byte of its response. */
class RequestTrace {
  constructor (method, url) {
    const [bare, query = ''] = splitOnce(url, '?')
    Object.assign(this, { method, path: decode(bare), query, route: null, status: 500, bytes: 0 })
    Object.assign(this, { ms: null, statements: [], dropped: 0, background: 0, written: false })
    this.number = numbers++
    this.alone = inFlight.size === 0
    for (const other of inFlight) other.alone = false
    inFlight.add(this)
    this.started = clock()
    this.began = performance.now()
    this.over = null
  }

  /** The response is out; what follows is background work. */
  end () {
    this.ms ??= clock() - this.started
    this.over ??= performance.now()
  }

  /** End the request and write its line, once. */
  write () {
    this.end()
    inFlight.delete(this)
    if (this.written) return
    this.written = true
    const { method, path, query, route, status, bytes, dropped, number, background } = this
    writeLine({
      kind: 'request', method, path, query, route, status, ms: round(this.ms), bytes, dropped, number,
      ended: Date.now() / 1000, background, statements: this.statements.map((statement) => statement.line())
    })
  }
}

/** Begin a statement of the current request; null outside of one, and after its response is out. */
function noteStatement (text, params) {
  const trace = current.getStore()?.trace
  if (!trace || typeof text !== 'string' || NO_QUERIES.test(text)) return null
  if (trace.ms !== null) {
    trace.background += 1
    return null
  }
  if (trace.statements.length >= MAX_STATEMENTS) {
    trace.dropped += 1
    return null
  }
  let known = texts.get(text)
  if (known === undefined) {
    const print = fingerprint(text)
    known = { print, id: statementId(print) }
    if (texts.size < MAX_KNOWN) texts.set(text, known)
  }
  const shown = plain(params ?? [])
  const written = samples.get(known.id) ?? 0
  if (written < MAX_SAMPLES) {
    samples.set(known.id, written + 1)
    const sample = { fingerprint: known.print.slice(0, MAX_TEXT), sql: text.slice(0, MAX_TEXT), params: shown }
    writeLine({ kind: 'statement', id: known.id, ...sample, many: false })
  }
  const asked = shortHash(text + JSON.stringify(shown), 8)
  const statement = new Statement(trace, known.id, asked, findSite(noteStatement))
  trace.statements.push(statement)
  return statement
}

/** Write that a line of the target's held the event loop during a request. */
function noteBlocked (trace, site, milliseconds) {
  writeLine({ kind: 'blocked', number: trace.number, site, ms: round(milliseconds) })
}

/** A parameter as JSON: what JSON lacks is tagged, as `{"datetime": "…"}`, so that it can be bound again. */
function plain (value, depth = 0) {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean' || Number.isFinite(value)) return value
  if (typeof value === 'string') return value.length <= 500 ? value : { cut: value.slice(0, 100) }
  if (typeof value === 'bigint') return { Decimal: String(value) }
  if (value instanceof Date && !Number.isNaN(value.getTime())) return { datetime: value.toISOString() }
  if (Array.isArray(value) && depth < 3) return value.slice(0, 500).map((item) => plain(item, depth + 1))
  if (Object.getPrototypeOf(value) === Object.prototype && depth < 3) {
    return Object.fromEntries(Object.entries(value).slice(0, 500).map(([key, item]) => [key, plain(item, depth + 1)]))
  }
  return { other: value?.constructor?.name ?? typeof value }
}

/** Append one line to this process's file. */
function writeLine (line) {
  if (place.file === null) {
    fs.mkdirSync(place.folder, { recursive: true })
    // A worker thread shares its process's number but not its counting.
    const name = isMainThread ? `${process.pid}` : `${process.pid}-${threadId}`
    place.file = fs.openSync(path.join(place.folder, `${name}.jsonl`), 'a')
  }
  fs.writeSync(place.file, JSON.stringify(line) + '\n')
}

function decode (text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function splitOnce (text, mark) {
  const at = text.indexOf(mark)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function round (milliseconds) {
  return Math.round(milliseconds * 1e4) / 1e4
}

module.exports = { RequestTrace, clock, current, guarded, inFlight, noteBlocked, noteStatement, start, unseen, writeLine }
