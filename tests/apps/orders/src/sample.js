'use strict'

const FIRST = ['Ada', 'Ben', 'Clara', 'Deniz', 'Elif', 'Farid', 'Greta', 'Hugo', 'Ines', 'Jonas', 'Kira', 'Leo', 'Mina']
const LAST = ['Adler', 'Bauer', 'Costa', 'Demir', 'Evans', 'Fischer', 'Garcia', 'Hansen', 'Ito', 'Jansen', 'Klein']
const CITIES = ['Bremen', 'Ghent', 'Graz', 'Lyon', 'Malmö', 'Porto', 'Turin', 'Utrecht']
const CATEGORIES = ['garden', 'kitchen', 'office', 'outdoor', 'sport', 'toys', 'travel', 'workshop']
const KINDS = ['Basket', 'Bottle', 'Chair', 'Clock', 'Kettle', 'Lamp', 'Rope', 'Stool', 'Table', 'Tent', 'Tray', 'Whistle']
const MATERIALS = ['Bamboo', 'Copper', 'Cotton', 'Glass', 'Linen', 'Oak', 'Steel', 'Wool']
const WORDS = ['sturdy', 'light', 'easy to clean', 'made to last', 'folds flat', 'for rain and shine', 'hand-finished']
const STATUSES = ['open', 'sent', 'delivered', 'delivered', 'delivered', 'returned']
const LATEST = Date.parse('2026-06-30T12:00:00Z')
const HOUR = 3600 * 1000

/** Numbers from 0 to 1 that are the same each time (mulberry32). */
function makeChance (seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Fill an empty, migrated database: 2,000 customers, 1,500 products, 16,000 orders, 40,000 lines at scale 1. */
async function fill (pool, scale = 1) {
  const chance = makeChance(7)
  const below = (limit) => Math.floor(chance() * limit)
  const pick = (list) => list[below(list.length)]
  const counts = { customers: 2000 * scale, products: 1500 * scale, orders: 16000 * scale, lines: 40000 * scale }
  const make = (count, row) => Array.from({ length: count }, (_, index) => row(index + 1))

  const customers = make(counts.customers, (id) => [id, `${pick(FIRST)} ${pick(LAST)}`, `c${id}@post.example`, pick(CITIES)])
  await insert(pool, 'customers', ['id int', 'name text', 'email text', 'city text'], customers)
  const products = make(counts.products, (id) => {
    const words = make(8, () => pick(WORDS)).join(', ')
    return [id, `${pick(MATERIALS)} ${pick(KINDS)} ${id}`, pick(CATEGORIES), words, 199 + below(9000), 100000 + below(50)]
  })
  const columns = ['id int', 'name text', 'category text', 'description text', 'price_cents int', 'stock int']
  await insert(pool, 'products', columns, products)
  const orders = make(counts.orders, (id) => {
    const placed = new Date(LATEST - below(700 * 24) * HOUR)
    return [id, 1 + below(counts.customers), placed.toISOString(), pick(STATUSES)]
  })
  await insert(pool, 'orders', ['id int', 'customer_id int', 'placed_at timestamptz', 'status text'], orders)
  const lines = make(counts.lines, (id) => {
    const product = products[below(counts.products)]
    return [id, 1 + below(counts.orders), product[0], 1 + below(4), product[4]]
  })
  const parts = ['id int', 'order_id int', 'product_id int', 'quantity int', 'price_cents int']
  await insert(pool, 'order_lines', parts, lines)
  return counts
}

async function insert (pool, table, columns, rows) {
  const names = columns.map((column) => column.split(' ')[0])
  const arrays = columns.map((column, index) => `$${index + 1}::${column.split(' ')[1]}[]`)
  const values = columns.map((_, index) => rows.map((row) => row[index]))
  await pool.query(`INSERT INTO ${table} (${names.join(', ')}) SELECT * FROM unnest(${arrays.join(', ')})`, values)
  await pool.query(`SELECT setval(pg_get_serial_sequence('${table}', 'id'), (SELECT max(id) FROM ${table}))`)
}

module.exports = { fill }
