/* Killing the bot, and what became of it: the supervisor starts it again. */
import { h } from "../dom.js";
import { post } from "../api.js";
import { app } from "../state.js";
import { failure } from "../toast.js";

let reading = null; // {can, times, down, back, at}
const parts = {};

export function killButton() {
  parts.button = h(
    "button.speed.kill",
    {
      type: "button",
      testid: "kill-bot",
      hidden: true,
      title: "End the bot's process at once, without a goodbye. It is started again by itself.",
      onclick: kill,
    },
    "Kill the bot",
  );
  return parts.button;
}

export function killLine() {
  parts.line = h("p.deadline.kill-line", { testid: "kill-line", role: "status", hidden: true });
  setInterval(tick, 250);
  return parts.line;
}

async function kill() {
  try {
    take(await post("kill", {}));
  } catch (problem) {
    failure(problem.message);
  }
}

/** The state of the page was read anew. */
export function refreshKill() {
  if (parts.button && app.bot.kill) take(app.bot.kill);
}

function take(kill) {
  reading = { ...kill, at: performance.now() };
  tick();
}

const times = (count) => (count === 1 ? "once" : count === 2 ? "twice" : `${count} times`);

function tick() {
  if (!reading) return;
  const down = reading.down !== null;
  parts.button.hidden = !reading.can && !reading.times;
  parts.button.disabled = down;
  parts.line.hidden = !reading.times;
  parts.line.dataset.down = String(down);
  const passed = down ? reading.down + (performance.now() - reading.at) / 1000 : 0;
  const words = down
    ? `The bot was killed and is starting again… ${Math.floor(passed)} s`
    : `The bot was killed ${times(reading.times)}; back after ${Math.max(1, Math.round(reading.back || 0))} s.`;
  if (parts.line.textContent !== words) parts.line.textContent = words;
}
