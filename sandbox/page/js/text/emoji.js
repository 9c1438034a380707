/* Shortcodes -> characters. The signs used for states are drawn, so that they look alike on machines without emoji fonts. */
import { h, s } from "../dom.js";

/** name -> character; the same file serves the terminal (sandbox/say). */
export const CHARACTERS = await (await fetch("/page/emoji.json")).json();

const GREEN = "#1f9d55",
  RED = "#d9363e",
  AMBER = "#e0a100",
  BLUE = "#2673d9",
  GREY = "#8a8f98";
const disc = (fill, stroke) => () => [
  s("circle", { cx: 10, cy: 10, r: 7.5, fill, stroke: stroke || "none", "stroke-width": 1.5 }),
];
const square = (fill, stroke) => () => [
  s("rect", { x: 2.5, y: 2.5, width: 15, height: 15, rx: 3, fill, stroke: stroke || "none", "stroke-width": 1.5 }),
];
const line = (d, stroke, width = 2.2) =>
  s("path", { d, stroke, "stroke-width": width, fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" });
const shape = (d, fill) => s("path", { d, fill, "stroke-linejoin": "round" });
const tile =
  (fill, ...inner) =>
  () => [s("rect", { x: 1.5, y: 1.5, width: 17, height: 17, rx: 4, fill }), ...inner.map((make) => make())];
const white = (d, width) => () => line(d, "#fff", width);

const DRAWN = {
  "✅": tile(GREEN, white("M5.5 10.5l3 3 6-7")),
  "✔": () => [line("M4 11l4 4 8-10", GREEN, 2.6)],
  "☑": tile(BLUE, white("M5.5 10.5l3 3 6-7")),
  "❌": () => [line("M5 5l10 10M15 5L5 15", RED, 3)],
  "✖": () => [line("M5 5l10 10M15 5L5 15", GREY, 3)],
  "⚠": () => [
    shape("M10 2.2L18.6 17a.8.8 0 0 1-.7 1.2H2.1A.8.8 0 0 1 1.4 17z", AMBER),
    line("M10 8v4.4M10 15.2v.1", "#3b2a00", 2),
  ],
  "⛔": () => [
    s("circle", { cx: 10, cy: 10, r: 8, fill: RED }),
    s("rect", { x: 5, y: 8.4, width: 10, height: 3.2, rx: 1, fill: "#fff" }),
  ],
  "🚫": () => [
    s("circle", { cx: 10, cy: 10, r: 6.8, fill: "none", stroke: RED, "stroke-width": 2.6 }),
    line("M5.4 5.4l9.2 9.2", RED, 2.6),
  ],
  "🛑": () => [shape("M6.7 2h6.6L18 6.7v6.6L13.3 18H6.7L2 13.3V6.7z", RED), line("M7 10h6", "#fff", 2.4)],
  "🚨": () => [
    shape("M5 15V10a5 5 0 0 1 10 0v5z", RED),
    s("rect", { x: 3, y: 15, width: 14, height: 3, rx: 1, fill: GREY }),
    line("M10 1v1.6M3.4 3.6l1 1M16.6 3.6l-1 1", RED, 1.5),
  ],
  "⏳": () => [
    line("M5 2.5h10M5 17.5h10M6.2 3v3.2L10 10l3.8-3.8V3M6.2 17v-3.2L10 10l3.8 3.8V17", "#a06a2c", 1.7),
    shape("M7.6 16.6l2.4-3 2.4 3zM8 6.3h4L10 8.4z", AMBER),
  ],
  "⌛": () => [
    line("M5 2.5h10M5 17.5h10M6.2 3v3.2L10 10l3.8-3.8V3M6.2 17v-3.2L10 10l3.8 3.8V17", "#a06a2c", 1.7),
    shape("M7 16.8l3-4.6 3 4.6z", AMBER),
  ],
  "⏱": () => [
    s("circle", { cx: 10, cy: 11, r: 6.6, fill: "none", stroke: GREY, "stroke-width": 1.9 }),
    line("M10 11V7.4M8 2h4M10 2v2", GREY, 1.8),
  ],
  "⏰": () => [
    s("circle", { cx: 10, cy: 11, r: 6.4, fill: "none", stroke: RED, "stroke-width": 2 }),
    line("M10 11V7.6M10 11l2.4 1.4M3 4.6l2-2M17 4.6l-2-2", RED, 1.7),
  ],
  "🚀": () => [
    shape(
      "M17.6 2.4c-4.6-.6-8.2 1.5-10.2 5.4l-3.2.8-1.8 2.8 3 .4 2.8 2.8.4 3 2.8-1.8.8-3.2c3.9-2 6-5.6 5.4-10.2z",
      "#5b6bd6",
    ),
    s("circle", { cx: 12.6, cy: 7.4, r: 1.8, fill: "#fff" }),
    shape("M4.7 13.2c-1.7.5-2.3 2.5-2.3 4.4 1.9 0 3.9-.6 4.4-2.3z", AMBER),
  ],
  "🔒": () => [
    line("M6.4 9V6.6a3.6 3.6 0 0 1 7.2 0V9", GREY, 2),
    s("rect", { x: 4, y: 8.8, width: 12, height: 9, rx: 2, fill: AMBER }),
    s("circle", { cx: 10, cy: 13, r: 1.4, fill: "#3b2a00" }),
  ],
  "🔓": () => [
    line("M6.4 9V5.6a3.6 3.6 0 0 1 7-1.2", GREY, 2),
    s("rect", { x: 4, y: 8.8, width: 12, height: 9, rx: 2, fill: AMBER }),
    s("circle", { cx: 10, cy: 13, r: 1.4, fill: "#3b2a00" }),
  ],
  "🔑": () => [
    s("circle", { cx: 6.5, cy: 10, r: 3.4, fill: "none", stroke: AMBER, "stroke-width": 2.2 }),
    line("M10 10h7.5M15 10v3M17.3 10v2", AMBER, 2.2),
  ],
  "➡": tile(BLUE, white("M5 10h9M10.5 6l4 4-4 4")),
  "⬅": tile(BLUE, white("M15 10H6M9.5 6l-4 4 4 4")),
  "⬆": tile(BLUE, white("M10 15V6M6 9.5l4-4 4 4")),
  "⬇": tile(BLUE, white("M10 5v9M6 10.5l4 4 4-4")),
  "▶": tile(BLUE, () => shape("M7 5.5l8 4.5-8 4.5z", "#fff")),
  "◀": tile(BLUE, () => shape("M13 5.5L5 10l8 4.5z", "#fff")),
  "⏪": tile(BLUE, () => shape("M10 5.8L4 10l6 4.2zM16 5.8L10 10l6 4.2z", "#fff")),
  "⏩": tile(BLUE, () => shape("M4 5.8l6 4.2-6 4.2zM10 5.8l6 4.2-6 4.2z", "#fff")),
  "↩": tile(BLUE, white("M8 6L5 9l3 3M5.5 9H12a3 3 0 0 1 0 6h-2", 1.9)),
  "↪": tile(BLUE, white("M12 6l3 3-3 3M14.5 9H8a3 3 0 0 0 0 6h2", 1.9)),
  "🔁": () => [
    line("M4 9V8a3 3 0 0 1 3-3h8M13 2.5L15.5 5 13 7.5M16 11v1a3 3 0 0 1-3 3H5M7 17.5L4.5 15 7 12.5", BLUE, 1.9),
  ],
  "🔄": tile(
    BLUE,
    white("M14.5 8.5A5 5 0 0 0 5.6 8M5.5 11.5a5 5 0 0 0 8.9.5M14.8 5.3v3.3h-3.3M5.2 14.7v-3.3h3.3", 1.7),
  ),
  "🔃": tile(BLUE, white("M7 15V5M4.5 7.5L7 5l2.5 2.5M13 5v10M10.5 12.5L13 15l2.5-2.5", 1.8)),
  "⏸": tile(BLUE, white("M7.5 6v8M12.5 6v8", 2.6)),
  "⏹": tile(BLUE, () => s("rect", { x: 6, y: 6, width: 8, height: 8, rx: 1, fill: "#fff" })),
  "🟢": disc(GREEN),
  "🟡": disc("#f2c21b"),
  "🟠": disc("#ef8a1d"),
  "🔴": disc(RED),
  "🔵": disc(BLUE),
  "🟣": disc("#8450c8"),
  "🟤": disc("#8a5a3c"),
  "⚪": disc("#fff", "#b6bac1"),
  "⚫": disc("#3c4046"),
  "🔘": () => [
    s("circle", { cx: 10, cy: 10, r: 7, fill: "none", stroke: GREY, "stroke-width": 1.8 }),
    s("circle", { cx: 10, cy: 10, r: 3.6, fill: BLUE }),
  ],
  "🟩": square(GREEN),
  "🟨": square("#f2c21b"),
  "🟧": square("#ef8a1d"),
  "🟥": square(RED),
  "🟦": square(BLUE),
  "⬜": square("#fff", "#b6bac1"),
  "⬛": square("#3c4046"),
  "◻": square("#fff", "#b6bac1"),
  "◼": square("#3c4046"),
  "🔹": () => [shape("M10 5l5 5-5 5-5-5z", BLUE)],
  "🔸": () => [shape("M10 5l5 5-5 5-5-5z", "#ef8a1d")],
  "🔷": () => [shape("M10 1.5l8.5 8.5-8.5 8.5L1.5 10z", BLUE)],
  "🔶": () => [shape("M10 1.5l8.5 8.5-8.5 8.5L1.5 10z", "#ef8a1d")],
  ℹ: tile(BLUE, white("M10 9.5v5M10 5.8v.1", 2.4)),
  "❓": () => [line("M6.8 7a3.3 3.3 0 1 1 4.8 2.9c-1.2.7-1.6 1.3-1.6 2.6M10 16.3v.1", RED, 2.5)],
  "❗": () => [line("M10 3v9M10 16.5v.1", RED, 3)],
  "🔔": () => [
    shape("M10 2a5 5 0 0 0-5 5v4l-2 3h14l-2-3V7a5 5 0 0 0-5-5z", AMBER),
    shape("M8 15.5h4a2 2 0 0 1-4 0z", "#a06a2c"),
  ],
  "👀": () => [
    s("ellipse", { cx: 6, cy: 10, rx: 3.6, ry: 5.5, fill: "#fff", stroke: GREY }),
    s("ellipse", { cx: 14, cy: 10, rx: 3.6, ry: 5.5, fill: "#fff", stroke: GREY }),
    s("circle", { cx: 5, cy: 11, r: 1.8, fill: "#333" }),
    s("circle", { cx: 13, cy: 11, r: 1.8, fill: "#333" }),
  ],
  "🎉": () => [
    shape("M2 18L7 6l7 7z", AMBER),
    line("M10 5l1-2M13 7l3-2M15 11l2.5.5", RED, 1.8),
    s("circle", { cx: 16.5, cy: 2.8, r: 1.2, fill: BLUE }),
    s("circle", { cx: 12.8, cy: 2.5, r: 1, fill: GREEN }),
  ],
  "👋": () => [
    s("circle", { cx: 10, cy: 10, r: 8, fill: "#f2c21b" }),
    line("M6.5 11.5c1 2.3 6 2.3 7 0M7.3 7.5v.8M12.7 7.5v.8", "#3b2a00", 1.7),
  ],
  "👉": () => [shape("M3 8h8V6.5a1.5 1.5 0 0 1 3-.2L18 9.6 13.5 15H6a3 3 0 0 1-3-3z", "#f2c21b")],
  "📊": () => [
    s("rect", { x: 1.5, y: 1.5, width: 17, height: 17, rx: 2, fill: "#fff", stroke: GREY }),
    s("rect", { x: 4.5, y: 10, width: 2.8, height: 6, fill: GREEN }),
    s("rect", { x: 8.6, y: 5, width: 2.8, height: 11, fill: BLUE }),
    s("rect", { x: 12.7, y: 8, width: 2.8, height: 8, fill: RED }),
  ],
  "📈": () => [
    s("rect", { x: 1.5, y: 1.5, width: 17, height: 17, rx: 2, fill: "#fff", stroke: GREY }),
    line("M4 14l4-4 3 2 5-6.5", GREEN, 2),
  ],
  "📉": () => [
    s("rect", { x: 1.5, y: 1.5, width: 17, height: 17, rx: 2, fill: "#fff", stroke: GREY }),
    line("M4 6l4 4 3-2 5 6.5", RED, 2),
  ],
  "📝": () => [
    s("rect", { x: 3, y: 2, width: 12, height: 16, rx: 1.5, fill: "#fff", stroke: GREY }),
    line("M6 6h6M6 9h6M6 12h3", GREY, 1.3),
    line("M17.5 6.5L11 14l-1 3 2.6-1.6z", AMBER, 1.7),
  ],
  "📋": () => [
    s("rect", { x: 3.5, y: 3, width: 13, height: 15, rx: 1.5, fill: "#b3804d" }),
    s("rect", { x: 5.5, y: 5, width: 9, height: 11.5, fill: "#fff" }),
    s("rect", { x: 7, y: 1.5, width: 6, height: 3.5, rx: 1, fill: GREY }),
    line("M7.5 9h5M7.5 12h5", GREY, 1.3),
  ],
  "📌": () => [shape("M7 2h6l-.7 5.5 2.7 3H5l2.7-3z", RED), line("M10 10.5V18", GREY, 1.8)],
  "🔗": () => [
    line(
      "M8.5 11.5a3 3 0 0 0 4.2 0l3-3a3 3 0 0 0-4.2-4.2l-1 1M11.5 8.5a3 3 0 0 0-4.2 0l-3 3a3 3 0 0 0 4.2 4.2l1-1",
      GREY,
      1.9,
    ),
  ],
  "🔍": () => [
    s("circle", { cx: 8.5, cy: 8.5, r: 5, fill: "#d7e9fb", stroke: GREY, "stroke-width": 1.9 }),
    line("M12.5 12.5L17 17", GREY, 2.6),
  ],
  "📅": () => [
    s("rect", { x: 2.5, y: 3.5, width: 15, height: 14, rx: 2, fill: "#fff", stroke: GREY }),
    s("rect", { x: 2.5, y: 3.5, width: 15, height: 4, fill: RED }),
    line("M6 11h2M10 11h2M14 11h.5M6 14h2M10 14h2", GREY, 1.6),
  ],
  "🔧": () => [line("M5 16.5l6.5-6.5", GREY, 3), shape("M17.5 5.5a4.5 4.5 0 1 1-4-3.5L12 4.8 13 7l2.3.7z", GREY)],
  "🛠": () => [line("M5 16.5l6.5-6.5", GREY, 3), shape("M17.5 5.5a4.5 4.5 0 1 1-4-3.5L12 4.8 13 7l2.3.7z", GREY)],
  "💡": () => [
    shape("M10 1.5a6 6 0 0 0-3 11.2V15h6v-2.3a6 6 0 0 0-3-11.2z", "#f2c21b"),
    line("M7.5 16.5h5M8.5 18.5h3", GREY, 1.6),
  ],
  "⚡": () => [shape("M11.5 1L4 11.5h5L8 19l8-11h-5.2z", "#f2c21b")],
  "🔥": () => [
    shape("M10 1c1 4 5.5 5.5 5.5 11a5.5 5.5 0 0 1-11 0c0-3 2-4 2.3-6.5C8.6 6.6 9 8 9 8s1.5-3 1-7z", "#ef8a1d"),
  ],
  "🚧": () => [
    s("rect", { x: 1.5, y: 6, width: 17, height: 6, rx: 1, fill: AMBER }),
    line("M5 11.5L8 6.5M10 11.5l3-5M15 11.5l2-3.5", "#333", 1.8),
    line("M5 12v5M15 12v5", GREY, 1.8),
  ],
  "👤": () => [s("circle", { cx: 10, cy: 6.5, r: 3.8, fill: GREY }), shape("M2.8 18a7.2 7.2 0 0 1 14.4 0z", GREY)],
  "👥": () => [
    s("circle", { cx: 7.5, cy: 7, r: 3.3, fill: GREY }),
    shape("M1.5 17.5a6 6 0 0 1 12 0z", GREY),
    s("circle", { cx: 14, cy: 7.5, r: 2.6, fill: "#adb2ba" }),
    shape("M14.8 17.5c0-2.5-.8-4-2-5.2a5 5 0 0 1 6 5.2z", "#adb2ba"),
  ],
  "🏁": () => [
    line("M4 2v16.5", GREY, 1.8),
    s("rect", { x: 5, y: 3, width: 12, height: 8, fill: "#fff", stroke: "#333" }),
    shape("M5 3h4v4H5zM13 3h4v4h-4zM9 7h4v4H9z", "#333"),
  ],
  "🚩": () => [line("M5 2v16.5", GREY, 1.8), shape("M6 3l10 3.5L6 10.5z", RED)],
  "💬": () => [
    shape(
      "M10 3c4.7 0 8 2.7 8 6.3s-3.3 6.3-8 6.3c-1 0-1.9-.1-2.7-.3L3.5 17.5l.8-3.7C2.8 12.7 2 11.1 2 9.3 2 5.7 5.3 3 10 3z",
      "#b9cdf2",
    ),
  ],
  "📦": () => [shape("M10 2l8 4v8.5l-8 4-8-4V6z", "#c79a63"), line("M2.5 6.2L10 10l7.5-3.8M10 10v8", "#8a6335", 1.3)],
  "💾": () => [
    s("rect", { x: 2.5, y: 2.5, width: 15, height: 15, rx: 2, fill: BLUE }),
    s("rect", { x: 6, y: 2.5, width: 8, height: 5, fill: "#fff" }),
    s("rect", { x: 5.5, y: 10.5, width: 9, height: 7, fill: "#dfe8f7" }),
  ],
  "📢": () => [shape("M3 8v4h3l8 4.5v-13L6 8z", "#ef8a1d"), line("M16 7.5c1.3 1.4 1.3 3.6 0 5", RED, 1.7)],
  "👍": () => [
    shape(
      "M3 9h3v8H3zM7 9l3.5-7c1.7 0 2.3 1.2 1.9 2.8L11.7 8H16c1.3 0 1.9 1 1.6 2l-1.6 5.8c-.2.8-.8 1.2-1.6 1.2H7z",
      "#f2c21b",
    ),
  ],
  "⭐": () => [shape("M10 1.5l2.6 5.5 6 .8-4.4 4.2 1.1 6L10 15.1 4.7 18l1.1-6L1.4 7.8l6-.8z", "#f2c21b")],
};

const bare = (character) => character.replace(/\uFE0F/g, "");
const SIGNS = Object.keys(DRAWN).sort((a, b) => b.length - a.length);
const SIGN_PATTERN = new RegExp(`(${SIGNS.join("|")})\uFE0F?`, "gu");

/** One sign as an element: drawn when we can draw it, else the character. The character stays in the text, for copying. */
export function sign(character, name) {
  const draw = DRAWN[bare(character)];
  const label = name || character;
  if (!draw)
    return h("span.emoji.typed", { role: "img", "aria-label": label, title: name ? `:${name}:` : null }, character);
  return h(
    "span.emoji",
    { title: name ? `:${name}:` : null },
    s("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, draw()),
    h("span.emoji-text", {}, character),
  );
}

/** The sign for a shortcode, or null when it is unknown. */
export function shortcode(name) {
  const character = CHARACTERS[name];
  return character ? sign(character, name) : null;
}

/** Text without markup -> nodes, with drawn signs in place of the characters we can draw. */
export function withSigns(text) {
  const nodes = [];
  let last = 0;
  for (const match of text.matchAll(SIGN_PATTERN)) {
    if (match.index > last) nodes.push(document.createTextNode(text.slice(last, match.index)));
    nodes.push(sign(match[0]));
    last = match.index + match[0].length;
  }
  if (last < text.length) nodes.push(document.createTextNode(text.slice(last)));
  return nodes;
}
