"use strict";
// The page of a running server: its machine, its sessions and its messages, live. What clients said
// is hostile: it becomes text by `textContent`, and never a part of the page.

const SESSIONS_MAX = 100;
const LIT_MILLISECONDS = 1000;
const definition = Number(new URLSearchParams(location.search).get("definition")) || 0;
const query = `?definition=${definition}`;
const find = (selector) => document.querySelector(selector);

function make(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function draw(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

const lights = new Map();
function light(element) {
  clearTimeout(lights.get(element));
  element.classList.add("lit");
  lights.set(element, setTimeout(() => element.classList.remove("lit"), LIT_MILLISECONDS));
}

// ---- The machine: the server's own picture, with what happens in it.

let known = null; // What the frames said, whole.
let cells = new Map(); // "STATE EVENT" -> its name in the picture
let cards = new Map(); // "STATE" -> its card, and its two badges
const counts = new Map(); // "STATE EVENT" -> how often it was taken
const refusals = new Map(); // "STATE" -> Map("EVENT CODE" -> how often)

async function drawMachine() {
  const answer = await fetch(`machine.svg${query}`);
  const text = await answer.text();
  if (!answer.ok) return find("#machine").replaceChildren(make("p", "hint", text));
  const svg = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
  svg.setAttribute("role", "group");
  // A line is thin: what is pressed is a wider one that nobody sees.
  for (const line of svg.querySelectorAll(".arrow > .fsm-line")) {
    line.before(draw("path", { class: "press", d: line.getAttribute("d") }));
  }
  cells = new Map([...svg.querySelectorAll("[data-cell]")].map((name) => [name.dataset.cell, name]));
  cards = new Map([...svg.querySelectorAll("[data-state]")].map((card) => [card.dataset.state, withBadges(card)]));
  for (const [cell, name] of cells) name.setAttribute("aria-label", cell);
  for (const [state, { card }] of cards) card.setAttribute("aria-label", state);
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
  for (const cell of counts.keys()) showCount(cell);
  for (const state of cards.keys()) showState(state);
  showPath();
}

function withBadges(card) {
  const shape = card.querySelector(".fsm-card");
  const [x, y, width] = ["x", "y", "width"].map((key) => Number(shape.getAttribute(key)));
  const badge = (name, at) => {
    const group = draw("g", { class: `badge ${name}`, transform: `translate(${at} ${y})`, visibility: "hidden" });
    group.append(draw("rect", { y: -10, height: 20, rx: 10 }), draw("text", { y: 4.5 }), draw("title", {}));
    card.append(group);
    return group;
  };
  return { card, sessions: badge("here", x + width - 12), refused: badge("refused", x + 12) };
}

function setBadge(badge, text, title) {
  const [rect, label, about] = badge.children;
  const width = 12 + 7.5 * text.length;
  rect.setAttribute("x", -width / 2);
  rect.setAttribute("width", width);
  label.textContent = text;
  about.textContent = title;
  badge.setAttribute("visibility", text ? "visible" : "hidden");
}

function showCount(cell) {
  const arrow = cells.get(cell)?.closest(".arrow");
  if (!arrow) return;
  const own = [...arrow.querySelectorAll("[data-cell]")].map((name) => name.dataset.cell);
  const total = own.reduce((sum, one) => sum + (counts.get(one) ?? 0), 0);
  arrow.classList.toggle("used", total > 0);
  arrow.style.setProperty("--width", Math.min(1.5 + Math.log10(1 + total) * 1.3, 10).toFixed(2));
  if (!arrow.querySelector("title")) arrow.append(draw("title", {}));
  arrow.querySelector("title").textContent = own.map((one) => `${one}: taken ${counts.get(one) ?? 0}`).join("\n");
  cells.get(cell).setAttribute("aria-label", `${cell}, taken ${counts.get(cell) ?? 0} times`);
}

function showState(state) {
  const { card, sessions, refused } = cards.get(state) ?? {};
  if (!card) return;
  const [here, events] = [known?.sessions[state] ?? 0, [...(refusals.get(state) ?? [])]];
  const total = events.reduce((sum, [, count]) => sum + count, 0);
  card.classList.toggle("occupied", here > 0);
  setBadge(sessions, here ? `${here}` : "", `${here} sessions stand in ${state}`);
  setBadge(refused, total ? `x${total}` : "", ["refused here:", ...events.map((one) => one.join(" x"))].join("\n"));
  card.setAttribute("aria-label", `${state}: ${here} sessions, ${total} commands refused`);
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

/** What `fsm explain` says of a cell, of each cell of an arrow, or of a state. */
async function explain(target) {
  const one = target.closest("[data-cell]");
  const arrow = target.closest(".arrow");
  const asked = one ? [one.dataset.cell]
    : arrow ? [...arrow.querySelectorAll("[data-cell]")].map((name) => name.dataset.cell)
      : [target.closest("[data-state]")?.dataset.state].filter(Boolean);
  if (!asked.length) return;
  const told = asked.map(async (cell) => (await fetch(`explain${query}&cell=${encodeURIComponent(cell)}`)).text());
  const taken = (cell) => (counts.has(cell) ? `taken ${counts.get(cell)} times\n` : "");
  const texts = (await Promise.all(told)).map((text, number) => taken(asked[number]) + text);
  find("#explained h2").textContent = asked.length > 1 ? `${asked.length} events` : asked[0];
  find("#explained pre").textContent = texts.join("\n\n");
  find("#explained").hidden = false;
}

// ---- Sessions: each a dialogue, the newest first. The chosen one's path is lit.

const sessions = new Map();
let chosen = null;

function addSession(id) {
  const [row, button, lines] = [make("li", "session"), make("button", ""), make("pre", "")];
  button.type = "button";
  button.append(...["who", "where", "amiss", "last"].map((name) => make("span", `${name} foreign`)));
  button.setAttribute("aria-expanded", false);
  button.addEventListener("click", () => choose(chosen === id ? null : id));
  lines.hidden = true;
  row.append(button, lines);
  find("#sessions ol").prepend(row);
  const session = { row, button, lines, said: [], cells: [] };
  sessions.set(id, session);
  for (const [old, { row }] of sessions) {
    if (sessions.size > SESSIONS_MAX && old !== chosen) [row.remove(), sessions.delete(old)];
  }
  return session;
}

function takeSession(news) {
  if (news.definition !== definition) return;
  const session = sessions.get(news.id) ?? addSession(news.id);
  session.said.splice(news.from, Infinity, ...news.lines);
  session.cells = news.cells;
  const amiss = [[news.refused, "refused"], [news.faults, "faults"], [news.messages, "stored"]];
  const [who, where, what, last] = session.button.children;
  who.textContent = `${news.id} ${news.client}`;
  where.textContent = news.ended ? "ended" : news.state;
  what.textContent = amiss.filter(([count]) => count).map(([count, name]) => `${count} ${name}`).join(", ");
  last.textContent = session.said.at(-1) ?? "";
  session.row.classList.toggle("ended", Boolean(news.ended));
  session.row.classList.toggle("has-refused", news.refused > 0);
  find("#sessions .hint").hidden = true;
  if (chosen === news.id) [showLines(session, news.from), showPath()];
}

function showLines({ lines, said }, from) {
  while (lines.childElementCount > from) lines.lastChild.remove();
  for (const line of said.slice(from)) {
    const kind = /^S: [45]/.test(line) ? "no" : { C: "client", S: "server" }[line[0]] ?? "other";
    lines.append(make("span", kind, `${line}\n`));
  }
}

function choose(id) {
  const [before, now] = [sessions.get(chosen), sessions.get(id)];
  chosen = id;
  for (const session of [before, now].filter(Boolean)) {
    session.button.setAttribute("aria-expanded", session === now);
    session.lines.hidden = session !== now;
    session.lines.replaceChildren();
  }
  if (now) showLines(now, 0);
  showPath();
}

function showPath() {
  const path = new Set((sessions.get(chosen)?.cells ?? []).map((cell) => cells.get(cell)).filter(Boolean));
  find("#machine svg")?.classList.toggle("chosen", path.size > 0);
  for (const name of cells.values()) name.closest(".arrow").classList.remove("path");
  for (const name of cells.values()) name.classList.toggle("path", path.has(name));
  for (const name of path) name.closest(".arrow").classList.add("path");
}

// ---- Messages, if the server shows them: the newest first.

const messages = new Map();
let asking = null; // Whether the list is asked for, and whether it is old already.

async function loadMessages() {
  if (asking) return void (asking.again = true);
  asking = { again: false };
  const answer = await fetch("messages").catch(() => null);
  const list = answer?.ok ? (await answer.json()).messages : [];
  const ids = new Set(list.map((message) => message.id));
  for (const [id, row] of messages) if (!ids.has(id)) [row.remove(), messages.delete(id)];
  const isFirst = messages.size === 0;
  for (const message of list) if (!messages.has(message.id)) addMessage(message, isFirst);
  find("#messages .hint").hidden = messages.size > 0;
  const { again } = asking;
  asking = null;
  if (again) loadMessages();
}

function addMessage(message, isOld) {
  const [row, button, whole] = [make("li", "message"), make("button", ""), make("div", "whole")];
  button.type = "button";
  button.append(make("span", "subject foreign", message.subject || "(no subject)"),
    make("span", "way foreign", `${message.from ?? "<>"} to ${message.to.join(", ")}`),
    make("span", "last", `${new Date(message.date).toLocaleTimeString()}, ${message.size} octets`));
  button.setAttribute("aria-expanded", false);
  button.addEventListener("click", () => openMessage(message, button, whole));
  whole.hidden = true;
  row.append(button, whole);
  find("#messages ol").prepend(row);
  messages.set(message.id, row);
  if (!isOld) [light(row), (find("#news").textContent = `new message: ${message.subject}`)];
}

async function openMessage({ id }, button, whole) {
  whole.hidden = !whole.hidden;
  button.setAttribute("aria-expanded", !whole.hidden);
  if (whole.hidden || whole.childElementCount) return;
  const name = `?id=${encodeURIComponent(id)}`;
  const answer = await fetch(`message${name}`);
  if (!answer.ok) return whole.replaceChildren(make("p", "hint", await answer.text()));
  const { headers, text, attachments } = await answer.json();
  const links = make("p", "links");
  for (const [word, path] of [["source", "message/source"], ["download", "message/download"]]) {
    const link = make("a", "", word);
    link.href = path + name;
    links.append(link, " ");
  }
  const [all, list] = [make("details", ""), make("dl", "foreign")];
  for (const [key, value] of headers) list.append(make("dt", "", key), make("dd", "", value));
  all.append(make("summary", "", `${headers.length} header fields`), list);
  const parts = attachments.map(({ name, type, size }) => make("p", "foreign", `${name}, ${type}, ${size} octets`));
  whole.replaceChildren(links, make("pre", "foreign", text), ...parts, all);
}

// ---- Frames: the first is whole, the others have what changed.

function takeState(frame) {
  const isWhole = Boolean(frame.states);
  if (isWhole) [counts, refusals, sessions].forEach((map) => map.clear());
  if (isWhole) [find("#sessions ol").replaceChildren(), drawMachine(), showDefinitions(frame)];
  known = isWhole ? frame : { ...known, ...frame, sessions: { ...known.sessions, ...frame.sessions } };
  for (const { cell, taken } of frame.cells ?? []) {
    counts.set(cell, taken);
    if (!isWhole) [showCount(cell), cells.get(cell) && [light(cells.get(cell)), light(cells.get(cell).closest(".arrow"))]];
  }
  for (const { state, event, code, count } of frame.refused ?? []) {
    if (!refusals.has(state)) refusals.set(state, new Map());
    refusals.get(state).set(`${event === "-" ? "no command" : event} ${code}`, count);
    if (!isWhole && cards.has(state)) [showState(state), light(cards.get(state).refused)];
  }
  for (const state of Object.keys(frame.sessions ?? {})) showState(state);
  if (frame.faults) showFaults(frame.faults);
  if (frame.totals) showTotals(frame.totals);
  if (known.messages && (isWhole || frame.stored !== undefined)) loadMessages();
}

function showFaults(faults) {
  const list = find("#faults ul");
  list.replaceChildren(...faults.map(({ says, fired, cells }) =>
    make("li", fired ? "fired" : "", `${says}: ${fired} fired at ${cells.join(", ") || "the greeting"}`)));
  find("#faults").hidden = faults.length === 0;
}

function showTotals({ open, sessions, messages, turned_away: turned }) {
  const away = turned ? `, ${turned} turned away` : "";
  find("#totals").textContent = `${open} open, ${sessions} sessions${away}, ${messages} messages`;
}

function showDefinitions({ definitions, messages }) {
  const links = definitions.map(({ name, sha256, listeners }, number) => {
    const link = make("a", "", `${name} ${sha256.slice(0, 8)}`);
    link.href = `?definition=${number}`;
    link.title = listeners.join(", ");
    if (number === definition) link.setAttribute("aria-current", "page");
    return link;
  });
  find("#definitions").replaceChildren(...links);
  const listener = definitions[definition]?.listeners[0] ?? "";
  find("#sessions .hint").textContent = `None yet. Try: swaks --to you@postman.local --server ${listener}`;
  find("#sessions .hint").hidden = false;
  find("#messages .hint").textContent = messages ? "None yet." : "The server does not show them: `web: (messages: true)`.";
}

const events = new EventSource(`events${query}`);
events.addEventListener("open", () => (find("#link").textContent = "live"));
events.addEventListener("error", () => (find("#link").textContent = "no connection, trying again"));
events.addEventListener("state", (event) => takeState(JSON.parse(event.data)));
events.addEventListener("sessions", (event) => JSON.parse(event.data).forEach(takeSession));
find("#explained .close").addEventListener("click", () => (find("#explained").hidden = true));
document.addEventListener("keydown", ({ key }) => key === "Escape" && (find("#explained").hidden = true));
