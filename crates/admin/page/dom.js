// Elements from values: text is only ever text. Knows nothing of tollfree.

/** The element of that id. */
export const get = (id) => document.getElementById(id);

/** A new element: properties, then children; texts become text nodes. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'style') Object.assign(element.style, value);
    else if (key in element && typeof value !== 'string') element[key] = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ''));
  return element;
}

/** Puts children in the place of those that are there. */
export const fill = (element, ...children) => element.replaceChildren(...children.flat().filter(Boolean));

/** Sets a text only where it differs, so that a screen reader is not woken for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
