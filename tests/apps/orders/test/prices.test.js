'use strict'

const assert = require('node:assert/strict')
const { it } = require('node:test')
const { shippingCents, showEuros, sumLines } = require('../src/prices')
const { seal } = require('../src/receipts')
const { Trail } = require('../src/trail')

it('adds lines up', () => {
  assert.equal(sumLines([]), 0)
  assert.equal(sumLines([{ quantity: 2, price_cents: 199 }, { quantity: 1, price_cents: 1 }]), 399)
})

it('ships for nothing from 50 euros on', () => {
  assert.deepEqual([0, 4999, 5000].map(shippingCents), [490, 490, 0])
})

it('shows euros with two decimals', () => {
  assert.deepEqual([0, 5, 1234].map(showEuros), ['0.00', '0.05', '12.34'])
})

it('seals by secret and text', () => {
  assert.equal(seal('a', 'text'), seal('a', 'text'))
  assert.notEqual(seal('a', 'text'), seal('b', 'text'))
  assert.notEqual(seal('a', 'text'), seal('a', 'other'))
})

it('counts looks at an account', () => {
  const trail = new Trail()
  for (const id of [1, 2, 1]) trail.note(id, { originalUrl: '/', headers: {}, rawHeaders: [] })
  assert.deepEqual([trail.count(1), trail.count(2), trail.count(3)], [2, 1, 0])
})
