"""What is wrong with the looks of something, measured in the browser: too wide, cut, outside, one over another."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator

# Scrolls by design, floats above others by design, or is a control whose inside the browser itself draws.
FLAWS = """root => {
  const found = [];
  const name = (element) => `${element.tagName.toLowerCase()}.${element.className?.baseVal ?? element.className}`;
  const say = (what, element) => found.push(`${what}: ${name(element)} "${element.textContent.slice(0, 60)}"`);
  const apart = "select, input, textarea, option, .emoji, .overflow-menu, .hover-tools, [hidden]";
  const scrolls = ".table-scroll, .multi-list, .weather-rules, .scroll, .dialog-body";
  const edge = root.getBoundingClientRect();

  for (const element of root.querySelectorAll("*")) {
    if (element.closest(apart) || element.closest("svg") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const inside = element.parentElement.closest(scrolls);
    if (style.display !== "inline" && element.clientWidth && !element.matches(scrolls)) {
      const over = element.scrollWidth - element.clientWidth;
      if (over > 1) say(`${over} px too wide`, element);
      const cuts = ["hidden", "clip"].includes(style.overflowY);
      if (cuts && element.scrollHeight > element.clientHeight + 1) say("cut below", element);
    }
    const box = element.getBoundingClientRect();
    if (inside && root.contains(inside)) continue;
    if (box.right > edge.right + 1 || box.left < edge.left - 1) say("beside its frame", element);
    if (box.bottom > edge.bottom + 1 || box.top < edge.top - 1) say("above or below its frame", element);
  }

  for (const chart of root.querySelectorAll("svg.chart")) {
    const frame = chart.getBoundingClientRect();
    for (const text of chart.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      const beside = box.left < frame.left - 1 || box.right > frame.right + 1;
      if (beside || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) say("chart text is cut", text);
    }
  }

  const words = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    if (!node.data.trim() || holder.closest(apart) || holder.closest("title, text[transform]")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const frame = holder.closest(scrolls)?.getBoundingClientRect();
    for (const box of range.getClientRects()) {
      const away = frame && (box.bottom > frame.bottom + 1 || box.top < frame.top - 1); // scrolled out of sight
      if (box.width > 1 && box.height > 1 && !away) words.push({ box, holder });
    }
  }
  for (let one = 0; one < words.length; one += 1)
    for (let other = one + 1; other < words.length; other += 1) {
      const [a, b] = [words[one].box, words[other].box];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 3 && tall > 0.45 * Math.min(a.height, b.height))
        say(`over "${words[one].holder.textContent.slice(0, 40)}"`, words[other].holder);
    }
  return found;
}"""


def flaws(drawn: "Locator") -> list[str]:
    """Sentences about what is wrong with one drawn thing; empty when it looks as it should."""
    found: list[str] = drawn.evaluate(FLAWS)
    return found
