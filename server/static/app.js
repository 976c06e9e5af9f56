// The page: what is asked stands behind the # of the address, and what is shown follows from that alone.

import {cardOf, copyOf, fill, nameOf, times} from "./moment.js";
import {playerOf, toggle} from "./player.js";
import {ask, askPatiently} from "./server.js";

const PAGE = 24;
const GIVEN = "cinedex: a key was given";
const at = (id) => document.getElementById(id);
const [text, grouped, found, more] = ["text", "grouped", "found", "more"].map(at);
let collections = [];
let asking = new AbortController();
let shown = new Map();  // card → its result and where it is from
let opened = null;  // {card, panel}

// --- the address ---------------------------------------------------------------------------------------

const wanted = () => new URLSearchParams(location.hash.slice(1));

function go(changes) {
  const next = wanted();
  next.delete("play");
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
  }
  if (`#${next}` === location.hash || (!location.hash && !`${next}`)) show();
  else location.hash = next;
}

function remember(id) {
  const next = wanted();
  if (id) next.set("play", id);
  else next.delete("play");
  history.replaceState(null, "", `#${next}`);
}

const plain = {like: null, start: null, end: null, name: null};
const goLike = ({video_id, start, end, path}) =>
  go({q: null, like: video_id, start, end, name: `${nameOf(path)}, ${times({start, end})}`});

/** The body of a search; null where nothing is asked. */
function bodyOf(hash) {
  const part = {video_id: hash.get("like")};
  for (const side of ["start", "end"]) if (hash.has(side)) part[side] = Number(hash.get(side));
  const query = hash.get("like") ? [part] : hash.get("q")?.trim();
  if (!query) return null;
  const body = {query, limit: PAGE};
  for (const name of ["collection", "encoder"]) if (hash.get(name)) body[name] = hash.get(name);
  if (hash.get("group") === "video") body.group_by = "video";
  return body;
}

// --- asking and showing --------------------------------------------------------------------------------

async function show() {
  const hash = wanted();
  const body = bodyOf(hash);
  asking.abort();
  asking = new AbortController();
  showAsked(hash);
  at("welcome").hidden = Boolean(body);
  if (body) await fetchPage(body, null, asking.signal);
  else clear();
}

function showAsked(hash) {
  const like = hash.get("like");
  text.value = like ? "" : hash.get("q") ?? "";
  grouped.checked = hash.get("group") === "video";
  at("like").hidden = !like;
  at("like").firstElementChild.textContent = `Moments like ${hash.get("name") || like}`;
  const asked = like ? `like ${hash.get("name") || like}` : text.value;
  document.title = asked ? `${asked} – Cinedex` : "Cinedex";
  showChoices(hash);
}

function clear() {
  close();
  found.replaceChildren();
  shown = new Map();
  more.hidden = at("doubt").hidden = at("trouble").hidden = true;
  at("said").textContent = "";
}

/** Asks for a page and shows it: the first in place of what is there, another behind it. */
async function fetchPage(body, cursor, signal) {
  const tell = (told) => fill(at("trouble"), told);
  found.ariaBusy = true;
  more.disabled = true;
  try {
    const answer = await askPatiently("search", cursor ? {...body, cursor} : body, signal, tell);
    if (!cursor) clear();
    tell("");
    showAnswer(answer, body);
  } catch (error) {
    if (signal.aborted) return;  // something else is asked by now
    if (!cursor) clear();
    if (error.status === 401) login();
    else tell(error.message);
  } finally {
    if (!signal.aborted) more.disabled = found.ariaBusy = false;
  }
}

function showAnswer(answer, body) {
  const isByVideo = body.group_by === "video";
  const moments = answer.results.flatMap((result) => result.moments ?? [result]);
  const isMixed = moments.some(({matched_on}) => matched_on.some((what) => what !== "visual"));
  const where = {collection: answer.collection, encoder: answer.encoder};
  const add = (list, result) => {
    const card = cardOf(result, isMixed);
    shown.set(card, {result, where});
    list.append(card);
  };
  const first = shown.size;
  found.className = isByVideo ? "" : "grid";
  for (const result of answer.results) {
    if (isByVideo) showVideo(result, add);
    else add(found, result);
  }
  at("doubt").hidden = answer.confident !== false || !shown.size;
  at("said").textContent = summary(answer, isByVideo ? found.children.length : shown.size, isByVideo);
  more.hidden = !answer.next_cursor;
  more.onclick = () => fetchPage(body, answer.next_cursor, asking.signal);
  if (first) [...shown.keys()][first]?.querySelector(".open").focus();
  else openRemembered();
}

function showVideo(video, add) {
  const item = copyOf("a-video");
  item.querySelector("h2").textContent = video.path;
  for (const moment of video.moments) add(item.querySelector("ol"), moment);
  found.append(item);
}

// Of what is to be typed, for who reads it on a page.
function quoted(notice) {
  return (notice ?? "").replace(/`([^`]*)`/g, "“$1”");
}

function summary({total, took_ms, query_truncated, query_unknown, partial, confident, encoder_notice}, count, isByVideo) {
  const thing = (number) => `${number.toLocaleString()} ${isByVideo ? "video" : "moment"}${number === 1 ? "" : "s"}`;
  const unknown = query_unknown.length && `no word of “${query_unknown[0]}” is known to the encoder`;
  if (!count && unknown) return `Nothing found: ${unknown}.`;
  if (!count) return confident === false ? "Nothing found: no confident match." : "Nothing found.";
  const isAll = total.relation === "eq" && total.value <= count;
  const of = isAll ? thing(count) : `${count} of ${total.relation === "gte" ? "at least " : ""}${thing(total.value)}`;
  const notes = [
    `${of} in ${Math.max(1, Math.round(took_ms.total))} ms`,
    query_truncated && "only the beginning of the text was read",
    unknown,
    partial.length && `without ${partial.join(", ")}`,
    quoted(encoder_notice),
  ];
  return notes.filter(Boolean).join(" · ");
}

// --- playing -------------------------------------------------------------------------------------------

function open(card) {
  const {result, where} = shown.get(card);
  close();
  const panel = playerOf(result, where);
  opened = {card, panel};
  card.querySelector(".open").ariaExpanded = true;
  card.classList.add("playing");
  card.after(panel);  // the grid is dense: a panel as wide as the grid comes below the card's row
  panel.querySelector(".close").onclick = closeAndReturn;
  panel.querySelector(".alike").onclick = () => goLike(result);
  panel.querySelector("video").focus({preventScroll: true});
  panel.scrollIntoView({block: "nearest"});
  remember(result.id);
}

function close() {
  if (!opened) return;
  const {card, panel} = opened;
  const video = panel.querySelector("video");
  video.onerror = null;
  video.removeAttribute("src");
  video.load();  // lets go of the connection
  panel.remove();
  card.classList.remove("playing");
  card.querySelector(".open").ariaExpanded = false;
  opened = null;
}

function closeAndReturn() {
  const {card} = opened;
  close();
  remember(null);
  card.querySelector(".open").focus();
}

function openRemembered() {
  const id = wanted().get("play");
  for (const [card, {result}] of shown) if (id && result.id === id) return open(card);
}

// --- choices, key --------------------------------------------------------------------------------------

async function fetchCollections() {
  try {
    ({collections} = await askPatiently("collections", undefined, new AbortController().signal, () => {}));
  } catch (error) {
    if (error.status === 401) return login();
    collections = [];  // the search itself says what is wrong
  }
  showChoices(wanted());
}

function showChoices(hash) {
  const chosen = collections.find(({name}) => name === hash.get("collection")) ?? collections.find((each) => each.default);
  choose("collection", collections, chosen?.name);
  choose("encoder", chosen?.encoders ?? [], hash.get("encoder") ?? chosen?.encoders[0]?.name);
  const {name, rows, notice} = chosen?.encoders.find((each) => each.name === at("encoder").value) ?? {};
  const [count, kind] = rows?.clip ? [rows.clip, "clips"] : [rows?.frame ?? 0, "pictures"];
  at("served").textContent = count ? `${count.toLocaleString()} ${kind} can be searched, by ${name}. ${quoted(notice)}` : "";
}

function choose(id, offers, name) {
  at(`of-${id}`).hidden = offers.length < 2;
  at(id).replaceChildren(...offers.map((offer) => new Option(offer.name, offer.name, false, offer.name === name)));
}

function login() {
  const dialog = at("login");
  const [form, told] = [dialog.querySelector("form"), dialog.querySelector("p")];
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      await ask("login", {key: at("key").value.trim()});
    } catch (error) {
      told.textContent = error.status === 401 ? "This key is not known here." : error.message;
      return;
    }
    rememberKey(true);
    at("key").value = told.textContent = "";
    dialog.close();
    start();
  };
  if (!dialog.open) dialog.showModal();
}

/** Whether a key was given here: its cookie is not for scripts to see. */
function rememberKey(isGiven) {
  try {
    if (isGiven) localStorage.setItem(GIVEN, "yes");
    else localStorage.removeItem(GIVEN);
  } catch {}  // a browser that keeps nothing
  at("logout").hidden = !isGiven;
}

function isKeyRemembered() {
  try {
    return localStorage.getItem(GIVEN) === "yes";
  } catch {
    return false;
  }
}

async function logout() {
  try {
    await ask("logout", {});
  } catch (error) {
    return fill(at("trouble"), error.message);
  }
  rememberKey(false);
  asking.abort();
  clear();
  start();
}

// --- hands on it ---------------------------------------------------------------------------------------

/** The card that lies in that direction from another one, by where they are on the screen. */
function neighbour(card, key) {
  const cards = [...shown.keys()];
  const index = cards.indexOf(card);
  if (key === "ArrowRight") return cards[index + 1];
  if (key === "ArrowLeft") return cards[index - 1];
  const from = card.getBoundingClientRect();
  const sign = key === "ArrowDown" ? 1 : -1;
  const places = cards.map((each) => [each, each.getBoundingClientRect()]);
  const beyond = places.filter(([, place]) => (place.top - from.top) * sign > from.height / 2);
  const far = ([, place]) => Math.abs(place.top - from.top) * 1000 + Math.abs(place.left - from.left);
  return beyond.sort((a, b) => far(a) - far(b))[0]?.[0];
}

function press(event) {
  const {key, target} = event;
  if (event.ctrlKey || event.metaKey || event.altKey || at("login").open) return;
  const isTyping = target.matches("input:not([type=checkbox]), select");
  const card = target.closest(".moment");
  if (key === "/" && !isTyping) text.select();
  else if (key === "Escape" && opened) closeAndReturn();
  else if (key === "ArrowDown" && target === text && shown.size) [...shown.keys()][0].querySelector(".open").focus();
  else if (key.startsWith("Arrow") && card) neighbour(card, key)?.querySelector(".open").focus();
  else if (key === " " && opened && (target === document.body || card === opened.card)) toggle(opened.panel);
  else return;
  event.preventDefault();
}

function pointed({target}) {
  const card = target.closest(".moment");
  if (!card) return;
  if (target.closest(".similar")) goLike(shown.get(card).result);
  else if (opened?.card === card) closeAndReturn();
  else if (target.closest(".open")) open(card);
}

function start() {
  fetchCollections();
  show();
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  text.blur();  // a phone's keyboard would cover what is found
  go({...plain, q: text.value.trim()});
});
grouped.addEventListener("change", () => go({group: grouped.checked ? "video" : null}));
at("collection").addEventListener("change", ({target}) => go({...plain, collection: target.value, encoder: null}));
at("encoder").addEventListener("change", ({target}) => go({encoder: target.value}));
at("logout").addEventListener("click", logout);
at("like").lastElementChild.addEventListener("click", () => go(plain));
found.addEventListener("click", pointed);
document.addEventListener("keydown", press);
window.addEventListener("hashchange", show);
at("logout").hidden = !isKeyRemembered();
start();
if (!location.hash) text.focus();
