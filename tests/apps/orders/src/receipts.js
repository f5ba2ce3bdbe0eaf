'use strict'

const crypto = require('node:crypto')
const { sumLines, shippingCents, showEuros } = require('./prices')

const ROUNDS = 400000

/** A seal under the text of a receipt, so that nobody writes their own. */
function seal (secret, text) {
  const key = crypto.pbkdf2Sync(secret, 'receipts', ROUNDS, 32, 'sha256')
  return crypto.createHmac('sha256', key).update(text).digest('hex')
}

/** The receipt of an order, sealed. */
function writeReceipt (secret, order, lines) {
  const goods = sumLines(lines)
  const receipt = {
    order: order.id,
    customer: order.customer,
    placed_at: order.placed_at,
    lines: lines.map((line) => ({ name: line.name, quantity: line.quantity, price: showEuros(line.price_cents) })),
    shipping: showEuros(shippingCents(goods)),
    total: showEuros(goods + shippingCents(goods))
  }
  return { ...receipt, seal: seal(secret, JSON.stringify(receipt)) }
}

module.exports = { seal, writeReceipt }
