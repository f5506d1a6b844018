// The page of a result: its heading and notes, its panels, and its buttons to copy, download and expand.

import { Chart } from './chart.js';
import { button, element } from './dom.js';
import { toCsv, toTsv } from './export.js';
import { countRows } from './result.js';
import { sqlBlock } from './sql.js';
import { Table } from './table.js';
import { inBlock, inLine, plain } from './text.js';

/**
 * Build the page of a result.
 * @param {ReturnType<import('./result.js').readResult>} result
 * @param {object} host `copy` and `announce`; `download` and `expand`, which are null if the host cannot do that
 * @returns {{nodes: Node[], layOut: () => void, draw: (theme: 'light' | 'dark') => void}}
 */
export function buildPage(result, host) {
  if (result.kind === 'failure' || result.kind === 'text') return still(failure(result, host));
  if (result.kind === 'not executed') return still([heading(result), sqlPanel(result, host), ...remarks(result)]);
  return new Tabs(result, host);
}

const still = (nodes) => ({ nodes, layOut: () => {}, draw: () => {} });

class Tabs {
  constructor(result, host) {
    Object.assign(this, { result, host, theme: null });
    this.table = result.columns.length ? new Table(result.columns, result.rows, host) : null;
    this.chart = result.chart && new Chart(result.chart);
    this.panels = [
      this.chart && ['Chart', this.chart.root],
      ['Table', this.table?.root ?? element('p', {}, `${countRows(result.rows.length)} without columns`)],
      result.sql && ['SQL', sqlPanel(result, host)],
    ].filter(Boolean);
    this.tools = this.table ? tableTools(this.table, result, host) : element('div');
    this.tabs = this.panels.map(([label], index) => this.#tab(label, index));
    this.panels.forEach(([label, node], index) => {
      const properties = { role: 'tabpanel', id: `panel${index}`, 'aria-labelledby': `tab${index}`, hidden: true };
      this.panels[index] = [label, element('div', { ...properties, class: `panel ${label.toLowerCase()}-panel` }, node)];
    });
    const list = element('div', { role: 'tablist', 'aria-label': 'Result as', onkeydown: (event) => this.#press(event) }, ...this.tabs);
    const bar = element('div', { class: 'bar' }, list, this.tools);
    this.nodes = [heading(result, host), bar, ...this.panels.map(([, panel]) => panel), ...remarks(result)];
    this.#show(0);
  }

  layOut() {
    if (this.shown === 'Table') this.table?.layOut();
  }

  /** Draw the chart in a theme; if that fails, show the table instead. */
  draw(theme) {
    this.theme = theme;
    if (this.shown !== 'Chart' || this.drawn === theme) return;
    this.drawn = theme;
    this.chart.draw(theme).catch(() => {
      this.tabs[0].remove();
      this.#show(1);
    });
  }

  #tab(label, index) {
    return button(label, () => this.#show(index), { role: 'tab', id: `tab${index}`, 'aria-controls': `panel${index}` });
  }

  #show(chosen) {
    this.panels.forEach(([, panel], index) => (panel.hidden = index !== chosen));
    this.tabs.forEach((tab, index) => {
      tab.setAttribute('aria-selected', String(index === chosen));
      tab.tabIndex = index === chosen ? 0 : -1;
    });
    [this.shown] = this.panels[chosen];
    this.tools.hidden = this.shown !== 'Table';
    this.layOut();
    if (this.theme) this.draw(this.theme);
  }

  #press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const tabs = this.tabs.filter((tab) => tab.isConnected);
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    this.#show(this.tabs.indexOf(next));
    next.focus();
  }
}

function heading(result, host = {}) {
  const rows = result.kind === 'rows' ? `${result.isPartial ? 'first ' : ''}${countRows(result.rows.length)}` : 'not executed';
  const facts = [rows, result.facts.elapsed, result.facts.database];
  return element(
    'header',
    {},
    element('div', {}, ...title(result.question, 'Query result'),
      element('p', { class: 'facts' },
        element('span', { class: result.isVerified ? 'source verified' : 'source' }, inLine(result.source)),
        ...facts.map((fact) => element('span', {}, inLine(fact))))),
    ...(host.expand ? [button('Expand', host.expand)] : []),
  );
}

function title(question, fallback) {
  return [element('h1', { class: question ? null : 'visually-hidden', dir: 'auto' }, inLine(question || fallback))];
}

function tableTools(table, { columns }, { copy, download }) {
  const csv = () => toCsv(columns, table.visibleRows);
  const matches = element('span', { class: 'matches', 'aria-hidden': 'true' });
  const filter = element('input', {
    type: 'search',
    placeholder: 'Filter rows',
    'aria-label': 'Filter rows',
    spellcheck: 'false',
    oninput: ({ target }) => (matches.textContent = table.filterBy(target.value)),
  });
  return element('div', { class: 'tools' },
    matches,
    filter,
    button('Copy', () => copy(toTsv(columns, table.visibleRows), 'Table'), { title: 'Copy the rows shown, for a spreadsheet' }),
    download
      ? button('Download CSV', () => download('result.csv', 'text/csv', csv()))
      : button('Copy CSV', () => copy(csv(), 'CSV')));
}

function sqlPanel(result, { copy }) {
  const details = result.facts.details.flatMap(([term, value]) => [
    element('dt', {}, term),
    element('dd', {}, element('bdi', {}, inLine(value))),
  ]);
  return element('div', { class: 'statement' },
    element('div', { class: 'code' }, sqlBlock(result.sql), button('Copy SQL', () => copy(result.sql, 'SQL'))),
    element('dl', {}, ...details));
}

function remarks({ assumptions, remarks: sentences }) {
  const items = [...assumptions.map((text) => ['Assumed', text]), ...sentences.map((text) => ['', text])];
  if (!items.length) return [];
  return [element('ul', { class: 'remarks', 'aria-label': 'Remarks' },
    ...items.map(([label, text]) =>
      element('li', {}, ...(label ? [element('b', {}, `${label}: `)] : []), element('bdi', {}, inLine(text)))))];
}

function failure({ kind, question, code, message, excerpt, hint, sql }, { copy }) {
  const said = element('div', { class: kind === 'failure' ? 'failure' : 'said', role: kind === 'failure' ? 'alert' : null },
    ...(code ? [element('p', { class: 'code' }, plain(code).replaceAll('_', ' '))] : []),
    element('p', { class: 'message', dir: 'auto' }, inBlock(message)),
    ...(excerpt ? [element('pre', { tabindex: 0, 'aria-label': 'Where' }, inBlock(excerpt))] : []),
    ...(hint ? [element('p', { class: 'hint' }, element('b', {}, 'To fix it: '), inBlock(hint))] : []));
  const statement = sql
    ? [element('div', { class: 'code' }, sqlBlock(sql), button('Copy SQL', () => copy(sql, 'SQL')))]
    : [];
  return [...title(question, 'The query failed'), said, ...statement];
}
