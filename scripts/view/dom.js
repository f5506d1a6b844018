// Creates elements. Text becomes text nodes: no part of the view parses markup.

/**
 * Return a new element.
 * @param {string} name
 * @param {Record<string, unknown>} properties functions are listeners, such as `onclick`; other values are attributes,
 *     which are left out if null or false
 * @param {...(Node | string)} children
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === 'function') made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, String(value));
  }
  made.append(...children);
  return made;
}

/** Return a button that does not submit a form. */
export function button(label, onclick, properties = {}) {
  return element('button', { type: 'button', onclick, ...properties }, label);
}
