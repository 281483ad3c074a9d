// What may follow in a filter: a list under the field, as ARIA's combobox pattern has it.

import { Part, Refused } from "jobledger/reading";

export function offer(field, list, changed) {
  const part = new Part();
  let offers = [];
  let chosen = -1;

  async function look() {
    try {
      const said = new URLSearchParams({ filter: field.value, caret: field.selectionStart });
      const text = await part.read(`/fleet/offers?${said}`);
      if (text !== null) draw(JSON.parse(text));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      draw([]);
    }
  }

  function draw(found) {
    const kept = offers[chosen]?.text;
    offers = document.activeElement === field ? found : [];
    chosen = -1;
    list.replaceChildren(...offers.map(option));
    list.hidden = !offers.length;
    field.setAttribute("aria-expanded", String(!!offers.length));
    field.removeAttribute("aria-activedescendant");
    // An answer that comes late does not take back what was chosen.
    const again = offers.findIndex(({ text }) => text === kept);
    if (again >= 0) choose(again);
  }

  function option({ text }, n) {
    const item = Object.assign(document.createElement("li"), { id: `offer-${n}`, role: "option", textContent: text });
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      take(n);
    });
    return item;
  }

  function choose(n) {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = (n + offers.length) % offers.length;
    const item = list.children[chosen];
    item.setAttribute("aria-selected", "true");
    item.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", item.id);
  }

  function take(n) {
    const { from, to, text } = offers[n];
    // More of the word may have been typed since it was offered.
    field.setRangeText(text, from, Math.max(to, field.selectionStart), "end");
    draw([]);
    changed();
    look();
  }

  field.addEventListener("input", look);
  field.addEventListener("focus", look);
  field.addEventListener("blur", () => draw([]));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && offers.length) return event.preventDefault(), draw([]);
    if (event.key === "ArrowDown" && !offers.length) return look();
    if (!offers.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(event.key === "ArrowDown" ? chosen + 1 : Math.max(chosen, 0) - 1);
    } else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) {
      event.preventDefault();
      take(chosen);
    }
  });
}
