// What the parts of the page share.

const LIT_MILLISECONDS = 1000;
export const definition = Number(new URLSearchParams(location.search).get("definition")) || 0;
export const query = `?definition=${definition}`;
export const find = (selector) => document.querySelector(selector);
export const ask = (path) => fetch(path).catch(() => new Response("The server does not answer.", { status: 503 }));
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** An element with a class. What clients said is hostile: it becomes text, and never a part of the page. */
export function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

export function draw(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

const lights = new WeakMap();

/** Lights elements for a moment. */
export function light(...elements) {
  for (const element of elements) {
    clearTimeout(lights.get(element));
    element.classList.add("lit");
    lights.set(element, setTimeout(() => element.classList.remove("lit"), LIT_MILLISECONDS));
  }
}
