/* The live panel of the Databricks side: a table of targets per workspace, a page of rows at a time. */
import { coalesce, find, h } from "./dom.js";
import { get } from "./api.js";
import { classOf, runtimeOf, row } from "./fleetrow.js";

const PAGE = 25;
const FRESH = 4000; // how long a changed row stays marked, in machine milliseconds
const sections = new Map(); // workspace key -> {element, parts, page, touched}
const known = new Map(); // target key -> {signature, changed}
let filter = "";
let body = null;
let problem = null;
let latest = [];

export function prepareFleet() {
  body = h("div.workspaces");
  problem = h("p.fleet-problem", { role: "status", hidden: true });
  const box = h("input.entry", {
    type: "search",
    testid: "fleet-filter",
    placeholder: "Filter: name, kind, runtime or state",
    "aria-label": "Filter targets",
    oninput: (event) => {
      filter = event.target.value.trim().toLowerCase();
      sections.forEach((section) => {
        section.page = 0;
      });
      draw();
    },
  });
  find("fleet").replaceChildren(
    h("div.fleet-head", {}, h("h2", {}, "Databricks"), h("p.fleet-total", { id: "fleet-total" })),
    box,
    problem,
    body,
  );
  setInterval(() => document.hidden || refreshFleet(), 1000);
  return read();
}

async function read() {
  try {
    const answer = await get("fleet");
    latest = answer.workspaces || [];
    problem.hidden = true;
    notice();
    draw();
  } catch (trouble) {
    problem.textContent = `The Databricks side does not answer. ${trouble.message}`;
    problem.hidden = false;
  }
}

export const refreshFleet = coalesce(read);

const keyOf = (target) => `${target.workspace}/${target.kind}/${target.id}`;

/** Notes which targets changed since the last look: their runtime, or a cluster's state. */
function notice() {
  const first = known.size === 0;
  const now = performance.now();
  for (const workspace of latest) {
    for (const target of workspace.targets) {
      const key = keyOf(target);
      const signature = target.kind === "cluster" ? `${target.runtime}|${target.state}` : target.runtime;
      const before = known.get(key);
      if (!before) known.set(key, { signature, runtime: target.runtime, changed: first ? 0 : now });
      else if (before.signature !== signature) {
        if (before.runtime !== target.runtime) reveal(workspace.key);
        known.set(key, { signature, runtime: target.runtime, changed: now });
      }
    }
  }
}

/** A workspace in which runtimes move opens itself, unless the visitor closed it. */
function reveal(key) {
  const section = sections.get(key);
  if (section && !section.touched) section.open = true;
}

function draw() {
  const totals = {};
  latest.forEach((workspace, index) => {
    let section = sections.get(workspace.key);
    if (!section) {
      section = create(workspace, index === 0);
      sections.set(workspace.key, section);
      body.append(section.element);
    }
    const sticky = latest.length <= 6; // more would leave no room for rows
    section.toggle.style.setProperty("--above", sticky ? index : 0);
    section.toggle.style.setProperty("--below", sticky ? latest.length - 1 - index : -1000);
    update(section, workspace);
    for (const target of workspace.targets) totals[runtimeOf(target)] = (totals[runtimeOf(target)] || 0) + 1;
  });
  const text = counted(Object.entries(totals));
  const total = find("fleet-total");
  if (total.textContent !== text) total.textContent = text;
}

/** [["13.3", 12], ["other", 1]] -> "12 on 13.3 · 1 other" */
const counted = (entries) =>
  entries
    .sort()
    .map(([runtime, count]) =>
      /^\d/.test(runtime) ? `${count} on ${runtime}` : `${count} ${runtime === "none" ? "without" : runtime}`,
    )
    .join(" · ");

function create(workspace, open) {
  const section = { page: 0, open, touched: false, rows: new Map() };
  section.chevron = h("span.chevron", { "aria-hidden": "true" }, "▸");
  section.counts = h("span.workspace-numbers", { testid: "workspace-counts" });
  section.bar = h("span.bar", { "aria-hidden": "true" });
  section.live = h("span.changing");
  section.toggle = h(
    "button.workspace-toggle",
    {
      type: "button",
      testid: "workspace-toggle",
      "aria-expanded": "false",
      onclick: () => {
        section.open = !section.open;
        section.touched = true;
        draw();
      },
    },
    section.chevron,
    h("span.workspace-key", {}, workspace.key),
    section.live,
    section.counts,
    section.bar,
  );
  section.rowsBody = h("tbody");
  section.pager = h("div.pager", { hidden: true });
  section.none = h("p.quiet", { hidden: true }, "No target fits the filter.");
  section.table = h(
    "div.workspace-body",
    {},
    h(
      "table.targets",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Target", "Runtime", "State", "Runs"].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      section.rowsBody,
    ),
    section.none,
    section.pager,
  );
  section.element = h(
    "section.workspace-section",
    { testid: "workspace", dataset: { workspace: workspace.key } },
    section.toggle,
    section.table,
  );
  return section;
}

const fits = (target) =>
  !filter ||
  `${target.name} ${target.kind} ${target.runtime} ${target.state} ${target.id}`.toLowerCase().includes(filter);

function update(section, workspace) {
  const counts = {};
  const now = performance.now();
  let fresh = 0;
  for (const target of workspace.targets) {
    const runtime = runtimeOf(target);
    counts[runtime] = (counts[runtime] || 0) + 1;
    if (changedAt(target) && now - changedAt(target) < FRESH) fresh += 1;
  }
  const entries = Object.entries(counts).sort();
  const text = counted(entries);
  if (section.counts.textContent !== text) {
    section.counts.textContent = text;
    section.bar.replaceChildren(
      ...entries.map(([runtime, count]) => h(`span.bar-part.rt-${classOf(runtime)}`, { style: `flex-grow:${count}` })),
    );
  }
  section.live.textContent = fresh ? `${fresh} just changed` : "";
  const open = section.open || Boolean(filter);
  section.toggle.setAttribute("aria-expanded", String(open));
  section.element.classList.toggle("open", open);
  section.table.hidden = !open;
  if (!open) {
    section.rows.clear();
    section.rowsBody.replaceChildren();
    return;
  }
  const matching = workspace.targets.filter(fits);
  const pages = Math.max(1, Math.ceil(matching.length / PAGE));
  section.page = Math.min(section.page, pages - 1);
  rows(section, matching.slice(section.page * PAGE, section.page * PAGE + PAGE), now);
  section.none.hidden = matching.length > 0;
  pager(section, matching.length, pages);
}

const changedAt = (target) => (known.get(keyOf(target)) || { changed: 0 }).changed;

function rows(section, targets, now) {
  const wanted = targets.map((target) => {
    const key = keyOf(target);
    const changed = changedAt(target) && now - changedAt(target) < FRESH;
    const signature = JSON.stringify([
      target.name,
      target.runtime,
      target.state,
      target.runs,
      changed ? changedAt(target) : 0,
    ]);
    const old = section.rows.get(key);
    if (old && old.signature === signature) return [key, old];
    const element = row(target, Boolean(changed));
    if (old && old.element.isConnected) old.element.replaceWith(element);
    return [key, { element, signature }];
  });
  section.rows = new Map(wanted);
  const order = wanted.map(([, kept]) => kept.element);
  const there = [...section.rowsBody.children];
  if (order.length !== there.length || order.some((element, index) => element !== there[index]))
    section.rowsBody.replaceChildren(...order);
}

function pager(section, count, pages) {
  section.pager.hidden = pages < 2;
  if (pages < 2) return;
  const signature = `${section.page}/${pages}/${count}`;
  if (section.pager.dataset.signature === signature) return;
  section.pager.dataset.signature = signature;
  const turn = (step) => () => {
    section.page += step;
    draw();
  };
  section.pager.replaceChildren(
    h(
      "button.speed",
      {
        type: "button",
        testid: "fleet-less",
        disabled: section.page === 0,
        "aria-label": "Previous page",
        onclick: turn(-1),
      },
      "‹",
    ),
    h("span", {}, `${section.page * PAGE + 1} to ${Math.min(count, section.page * PAGE + PAGE)} of ${count}`),
    h(
      "button.speed",
      {
        type: "button",
        testid: "fleet-more",
        disabled: section.page === pages - 1,
        "aria-label": "Next page",
        onclick: turn(1),
      },
      "›",
    ),
  );
}
