'use strict'

const { migrate, openPool } = require('../src/db')
const { fill } = require('../src/sample')

async function main () {
  const pool = openPool(process.env.DATABASE_URL)
  try {
    await migrate(pool)
    console.log(await fill(pool))
  } finally {
    await pool.end()
  }
}

main()
