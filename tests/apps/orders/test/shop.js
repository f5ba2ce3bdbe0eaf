'use strict'

const { createApp } = require('../src/app')
const { migrate, openPool } = require('../src/db')
const { fill } = require('../src/sample')

const URL = process.env.DATABASE_URL

/** A small shop in a schema of its own, served on a free port. */
async function openShop (name) {
  const schema = `shop_${name}_${process.pid}`
  const owner = openPool(URL)
  await owner.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await owner.query(`CREATE SCHEMA ${schema}`)
  const pool = openPool(URL, { schema })
  await migrate(pool)
  await fill(pool, 0.02)
  const server = await new Promise((resolve) => {
    const started = createApp({ pool, secret: 'test' }).listen(0, '127.0.0.1', () => resolve(started))
  })
  const base = `http://127.0.0.1:${server.address().port}`

  async function ask (path, body) {
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await fetch(base + path, body === undefined ? {} : post)
    return { status: answer.status, body: await answer.json() }
  }

  async function close () {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await pool.end()
    await owner.query(`DROP SCHEMA ${schema} CASCADE`)
    await owner.end()
  }

  return { pool, ask, close }
}

module.exports = { openShop }
