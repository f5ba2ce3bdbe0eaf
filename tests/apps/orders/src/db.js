'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { Pool } = require('pg')

const MIGRATIONS = path.join(__dirname, '..', 'migrations')

/** A pool of connections to `postgresql://…`; `schema` keeps everything below one name. */
function openPool (url, { schema } = {}) {
  const options = schema ? `-c search_path=${schema}` : undefined
  return new Pool({ connectionString: url, max: 8, options })
}

/** Apply the SQL files that were not applied yet, in order; their names. */
async function migrate (pool) {
  await pool.query('CREATE TABLE IF NOT EXISTS applied_migrations (name text PRIMARY KEY)')
  const { rows } = await pool.query('SELECT name FROM applied_migrations')
  const known = new Set(rows.map((row) => row.name))
  const fresh = fs.readdirSync(MIGRATIONS).filter((name) => name.endsWith('.sql') && !known.has(name)).sort()
  for (const name of fresh) {
    await inTransaction(pool, async (client) => {
      await client.query(fs.readFileSync(path.join(MIGRATIONS, name), 'utf8'))
      await client.query('INSERT INTO applied_migrations VALUES ($1)', [name])
    })
  }
  return fresh
}

/** Run `work` with one client: committed when it returns, rolled back when it throws. */
async function inTransaction (pool, work) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

module.exports = { openPool, migrate, inTransaction }
