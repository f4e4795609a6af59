// The machine: the server's own picture, with what happens in it.

import { ask, count, draw, find, light, make, query } from "./parts.js";

let cells = new Map(); // "STATE EVENT" -> its name in the picture
let cards = new Map(); // "STATE" -> its card, and its two badges
let path = []; // The cells of the chosen session
const taken = new Map(); // "STATE EVENT" -> how often
const refusals = new Map(); // "STATE" -> Map("EVENT CODE" -> how often)
const standing = new Map(); // "STATE" -> how many sessions

/** Takes the numbers of a frame. They are absolute, and those of a whole one are all. */
export function takeNumbers(frame) {
  const { cells: moved = [], refused = [], sessions = {} } = frame;
  if (frame.states) for (const old of [taken, refusals, standing]) old.clear();
  for (const one of moved) taken.set(one.cell, one.taken);
  for (const { state, event, code, count: times } of refused) {
    if (!refusals.has(state)) refusals.set(state, new Map());
    refusals.get(state).set(`${event === "-" ? "no command" : event} ${code}`, times);
  }
  for (const [state, here] of Object.entries(sessions)) standing.set(state, here);
  if (frame.states) return drawMachine();
  for (const name of moved.map(({ cell }) => cells.get(cell)).filter(Boolean)) {
    showTaken(name.dataset.cell);
    light(name, name.closest(".arrow"));
  }
  for (const { state } of refused) {
    showState(state);
    if (cards.has(state)) light(cards.get(state).refused);
  }
  Object.keys(sessions).forEach(showState);
}

export async function drawMachine() {
  const answer = await ask(`machine.svg${query}`);
  const text = await answer.text();
  if (answer.status === 404) find("#machine").replaceChildren(make("p", "hint", text));
  if (!answer.ok) return;
  // The page's policy allows no style in what is shown. A sheet of its own is allowed.
  const [before, style, after] = text.split(/<\/?style>/);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  document.adoptedStyleSheets = [sheet];
  const svg = document.importNode(new DOMParser().parseFromString(before + after, "image/svg+xml").documentElement, true);
  svg.setAttribute("role", "group");
  // On a narrow screen it shrinks as long as it can be read.
  svg.style.minWidth = `${svg.getAttribute("width") * 0.85}px`;
  // A line is thin: what is pressed is a wider one that nobody sees.
  for (const line of svg.querySelectorAll(".arrow > .fsm-line")) {
    line.before(draw("path", { class: "press", d: line.getAttribute("d") }));
  }
  cells = new Map([...svg.querySelectorAll("[data-cell]")].map((name) => [name.dataset.cell, name]));
  cards = new Map([...svg.querySelectorAll("[data-state]")].map((card) => [card.dataset.state, withBadges(card)]));
  // In the order of the table: a state, then what leaves it. One of them is in the order of tabs.
  const stops = [...cards].flatMap(([state, { card }]) => [
    card, ...[...cells].filter(([cell]) => cell.startsWith(`${state} `)).map(([, name]) => name)]);
  for (const stop of stops) {
    stop.setAttribute("role", "button");
    stop.setAttribute("tabindex", stop === stops[0] ? 0 : -1);
  }
  svg.addEventListener("click", (event) => explain(event.target));
  svg.addEventListener("keydown", (event) => walk(event, stops));
  find("#machine").replaceChildren(svg);
  for (const cell of cells.keys()) showTaken(cell);
  for (const state of cards.keys()) showState(state);
  showPath();
}

function withBadges(card) {
  const shape = card.querySelector(".fsm-card");
  const [x, y, width] = ["x", "y", "width"].map((key) => Number(shape.getAttribute(key)));
  const badge = (name, at) => {
    const group = draw("g", { class: `badge ${name}`, transform: `translate(${at} ${y})` });
    group.append(draw("rect", { y: -10, height: 20, rx: 10 }), draw("text", { y: 4.5 }), draw("title", {}));
    return card.appendChild(group);
  };
  return { card, sessions: badge("here", x + width - 12), refused: badge("refused", x + 12) };
}

function setBadge({ children: [rect, label, title], style }, text, about) {
  const width = 12 + 7.5 * text.length;
  rect.setAttribute("x", -width / 2);
  rect.setAttribute("width", width);
  [label.textContent, title.textContent] = [text, about];
  style.visibility = text ? "visible" : "hidden";
}

const cellsOf = (arrow) => [...arrow.querySelectorAll("[data-cell]")].map((name) => name.dataset.cell);
const saysTaken = (cell) => `taken ${count(taken.get(cell) ?? 0, "time")}`;

function showTaken(cell) {
  const arrow = cells.get(cell)?.closest(".arrow");
  if (!arrow) return;
  const own = cellsOf(arrow);
  const total = own.reduce((sum, one) => sum + (taken.get(one) ?? 0), 0);
  arrow.classList.toggle("used", total > 0);
  arrow.style.setProperty("--width", Math.min(1.5 + Math.log10(1 + total) * 1.3, 10).toFixed(2));
  if (!arrow.querySelector("title")) arrow.append(draw("title", {}));
  arrow.querySelector("title").textContent = own.map((one) => `${one}: ${saysTaken(one)}`).join("\n");
  cells.get(cell).setAttribute("aria-label", `${cell}: ${saysTaken(cell)}`);
}

function showState(state) {
  const { card, sessions, refused } = cards.get(state) ?? {};
  if (!card) return;
  const [here, events] = [standing.get(state) ?? 0, [...(refusals.get(state) ?? [])]];
  const total = events.reduce((sum, [, times]) => sum + times, 0);
  const [stand, were] = [`${count(here, "session")} here`, `${count(total, "command")} refused`];
  card.classList.toggle("occupied", here > 0);
  setBadge(sessions, here ? `${here}` : "", stand);
  setBadge(refused, total ? `x${total}` : "", [`${were}:`, ...events.map((one) => one.join(" x"))].join("\n"));
  card.setAttribute("aria-label", `${state}: ${stand}, ${were}`);
}

/** Lights the way of a session: these cells. */
export function showPath(names = path) {
  path = names;
  const shown = new Set(path.map((cell) => cells.get(cell)).filter(Boolean));
  find("#machine svg")?.classList.toggle("chosen", shown.size > 0);
  for (const name of cells.values()) name.closest(".arrow").classList.remove("path");
  for (const name of cells.values()) name.classList.toggle("path", shown.has(name));
  for (const name of shown) name.closest(".arrow").classList.add("path");
}

function walk(event, stops) {
  const at = stops.indexOf(document.activeElement);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (at < 0 || !(step || event.key === "Enter" || event.key === " ")) return;
  event.preventDefault();
  if (!step) return explain(stops[at]);
  const next = stops[(at + step + stops.length) % stops.length];
  stops[at].setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
}

let explained = null; // What was asked about last.

/** What `fsm explain` says of a cell, of each cell of an arrow, or of a state. */
async function explain(target) {
  explained = target.closest("[data-cell]") ?? target.closest(".arrow") ?? target.closest("[data-state]");
  if (!explained) return;
  const { cell, state } = explained.dataset;
  const asked = cell || state ? [cell ?? state] : cellsOf(explained);
  const told = asked.map(async (one) => (await ask(`explain${query}&cell=${encodeURIComponent(one)}`)).text());
  // The columns of a row of the file are too wide for what is beside the picture.
  const texts = (await Promise.all(told)).map((text) => text.replace(/^ *\d+ \| .*/gm, (row) => row.replace(/ +/g, " ")));
  find("#explained h2").textContent = asked.length > 1 ? count(asked.length, "event") : asked[0];
  find("#explained pre").textContent = texts.map((text, at) => (state ? text : `${saysTaken(asked[at])}\n${text}`)).join("\n\n");
  find("#explained pre").classList.toggle("table", Boolean(state));
  find("#explained").hidden = false;
}

export function closeExplained() {
  const hadFocus = find("#explained").contains(document.activeElement);
  find("#explained").hidden = true;
  if (hadFocus) explained.focus();
}
