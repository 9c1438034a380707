/* One target of the fleet as a table row. */
import { h, s } from "./dom.js";

/** "13.3.x-photon-scala2.12" -> "13.3"; several or none -> a word. */
export function runtimeOf(target) {
  const match = /^(\d+\.\d+)/.exec(String(target.runtime || ""));
  return match ? match[1] : target.runtime ? "other" : "none";
}

export const classOf = (runtime) => ({ 13.3: "old", 17.3: "new" })[runtime] || "other";

const FLAVOURS = [
  [/photon/i, "photon"],
  [/gpu/i, "gpu"],
  [/ml/i, "ml"],
  [/aarch64/i, "arm"],
];

const STATES = {
  RUNNING: "good",
  ACTIVE: "good",
  UNPAUSED: "good",
  SCHEDULED: "good",
  PENDING: "busy",
  RESTARTING: "busy",
  RESIZING: "busy",
  TERMINATING: "busy",
  QUEUED: "busy",
  TERMINATED: "off",
  PAUSED: "off",
  IDLE: "off",
  NONE: "off",
  ERROR: "bad",
  UNKNOWN: "bad",
  FAILED: "bad",
};

const ICONS = {
  cluster: () => [
    s("rect", { x: 2, y: 2.5, width: 12, height: 4.6, rx: 1.2 }),
    s("rect", { x: 2, y: 8.9, width: 12, height: 4.6, rx: 1.2 }),
    s("path", { d: "M4.5 4.8h.1M4.5 11.2h.1" }),
  ],
  job: () => [
    s("rect", { x: 1.8, y: 2, width: 5, height: 4, rx: 1 }),
    s("rect", { x: 9.2, y: 10, width: 5, height: 4, rx: 1 }),
    s("path", { d: "M4.3 6v3.5a2.5 2.5 0 0 0 2.5 2.5h2.400" }),
  ],
};

function icon(kind) {
  const make = ICONS[kind] || ICONS.job;
  return h(
    "span.kind",
    { title: kind, role: "img", "aria-label": kind },
    s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, make()),
  );
}

function runs(target) {
  const counts = target.runs || {};
  if (!counts.active && !counts.ok && !counts.failed) return h("span.quiet", {}, "–");
  return [
    counts.active ? h("span.run.active", { title: "running now" }, `▶ ${counts.active}`) : null,
    h("span.run.ok", { title: "succeeded" }, String(counts.ok || 0)),
    counts.failed ? h("span.run.failed", { title: "failed" }, `${counts.failed} failed`) : null,
  ];
}

export function row(target, changed) {
  const runtime = runtimeOf(target);
  const flavours = FLAVOURS.filter(([pattern]) => pattern.test(target.runtime || "")).map(([, word]) => word);
  const state = String(target.state || "none");
  return h(
    `tr.target${changed ? ".just-changed" : ""}`,
    {
      testid: "fleet-row",
      dataset: { workspace: target.workspace, kind: target.kind, id: target.id, name: target.name, runtime, state },
    },
    h(
      "td.target-name",
      {},
      h(
        "div.target-line",
        {},
        icon(target.kind),
        h("span.name", { title: `${target.kind} ${target.id}` }, breakable(target.name)),
      ),
    ),
    h(
      "td",
      {},
      h(`span.runtime.rt-${classOf(runtime)}`, { title: String(target.runtime || "") }, runtime),
      flavours.length ? h("span.flavour", {}, flavours.join(" ")) : null,
    ),
    h(
      "td",
      {},
      h(
        "span.state",
        {},
        h(`span.dot.${STATES[state.toUpperCase()] || "off"}`, { "aria-hidden": "true" }),
        state.toLowerCase(),
      ),
    ),
    h("td.runs", {}, runs(target)),
  );
}

/** Long names may break after - _ . / and nowhere uglier. */
function breakable(name) {
  return String(name || "")
    .split(/(?<=[-_./])/)
    .flatMap((part, index) => (index ? [h("wbr"), part] : [part]));
}
