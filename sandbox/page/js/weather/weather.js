/* The weather of both sides: what is set and how often it struck; presets; one click back to fine. */
import { coalesce, find, h, s } from "../dom.js";
import { get, post } from "../api.js";
import { app } from "../state.js";
import { failure } from "../toast.js";
import { killButton, killLine } from "./kill.js";
import { PRESETS, SIDES, percent, presetOf, rulesOf, wordsOf } from "./kinds.js";
import { weatherForm } from "./form.js";

const faults = { databricks: null, slack: null }; // null: this side has no weather
const gone = new Set(); // sides that never had any
const parts = {};

const ICONS = {
  fine: () => [
    s("circle", { cx: 8, cy: 8, r: 3 }),
    s("path", { d: "M8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.400l1.1 1.100M11.5 11.500l1.1 1.100M3.4 12.600l1.1-1.100M11.5 4.500l1.1-1.1" }),
  ],
  rain: () => [
    s("path", { d: "M4.5 9.500a2.8 2.8 0 0 1 .3-5.6 3.6 3.6 0 0 1 6.8.9 2.4 2.4 0 0 1-.2 4.700z" }),
    s("path", { d: "M5.5 11.500l-.7 2M8.4 11.500l-.7 2M11.3 11.500l-.7 2" }),
  ],
  storm: () => [
    s("path", { d: "M4.5 8.500a2.8 2.8 0 0 1 .3-5.6 3.6 3.6 0 0 1 6.8.9 2.4 2.4 0 0 1-.2 4.7" }),
    s("path", { d: "M8.6 7.500l-2.2 3.600h3l-1.8 3.4" }),
  ],
};
const icon = (key) => s("svg", { viewBox: "0 0 16 16", class: "weather-icon", "aria-hidden": "true" }, ICONS[key]());

export function prepareWeather() {
  parts.now = h("span.weather-now", { testid: "weather-now", role: "status" });
  parts.presets = PRESETS.map((preset) =>
    h(
      "button.speed.weather-preset",
      {
        type: "button",
        testid: "weather-preset",
        title: preset.says,
        "aria-pressed": "false",
        dataset: { preset: preset.key },
        onclick: () => choose(preset),
      },
      icon(preset.key),
      preset.label,
    ),
  );
  parts.more = h(
    "button.speed",
    { type: "button", testid: "weather-more", "aria-expanded": "false", "aria-controls": "weather-own", onclick: toggle },
    "More",
  );
  parts.says = h("p.deadline", { testid: "weather-says" });
  parts.rules = h("ul.weather-rules", { "aria-label": "What is set" });
  parts.form = weatherForm(add, there);
  parts.own = h("div.weather-own", { id: "weather-own", hidden: true }, parts.rules, parts.form);
  find("weather").replaceChildren(
    h("div.calendar-line", {}, h("h2", {}, "Weather"), parts.now),
    h(
      "div.speeds",
      { role: "group", "aria-label": "Weather" },
      parts.presets,
      parts.more,
    ),
    h("div.weather-says", {}, parts.says, killButton()),
    killLine(),
    parts.own,
  );
  setInterval(() => document.hidden || refreshWeather(), 2000);
  return read();
}

const sockets = () => app.bot.mode !== "http";
const there = () => Object.keys(SIDES).filter((side) => faults[side] !== null);

function toggle() {
  parts.own.hidden = !parts.own.hidden;
  parts.more.setAttribute("aria-expanded", String(!parts.own.hidden));
}

async function look(side) {
  if (gone.has(side)) return;
  try {
    take(side, await get(SIDES[side].path));
  } catch (problem) {
    faults[side] = null;
    if (problem.status === 404) gone.add(side);
  }
}

const take = (side, answer) => {
  faults[side] = answer.faults || null;
};

async function read() {
  await Promise.all(Object.keys(SIDES).map(look));
  draw();
}

export const refreshWeather = coalesce(read);

/** Asks for something on each side in turn; a refusal is shown, and what then stands is drawn. */
async function doing(work) {
  try {
    await work();
  } catch (problem) {
    failure(problem.message);
  }
  await read();
}

const choose = (preset) =>
  doing(async () => {
    for (const side of there()) {
      await post(SIDES[side].path, { clear: true });
      const rules = rulesOf(preset, side, sockets());
      if (rules.length) await post(SIDES[side].path, { faults: rules });
    }
  });

const add = (side, rule) => doing(() => post(SIDES[side].path, { faults: [{ ...rule, seed: faults[side].length + 1 }] }));

const remove = (side, number) => doing(() => post(SIDES[side].path, { clear: number }));

function draw() {
  const sides = there();
  parts.presets.concat(parts.more).forEach((button) => {
    button.hidden = !sides.length;
  });
  const preset = sides.length ? presetOf(faults, sockets()) : null;
  parts.presets.forEach((button) =>
    button.setAttribute("aria-pressed", String(Boolean(preset) && button.dataset.preset === preset.key)),
  );
  const all = sides.flatMap((side) => faults[side].map((rule) => ({ side, rule })));
  const hits = all.reduce((sum, { rule }) => sum + rule.hits, 0);
  find("weather").dataset.weather = preset ? preset.key : "own";
  text(parts.now, !sides.length ? "" : all.length ? struck(hits) : "nothing fails");
  text(parts.says, !sides.length ? "No side of this sandbox has weather." : preset ? preset.says : "Weather of your own; More shows it.");
  drawRules(all);
  parts.form.renew();
}

function drawRules(all) {
  const signature = JSON.stringify(all);
  if (parts.rules.dataset.signature === signature) return;
  parts.rules.dataset.signature = signature;
  parts.rules.replaceChildren(
    ...all.map(({ side, rule }) => {
      const words = wordsOf(side, rule);
      const name = `${SIDES[side].label}: ${words.kind}`;
      return h(
        "li",
        { testid: "weather-rule", dataset: { side, kind: rule.kind, hits: rule.hits } },
        h("span.weather-words", {}, name, h("span.quiet", {}, ` ${words.place}, ${percent(rule.rate)}, struck ${rule.hits}×`)),
        h(
          "button.close.weather-remove",
          { type: "button", "aria-label": `End ${name}`, title: "End this", onclick: () => remove(side, rule.number) },
          "×",
        ),
      );
    }),
  );
}

const struck = (hits) => (hits === 0 ? "has not struck yet" : hits === 1 ? "struck once" : `struck ${hits} times`);

const text = (node, words) => {
  if (node.textContent !== words) node.textContent = words;
};
