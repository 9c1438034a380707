/* Message times are this machine's local time; calendar times (of the sandbox) are shown in UTC by the panel. */

const pad = (number) => String(number).padStart(2, "0");

export const clockOf = (date) => `${pad(date.getHours())}:${pad(date.getMinutes())}`;

export const dateOf = (ts) => new Date(parseFloat(ts) * 1000);

export function dayName(date, today = new Date()) {
  const days = Math.round((midnight(today) - midnight(date)) / 86400000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return date.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
}

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

export const fullTime = (date) => date.toLocaleString("en-GB", { dateStyle: "full", timeStyle: "medium" });

/** "{date_short} at {time}" with a unix second -> text, as Slack does for <!date^...>. */
export function slackDate(seconds, format) {
  const date = new Date(seconds * 1000);
  const part = (options) => date.toLocaleDateString("en-US", options);
  const words = {
    date_num: `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`,
    date: part({ year: "numeric", month: "long", day: "numeric" }),
    date_short: part({ year: "numeric", month: "short", day: "numeric" }),
    date_long: part({ weekday: "long", year: "numeric", month: "long", day: "numeric" }),
    date_slash: part({ year: "numeric", month: "2-digit", day: "2-digit" }),
    day_divider_pretty: dayName(date),
    time: clockOf(date),
    time_secs: `${clockOf(date)}:${pad(date.getSeconds())}`,
    ago: ago(seconds),
  };
  words.date_pretty = dayName(date);
  words.date_short_pretty = words.date_pretty;
  words.date_long_pretty = words.date_pretty;
  return format.replace(/\{(\w+)\}/g, (whole, name) => words[name] ?? whole);
}

function ago(seconds) {
  const minutes = Math.round((Date.now() / 1000 - seconds) / 60);
  if (Math.abs(minutes) < 1) return "now";
  const words = Math.abs(minutes) < 60 ? `${Math.abs(minutes)} min` : `${Math.round(Math.abs(minutes) / 60)} h`;
  return minutes > 0 ? `${words} ago` : `in ${words}`;
}

/** Seconds -> "in 3 h 10 min" style length. */
export function lengthOf(seconds) {
  const minutes = Math.max(0, Math.round(seconds / 60));
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** A calendar instant -> "Tue 24 Nov 2026, 14:05:09" in UTC. */
export function calendarText(date, seconds = true) {
  const day = date
    .toLocaleDateString("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" })
    .replace(/^(\w+),/, "$1");
  return `${day}, ${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}${seconds ? `:${pad(date.getUTCSeconds())}` : ""}`;
}
