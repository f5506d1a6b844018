// Compares two cells by PostgreSQL's type of their column. worker/encoding.py describes the form of cells.

const NUMBER_TYPE = /^(smallint|integer|bigint|oid|real|double precision|numeric|decimal|money)\b(?!.*\[\])/;
const TIME_TYPE = /^(date|timestamp)\b(?!.*\[\])/;
const INTERVAL_TYPE = /^interval\b(?!.*\[\])/;
const TIME = /^(\d+)-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d(?:\.\d+)?))?(?:([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?( BC)?$/;
const SECONDS_BY_INTERVAL_UNIT = { year: 31557600, mon: 2592000, day: 86400 };
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'variant' });

/** Return whether a column of this type contains numbers. */
export const isNumeric = (type) => NUMBER_TYPE.test(type);

/**
 * Return the indices in the order of the rows' cells. Equal cells keep their order; NULL is last in both directions.
 * @param {unknown[][]} rows
 * @param {number[]} indices rows to order
 * @param {1 | -1} direction
 */
export function orderRows(rows, indices, column, type, direction) {
  const { key, compare } = orderOf(type);
  const keys = new Map(indices.map((index) => [index, rows[index][column] === null ? null : key(rows[index][column])]));
  return [...indices].sort((left, right) => {
    const [one, other] = [keys.get(left), keys.get(right)];
    if (one === null || other === null) return (one === null) - (other === null) || left - right;
    return direction * compare(one, other) || left - right;
  });
}

function orderOf(type) {
  if (NUMBER_TYPE.test(type)) return { key: numberKey, compare: comparePairs };
  if (TIME_TYPE.test(type)) return { key: (cell) => [secondsOf(cell), cell], compare: comparePairs };
  if (INTERVAL_TYPE.test(type)) return { key: (cell) => [secondsOfInterval(cell), cell], compare: comparePairs };
  return { key: String, compare: (one, other) => collator.compare(one, other) || comparePlain(one, other) };
}

function numberKey(cell) {
  const text = String(cell).replace(/[^\d.eEINafinty+-]/g, ''); // money has the form of its locale
  const number = Number(text);
  return [Number.isNaN(number) ? Infinity : number, exactDigits(text)]; // PostgreSQL sorts NaN above all numbers
}

/** Return digits that can be compared as text, for decimals that round to the same double. */
function exactDigits(text) {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return '';
  const digits = `${whole.replace(/^0+/, '').padStart(400, '0')}.${fraction.replace(/0+$/, '')}`;
  return sign ? digits.replace(/\d/g, (digit) => String(9 - Number(digit))) + '~' : digits;
}

function secondsOf(cell) {
  if (cell === 'infinity') return Infinity;
  if (cell === '-infinity') return -Infinity;
  const match = TIME.exec(cell);
  if (!match) return 0;
  const [, year, month, day, hours = 0, minutes = 0, seconds = 0, sign, ...rest] = match;
  const [zoneHours = 0, zoneMinutes = 0, zoneSeconds = 0, isBefore] = rest;
  const date = new Date(0);
  date.setUTCFullYear(isBefore ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
  const zone = Number(zoneHours) * 3600 + Number(zoneMinutes) * 60 + Number(zoneSeconds);
  const local = date.getTime() / 1000 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return local - (sign === '-' ? -zone : zone);
}

function secondsOfInterval(cell) {
  let seconds = 0;
  for (const [, count, unit] of cell.matchAll(/(-?\d+) (year|mon|day)/g)) {
    seconds += Number(count) * SECONDS_BY_INTERVAL_UNIT[unit];
  }
  const clock = /(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)/.exec(cell);
  if (!clock) return seconds;
  const time = Number(clock[2]) * 3600 + Number(clock[3]) * 60 + Number(clock[4]);
  return seconds + (clock[1] ? -time : time);
}

const comparePlain = (one, other) => (one < other ? -1 : Number(one > other));

function comparePairs([one, oneText], [other, otherText]) {
  return comparePlain(one, other) || comparePlain(oneText, otherText);
}
