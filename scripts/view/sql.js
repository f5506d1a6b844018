// A statement with highlighted keywords. The text is only split into pieces, never changed.

import { element } from './dom.js';
import { inBlock } from './text.js';

const KEYWORDS =
  'all and any as asc between by case cast cross current_date current_timestamp desc distinct else end escape except ' +
  'exists explain extract false fetch filter first following for from full group grouping having ilike in inner ' +
  'intersect interval into is join last lateral left like limit natural not null nulls offset on or order outer over ' +
  'partition preceding range recursive right rollup row rows select sets show similar some symmetric table tablesample ' +
  'then to trailing true unbounded union using values when where window with within';
const PIECE = /(--[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\3\$)|("(?:[^"]|"")*")|([A-Za-z_]\w*)|[\s\S]/g;
const isKeyword = new Set(KEYWORDS.split(' '));

/** Return the statement as a block of code. */
export function sqlBlock(sql) {
  const code = element('code');
  let rest = '';
  for (const [piece, comment, text, , , word] of sql.matchAll(PIECE)) {
    const kind = comment ? 'comment' : text ? 'text' : word && isKeyword.has(word.toLowerCase()) ? 'keyword' : '';
    if (!kind) {
      rest += piece;
      continue;
    }
    code.append(inBlock(rest), element('span', { class: kind }, inBlock(piece)));
    rest = '';
  }
  code.append(inBlock(rest));
  return element('pre', { class: 'sql', tabindex: 0, 'aria-label': 'SQL' }, code);
}
