/* data_visualization -> an SVG chart with axes, legend and a text alternative; redrawn when its width changes. */
import { h, s } from "../dom.js";
import { plainText } from "../text/mrkdwn.js";
import { pie } from "./pie.js";

export const SERIES = [
  "var(--series-1)",
  "var(--series-2)",
  "var(--series-3)",
  "var(--series-4)",
  "var(--series-5)",
  "var(--series-6)",
];
const LETTER = 6.3; // a generous mean width of one letter at 11 px

export function chart(block) {
  const data = block.chart || {};
  const title = typeof block.title === "string" ? block.title : (block.title && block.title.text) || "";
  const frame = h("div.chart-frame");
  const figure = h(
    "figure.block-chart",
    { dataset: { chart: data.type } },
    title ? h("figcaption", {}, plainText(title)) : null,
    frame,
    legend(data),
  );
  const draw = (width) =>
    frame.replaceChildren(
      data.type === "pie" ? pie(data, width, describe(title, data)) : axes(data, width, describe(title, data)),
    );
  draw(540);
  let drawn = 540;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width > 60 && Math.abs(width - drawn) > 2) {
      drawn = width;
      draw(width);
    }
  }).observe(frame);
  return figure;
}

export const number = (value) =>
  Math.abs(value) >= 1e4
    ? Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value)
    : String(Math.round(value * 100) / 100);

function legend(data) {
  if (data.type === "pie") {
    const total = (data.segments || []).reduce((sum, segment) => sum + segment.value, 0) || 1;
    return h(
      "ul.chart-legend",
      { "aria-hidden": "true" },
      (data.segments || []).map((segment, index) =>
        entry(index, `${segment.label}: ${number(segment.value)} (${Math.round((segment.value / total) * 100)} %)`),
      ),
    );
  }
  return h(
    "ul.chart-legend",
    { "aria-hidden": "true" },
    (data.series || []).map((series, index) => entry(index, series.name)),
  );
}

const entry = (index, text) => h("li", {}, h("span.chart-key", { style: `background:${SERIES[index % 6]}` }), text);

function describe(title, data) {
  if (data.type === "pie")
    return `${title}. Pie chart: ${(data.segments || []).map((segment) => `${segment.label} ${number(segment.value)}`).join(", ")}.`;
  const lines = (data.series || []).map(
    (series) =>
      `${series.name}: ${(series.data || []).map((point) => `${point.label} ${number(point.value)}`).join(", ")}`,
  );
  return `${title}. ${data.type} chart. ${lines.join("; ")}.`;
}

function scale(data) {
  const values = (data.series || []).flatMap((series) => (series.data || []).map((point) => point.value));
  const top = Math.max(0, ...values);
  const bottom = Math.min(0, ...values);
  const raw = (top - bottom || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw) * power;
  if (values.every(Number.isInteger)) step = Math.max(1, Math.ceil(step));
  const low = Math.floor(bottom / step) * step;
  const high = Math.max(low + step, Math.ceil(top / step) * step);
  const ticks = [];
  for (let tick = low; tick <= high + step / 2; tick += step) ticks.push(Math.round(tick * 1e6) / 1e6);
  return { low, high, ticks };
}

function axes(data, width, label) {
  const config = data.axis_config || {};
  const series = data.series || [];
  const categories = config.categories || (series[0] ? series[0].data.map((point) => point.label) : []);
  const { low, high, ticks } = scale(data);
  const longest = Math.max(0, ...categories.map((category) => String(category).length)) * LETTER;
  let left = Math.max(...ticks.map((tick) => number(tick).length)) * LETTER + 12 + (config.y_label ? 18 : 0);
  const step0 = (width - left - 10) / Math.max(1, categories.length);
  const slanted = longest > step0 - 6;
  if (slanted)
    categories.forEach((category, index) => {
      left = Math.max(left, String(category).length * LETTER * 0.82 - step0 * (index + 0.5) + 6);
    });
  const bottom = (slanted ? longest * 0.57 + 14 : 22) + (config.x_label ? 18 : 0);
  const right = 10,
    top = 16,
    height = 190 + top + bottom;
  const plotWidth = Math.max(20, width - left - right),
    plotHeight = height - top - bottom;
  const step = plotWidth / Math.max(1, categories.length);
  const x = (index) => left + step * (index + 0.5);
  const y = (value) => top + plotHeight * (1 - (value - low) / (high - low));
  const every = slanted ? Math.max(1, Math.ceil(20 / step)) : 1;
  const baseline = y(Math.max(low, 0));
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label, class: "chart" },
    ticks.map((tick) => [
      s("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), class: tick === 0 ? "axis" : "grid" }),
      s("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end", class: "tick" }, number(tick)),
    ]),
    data.type === "bar"
      ? bars(series, { x, y, step, baseline })
      : lines(series, { x, y, baseline }, data.type === "area"),
    categories.map((category, index) =>
      index % every
        ? null
        : s(
            "text",
            slanted
              ? {
                  transform: `translate(${x(index) + 4} ${height - bottom + 14}) rotate(-35)`,
                  "text-anchor": "end",
                  class: "tick",
                }
              : { x: x(index), y: height - bottom + 17, "text-anchor": "middle", class: "tick" },
            String(category),
          ),
    ),
    config.x_label
      ? s(
          "text",
          { x: left + plotWidth / 2, y: height - 4, "text-anchor": "middle", class: "axis-label" },
          config.x_label,
        )
      : null,
    config.y_label
      ? s(
          "text",
          {
            transform: `translate(12 ${top + plotHeight / 2}) rotate(-90)`,
            "text-anchor": "middle",
            class: "axis-label",
          },
          config.y_label,
        )
      : null,
  );
}

function bars(series, { x, y, step, baseline }) {
  const group = Math.min(step * 0.78, 46 * series.length);
  const wide = group / Math.max(1, series.length);
  return series.flatMap((one, order) =>
    (one.data || []).flatMap((point, index) => {
      const start = x(index) - group / 2 + wide * order;
      const peak = Math.min(y(point.value), baseline);
      const tall = Math.abs(baseline - y(point.value));
      const text = number(point.value);
      return [
        s(
          "rect",
          {
            x: start + 1,
            y: peak,
            width: Math.max(1, wide - 2),
            height: Math.max(point.value ? 1 : 0, tall),
            rx: Math.min(2.5, wide / 4),
            fill: SERIES[order % 6],
          },
          s("title", {}, `${one.name}, ${point.label}: ${text}`),
        ),
        text.length * LETTER <= wide + 4 && point.value
          ? s(
              "text",
              {
                x: start + wide / 2,
                y: point.value < 0 ? peak + tall + 12 : peak - 4,
                "text-anchor": "middle",
                class: "value",
              },
              text,
            )
          : null,
      ];
    }),
  );
}

function lines(series, { x, y, baseline }, filled) {
  return series.flatMap((one, order) => {
    const points = (one.data || []).map((point, index) => `${x(index)},${y(point.value)}`);
    const colour = SERIES[order % 6];
    if (!points.length) return [];
    const last = x(points.length - 1);
    return [
      filled
        ? s("path", {
            d: `M${x(0)},${baseline} L${points.join(" L")} L${last},${baseline} Z`,
            fill: colour,
            opacity: 0.2,
          })
        : null,
      s("polyline", {
        points: points.join(" "),
        fill: "none",
        stroke: colour,
        "stroke-width": 2.2,
        "stroke-linejoin": "round",
        "stroke-linecap": "round",
      }),
      (one.data || []).map((point, index) =>
        s(
          "circle",
          { cx: x(index), cy: y(point.value), r: 3.2, fill: colour },
          s("title", {}, `${one.name}, ${point.label}: ${number(point.value)}`),
        ),
      ),
    ];
  });
}
