// Makes elements. Text goes in as text nodes only: nothing here, or anywhere in the view, parses markup.

/**
 * Return a new element.
 * @param {string} name
 * @param {Record<string, unknown>} properties a function is a listener, as `onclick`; all else is an attribute, left
 *     out when null or false
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

/** Return a button that does nothing to a form. */
export function button(label, onclick, properties = {}) {
  return element('button', { type: 'button', onclick, ...properties }, label);
}
