'use strict'

/** A request that can't be met: becomes a JSON answer with this status. */
class Refusal extends Error {
  constructor (status, message) {
    super(message)
    this.status = status
  }
}

/** A positive whole number from a path, query or body. */
function wholeNumber (value, name) {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1 || number > 2 ** 31 - 1) {
    throw new Refusal(400, `expected a positive whole number for ${name}`)
  }
  return number
}

/** `limit` from a query, between 1 and `most`. */
function readLimit (query, usual, most) {
  return query.limit === undefined ? usual : Math.min(wholeNumber(query.limit, 'limit'), most)
}

module.exports = { Refusal, wholeNumber, readLimit }
