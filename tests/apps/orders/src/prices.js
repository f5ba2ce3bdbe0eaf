'use strict'

const FREE_SHIPPING_CENTS = 5000
const SHIPPING_CENTS = 490

/** What lines cost together. */
function sumLines (lines) {
  return lines.reduce((sum, line) => sum + line.quantity * line.price_cents, 0)
}

/** Shipping is free from 50 euros on. */
function shippingCents (goodsCents) {
  return goodsCents >= FREE_SHIPPING_CENTS ? 0 : SHIPPING_CENTS
}

/** `1234` as `12.34`. */
function showEuros (cents) {
  return (cents / 100).toFixed(2)
}

module.exports = { sumLines, shippingCents, showEuros }
