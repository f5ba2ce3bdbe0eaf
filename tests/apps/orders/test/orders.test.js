'use strict'

const assert = require('node:assert/strict')
const { after, before, describe, it } = require('node:test')
const { migrate } = require('../src/db')
const { openShop } = require('./shop')

describe('the shop', () => {
  let shop
  before(async () => { shop = await openShop('orders') })
  after(async () => { await shop.close() })

  it('is healthy', async () => {
    assert.deepEqual(await shop.ask('/health'), { status: 200, body: { status: 'ok' } })
  })

  it('lists orders, the latest first', async () => {
    const { body } = await shop.ask('/api/customers/5/orders')
    assert.equal(body.customer.id, 5)
    const placed = body.orders.map((order) => order.placed_at)
    assert.deepEqual(placed, [...placed].sort().reverse())
    assert.ok(body.orders.length >= 3)
  })

  it('shows the lines of each order and what they cost', async () => {
    const { body } = await shop.ask('/api/customers/7/orders?limit=50')
    for (const order of body.orders) {
      const { rows } = await shop.pool.query('SELECT * FROM order_lines WHERE order_id = $1 ORDER BY id', [order.id])
      assert.deepEqual(order.lines.map((line) => line.product_id), rows.map((row) => row.product_id))
      const goods = rows.reduce((sum, row) => sum + row.quantity * row.price_cents, 0)
      assert.equal(order.total, ((goods + (goods >= 5000 ? 0 : 490)) / 100).toFixed(2))
    }
  })

  it('keeps to the limit', async () => {
    const whole = (await shop.ask('/api/customers/5/orders?limit=50')).body.orders
    const some = (await shop.ask('/api/customers/5/orders?limit=2')).body.orders
    assert.deepEqual(some, whole.slice(0, 2))
  })

  it('knows who is no customer', async () => {
    assert.equal((await shop.ask('/api/customers/9999/orders')).status, 404)
    assert.equal((await shop.ask('/api/customers/me/orders')).status, 400)
    assert.equal((await shop.ask('/api/customers/5/orders?limit=0')).status, 400)
  })

  it('places an order that shows at once', async () => {
    const before = (await shop.ask('/api/products/3')).body.stock
    const lines = [{ product_id: 3, quantity: 2 }, { product_id: 1, quantity: 1 }]
    const placed = await shop.ask('/api/orders', { customer_id: 9, lines })
    assert.equal(placed.status, 201)
    const [latest] = (await shop.ask('/api/customers/9/orders?limit=1')).body.orders
    assert.deepEqual([latest.id, latest.status], [placed.body.id, 'open'])
    assert.deepEqual(latest.lines.map((line) => [line.product_id, line.quantity]), [[3, 2], [1, 1]])
    assert.equal((await shop.ask('/api/products/3')).body.stock, before - 2)
  })

  it('sells nothing that is not there', async () => {
    const before = (await shop.ask('/api/products/2')).body.stock
    const lines = [{ product_id: 2, quantity: 1 }, { product_id: 4, quantity: 10 ** 8 }]
    assert.equal((await shop.ask('/api/orders', { customer_id: 9, lines })).status, 409)
    assert.equal((await shop.ask('/api/products/2')).body.stock, before)
  })

  it('refuses incomplete orders', async () => {
    for (const body of [{}, { customer_id: 1 }, { customer_id: 1, lines: [] }, { customer_id: 1, lines: [{}] }]) {
      assert.equal((await shop.ask('/api/orders', body)).status, 400)
    }
    const unknown = await shop.ask('/api/orders', { customer_id: 9999, lines: [{ product_id: 1, quantity: 1 }] })
    assert.deepEqual(unknown, { status: 404, body: { error: 'no such customer' } })
  })

  it('writes the same sealed receipt each time', async () => {
    const first = (await shop.ask('/api/orders/11/receipt')).body
    assert.match(first.seal, /^[0-9a-f]{64}$/)
    assert.deepEqual((await shop.ask('/api/orders/11/receipt')).body, first)
    assert.notEqual((await shop.ask('/api/orders/12/receipt')).body.seal, first.seal)
    assert.equal((await shop.ask('/api/orders/99999/receipt')).status, 404)
  })

  it('pages through a category by name', async () => {
    const { rows } = await shop.pool.query('SELECT category, count(*)::int FROM products GROUP BY 1 ORDER BY 2 DESC LIMIT 1')
    const pages = []
    for (const page of [1, 2]) pages.push(...(await shop.ask(`/api/products?category=${rows[0].category}&page=${page}`)).body.products)
    assert.equal(pages.length, rows[0].count)
    const names = pages.map((product) => product.name)
    assert.deepEqual(names, [...names].sort())
    assert.deepEqual((await shop.ask('/api/products?category=none')).body.products, [])
  })

  it('shows one product', async () => {
    const { body } = await shop.ask('/api/products/1')
    assert.deepEqual(Object.keys(body), ['id', 'name', 'category', 'description', 'stock', 'price'])
    assert.equal((await shop.ask('/api/products/99999')).status, 404)
  })

  it('gives the whole catalogue', async () => {
    const { body } = await shop.ask('/api/catalogue')
    assert.equal(body.count, 30)
    assert.equal(new Set(body.products.map((product) => product.id)).size, 30)
  })

  it('says what it does not know', async () => {
    assert.deepEqual(await shop.ask('/api/nothing'), { status: 404, body: { error: 'no such page' } })
  })

  it('migrates once', async () => {
    assert.deepEqual(await migrate(shop.pool), [])
  })
})
