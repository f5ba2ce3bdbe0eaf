'use strict'

// SQL text without what changes from call to call, as perfcrew_tracer/fingerprint.py makes it of the same text.

const crypto = require('node:crypto')

const COMMENT = /\/\*[\s\S]*?\*\/|--[^\n]*/g
const STRING = /'(?:[^']|'')*'/g
const PLACEHOLDER = /%\([^)]*\)s|%s|\$\d+|(?<![:\w]):[A-Za-z_]\w*|\?\d+/g
const NUMBER = /(?<![\w."`])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b/g
const CAST = /\?::\w+(?: WITH(?:OUT)? TIME ZONE| PRECISION| VARYING)?(?:\[\])?/gi
const LIST = /\(\s*\?(?:\s*,\s*\?)+\s*\)/g
const ROWS = /(\(\?\))(?:\s*,\s*\(\?\))+/g

/** Comments out, literals and placeholders to `?`, lists of them to `(?)`, white space to one space. */
function fingerprint (sql) {
  const bare = sql.replace(COMMENT, ' ').replace(STRING, '?').replace(PLACEHOLDER, '?').replace(NUMBER, '?')
  const short = bare.replace(CAST, '?').replace(LIST, '(?)').replace(ROWS, '$1')
  return short.replace(/\s+/g, ' ').trim().replace(/;+$/, '').trimEnd()
}

/** The stable name of a fingerprint: `q:` and six hexadecimal digits of what was asked. */
function statementId (text) {
  return 'q:' + shortHash(text, 6)
}

function shortHash (text, digits) {
  return crypto.createHash('sha256').update(text, 'utf8').digest('hex').slice(0, digits)
}

module.exports = { fingerprint, statementId, shortHash }
