'use strict'

// Where requests begin and end: Node's own HTTP server, which Express, Fastify, Koa and the others stand on.

const http = require('node:http')
const https = require('node:https')
const { RequestTrace, current, guarded } = require('./record.cjs')
const loop = require('./loop.cjs')

// A mounted router's prefix holds values, not names: what looks like an id is shown as one.
const VALUE = /\/(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24})(?=\/|$)/gi

let watchesLoop = false

/** Follow every request of every server; with `loop` also what holds the event loop meanwhile. */
function install ({ loop }) {
  watchesLoop = loop
  for (const { Server } of [http, https]) hookServer(Server)
}

function hookServer (Server) {
  const emit = Server.prototype.emit
  Server.prototype.emit = function (event, request, response) {
    const trace = event === 'request' ? guarded(begin, request, response) : null
    if (!trace) return emit.apply(this, arguments)
    return current.run({ trace, statement: null }, () => emit.apply(this, arguments))
  }
}

function begin (request, response) {
  const trace = new RequestTrace(request.method, request.url)
  if (watchesLoop) guarded(loop.begin)
  const { write, end } = response
  response.write = function (chunk, encoding) {
    guarded(count, trace, chunk, encoding)
    return write.apply(this, arguments)
  }
  response.end = function (chunk, encoding) {
    guarded(count, trace, chunk, encoding)
    guarded(noteAnswer, trace, request, response)
    const result = end.apply(this, arguments)
    trace.end()
    return result
  }
  const leave = () => {
    if (trace.written) return
    guarded(noteAnswer, trace, request, response)
    guarded(() => trace.write())
    if (watchesLoop) guarded(loop.end, trace)
  }
  response.once('finish', leave)
  response.once('close', leave)
  return trace
}

function count (trace, chunk, encoding) {
  if (trace.method === 'HEAD' || chunk === null || chunk === undefined) return
  if (typeof chunk === 'string') trace.bytes += Buffer.byteLength(chunk, typeof encoding === 'string' ? encoding : 'utf8')
  else if (chunk instanceof Uint8Array) trace.bytes += chunk.byteLength
}

function noteAnswer (trace, request, response) {
  if (response.headersSent) trace.status = response.statusCode
  // Express puts its route onto the request; Fastify's and Koa's are found by the workload's own template instead.
  const template = request.route?.path
  if (trace.route === null && typeof template === 'string') {
    const prefix = (request.baseUrl ?? '').replace(VALUE, '/:id')
    trace.route = prefix && template === '/' ? prefix : prefix + template
  }
}

module.exports = { install }
