'use strict'

/** The lines of an order with the names of their products, in the order in which they were put in. */
async function linesOf (pool, orderId) {
  const { rows } = await pool.query(
    'SELECT l.product_id, p.name, l.quantity, l.price_cents FROM order_lines l JOIN products p ON p.id = l.product_id' +
      ' WHERE l.order_id = $1 ORDER BY l.id',
    [orderId]
  )
  return rows
}

module.exports = { linesOf }
