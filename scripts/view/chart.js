// Draws a chart's Vega-Lite specification without eval and without a network.
//
// The page contains only those parts of Vega that a specification from pgmcp/charts/ can need. Expressions are
// interpreted (ast), because a content security policy forbids compiling them. The loader refuses every address.

import { transforms } from 'vega-dataflow';
import * as encodings from 'vega-encode';
import { expressionInterpreter } from 'vega-interpreter';
import { compile } from 'vega-lite';
import { parse } from 'vega-parser';
import * as dataTransforms from 'vega-transforms';
import { View } from 'vega-view';
import * as viewTransforms from 'vega-view-transforms';

import { element } from './dom.js';
import { inLine } from './text.js';

Object.assign(transforms, dataTransforms, viewTransforms, encodings);

const refuse = () => Promise.reject(new Error('the view loads nothing'));
// Vega-Lite's log is for authors of specifications. If a chart cannot be drawn, Vega throws an error.
const logger = Object.fromEntries(['level', 'error', 'warn', 'info', 'debug'].map((level) => [level, () => logger]));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };

const NARROW_PX = 520; // narrower charts have no room for a legend beside them

export class Chart {
  /** @param {object} chart the chart's data, described in pgmcp/view/reply_data.py */
  constructor({ specification, configs, description, left_out: leftOut }) {
    Object.assign(this, { specification, configs });
    this.canvas = element('div', { class: 'canvas', role: 'img', 'aria-label': description });
    this.root = element('figure', {}, this.canvas);
    if (leftOut.length) {
      this.root.append(element('figcaption', {}, inLine(`Not drawn: ${leftOut.join(', ')}`)));
    }
  }

  /**
   * Draw the chart, replacing an earlier drawing.
   * @param {'light' | 'dark'} theme
   */
  async draw(theme) {
    const { fontFamily } = getComputedStyle(this.root);
    const themed = this.configs[theme];
    const isNarrow = this.root.clientWidth < NARROW_PX;
    const legend = { ...themed.legend, ...(isNarrow ? { orient: 'bottom', columns: 2 } : {}) };
    const config = { ...themed, legend, background: 'transparent', font: fontFamily };
    const inner = element('div', { class: 'drawing' });
    this.canvas.replaceChildren(inner);
    this.view?.finalize();
    const { spec } = compile(this.specification, { config, logger });
    const options = { expr: expressionInterpreter, loader, renderer: 'canvas', container: inner };
    this.view = new View(parse(spec, {}, { ast: true }), options);
    await this.view.runAsync();
  }
}
