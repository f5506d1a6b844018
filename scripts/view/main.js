// The result view: shows the tool call that the host passes on, in the host's colours and size.

import { element } from './dom.js';
import { connect } from './host.js';
import { buildPage } from './page.js';
import { readResult } from './result.js';
import { inBlock } from './text.js';

const STYLE_VARIABLE = /^--(color|font|border-radius)-[a-z0-9-]+$/;
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const main = document.querySelector('main');
const status = document.querySelector('#status');

let context = {};
let capabilities = {};
let input = {};
let page = null;

const host = connect({
  'ui/notifications/tool-input': ({ arguments: given }) => {
    input = given ?? {};
    wait('Running …');
    main.setAttribute('aria-busy', 'true');
  },
  'ui/notifications/tool-result': show,
  'ui/notifications/tool-cancelled': () => wait('Cancelled.'),
  'ui/notifications/host-context-changed': adopt,
});

function show(result) {
  const canDownload = Boolean(capabilities.downloadFile);
  const canExpand = context.availableDisplayModes?.includes('fullscreen');
  page = buildPage(readResult(result, input), {
    copy,
    announce,
    download: canDownload ? download : null,
    expand: canExpand ? expand : null,
  });
  main.removeAttribute('aria-busy');
  main.replaceChildren(...page.nodes);
  page.layOut();
  page.draw(theme());
}

function wait(said) {
  page = null;
  const asked = element('span', { dir: 'auto' }, inBlock(input.question ?? input.sql ?? ''));
  main.removeAttribute('aria-busy');
  main.replaceChildren(element('p', { class: 'waiting' }, said, ' ', asked));
}

function adopt(changes) {
  context = { ...context, ...changes };
  const root = document.documentElement;
  root.style.colorScheme = context.theme ?? '';
  for (const [name, value] of Object.entries(context.styles?.variables ?? {})) {
    if (STYLE_VARIABLE.test(name) && value) root.style.setProperty(name, value);
  }
  const { height, maxHeight } = context.containerDimensions ?? {};
  const isFilling = context.displayMode === 'fullscreen' || height !== undefined;
  root.classList.toggle('filling', isFilling);
  root.style.setProperty('--max-height', maxHeight ? `${maxHeight}px` : 'none');
  page?.layOut();
  page?.draw(theme());
}

function theme() {
  return context.theme ?? (prefersDark.matches ? 'dark' : 'light');
}

async function expand() {
  const mode = context.displayMode === 'fullscreen' ? 'inline' : 'fullscreen';
  const answer = await host.request('ui/request-display-mode', { mode });
  adopt({ displayMode: answer.mode });
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // for hosts that do not allow access to the clipboard
  }
  announce(`${what} copied`);
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = element('textarea', { class: 'visually-hidden', 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  focused?.focus();
}

async function download(name, mimeType, text) {
  const resource = { uri: `file:///${name}`, mimeType, text };
  const answer = await host.request('ui/download-file', { contents: [{ type: 'resource', resource }] });
  if (!answer.isError) announce('CSV handed to the host');
}

function announce(text) {
  status.textContent = text;
}

function reportSize() {
  if (document.documentElement.classList.contains('filling')) return;
  host.notify('ui/notifications/size-changed', { height: Math.ceil(main.getBoundingClientRect().height) });
}

async function start() {
  const greeting = await host.greet();
  capabilities = greeting.capabilities;
  adopt(greeting.context);
  prefersDark.addEventListener('change', () => page?.draw(theme()));
  let knownWidth = 0;
  new ResizeObserver(() => {
    if (main.clientWidth !== knownWidth) page?.layOut();
    knownWidth = main.clientWidth;
    reportSize();
  }).observe(main);
  host.notify('ui/notifications/initialized');
}

start();
