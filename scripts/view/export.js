// Writes rows for spreadsheets. An apostrophe before a cell prevents a spreadsheet from running it as a formula.

import { isNumeric } from './order.js';

const FORMULA = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/; // OWASP, CSV Injection

/** Return one cell exactly as it is. */
export const cellText = (cell) => (cell === null ? '' : String(cell));

/** Return rows with a header as CSV (RFC 4180); NULL is empty, an empty text is "". */
export function toCsv(columns, rows) {
  return [columns.map(({ name }) => quoteAlways(harmless(name)))]
    .concat(rows.map((row) => row.map((cell, column) => csvCell(cell, columns[column].type))))
    .map((cells) => `${cells.join(',')}\r\n`)
    .join('');
}

/** Return rows with a header, separated by tabs, in the form that spreadsheets paste. */
export function toTsv(columns, rows) {
  return [columns.map(({ name }) => tsvText(harmless(name)))]
    .concat(rows.map((row) => row.map((cell, column) => tsvText(spreadsheetText(cell, columns[column].type)))))
    .map((cells) => cells.join('\t'))
    .join('\n');
}

function csvCell(cell, type) {
  const text = spreadsheetText(cell, type);
  return cell === '' || /[",\r\n]/.test(text) ? quoteAlways(text) : text;
}

function tsvText(text) {
  return /["\t\r\n]/.test(text) ? quoteAlways(text) : text;
}

function spreadsheetText(cell, type) {
  return typeof cell === 'string' && !(isNumeric(type) && isPlainNumber(cell)) ? harmless(cell) : cellText(cell);
}

const isPlainNumber = (text) => /^-?[\d.]+(e[+-]?\d+)?$/i.test(text);
const harmless = (text) => (FORMULA.test(text) ? `'${text}` : text);
const quoteAlways = (text) => `"${text.replaceAll('"', '""')}"`;
