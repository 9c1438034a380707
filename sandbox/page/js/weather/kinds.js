/* What can go wrong on each side, where, how often, and the mixtures that a newcomer may choose. */

/* Databricks: `path` is a pattern on the path of a call, `method` narrows it. */
const WORKSPACE = [
  { label: "everything", path: "/api/*" },
  { label: "clusters", path: "/api/*/clusters/*" },
  { label: "jobs and runs", path: "/api/*/jobs/*" },
  { label: "every change (POST)", path: "/api/*", method: "POST" },
];
/* Slack: for calls of the bot `path` is a pattern on the method's name, for deliveries to the bot on what is delivered. */
const CALLS = [
  { label: "everything", path: "*" },
  { label: "messages", path: "chat.*" },
  { label: "dialogs and Home", path: "views.*" },
  { label: "people", path: "users.*" },
];
const DELIVERIES = [
  { label: "everything", path: "*" },
  { label: "commands", path: "command" },
  { label: "buttons", path: "action" },
  { label: "dialogs", path: "view" },
  { label: "events", path: "event" },
];
const EVENTS = [DELIVERIES[4]];

export const SIDES = {
  databricks: {
    label: "Databricks",
    path: "weather",
    kinds: [
      { key: "429", label: "too many requests (429)", places: WORKSPACE },
      { key: "500", label: "internal error (500)", places: WORKSPACE },
      { key: "503", label: "unavailable (503)", places: WORKSPACE },
      { key: "reset", label: "connection breaks before the work", places: WORKSPACE },
      { key: "lost-answer", label: "done, but the answer is lost", places: WORKSPACE },
      { key: "slow", label: "slow: 2 seconds late", places: WORKSPACE },
      { key: "eventual", label: "reads show an older state", places: WORKSPACE },
      { key: "403", label: "permission denied (403)", places: WORKSPACE },
    ],
  },
  slack: {
    label: "Slack",
    path: "faults",
    kinds: [
      { key: "429", label: "too many requests (429)", places: CALLS },
      { key: "500", label: "internal error (500)", places: CALLS },
      { key: "drop", label: "the socket is cut", places: DELIVERIES, socket: true },
      { key: "refresh", label: "the socket must reconnect", places: DELIVERIES, socket: true },
      { key: "late", label: "what people do arrives late", places: DELIVERIES },
      { key: "duplicate", label: "events arrive twice", places: EVENTS },
      { key: "reset", label: "connection breaks before the work", places: CALLS },
      { key: "lost-answer", label: "done, but the answer is lost", places: CALLS },
    ],
  },
};

export const kindOf = (side, key) => SIDES[side].kinds.find((kind) => kind.key === key);

export const RATES = [0.01, 0.05, 0.1, 0.3, 0.5, 1];

export const percent = (rate) => `${Math.round(rate * 1000) / 10} %`;

const mix = (path, rates) => Object.entries(rates).map(([kind, rate]) => ({ kind, path, rate }));

export const PRESETS = [
  { key: "fine", label: "Fine", says: "Every call works.", databricks: [], slack: [] },
  {
    key: "rain",
    label: "Rain",
    says: "Rain: 5 % of all calls fail, on both sides.",
    databricks: mix("/api/*", { 429: 0.02, 503: 0.02, reset: 0.01 }),
    slack: mix("*", { 429: 0.02, 500: 0.02, reset: 0.01 }),
  },
  {
    key: "storm",
    label: "Storm",
    says: "Storm: every third call fails or is late.",
    databricks: mix("/api/*", { 429: 0.08, 500: 0.05, 503: 0.05, reset: 0.05, "lost-answer": 0.05, slow: 0.08 }),
    slack: [
      ...mix("*", { 429: 0.08, 500: 0.05, reset: 0.04, drop: 0.05, refresh: 0.05, late: 0.1 }),
      { kind: "duplicate", path: "event", rate: 0.3 },
    ],
  },
];

/** What a side is asked for; each rule has luck of its own, and a socket is only cut where there is one. */
export const rulesOf = (preset, side, sockets) =>
  preset[side]
    .filter((rule) => sockets || !kindOf(side, rule.kind).socket)
    .map((rule, index) => ({ ...rule, seed: index + 1 }));

const mark = (rule) => [rule.kind, rule.path, rule.method || "*", Number(rule.rate)].join("|");
const marks = (rules) => rules.map(mark).sort().join("\n");

/** The preset that is set on all sides, or undefined. `faults` is {databricks: rules or null, slack: rules or null}. */
export const presetOf = (faults, sockets) =>
  PRESETS.find((preset) =>
    Object.keys(SIDES).every(
      (side) => faults[side] === null || marks(faults[side]) === marks(rulesOf(preset, side, sockets)),
    ),
  );

/** A rule in words: {kind, place}. */
export function wordsOf(side, rule) {
  const kind = kindOf(side, rule.kind);
  const place = kind && kind.places.find((each) => each.path === rule.path && (each.method || "*") === (rule.method || "*"));
  return { kind: kind ? kind.label : rule.kind, place: place ? place.label : rule.path };
}
