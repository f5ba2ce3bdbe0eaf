'use strict'

const { Router } = require('express')
const { inTransaction } = require('../db')
const { linesOf } = require('../lines')
const { writeReceipt } = require('../receipts')
const { Refusal, wholeNumber } = require('../refusal')

const MOST_LINES = 50

function readLines (body) {
  if (!Array.isArray(body.lines) || body.lines.length < 1 || body.lines.length > MOST_LINES) {
    throw new Refusal(400, `expected 1 to ${MOST_LINES} lines`)
  }
  return body.lines.map((line) => ({
    product: wholeNumber(line?.product_id, 'product_id'),
    quantity: wholeNumber(line?.quantity, 'quantity')
  }))
}

/** Take the goods off the shelf and write the order; what it got is all or nothing. */
async function place (client, customerId, lines) {
  const products = lines.map((line) => line.product)
  const quantities = lines.map((line) => line.quantity)
  const taken = await client.query(
    'UPDATE products p SET stock = stock - w.quantity' +
      ' FROM (SELECT id, sum(quantity)::int AS quantity FROM unnest($1::int[], $2::int[]) AS t (id, quantity) GROUP BY id) w' +
      ' WHERE p.id = w.id AND p.stock >= w.quantity RETURNING p.id',
    [products, quantities]
  )
  if (taken.rowCount < new Set(products).size) throw new Refusal(409, 'not enough in stock')
  const { rows: [order] } = await client.query(
    "INSERT INTO orders (customer_id, placed_at, status) VALUES ($1, now(), 'open') RETURNING id",
    [customerId]
  )
  await client.query(
    'INSERT INTO order_lines (order_id, product_id, quantity, price_cents)' +
      ' SELECT $1, p.id, t.quantity, p.price_cents FROM unnest($2::int[], $3::int[]) WITH ORDINALITY AS t (id, quantity, place)' +
      ' JOIN products p ON p.id = t.id ORDER BY t.place',
    [order.id, products, quantities]
  )
  return order.id
}

/** Placing orders, and their receipts. */
function orders ({ pool, secret }) {
  const router = Router()

  router.post('/', async (request, response) => {
    const body = request.body ?? {}
    const customerId = wholeNumber(body.customer_id, 'customer_id')
    const lines = readLines(body)
    const known = await pool.query('SELECT 1 FROM customers WHERE id = $1', [customerId])
    if (!known.rowCount) throw new Refusal(404, 'no such customer')
    const id = await inTransaction(pool, (client) => place(client, customerId, lines))
    response.status(201).json({ id })
  })

  router.get('/:id/receipt', async (request, response) => {
    const { rows: [order] } = await pool.query(
      'SELECT o.id, o.placed_at, c.name AS customer FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = $1',
      [wholeNumber(request.params.id, 'id')]
    )
    if (!order) throw new Refusal(404, 'no such order')
    response.json(writeReceipt(secret, order, await linesOf(pool, order.id)))
  })

  return router
}

module.exports = { orders }
