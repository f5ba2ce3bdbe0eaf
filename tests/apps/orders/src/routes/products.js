'use strict'

const { Router } = require('express')
const { Refusal, wholeNumber } = require('../refusal')
const { showEuros } = require('../prices')

const PAGE = 20

/** What there is to buy. */
function products ({ pool }) {
  const router = Router()

  router.get('/', async (request, response) => {
    const category = String(request.query.category ?? '')
    const page = wholeNumber(request.query.page ?? 1, 'page')
    const { rows } = await pool.query(
      'SELECT id, name, price_cents FROM products WHERE category = $1 ORDER BY name, id LIMIT $2 OFFSET $3',
      [category, PAGE, (page - 1) * PAGE]
    )
    const found = rows.map((row) => ({ id: row.id, name: row.name, price: showEuros(row.price_cents) }))
    response.json({ category, page, products: found })
  })

  router.get('/:id', async (request, response) => {
    const { rows: [product] } = await pool.query(
      'SELECT id, name, category, description, price_cents, stock FROM products WHERE id = $1',
      [wholeNumber(request.params.id, 'id')]
    )
    if (!product) throw new Refusal(404, 'no such product')
    const { price_cents: cents, ...rest } = product
    response.json({ ...rest, price: showEuros(cents) })
  })

  return router
}

/** Everything at once, for price comparison sites. */
function catalogue ({ pool }) {
  return async (request, response) => {
    const { rows } = await pool.query(
      'SELECT id, name, category, description, price_cents, stock FROM products ORDER BY category, name, id'
    )
    response.json({ count: rows.length, products: rows })
  }
}

module.exports = { products, catalogue }
