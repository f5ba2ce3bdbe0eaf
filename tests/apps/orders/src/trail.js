'use strict'

/** Who looked at which account: what the support team asks for after a complaint. */
class Trail {
  constructor () {
    this.looks = []
  }

  /** Note a look, with what the browser said of itself. */
  note (customerId, request) {
    this.looks.push({
      customerId,
      at: Date.now(),
      url: request.originalUrl,
      headers: { ...request.headers },
      raw: Buffer.from(request.rawHeaders.join('\n').padEnd(4096))
    })
  }

  /** How often an account was looked at. */
  count (customerId) {
    return this.looks.filter((look) => look.customerId === customerId).length
  }
}

module.exports = { Trail }
