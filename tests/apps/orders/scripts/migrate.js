'use strict'

const { migrate, openPool } = require('../src/db')

async function main () {
  const pool = openPool(process.env.DATABASE_URL)
  try {
    for (const name of await migrate(pool)) console.log(`applied ${name}`)
  } finally {
    await pool.end()
  }
}

main()
