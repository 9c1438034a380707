/* The sandbox's calendar: ticks here between readings; speed and skipping are asked of the server. */
import { coalesce, find, h } from "./dom.js";
import { get, post } from "./api.js";
import { calendarText, lengthOf } from "./text/time.js";
import { failure } from "./toast.js";

const SPEEDS = [
  [1, "1×", "real time"],
  [60, "60×", "one hour a minute"],
  [600, "600×", "ten hours a minute"],
  [0, "Stop", "the calendar stands still"],
];
let reading = null; // {now, at, speed, next}
let asked = 0; // when the reading was last renewed because its deadline had passed
const parts = {};

export function prepareCalendar() {
  parts.now = h("time.clock-now", { testid: "clock-now" });
  parts.speeds = SPEEDS.map(([speed, label, meaning]) =>
    h(
      "button.speed",
      {
        type: "button",
        testid: "clock-speed",
        title: meaning,
        "aria-pressed": "false",
        dataset: { speed },
        onclick: () => ask({ speed }),
      },
      label,
    ),
  );
  parts.next = h(
    "button.speed.skip",
    { type: "button", testid: "clock-next", onclick: () => ask({ to: "next" }) },
    "Skip to next deadline",
  );
  parts.deadline = h("p.deadline", { testid: "clock-deadline" });
  find("calendar").replaceChildren(
    h("div.calendar-line", {}, h("h2", {}, "Calendar"), parts.now),
    h("div.speeds", { role: "group", "aria-label": "Speed of the calendar" }, parts.speeds, parts.next),
    parts.deadline,
  );
  setInterval(tick, 200);
  setInterval(refreshCalendar, 2000);
  return read();
}

async function ask(wish) {
  try {
    take(await post("clock", wish));
  } catch (problem) {
    failure(problem.message);
  }
  refreshCalendar();
}

async function read() {
  take(await get("clock"));
}

export const refreshCalendar = coalesce(read);

function take(clock) {
  reading = {
    now: Date.parse(clock.now),
    at: performance.now(),
    speed: clock.speed,
    next: clock.next ? Date.parse(clock.next) : null,
  };
  parts.speeds.forEach((button) => button.setAttribute("aria-pressed", String(+button.dataset.speed === clock.speed)));
  tick();
}

function tick() {
  if (!reading) return;
  const now = reading.now + (performance.now() - reading.at) * reading.speed;
  parts.now.textContent = `${calendarText(new Date(now))} UTC`;
  parts.now.title = reading.speed === 0 ? "stopped" : `${reading.speed} times real time`;
  if (reading.next && reading.next <= now && performance.now() - asked > 500) {
    asked = performance.now();
    refreshCalendar();
  }
  parts.next.disabled = !reading.next;
  const text = reading.next
    ? `Next: ${calendarText(new Date(reading.next), false)} (${reading.next > now ? `in ${lengthOf((reading.next - now) / 1000)}` : "now"})`
    : "Nothing is scheduled.";
  if (parts.deadline.textContent !== text) parts.deadline.textContent = text;
}
