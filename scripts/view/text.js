// Makes text from the database safe to read: shows characters that hide, reorder or control text.

import { element } from './dom.js';

// The characters and contexts of worker/escaping.py; a test compares the two.
const INVISIBLE =
  '\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e' +
  '\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}' +
  '\\u{e0000}-\\u{e0fff}\\ud800-\\udfff';
const JOINED_LETTER =
  '\\u0620-\\u065f\\u066e-\\u06d3\\u06d5\\u06ee-\\u06ff\\u0710-\\u074a\\u0750-\\u077f\\u07ca-\\u07f5\\u0840-\\u085b' +
  '\\u0860-\\u089f\\u08a0-\\u08ff\\u0900-\\u0dff\\u1000-\\u109f\\u1780-\\u17b3\\u17b6-\\u17d3\\u1820-\\u18aa' +
  '\\ufb50-\\ufdff\\ufe70-\\ufefc' +
  '\\u1a20-\\u1a7c\\u1b00-\\u1bf3\\ua800-\\ua82c\\ua880-\\ua8c5\\ua980-\\ua9c0\\uaae0-\\uaaf6\\uabc0-\\uabed' +
  '\\u{10d00}-\\u{10d27}\\u{11000}-\\u{11aff}\\u{1e900}-\\u{1e943}';
const ARABIC_LETTER = '\\u0620-\\u064a\\u066e-\\u06d3\\u06d5\\u06ee-\\u06ff\\u0750-\\u077f';
const WORD_END = '[\\s!-/:-@\\[-`{-~\\u00ab\\u00bb\\u060c\\u061b\\u061f\\u06d4\\u0964\\u2026]|$';
const UNSPACED_LETTER = '\\u0e01-\\u0e4e\\u0e81-\\u0ecd\\u1000-\\u109f\\u1780-\\u17b3\\u17b6-\\u17d3';
const EMOJI = '\\u203c\\u2049\\u2122\\u2139\\u2190-\\u2bff\\u3030\\u303d\\u3297\\u3299\\u{1f000}-\\u{1faff}';
const MONGOLIAN = '\\u1820-\\u1878\\u1880-\\u18aa';
const IDEOGRAPH = '\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{323af}';
const MARK =
  '\\u0300-\\u034e\\u0350-\\u036f\\u0483-\\u0487\\u0591-\\u05bd\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7' +
  '\\u0610-\\u061a\\u064b-\\u065f\\u0670\\u0711\\u0730-\\u074a\\u1ab0-\\u1ac0\\u1dc0-\\u1dff';
const MARKED_LETTER =
  'A-Za-z\\u00c0-\\u02af\\u0370-\\u0481\\u048a-\\u052f\\u05d0-\\u05f2\\u0620-\\u064a\\u066e-\\u06d3' +
  '\\u0710-\\u072f\\u1e00-\\u1fff';
const INITIAL = '\\u1100-\\u115e\\ua960-\\ua97c';
const VOWEL = '\\u1161-\\u11a7\\ud7b0-\\ud7c6';
const FINAL = '\\u11a8-\\u11ff\\ud7cb-\\ud7fb';
const SPELLING = [
  `[${JOINED_LETTER}][\\u200c\\u200d](?=[${JOINED_LETTER}]|${WORD_END})`,
  `[A-Za-z0-9)\\]\\u00bb]\\u200c(?=[${ARABIC_LETTER}])|[${ARABIC_LETTER}]\\u200c(?=[0-9])`,
  `[${UNSPACED_LETTER}]\\u200b(?=[${UNSPACED_LETTER}])`,
  `[${EMOJI}\\u00a9\\u00ae](?:[\\ufe0e\\ufe0f](?:\\u200d(?=[${EMOJI}]))?|\\u200d(?=[${EMOJI}]))`,
  '[#*0-9]\\ufe0f(?=\\u20e3)',
  '\\u{1f3f4}[\\u{e0030}-\\u{e0039}\\u{e0061}-\\u{e007a}]{3,6}\\u{e007f}',
  `[${MONGOLIAN}][\\u180b-\\u180d\\u180f](?:[\\u180e\\u200c\\u200d](?=[${MONGOLIAN}]))?`,
  `[${MONGOLIAN}]\\u180e(?=[${MONGOLIAN}])`,
  `[${IDEOGRAPH}][\\ufe00-\\ufe02\\u{e0100}-\\u{e011f}]`,
  `[${MARKED_LETTER}${MARK}]\\u034f(?=[${MARK}])`,
  `[${INITIAL}]\\u1160|\\u115f(?:[${VOWEL}]|\\u1160(?=[${FINAL}]))`,
].join('|');
const UNSAFE_IN_LINE = new RegExp(`(${SPELLING})|[\\u0000-\\u001f${INVISIBLE}]`, 'gu');
const UNSAFE_IN_BLOCK = new RegExp(`(${SPELLING})|[\\u0000-\\u0008\\u000b-\\u001f${INVISIBLE}]`, 'gu');
const NAME_BY_CHARACTER = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Return the text on one line. */
export const inLine = (text) => withEscapes(text, UNSAFE_IN_LINE);

/** Return the text on as many lines as it has. */
export const inBlock = (text) => withEscapes(text, UNSAFE_IN_BLOCK);

/** Return the text as a string, for attributes and plain labels. */
export function plain(text) {
  return text.replace(UNSAFE_IN_LINE, (character, spelling) => spelling ?? escape(character));
}

function withEscapes(text, unsafe) {
  const fragment = document.createDocumentFragment();
  let start = 0;
  for (const match of text.matchAll(unsafe)) {
    if (match[1] !== undefined) continue;
    const character = match[0];
    fragment.append(text.slice(start, match.index), element('span', { class: 'escape' }, escape(character)));
    start = match.index + character.length;
  }
  fragment.append(text.slice(start));
  return fragment;
}

function escape(character) {
  const code = character.codePointAt(0);
  const digits = code.toString(16);
  return NAME_BY_CHARACTER[character] ?? (code > 0xffff ? `\\U${digits.padStart(8, '0')}` : `\\u${digits.padStart(4, '0')}`);
}
