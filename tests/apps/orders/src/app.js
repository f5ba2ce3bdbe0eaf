'use strict'

const express = require('express')
const { Refusal } = require('./refusal')
const { customers } = require('./routes/customers')
const { orders } = require('./routes/orders')
const { catalogue, products } = require('./routes/products')
const { Trail } = require('./trail')

/** The application on a pool of connections. */
function createApp ({ pool, secret }) {
  const app = express()
  const parts = { pool, secret, trail: new Trail() }
  app.disable('x-powered-by')
  app.use(express.json())
  app.get('/health', (request, response) => {
    response.json({ status: 'ok' })
  })
  app.get('/api/catalogue', catalogue(parts))
  app.use('/api/products', products(parts))
  app.use('/api/customers', customers(parts))
  app.use('/api/orders', orders(parts))
  app.use((request, response) => {
    response.status(404).json({ error: 'no such page' })
  })
  app.use((error, request, response, next) => {
    if (response.headersSent) return next(error)
    const status = error instanceof Refusal || error.type ? error.status : 500
    response.status(status).json({ error: status === 500 ? 'something went wrong' : error.message })
    if (status === 500) console.error(error)
  })
  return app
}

module.exports = { createApp }
