'use strict'

const { createApp } = require('./app')
const { openPool } = require('./db')

const pool = openPool(process.env.DATABASE_URL)
const app = createApp({ pool, secret: process.env.RECEIPT_SECRET ?? 'only-for-development' })
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1')

process.on('SIGTERM', () => {
  server.close(() => pool.end())
  server.closeIdleConnections()
})
