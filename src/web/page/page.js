"use strict";
// The page of a running server: its machine, its sessions and its messages, live. What clients said
// is hostile: it becomes text by `textContent`, and never a part of the page.

const SESSIONS_MAX = 100;
const LIT_MILLISECONDS = 1000;
const AGAIN_MILLISECONDS = 1000;
const definition = Number(new URLSearchParams(location.search).get("definition")) || 0;
const query = `?definition=${definition}`;
const find = (selector) => document.querySelector(selector);
const ask = (path) => fetch(path).catch(() => new Response("The server does not answer.", { status: 503 }));
const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function draw(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

const lights = new WeakMap();
function light(...elements) {
  for (const element of elements) {
    clearTimeout(lights.get(element));
    element.classList.add("lit");
    lights.set(element, setTimeout(() => element.classList.remove("lit"), LIT_MILLISECONDS));
  }
}

// ---- The machine: the server's own picture, with what happens in it.

let known = null; // What the frames said, whole.
let cells = new Map(); // "STATE EVENT" -> its name in the picture
let cards = new Map(); // "STATE" -> its card, and its two badges
const taken = new Map(); // "STATE EVENT" -> how often
const refusals = new Map(); // "STATE" -> Map("EVENT CODE" -> how often)

async function drawMachine() {
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
  const [here, events] = [known?.sessions[state] ?? 0, [...(refusals.get(state) ?? [])]];
  const total = events.reduce((sum, [, times]) => sum + times, 0);
  const [stand, were] = [`${count(here, "session")} here`, `${count(total, "command")} refused`];
  card.classList.toggle("occupied", here > 0);
  setBadge(sessions, here ? `${here}` : "", stand);
  setBadge(refused, total ? `x${total}` : "", [`${were}:`, ...events.map((one) => one.join(" x"))].join("\n"));
  card.setAttribute("aria-label", `${state}: ${stand}, ${were}`);
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

function closeExplained() {
  const hadFocus = find("#explained").contains(document.activeElement);
  find("#explained").hidden = true;
  if (hadFocus) explained.focus();
}

// ---- Sessions: each a dialogue, the newest first. The chosen one's path is lit.

const sessions = new Map(); // By id and time: after a restart the same ids come again.
let chosen = null;

/** A row of a list, which opens: what is always seen of it, and what only then. */
function addRow(list, name, parts, whole, toggled) {
  const [row, details, summary] = [make("li", name), make("details"), make("summary")];
  summary.append(...parts);
  details.append(summary, whole);
  details.addEventListener("toggle", () => toggled(details.open));
  row.append(details);
  find(list).prepend(row);
  return row;
}

function addSession(key) {
  const parts = ["who", "where small", "said small line", "amiss small"].map((name) => make("span", `${name} foreign`));
  const whole = make("pre");
  const toggled = (isOpen) => isOpen === (chosen === key) || choose(isOpen ? key : null);
  const row = addRow("#sessions ol", "session", parts, whole, toggled);
  const session = { row, parts, whole, lines: [], cells: [] };
  sessions.set(key, session);
  for (const [old, { row }] of sessions) {
    if (sessions.size <= SESSIONS_MAX || old === chosen) continue;
    row.remove();
    sessions.delete(old);
  }
  return session;
}

function takeSession(news) {
  if (news.definition !== definition) return;
  const key = `${news.id} ${news.began}`;
  const session = sessions.get(key) ?? addSession(key);
  session.lines.splice(news.from, Infinity, ...news.lines);
  session.cells = news.cells;
  const amiss = [[news.refused, "refused", "refused"], [news.faults, "fault"], [news.messages, "stored", "stored"]];
  const texts = [`${news.id} ${news.client}`, news.ended ? "ended" : news.state,
    session.lines.findLast((line) => /^[CS]: /.test(line)) ?? "",
    amiss.filter(([number]) => number).map((words) => count(...words)).join(", ")];
  session.parts.forEach((part, at) => (part.textContent = texts[at]));
  session.row.classList.toggle("ended", Boolean(news.ended));
  session.row.classList.toggle("has-refused", news.refused > 0);
  find("#sessions .hint").hidden = true;
  if (chosen !== key) return;
  session.row.firstChild.open = true; // It was chosen before the connection was lost.
  showLines(session, news.from);
  showPath();
}

function showLines({ whole, lines }, from) {
  while (whole.childElementCount > from) whole.lastChild.remove();
  for (const line of lines.slice(from)) {
    const kind = /^S: [45]/.test(line) ? "no" : { C: "client", S: "server" }[line[0]] ?? "other";
    whole.append(make("span", kind, `${line}\n`));
  }
}

function choose(key) {
  const [before, now] = [sessions.get(chosen), sessions.get(key)];
  chosen = key;
  if (before) {
    before.row.firstChild.open = false;
    before.whole.replaceChildren();
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
  const answer = await ask("messages");
  const list = answer.ok ? (await answer.json()).messages : [];
  const ids = new Set(list.map((message) => message.id));
  for (const [id, row] of messages) {
    if (ids.has(id)) continue;
    row.remove();
    messages.delete(id);
  }
  const isFirst = messages.size === 0;
  for (const message of list) if (!messages.has(message.id)) addMessage(message, isFirst);
  find("#messages .hint").hidden = messages.size > 0;
  // The server reads a thousand files for it.
  await new Promise((done) => setTimeout(done, AGAIN_MILLISECONDS));
  const { again } = asking;
  asking = null;
  if (again) loadMessages();
}

function addMessage(message, isOld) {
  const parts = [make("span", "subject row foreign", message.subject || "(no subject)"),
    make("span", "way small row line foreign", `${message.from ?? "<>"} to ${message.to.join(", ")}`),
    make("span", "small row", `${new Date(message.date).toLocaleString()}, ${count(message.size, "octet")}`)];
  const whole = make("div", "whole");
  const row = addRow("#messages ol", "message", parts, whole, () => whole.childElementCount || fill(whole, message));
  messages.set(message.id, row);
  if (isOld) return;
  light(row);
  find("#news").textContent = `new message: ${message.subject}`;
}

async function fill(whole, { id }) {
  const name = `?id=${encodeURIComponent(id)}`;
  const answer = await ask(`message${name}`);
  if (!answer.ok) return whole.replaceChildren(make("p", "hint", await answer.text()));
  const { headers, text, attachments } = await answer.json();
  const [links, all, list] = [make("p", "links"), make("details"), make("dl", "foreign")];
  for (const word of ["source", "download"]) {
    links.append(make("a", "", word), " ");
    links.lastElementChild.href = `message/${word}${name}`;
  }
  for (const [key, value] of headers) list.append(make("dt", "", key), make("dd", "", value));
  all.append(make("summary", "", count(headers.length, "header field")), list);
  const parts = attachments.map(({ name, type, size }) => make("p", "foreign", `${name}, ${type}, ${count(size, "octet")}`));
  whole.replaceChildren(links, make("pre", "foreign", text), ...parts, all);
}

// ---- Frames: the first is whole, the others have what changed.

function takeState(frame) {
  if (frame.states) return takeWhole(frame);
  known = { ...known, ...frame, sessions: { ...known.sessions, ...frame.sessions } };
  takeNumbers(frame);
  for (const name of (frame.cells ?? []).map(({ cell }) => cells.get(cell)).filter(Boolean)) {
    showTaken(name.dataset.cell);
    light(name, name.closest(".arrow"));
  }
  for (const { state } of frame.refused ?? []) {
    showState(state);
    if (cards.has(state)) light(cards.get(state).refused);
  }
  for (const state of Object.keys(frame.sessions ?? {})) showState(state);
  if (frame.stored !== undefined && known.messages) loadMessages();
}

function takeWhole(frame) {
  for (const old of [taken, refusals, sessions]) old.clear();
  find("#sessions ol").replaceChildren();
  known = frame;
  takeNumbers(frame);
  drawMachine();
  showDefinitions(frame);
  if (frame.messages) loadMessages();
}

/** Takes the numbers of a frame, which are absolute. */
function takeNumbers({ cells, refused, faults, totals }) {
  for (const one of cells ?? []) taken.set(one.cell, one.taken);
  for (const { state, event, code, count: times } of refused ?? []) {
    if (!refusals.has(state)) refusals.set(state, new Map());
    refusals.get(state).set(`${event === "-" ? "no command" : event} ${code}`, times);
  }
  if (faults) showFaults(faults);
  if (totals) showTotals(totals);
}

function showFaults(faults) {
  const rows = faults.map(({ says, fired, cells }) => {
    const row = make("li", "fault");
    row.append(make("span", "", says), make("span", fired ? "fired" : "small", `fired ${count(fired, "time")}`),
      make("span", "small row", `at ${cells.join(", ") || "the greeting"}`));
    return row;
  });
  find("#faults ul").replaceChildren(...rows);
  find("#faults").hidden = faults.length === 0;
}

function showTotals({ open, sessions, messages, turned_away: turned }) {
  const [first, second] = find("#totals").children;
  first.textContent = `${count(sessions, "session")}, ${open} open${turned ? `, ${turned} turned away` : ""}`;
  second.textContent = count(messages, "message");
}

function showDefinitions({ definitions, messages }) {
  const links = definitions.map(({ name, sha256, listeners }, number) => {
    // A listener that is encrypted from its first octet has the same file, and another machine.
    const which = definitions.length > 1 ? listeners.join(" ") : sha256.slice(0, 8);
    const link = make("a", "", `${name.split("/").at(-1)} ${which}`);
    link.href = `?definition=${number}`;
    link.title = `${name}\n${sha256}\n${listeners.join(", ")}`;
    if (number === definition) link.setAttribute("aria-current", "page");
    return link;
  });
  const trial = `swaks --to postmaster --server ${definitions[0].listeners[0]}`;
  find("#definitions").replaceChildren(...links);
  find("#sessions .hint").replaceChildren(...definition ? ["None yet."] : ["None yet. Try ", make("code", "", trial)]);
  find("#sessions .hint").hidden = false;
  find("#messages .hint").replaceChildren(...messages ? ["None yet."]
    : ["The server shows them with ", make("code", "", "web: (messages: true)"), " in its configuration."]);
}

function listen() {
  const events = new EventSource(`events${query}`);
  const say = (isLive, text) => {
    find("#link").textContent = text;
    document.body.classList.toggle("gone", !isLive);
  };
  events.addEventListener("open", () => say(true, "live"));
  events.addEventListener("error", () => {
    say(false, "no connection, trying again");
    if (events.readyState !== EventSource.CLOSED) return;
    // The browser gives up where it is answered, but not with events: the definition is gone, or a proxy's server.
    drawMachine();
    setTimeout(listen, AGAIN_MILLISECONDS);
  });
  events.addEventListener("state", (event) => takeState(JSON.parse(event.data)));
  events.addEventListener("sessions", (event) => JSON.parse(event.data).forEach(takeSession));
}

listen();
find("#explained button").addEventListener("click", closeExplained);
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  if (find("#explained").hidden) choose(null);
  else closeExplained();
});
