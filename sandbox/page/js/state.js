/* What the page knows: who acts, where they look, and the names of people and channels. */
import { get } from "./api.js";

export const app = {
  as: new URLSearchParams(location.search).get("as") || localStorage.getItem("person") || "devops",
  place: null, // {kind: "channel", id} | {kind: "home"}
  linked: new URLSearchParams(location.search).get("ts"), // a message that a permalink names
  thread: null, // ts of the open thread
  me: null,
  people: [],
  channels: [],
  commands: [],
  verbs: [],
  shortcuts: [], // of messages: {callback_id, name, description}
  bot: { name: "rollout", connected: false },
  unread: new Set(),
};

const hues = [262, 205, 152, 24, 338, 188, 48, 290, 96, 0];

export async function loadState() {
  const state = await get("state", { as: app.as }).catch(firstPerson);
  app.people = state.people || [];
  app.channels = state.channels || [];
  app.commands = state.commands || [];
  app.verbs = (state.verbs || []).filter((verb) => /^[a-z]/.test(verb));
  app.shortcuts = state.shortcuts || [];
  app.bot = state.bot || app.bot;
  app.team = state.team || null;
  app.me = state.me || app.people.find((person) => person.key === app.as) || app.people[0] || null;
  if (app.me) app.as = app.me.key;
  app.dm = app.me ? app.me.dm || `D${app.me.id.slice(1)}` : null;
  localStorage.setItem("person", app.as);
  return state;
}

/** The remembered person may not exist in this sandbox; the refusal names who does. */
function firstPerson(problem) {
  const there = /There are: ([\w-]+)/.exec(problem.message);
  if (!there) throw problem;
  app.as = there[1];
  return get("state", { as: app.as });
}

export const personById = (id) => app.people.find((person) => person.id === id);
export const channelById = (id) => app.channels.find((channel) => channel.id === id);
export const channelNamed = (name) => app.channels.find((channel) => channel.name === name || channel.id === name);

export function userName(id) {
  if (id && app.bot.user_id === id) return app.bot.name || "rollout";
  const person = personById(id);
  return person ? person.name : id;
}

export function channelName(id) {
  const channel = channelById(id);
  return channel ? channel.name : id;
}

export function initials(name) {
  const parts = String(name || "?").split(/\s+/);
  return (parts[0][0] + (parts.length > 1 ? parts[parts.length - 1][0] : "")).toUpperCase();
}

export function hueOf(person) {
  const index = app.people.findIndex((other) => other.key === (person && person.key));
  return hues[(index < 0 ? 0 : index) % hues.length];
}

/** Words that mark a person who may surprise: guest, other company, deactivated. */
export function marksOf(person) {
  const marks = [];
  if (person.deactivated) marks.push("account deactivated");
  if (person.guest) marks.push("guest account");
  if (person.outside) marks.push("other company");
  return marks;
}

/** Keeps ?as= and ?channel= in the address, so that a reload or a copied address shows the same. */
export function rememberPlace() {
  const values = new URLSearchParams();
  values.set("as", app.as);
  if (app.place && app.place.kind === "channel")
    values.set("channel", app.place.id === app.dm ? "dm" : channelName(app.place.id));
  if (app.place && app.place.kind === "home") values.set("channel", "home");
  history.replaceState(null, "", `/?${values}`);
}
