'use strict'

const { Router } = require('express')
const { linesOf } = require('../lines')
const { shippingCents, showEuros, sumLines } = require('../prices')
const { Refusal, readLimit, wholeNumber } = require('../refusal')

/** Accounts: who a customer is and what they ordered. */
function customers ({ pool, trail }) {
  const router = Router()

  router.get('/:id/orders', async (request, response) => {
    const id = wholeNumber(request.params.id, 'id')
    const { rows: [customer] } = await pool.query('SELECT id, name, city FROM customers WHERE id = $1', [id])
    if (!customer) throw new Refusal(404, 'no such customer')
    trail.note(id, request)
    const { rows } = await pool.query(
      'SELECT id, placed_at, status FROM orders WHERE customer_id = $1 ORDER BY placed_at DESC, id DESC LIMIT $2',
      [id, readLimit(request.query, 10, 50)]
    )
    const orders = []
    for (const order of rows) {
      const lines = await linesOf(pool, order.id)
      const goods = sumLines(lines)
      orders.push({ ...order, lines, total: showEuros(goods + shippingCents(goods)) })
    }
    response.json({ customer, orders })
  })

  return router
}

module.exports = { customers }
