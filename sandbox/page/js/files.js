/* Files of a message: name, title and size, with a link that downloads them. */
import { h } from "./dom.js";

const UNITS = ["bytes", "kB", "MB", "GB"];

export function sizeOf(bytes) {
  let size = Number(bytes) || 0;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

const endingOf = (name) => (/\.([a-z0-9]{1,5})$/i.exec(name || "") || [null, "file"])[1];

export function fileLink(file) {
  const safe = /^(\/|https?:\/\/)/i.test(file.url || "");
  const title = file.title && file.title !== file.name ? file.title : "";
  return h(
    "a.file",
    {
      testid: "file",
      dataset: { file: file.id },
      href: safe ? file.url : null,
      download: file.name,
      title: `Download ${file.name}`,
    },
    h("span.file-kind", { "aria-hidden": "true" }, endingOf(file.name)),
    h(
      "span.file-text",
      {},
      h("strong", {}, title || file.name),
      h("span.quiet", {}, [title ? file.name : null, sizeOf(file.size)].filter(Boolean).join(" · ")),
    ),
  );
}
