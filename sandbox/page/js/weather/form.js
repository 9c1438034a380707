/* Weather of one's own: one side, one trouble, where and how often. */
import { h } from "../dom.js";
import { app } from "../state.js";
import { RATES, SIDES, kindOf, percent } from "./kinds.js";

/** `onAdd(side, rule)`; `there()` names the sides that have weather. */
export function weatherForm(onAdd, there) {
  const field = (label, testid) => {
    const select = h("select.entry", { testid, "aria-label": label });
    return { select, element: h("label.weather-field", {}, h("span", {}, label), select) };
  };
  const side = field("Side", "weather-side");
  const kind = field("What goes wrong", "weather-kind");
  const place = field("Where", "weather-place");
  const rate = field("How often", "weather-rate");
  const fill = (parts, options, wanted) => {
    const kept = wanted ?? parts.select.value;
    parts.select.replaceChildren(...options.map(([value, label]) => h("option", { value }, label)));
    parts.select.value = options.some(([value]) => value === kept) ? kept : options[0] ? options[0][0] : "";
  };
  const places = () => (kindOf(side.select.value, kind.select.value) || { places: [] }).places;
  const sides = () =>
    fill(
      side,
      there().map((key) => [key, SIDES[key].label]),
    );
  const kinds = () => {
    const all = (SIDES[side.select.value] || { kinds: [] }).kinds;
    fill(
      kind,
      all.filter((each) => app.bot.mode !== "http" || !each.socket).map((each) => [each.key, each.label]),
    );
    where();
  };
  const where = () =>
    fill(
      place,
      side.select.value ? places().map((each, index) => [String(index), each.label]) : [],
    );
  side.select.addEventListener("change", kinds);
  kind.select.addEventListener("change", where);
  fill(
    rate,
    RATES.map((each) => [String(each), each === 1 ? "always" : percent(each)]),
    "0.05",
  );
  const renew = () => {
    const keys = there().join();
    if (form.dataset.sides === keys) return;
    form.dataset.sides = keys;
    sides();
    kinds();
  };
  const form = h(
    "form.weather-form",
    {
      "aria-label": "Weather of your own",
      onsubmit: (event) => {
        event.preventDefault();
        const { path, method } = places()[Number(place.select.value)];
        const rule = { kind: kind.select.value, path, rate: Number(rate.select.value) };
        onAdd(side.select.value, method ? { ...rule, method } : rule);
      },
    },
    side.element,
    kind.element,
    place.element,
    rate.element,
    h("button.button.weather-add", { type: "submit", testid: "weather-add" }, "Add"),
  );
  form.renew = renew;
  return form;
}
