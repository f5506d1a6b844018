// A grid of rows. Only the visible rows are in the document, so that a thousand rows do not slow it down.
//
// The table itself has the focus and names its active cell, so that the focus stays when the row of that cell is
// scrolled away (WAI-ARIA Authoring Practices, grid pattern with aria-activedescendant).

import { button, element } from './dom.js';
import { isNumeric, orderRows } from './order.js';
import { count, countRows } from './result.js';
import { inBlock, inLine, plain } from './text.js';

const ROW_HEIGHT_PX = 30;
const ROWS_BEYOND_SIGHT = 10;
const CELL_CHARACTERS = 300; // more never fits into a cell; the whole text is shown below the table
const MEASURED_ROWS = 200;
const CELL_PADDING_PX = 26;
const MIN_COLUMN_PX = 64;
const MAX_COLUMN_PX = 340;
const NEXT_ORDER = { none: 'ascending', ascending: 'descending', descending: 'none' };

export class Table {
  /**
   * @param {{name: string, type: string}[]} columns
   * @param {unknown[][]} rows
   * @param {{copy: (text: string, what: string) => void, announce: (text: string) => void}} page
   */
  constructor(columns, rows, page) {
    Object.assign(this, { columns, rows, page });
    this.order = { column: -1, direction: 'none' };
    this.filter = '';
    this.active = { row: -1, column: 0 }; // row -1 is the header
    this.shown = rows.map((_, index) => index);
    this.#build();
  }

  /** The rows as they are shown: filtered and sorted. */
  get visibleRows() {
    return this.shown.map((index) => this.rows[index]);
  }

  /** Show only the rows that contain `text` in a cell, and return their number in words. */
  filterBy(text) {
    this.filter = text.trim().toLowerCase();
    this.#arrange();
    const matches = this.filter ? `${count(this.shown.length)} of ${countRows(this.rows.length)}` : '';
    this.page.announce(matches);
    return matches;
  }

  /** Lay the columns out again, for example after a change of size or font. */
  layOut() {
    const widths = this.#measure();
    const room = this.root.clientWidth - 2 - widths.reduce((sum, { px }) => sum + px, 0);
    const clipped = widths.filter(({ px, wanted }) => wanted > px);
    for (const width of clipped) width.px = Math.min(width.wanted, width.px + Math.max(0, room) / clipped.length);
    widths.forEach(({ px }, column) => (this.colgroup.children[column].style.width = `${px}px`));
    this.table.style.width = `${widths.reduce((sum, { px }) => sum + px, 0)}px`;
    this.#draw();
  }

  #build() {
    this.colgroup = element('colgroup', {}, ...this.columns.map(() => element('col')));
    this.headers = this.columns.map((column, index) => this.#header(column, index));
    this.body = element('tbody', { onclick: (event) => this.#click(event), ondblclick: () => this.#inspect() });
    this.table = element(
      'table',
      {
        role: 'grid',
        tabindex: 0,
        'aria-rowcount': this.rows.length + 1,
        'aria-colcount': this.columns.length,
        onkeydown: (event) => this.#press(event),
        onfocus: () => this.#markActive(),
      },
      element('caption', { class: 'visually-hidden' }, `${countRows(this.rows.length)}; arrow keys move, Enter sorts by a column or shows a whole cell`),
      this.colgroup,
      element('thead', {}, element('tr', { 'aria-rowindex': 1 }, ...this.headers)),
      this.body,
    );
    this.scroller = element('div', { class: 'scroller', onscroll: () => this.#drawSoon() }, this.table);
    this.inspector = element('section', { class: 'inspector', 'aria-label': 'Whole cell', hidden: true });
    this.root = element('div', { class: 'table' }, this.scroller, this.inspector);
  }

  #header({ name, type }, column) {
    const sort = button('', () => this.#sortBy(column), { tabindex: -1, title: `Sort by ${plain(name)}` });
    sort.append(
      element('span', { class: 'name' }, element('bdi', {}, inLine(name || '(no name)')), element('span', { class: 'arrow', 'aria-hidden': 'true' })),
      element('span', { class: 'type' }, type),
    );
    const properties = { scope: 'col', id: `h${column}`, 'aria-sort': 'none', 'aria-colindex': column + 1 };
    return element('th', { ...properties, class: isNumeric(type) ? 'number' : null }, sort);
  }

  #sortBy(column) {
    const before = this.order.column === column ? this.order.direction : 'none';
    this.order = { column, direction: NEXT_ORDER[before] };
    this.headers.forEach((header, index) =>
      header.setAttribute('aria-sort', index === column ? this.order.direction : 'none'),
    );
    this.active = { row: -1, column };
    this.#arrange();
    this.#markActive();
    const name = plain(this.columns[column].name);
    this.page.announce(this.order.direction === 'none' ? 'In the order of the result' : `Sorted by ${name}, ${this.order.direction}`);
  }

  #arrange() {
    const all = this.rows.map((_, index) => index);
    const kept = this.filter ? all.filter((index) => this.rows[index].some((cell) => this.#holdsFilter(cell))) : all;
    const { column, direction } = this.order;
    const sign = direction === 'descending' ? -1 : 1;
    this.shown =
      direction === 'none' ? kept : orderRows(this.rows, kept, column, this.columns[column].type, sign);
    this.active.row = Math.min(this.active.row, this.shown.length - 1);
    this.scroller.scrollTop = 0;
    this.#closeInspector();
    this.#draw();
  }

  #holdsFilter(cell) {
    return (cell === null ? 'null' : String(cell).toLowerCase()).includes(this.filter);
  }

  #drawSoon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      const [first, last] = this.#inSight();
      if (first < this.first || last > this.last) this.#draw();
    });
  }

  #inSight() {
    const first = Math.floor(this.scroller.scrollTop / ROW_HEIGHT_PX);
    const last = first + Math.ceil((this.scroller.clientHeight || 600) / ROW_HEIGHT_PX);
    return [first, Math.min(last, this.shown.length)];
  }

  #draw() {
    const [first, last] = this.#inSight();
    this.first = Math.max(0, first - ROWS_BEYOND_SIGHT);
    this.last = Math.min(this.shown.length, last + ROWS_BEYOND_SIGHT);
    const drawn = this.shown.slice(this.first, this.last).map((index, offset) => this.#row(index, this.first + offset));
    this.body.replaceChildren(
      this.#space(this.first),
      ...(this.shown.length ? drawn : [this.#emptiness()]),
      this.#space(this.shown.length - this.last),
    );
    this.#markActive();
  }

  #space(rows) {
    const space = element('tr', { class: 'space', 'aria-hidden': 'true' });
    space.style.height = `${rows * ROW_HEIGHT_PX}px`;
    return space;
  }

  #emptiness() {
    const said = this.rows.length ? 'No row holds this text' : 'No rows';
    return element('tr', { class: 'emptiness' }, element('td', { colspan: this.columns.length }, said));
  }

  #row(index, place) {
    const cells = this.rows[index].map((cell, column) => this.#cell(cell, place, column));
    return element('tr', { 'aria-rowindex': place + 2, class: place % 2 ? 'odd' : null }, ...cells);
  }

  #cell(cell, row, column) {
    const properties = { id: `r${row}c${column}`, 'aria-colindex': column + 1 };
    if (cell === null) return element('td', { ...properties, class: 'null' }, 'NULL');
    if (isNumeric(this.columns[column].type)) return element('td', { ...properties, class: 'number' }, String(cell));
    return element('td', properties, element('bdi', {}, inLine(cellLabel(cell))));
  }

  #click(event) {
    const cell = event.target.closest('td[id]');
    if (!cell) return;
    const [row, column] = cell.id.match(/\d+/g).map(Number);
    this.active = { row, column };
    this.#markActive();
    const isCut = cell.scrollWidth > cell.clientWidth || String(this.#activeCell()).length > CELL_CHARACTERS;
    if (isCut) this.#inspect();
    else this.#closeInspector();
  }

  #press(event) {
    const move = this.#moves(event)[event.key];
    if (move) {
      this.#moveTo(move);
      event.preventDefault();
    } else if (event.key === 'Enter' || event.key === ' ') {
      if (this.active.row < 0) this.#sortBy(this.active.column);
      else this.#inspect();
      event.preventDefault();
    } else if (event.key === 'Escape') {
      this.#closeInspector();
    } else if (event.key.toLowerCase() === 'c' && (event.ctrlKey || event.metaKey)) {
      this.#copyActive();
    }
  }

  #moves({ ctrlKey, metaKey }) {
    const { row, column } = this.active;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW_HEIGHT_PX) - 2);
    const isFar = ctrlKey || metaKey;
    return {
      ArrowUp: { row: row - 1, column },
      ArrowDown: { row: row + 1, column },
      ArrowLeft: { row, column: column - 1 },
      ArrowRight: { row, column: column + 1 },
      PageUp: { row: row - page, column },
      PageDown: { row: row + page, column },
      Home: { row: isFar ? -1 : row, column: 0 },
      End: { row: isFar ? Infinity : row, column: Infinity },
    };
  }

  #moveTo({ row, column }) {
    this.active = {
      row: Math.max(-1, Math.min(this.shown.length - 1, row)),
      column: Math.max(0, Math.min(this.columns.length - 1, column)),
    };
    this.#scrollToActive();
    this.#markActive();
    if (!this.inspector.hidden) this.#inspect();
  }

  #scrollToActive() {
    const { row, column } = this.active;
    const header = this.headers[column];
    const top = row * ROW_HEIGHT_PX;
    const bottom = top + ROW_HEIGHT_PX - this.scroller.clientHeight + header.offsetHeight;
    const { scroller } = this;
    if (row >= 0) scroller.scrollTop = Math.max(bottom, Math.min(top, scroller.scrollTop));
    const right = header.offsetLeft + header.offsetWidth - scroller.clientWidth;
    scroller.scrollLeft = Math.max(right, Math.min(header.offsetLeft, scroller.scrollLeft));
    if (row >= 0 && (row < this.first || row >= this.last)) this.#draw();
  }

  #markActive() {
    this.table.querySelector('.active')?.classList.remove('active');
    const { row, column } = this.active;
    const cell = this.table.querySelector(row < 0 ? `#h${column}` : `#r${row}c${column}`);
    cell?.classList.add('active');
    if (cell) this.table.setAttribute('aria-activedescendant', cell.id);
    else this.table.removeAttribute('aria-activedescendant');
  }

  #activeCell() {
    return this.rows[this.shown[this.active.row]]?.[this.active.column];
  }

  #copyActive() {
    const cell = this.#activeCell();
    if (cell !== undefined && !String(document.getSelection())) this.page.copy(cell === null ? '' : String(cell), 'Cell');
  }

  #inspect() {
    const cell = this.#activeCell();
    if (cell === undefined) return;
    const { name, type } = this.columns[this.active.column];
    this.inspector.hidden = false;
    this.inspector.replaceChildren(
      element(
        'header',
        {},
        element('span', { class: 'name' }, element('bdi', {}, inLine(name))),
        element('span', { class: 'type' }, type),
        button('Copy cell', () => this.#copyActive()),
        button('Close', () => this.#closeInspector()),
      ),
      element('pre', { tabindex: 0, class: cell === null ? 'null' : null, dir: 'auto' }, cell === null ? 'NULL' : inBlock(String(cell))),
    );
  }

  #closeInspector() {
    if (this.inspector.contains(document.activeElement)) this.table.focus();
    this.inspector.hidden = true;
  }

  #measure() {
    const canvas = document.createElement('canvas').getContext('2d');
    const { fontSize, fontFamily } = getComputedStyle(this.table);
    const widthOf = (text, weight) => {
      canvas.font = `${weight} ${fontSize} ${fontFamily}`;
      return canvas.measureText(text).width;
    };
    const sample = this.rows.slice(0, MEASURED_ROWS);
    return this.columns.map(({ name, type }, column) => {
      const longest = sample.reduce((text, row) => longer(text, cellLabel(row[column])), '');
      const header = Math.max(widthOf(name, 600) + 14, widthOf(type, 400) * 0.85);
      const wanted = Math.max(MIN_COLUMN_PX, Math.max(header, widthOf(longest, 400)) + CELL_PADDING_PX);
      return { wanted, px: Math.min(MAX_COLUMN_PX, wanted) };
    });
  }
}

const LONE_SURROGATE_AT_END = /[\ud800-\udbff]$/; // half of the character that was cut
const cellLabel = (cell) => (cell === null ? 'NULL' : String(cell).slice(0, CELL_CHARACTERS).replace(LONE_SURROGATE_AT_END, ''));
const longer = (one, other) => (other.length > one.length ? other : one);
