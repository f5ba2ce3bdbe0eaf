'use strict'

// The target's own lines on a stack: `path:line function`, relative to the folder that the target was started in.

const path = require('node:path')
const fs = require('node:fs')
const { fileURLToPath } = require('node:url')

const FOREIGN = new Set(['node_modules', '.pnpm', '.yarn', 'bower_components', 'venv', '.venv'])
const DEEP = 60
const known = new Map()
let root = ''

/** The folder whose source lines count as the target's. */
function setRoot (folder) {
  root = fs.realpathSync(folder) + path.sep
}

/** A file of the target's relative to its folder; null for anything else. */
function ownPath (file) {
  if (!file) return null
  if (!known.has(file)) known.set(file, relate(file))
  return known.get(file)
}

function relate (file) {
  const plain = file.startsWith('file:') ? fileURLToPath(file) : file
  if (!path.isAbsolute(plain)) return null
  let full = plain
  try {
    full = fs.realpathSync(plain)
  } catch {}
  if (!full.startsWith(root)) return null
  const relative = full.slice(root.length)
  return relative.split(path.sep).some((part) => FOREIGN.has(part)) ? null : relative
}

/** The innermost line inside the target, and up to two that called it; awaiting callers count. */
function findSite (above) {
  const places = []
  for (const frame of readStack(above)) {
    const file = ownPath(frame.getFileName())
    if (file === null) continue
    const name = frame.getFunctionName() ?? ''
    const last = places[places.length - 1]
    if (last && !last.name && last.file === file && name) last.name = name // a callback has its caller's name
    else places.push({ file, line: frame.getLineNumber(), name })
    if (places.length > 3) break
  }
  const shown = places.slice(0, 3).map(showPlace)
  return { site: shown[0] ?? '', via: shown.slice(1).join(' < ') }
}

/** `path:line function`; a function without a name has none. */
function showPlace ({ file, line, name }) {
  return `${file}:${line} ${name.replace(/^(?:async |new |Object\.|Module\.)+/, '')}`.trimEnd()
}

function readStack (above) {
  const { prepareStackTrace, stackTraceLimit } = Error
  const holder = {}
  try {
    Error.stackTraceLimit = DEEP
    Error.prepareStackTrace = (_, frames) => frames
    Error.captureStackTrace(holder, above)
    return Array.isArray(holder.stack) ? holder.stack : []
  } finally {
    Object.assign(Error, { prepareStackTrace, stackTraceLimit })
  }
}

module.exports = { findSite, ownPath, setRoot, showPlace }
