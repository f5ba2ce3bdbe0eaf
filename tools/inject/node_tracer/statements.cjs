'use strict'

// Where statements are sent: pg, mysql2, better-sqlite3 and Node's own SQLite.

const { clock, current, guarded, noteStatement } = require('./record.cjs')

/** Run `call` with its last argument, when that is a callback, telling `done` first; or tell it of a promise's end. */
function watch (call, self, given, done) {
  const store = current.getStore()
  const last = given.length - 1
  const callback = given[last]
  if (typeof callback === 'function') {
    // A driver calls back from its socket, which belongs to whoever opened it: the request is carried along.
    const watched = function (error, result) {
      guarded(done, result)
      return current.run(store, () => callback.apply(this, arguments))
    }
    return call.apply(self, [...given.slice(0, last), watched])
  }
  const result = call.apply(self, given)
  if (typeof result?.then === 'function') {
    // What is handed on is our own promise, so that a rejection is unhandled exactly where it was.
    return result.then(
      (value) => { guarded(done, value); return value },
      (error) => { guarded(done, undefined); throw error }
    )
  }
  if (typeof result?.once === 'function') guarded(() => result.once('end', () => guarded(done, undefined)))
  return result
}

/** A connection's way of asking: its time is the driver's. Under a pool the statement is there already. */
function timeConnection (prototype, name, read, countRows) {
  const call = prototype[name]
  if (typeof call !== 'function') return
  prototype[name] = function (...given) {
    const store = current.getStore()
    if (!store || store.muted) return call.apply(this, given)
    const statement = store.statement ?? guarded(() => noteStatement(...read(given)))
    if (!statement) return call.apply(this, given)
    const began = clock()
    let over = false
    return watch(call, this, given, (result) => {
      if (over) return
      over = true
      statement.spent(clock() - began)
      if (!store.statement) statement.found(countRows(result))
    })
  }
}

/** A pool's way of asking: the place that asks is here, the connection comes later and from another place. */
function followPool (prototype, name, read, countRows) {
  const call = prototype[name]
  if (typeof call !== 'function') return
  prototype[name] = function (...given) {
    const store = current.getStore()
    if (!store || store.muted || store.statement) return call.apply(this, given)
    const statement = guarded(() => noteStatement(...read(given)))
    const inner = { trace: store.trace, statement, muted: !statement }
    const asked = (...rest) => current.run(inner, () => call.apply(this, rest))
    return watch(asked, this, given, (result) => statement?.found(countRows(result)))
  }
}

/** A pool hands its connection over from wherever one got free: the request that waited is carried along. */
function carryCallback (prototype, name) {
  const call = prototype[name]
  if (typeof call !== 'function') return
  prototype[name] = function (...given) {
    const store = current.getStore()
    const callback = given[0]
    if (!store || typeof callback !== 'function') return call.apply(this, given)
    given[0] = function () {
      return current.run(store, () => callback.apply(this, arguments))
    }
    return call.apply(this, given)
  }
}

function readPg ([config, values]) {
  if (typeof config === 'string') return [config, Array.isArray(values) ? values : []]
  // A cursor or stream keeps its text inside.
  const query = config?.cursor ?? config
  return [query?.text ?? query?.name, Array.isArray(values) ? values : query?.values ?? []]
}

function countPg (result) {
  return Array.isArray(result) ? result.reduce((sum, one) => sum + (one?.rowCount ?? 0), 0) : result?.rowCount
}

function readMysql ([sql, values]) {
  if (typeof sql === 'string') return [sql, typeof values === 'function' ? [] : values ?? []]
  return [sql?.sql, typeof values === 'function' || values === undefined ? sql?.values ?? [] : values]
}

function countMysql (rows) {
  return Array.isArray(rows) ? rows.length : rows?.affectedRows
}

/** Synchronous databases: `prepare` gives statements, whose methods ask. */
function hookSqlite (Database) {
  const { prepare, exec } = Database.prototype
  const texts = new WeakMap()
  const seen = new WeakSet()
  Database.prototype.prepare = function (sql) {
    const statement = prepare.apply(this, arguments)
    guarded(() => {
      texts.set(statement, sql)
      const prototype = Object.getPrototypeOf(statement)
      if (seen.has(prototype)) return
      seen.add(prototype)
      timeSync(prototype, 'get', (self, given) => [texts.get(self), given], (row) => (row === undefined ? 0 : 1))
      timeSync(prototype, 'all', (self, given) => [texts.get(self), given], (rows) => rows.length)
      timeSync(prototype, 'run', (self, given) => [texts.get(self), given], (info) => Number(info.changes))
      timeSync(prototype, 'iterate', (self, given) => [texts.get(self), given], () => undefined)
    })
    return statement
  }
  if (typeof exec === 'function') timeSync(Database.prototype, 'exec', (_, [sql]) => [sql, []], () => undefined)
}

function timeSync (prototype, name, read, countRows) {
  const call = prototype[name]
  prototype[name] = function (...given) {
    const statement = current.getStore() ? guarded(noteSync, read, this, given) : null
    if (!statement) return call.apply(this, given)
    const began = clock()
    try {
      const result = call.apply(this, given)
      guarded(() => statement.found(countRows(result)))
      return result
    } finally {
      statement.spent(clock() - began)
    }
  }
}

function noteSync (read, self, given) {
  const [text, params] = read(self, given)
  const [first] = params
  const whole = params.length === 1 && (Array.isArray(first) || first?.constructor === Object)
  return noteStatement(text, whole ? first : params)
}

function hookMysqlConnection (Connection) {
  for (const name of ['query', 'execute']) timeConnection(Connection.prototype, name, readMysql, countMysql)
}

function hookMysqlPool (Pool) {
  for (const name of ['query', 'execute']) followPool(Pool.prototype, name, readMysql, countMysql)
  carryCallback(Pool.prototype, 'getConnection')
}

/** By file of its package; of two files that hold a class in turn, by version, each is found at one only. */
const HOOKS = {
  'pg/lib/client.js': (Client) => timeConnection(Client.prototype, 'query', readPg, countPg),
  'pg/lib/native/client.js': (Client) => timeConnection(Client.prototype, 'query', readPg, countPg),
  'pg-pool/index.js': (Pool) => {
    followPool(Pool.prototype, 'query', readPg, countPg)
    carryCallback(Pool.prototype, 'connect')
  },
  'mysql2/lib/connection.js': (Connection) => {
    if (Object.hasOwn(Connection.prototype, 'query')) hookMysqlConnection(Connection)
  },
  'mysql2/lib/base/connection.js': hookMysqlConnection,
  'mysql2/lib/pool.js': (Pool) => {
    if (Object.hasOwn(Pool.prototype, 'query')) hookMysqlPool(Pool)
  },
  'mysql2/lib/base/pool.js': hookMysqlPool,
  'better-sqlite3/lib/database.js': hookSqlite,
  'node:sqlite': (sqlite) => hookSqlite(sqlite.DatabaseSync)
}

module.exports = { HOOKS }
