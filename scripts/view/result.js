// Reads the data that the view shows from a tool's result; pgmcp/view/reply_data.py describes the server's part.

const VIEW_META_KEY = 'pgmcp/view';
const WHY_BY_LIMIT = {
  rows: 'that is the limit, and there are more',
  bytes: 'the result reached its limit of bytes',
};

/**
 * Read the result of `query` or `execute_sql`.
 * @param {any} result the tool's result from the host
 * @param {Record<string, any>} input the tool's arguments
 */
export function readResult(result, input) {
  const text = (result.content ?? []).map((block) => block.text ?? '').join('\n');
  const answer = result.structuredContent;
  if (result.isError || !answer) return readFailure(text, input, Boolean(result.isError));
  const extra = result._meta?.[VIEW_META_KEY] ?? {};
  const { columns, rows } = extra.table ?? answer;
  return {
    kind: rows === null ? 'not executed' : 'rows',
    question: extra.question ?? input.question ?? '',
    columns,
    rows: rows ?? [],
    chart: extra.chart ?? null,
    sql: extra.sql ?? answer.sql ?? '',
    isPartial: Boolean(extra.limit),
    facts: readFacts(answer),
    source: nameSource(answer),
    isVerified: answer.source === 'verified',
    assumptions: answer.assumptions,
    remarks: [...readLimits(answer, extra, rows), ...answer.notes],
  };
}

function readFailure(text, input, isError) {
  const lines = text.split('\n');
  const [, code = '', message = lines[0]] = /^([a-z_]+): (.*)$/.exec(lines[0]) ?? [];
  const hint = lines.at(-1).startsWith('hint: ') ? lines.pop().slice('hint: '.length) : '';
  return {
    kind: isError ? 'failure' : 'text',
    question: input.question ?? '',
    code: isError ? code : '',
    message: isError ? message : text,
    excerpt: isError ? lines.slice(1).join('\n') : '',
    hint,
    sql: input.sql ?? '',
  };
}

function readFacts(answer) {
  const elapsedMs = Object.values(answer.elapsed_ms).reduce((sum, ms) => sum + ms, 0);
  const stages = Object.entries(answer.elapsed_ms).map(([stage, ms]) => `${stage} ${formatMs(ms)}`);
  const { in: tokensIn, out: tokensOut } = answer.tokens;
  return {
    elapsed: formatMs(elapsedMs),
    database: answer.database,
    details: [
      ['Source', nameSource(answer)],
      ['Model', answer.model],
      ['Repairs', answer.repairs ? `${answer.repairs}, after its SQL was refused or failed` : null],
      ['Database', answer.database],
      ['Time', stages.length ? `${formatMs(elapsedMs)} (${stages.join(', ')})` : null],
      ['Model tokens', tokensIn || tokensOut ? `${tokensIn} in, ${tokensOut} out` : null],
    ].filter(([, value]) => value),
  };
}

function nameSource({ source, model, repairs }) {
  const writer = model ? `Written by ${model}` : 'Written by a model';
  switch (source) {
    case 'verified':
      return 'Verified by the operator';
    case 'repaired':
      return `${writer}, repaired ${repairs === 1 ? 'once' : `${repairs} times`}`;
    case 'generated':
      return writer;
    default:
      return 'SQL as sent';
  }
}

function readLimits(answer, extra, rows) {
  if (rows === null) return [];
  const limits = [];
  const fetched = answer.row_count;
  if (rows.length < fetched) {
    limits.push(`${count(rows.length)} of the ${countRows(fetched)} fetched are here: the view is bound to their size.`);
  }
  if (extra.limit) limits.push(`Only the first ${countRows(fetched)} were fetched: ${WHY_BY_LIMIT[extra.limit]}.`);
  else if (answer.truncated && !extra.table) limits.push(`Showing ${countRows(answer.truncated.shown)}: ${answer.truncated.hint}.`);
  const cut = extra.table ? extra.cut_cells : answer.cut_cells;
  if (cut) limits.push(`${count(cut)} long ${cut === 1 ? 'cell was' : 'cells were'} cut and ${cut === 1 ? 'ends' : 'end'} in “…”.`);
  if (extra.table) limits.push(`The assistant was given ${count(answer.rows.length)} of these ${countRows(rows.length)}.`);
  return limits;
}

/** Return a number with separators, "1,000". */
export const count = (number) => number.toLocaleString('en');

/** Return "1 row" or "1,000 rows". */
export const countRows = (number) => `${count(number)} ${number === 1 ? 'row' : 'rows'}`;

const formatMs = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
