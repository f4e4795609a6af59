// The page of a running server: its machine, its sessions and its messages, live.

import { closeExplained, drawMachine, showPath, takeNumbers } from "./machine.js";
import { ask, count, definition, find, light, make, query } from "./parts.js";

const SESSIONS_MAX = 100;
const AGAIN_MILLISECONDS = 1000;

// ---- Frames: the first is whole, the others have what changed.

let showsMessages = false;

function takeState(frame) {
  takeNumbers(frame);
  if (frame.states) {
    sessions.clear();
    find("#sessions ol").replaceChildren();
    showPath([]);
    showsMessages = frame.messages;
    showDefinitions(frame);
  }
  if (frame.faults) showFaults(frame.faults);
  if (frame.totals) showTotals(frame.totals);
  if (showsMessages && frame.stored !== undefined) loadMessages();
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
  showPath(session.cells);
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
  showPath(now?.cells ?? []);
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

// ---- The connection.

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
