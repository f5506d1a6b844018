// Text from the database as a person may safely read it: what hides, reorders or controls becomes visible.

import { element } from './dom.js';

// The characters of pgmcp/presentation/neutral.py.
const INVISIBLE =
  '\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e' +
  '\\u2060-\\u206f\\u3164\\ufe00-\\ufe0d\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}' +
  '\\u{e0000}-\\u{e0fff}\\ud800-\\udfff';
const UNSAFE_IN_LINE = new RegExp(`[\\u0000-\\u001f${INVISIBLE}]`, 'u');
const UNSAFE_IN_BLOCK = new RegExp(`[\\u0000-\\u0008\\u000b-\\u001f${INVISIBLE}]`, 'u');
const NAME_BY_CHARACTER = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Return the text on one line. */
export const inLine = (text) => withEscapes(text, UNSAFE_IN_LINE);

/** Return the text on as many lines as it has. */
export const inBlock = (text) => withEscapes(text, UNSAFE_IN_BLOCK);

/** Return the text as a string, for attributes and plain labels. */
export function plain(text) {
  return Array.from(text, (character) => (UNSAFE_IN_LINE.test(character) ? escape(character) : character)).join('');
}

function withEscapes(text, unsafe) {
  const fragment = document.createDocumentFragment();
  if (!unsafe.test(text)) {
    fragment.append(text);
    return fragment;
  }
  let clean = '';
  for (const character of text) {
    if (!unsafe.test(character)) {
      clean += character;
      continue;
    }
    fragment.append(clean, element('span', { class: 'escape' }, escape(character)));
    clean = '';
  }
  fragment.append(clean);
  return fragment;
}

function escape(character) {
  const code = character.codePointAt(0);
  const digits = code.toString(16);
  return NAME_BY_CHARACTER[character] ?? (code > 0xffff ? `\\U${digits.padStart(8, '0')}` : `\\u${digits.padStart(4, '0')}`);
}
