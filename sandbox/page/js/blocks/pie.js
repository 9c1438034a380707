/* The pie form of data_visualization. */
import { s } from "../dom.js";
import { SERIES, number } from "./chart.js";

export function pie(data, width, label) {
  const segments = (data.segments || []).filter((segment) => segment.value > 0);
  const total = segments.reduce((sum, segment) => sum + segment.value, 0);
  const size = 200,
    radius = 88,
    middle = { x: width / 2, y: size / 2 };
  let angle = -Math.PI / 2;
  const at = (turn, distance) => `${middle.x + distance * Math.cos(turn)},${middle.y + distance * Math.sin(turn)}`;
  const parts = segments.flatMap((segment, index) => {
    const share = segment.value / total;
    const end = angle + share * Math.PI * 2;
    const fill = SERIES[index % 6];
    const title = s("title", {}, `${segment.label}: ${number(segment.value)}`);
    const shape =
      share > 0.9999
        ? s("circle", { cx: middle.x, cy: middle.y, r: radius, fill }, title)
        : s(
            "path",
            {
              d: `M${middle.x},${middle.y} L${at(angle, radius)} A${radius},${radius} 0 ${share > 0.5 ? 1 : 0} 1 ${at(end, radius)} Z`,
              fill,
              class: "slice",
            },
            title,
          );
    const [textX, textY] = at((angle + end) / 2, share > 0.9999 ? 0 : radius * 0.64).split(",");
    const text =
      share >= 0.06
        ? s("text", { x: textX, y: +textY + 4, "text-anchor": "middle", class: "slice-value" }, number(segment.value))
        : null;
    angle = end;
    return [shape, text];
  });
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${size}`, width, height: size, role: "img", "aria-label": label, class: "chart" },
    parts,
  );
}
