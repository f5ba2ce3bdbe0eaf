'use strict'

// How long requests wait for a database connection: the pools of pg and mysql2. The lines that perfcrew_tracer/pools.py
// writes: waiting for a connection that others hold and opening a new one are told apart.

const { performance } = require('node:perf_hooks')
const { current, guarded, writeLine } = require('./record.cjs')

const PG = {
  name: 'pg Pool',
  all: (pool) => pool.totalCount,
  idle: (pool) => pool.idleCount,
  most: (pool) => pool.options?.max ?? null
}
const MYSQL = {
  name: 'mysql2 Pool',
  all: (pool) => pool._allConnections.length,
  idle: (pool) => pool._freeConnections.length,
  most: (pool) => pool.config.connectionLimit || null
}
const HOOKS = {
  'pg-pool/index.js': (Pool) => watchPool(Pool.prototype, 'connect', PG),
  'mysql2/lib/pool.js': (Pool) => watchPool(Pool.prototype, 'getConnection', MYSQL),
  'mysql2/lib/base/pool.js': (Pool) => watchPool(Pool.prototype, 'getConnection', MYSQL)
}

/** Follow requests, and the connections that they take. */
function install () {
  require('./requests.cjs').install({ loop: false })
  require('./modules.cjs').install(HOOKS)
}

function watchPool (prototype, name, kind) {
  if (!Object.hasOwn(prototype, name)) return
  const take = prototype[name]
  prototype[name] = function (...given) {
    const store = current.getStore()
    if (!store) return take.apply(this, given)
    const began = performance.now()
    const before = guarded(kind.all, this)
    let opens = false
    const done = () => guarded(note, this, kind, store.trace, performance.now() - began, opens)
    const callback = given[0]
    if (typeof callback === 'function') {
      given[0] = function () {
        done()
        return current.run(store, () => callback.apply(this, arguments))
      }
    }
    const result = take.apply(this, given)
    // A pool that has none to give makes a new one at once.
    opens = guarded(kind.all, this) > before
    if (typeof callback === 'function' || typeof result?.then !== 'function') return result
    return result.then((client) => { done(); return client })
  }
}

function note (pool, kind, trace, spent, opens) {
  const [wait, open] = opens ? [0, spent] : [spent, 0]
  const most = kind.most(pool)
  writeLine({
    kind: 'checkout', pool: kind.name, number: trace.number, at: Date.now() / 1000,
    held: kind.all(pool) - kind.idle(pool), size: most, most, wait_ms: round(wait), open_ms: round(open)
  })
}

function round (milliseconds) {
  return Math.round(milliseconds * 1000) / 1000
}

module.exports = { install }
